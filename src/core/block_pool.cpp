#include "core/block_pool.hpp"

#include <sanitizer/asan_interface.h>

#include <limits>
#include <new>

#include "core/assert.hpp"

namespace echoproof {
namespace {

// Blocks start on this boundary, which ASan's shadow needs, and a gap of at least this many bytes
// follows each.
constexpr std::size_t alignment = 64;

std::size_t stride_of(std::size_t block_size) {
  return (block_size + 2 * alignment - 1) / alignment * alignment;
}

std::size_t memory_of(std::size_t capacity, std::size_t stride) {
  if (capacity > std::numeric_limits<std::uint32_t>::max()) throw std::bad_alloc();
  if (stride > std::numeric_limits<std::size_t>::max() / capacity) throw std::bad_alloc();
  return capacity * stride;
}

}  // namespace

Block::~Block() {
  if (pool_ != nullptr) pool_->release(index_);
}

std::span<std::byte> Block::bytes() const {
  ECHOPROOF_ASSERT(pool_ != nullptr);
  return pool_->bytes_of(index_);
}

std::uint32_t Block::index() const {
  ECHOPROOF_ASSERT(pool_ != nullptr);
  return index_;
}

BlockPool::BlockPool(std::size_t capacity, std::size_t block_size)
    : block_size_(block_size), stride_(stride_of(block_size)) {
  ECHOPROOF_ASSERT(capacity >= 1);
  ECHOPROOF_ASSERT(block_size >= 1);
  // Not value-initialised: a page that no client needs is never touched.
  memory_ = std::make_unique_for_overwrite<std::byte[]>(memory_of(capacity, stride_));
  free_.reserve(capacity);
  for (std::size_t i = capacity; i > 0; --i) free_.push_back(static_cast<std::uint32_t>(i - 1));
  lent_.resize(capacity);
  ASAN_POISON_MEMORY_REGION(memory_.get(), capacity * stride_);
  invariants();
}

BlockPool::~BlockPool() {
  ECHOPROOF_ASSERT(free_.size() == capacity());
  ASAN_UNPOISON_MEMORY_REGION(memory_.get(), capacity() * stride_);
}

Block BlockPool::acquire() noexcept {
  if (free_.empty()) return {};
  const std::uint32_t index = free_.back();
  ECHOPROOF_ASSERT(!lent_[index]);
  free_.pop_back();
  lent_[index] = true;
  ++acquired_;
  ASAN_UNPOISON_MEMORY_REGION(bytes_of(index).data(), block_size_);
  invariants();
  return {this, index};
}

void BlockPool::release(std::uint32_t index) noexcept {
  ECHOPROOF_ASSERT(lent_[index]);  // given back twice
  ASAN_POISON_MEMORY_REGION(bytes_of(index).data(), block_size_);
  ++released_;
  lent_[index] = false;
  free_.push_back(index);  // within the reserved capacity: cannot throw
  invariants();
}

std::span<std::byte> BlockPool::bytes_of(std::uint32_t index) const {
  return {memory_.get() + index * stride_, block_size_};
}

void BlockPool::invariants() const {
  ECHOPROOF_ASSERT(free_.size() <= capacity());
  ECHOPROOF_ASSERT(acquired_ - released_ == capacity() - free_.size());
}

}  // namespace echoproof
