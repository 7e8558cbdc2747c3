// A pool of blocks: a fixed number of buffers of one size, in memory that is obtained once.
//
// acquire() lends a block as a move-only Block. Its destructor gives the block back, so each loan
// ends exactly once by construction. Free blocks and the gap behind each block are poisoned for
// AddressSanitizer, so that a pool hides no use after free and no overflow.
#pragma once

#include <sanitizer/asan_interface.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include "core/assert.hpp"

namespace echoproof {

class Block;

class BlockPool {
 public:
  // The bytes of memory that a block of this size takes, with its gap.
  static constexpr std::size_t stride_of(std::size_t block_size) {
    return (block_size + 2 * alignment - 1) / alignment * alignment;
  }

  // Obtains all memory for `capacity` blocks of `block_size` bytes; the destructor frees it. Throws
  // std::bad_alloc. REQUIRES: block_size >= 1; a capacity of 0 is allowed.
  BlockPool(std::size_t capacity, std::size_t block_size)
      : capacity_(capacity), block_size_(block_size), stride_(stride_of(block_size)) {
    ECHOPROOF_ASSERT(block_size >= 1);
    if (capacity > std::numeric_limits<std::uint32_t>::max()) throw std::bad_alloc();
    // Not initialised, so that the kernel backs only pages that are used.
    memory_ = std::make_unique_for_overwrite<Line[]>(capacity * stride_ / sizeof(Line));
    lent_.resize(capacity);
    free_.reserve(capacity);
    while (free_.size() < capacity) {
      free_.push_back(static_cast<std::uint32_t>(capacity - free_.size() - 1));
    }
    ASAN_POISON_MEMORY_REGION(memory_.get(), capacity * stride_);
  }

  // REQUIRES: no block is lent.
  ~BlockPool() {
    ECHOPROOF_ASSERT(available() == capacity());
    ASAN_UNPOISON_MEMORY_REGION(memory_.get(), capacity() * stride_);
  }

  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // An empty Block when all are lent. That is the limit at work and no error.
  Block acquire() noexcept;

  std::size_t capacity() const { return capacity_; }
  std::size_t available() const { return free_.size(); }
  std::size_t lent() const { return capacity_ - free_.size(); }
  std::size_t block_size() const { return block_size_; }

  // The ledger: loans that began and that ended since construction.
  std::uint64_t acquired() const { return acquired_; }
  std::uint64_t released() const { return released_; }

 private:
  friend class Block;

  // A cache line. On some processors the kernel copies three times as slowly to an address that
  // does not begin one. AddressSanitizer needs 8.
  static constexpr std::size_t alignment = 64;
  struct alignas(alignment) Line {
    std::byte bytes[alignment];
  };

  std::span<std::byte> bytes_of(std::uint32_t index) const {
    return {memory_[0].bytes + index * stride_, block_size_};
  }

  void release(std::uint32_t index) noexcept {
    ECHOPROOF_ASSERT(lent_[index]);  // else it is given back twice
    ASAN_POISON_MEMORY_REGION(bytes_of(index).data(), block_size_);
    lent_[index] = false;
    free_.push_back(index);  // within the reserved capacity: cannot throw
    ++released_;
    invariants();
  }

  void invariants() const {
    ECHOPROOF_ASSERT(available() <= capacity());
    ECHOPROOF_ASSERT(acquired_ - released_ == lent());
  }

  std::size_t capacity_;
  std::size_t block_size_;
  std::size_t stride_;  // from one block to the next: the block and the gap
  std::unique_ptr<Line[]> memory_;
  std::vector<std::uint32_t> free_;  // a stack: the block that was used last is still in the cache
  std::vector<bool> lent_;
  std::uint64_t acquired_ = 0;
  std::uint64_t released_ = 0;
};

// A block on loan, or nothing. The pool must outlive it.
class Block {
 public:
  Block() = default;
  Block(Block&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)), index_(other.index_) {}
  Block& operator=(Block other) noexcept {  // `other` gives back the block that was held before
    std::swap(pool_, other.pool_);
    std::swap(index_, other.index_);
    return *this;
  }
  ~Block() {
    if (pool_ != nullptr) pool_->release(index_);
  }

  explicit operator bool() const { return pool_ != nullptr; }

  // The bytes of the block. They are not wiped: a client before may have left data in them.
  // REQUIRES: not empty.
  std::span<std::byte> bytes() const {
    ECHOPROOF_ASSERT(pool_ != nullptr);
    return pool_->bytes_of(index_);
  }

  bool is_of(const BlockPool& pool) const { return pool_ == &pool; }

  // A number below the pool's capacity that no other live loan has. REQUIRES: not empty.
  std::uint32_t index() const {
    ECHOPROOF_ASSERT(pool_ != nullptr);
    return index_;
  }

 private:
  friend class BlockPool;
  Block(BlockPool* pool, std::uint32_t index) : pool_(pool), index_(index) {}

  BlockPool* pool_ = nullptr;
  std::uint32_t index_ = 0;
};

inline Block BlockPool::acquire() noexcept {
  if (free_.empty()) return {};
  const std::uint32_t index = free_.back();
  ECHOPROOF_ASSERT(!lent_[index]);
  free_.pop_back();
  lent_[index] = true;
  ASAN_UNPOISON_MEMORY_REGION(bytes_of(index).data(), block_size_);
  ++acquired_;
  invariants();
  return {this, index};
}

}  // namespace echoproof
