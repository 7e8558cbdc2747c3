// Copies between the buffers of a call and the ring.
#include "buffers.hpp"

#include <algorithm>
#include <cstring>

namespace kernel {

namespace {

// Calls `part(base, size)` for each piece of the range that the buffers hold.
template <typename Part>
void for_range(const Buffers& buffers, size_t skip, size_t size, Part part) {
  for (size_t i = 0; i < buffers.count && size > 0; ++i) {
    const iovec& buffer = buffers.at[i];
    if (skip >= buffer.iov_len) {
      skip -= buffer.iov_len;
      continue;
    }
    const size_t count = std::min(size, buffer.iov_len - skip);
    part(static_cast<char*>(buffer.iov_base) + skip, count);
    skip = 0;
    size -= count;
  }
}

}  // namespace

size_t Buffers::total() const {
  size_t sum = 0;
  for (size_t i = 0; i < count; ++i) sum += at[i].iov_len;
  return sum;
}

void Buffers::copy_out(size_t skip, char* to, size_t size) const {
  for_range(*this, skip, size, [&](const char* base, size_t piece) {
    std::memcpy(to, base, piece);
    to += piece;
  });
}

void Buffers::copy_in(size_t skip, const char* from, size_t size) const {
  for_range(*this, skip, size, [&](char* base, size_t piece) {
    std::memcpy(base, from, piece);
    from += piece;
  });
}

void ByteQueue::reserve(size_t size) {
  if (size <= capacity_) return;
  size_t capacity = capacity_ == 0 ? 512 : capacity_;
  while (capacity < size) capacity *= 2;
  std::unique_ptr<char[]> data(new char[capacity]);
  const size_t first = std::min(size_, capacity_ - head_);
  if (size_ > 0) {
    std::memcpy(data.get(), data_.get() + head_, first);
    std::memcpy(data.get() + first, data_.get(), size_ - first);
  }
  data_ = std::move(data);
  capacity_ = capacity;
  head_ = 0;
}

void ByteQueue::append(const Buffers& from, size_t skip, size_t size) {
  if (size == 0) return;
  reserve(size_ + size);
  const size_t tail = (head_ + size_) & (capacity_ - 1);
  const size_t first = std::min(size, capacity_ - tail);
  from.copy_out(skip, data_.get() + tail, first);
  from.copy_out(skip + first, data_.get(), size - first);
  size_ += size;
}

void ByteQueue::copy(size_t first, const Buffers& to, size_t skip, size_t size) const {
  if (size == 0) return;
  const size_t from = (head_ + first) & (capacity_ - 1);
  const size_t piece = std::min(size, capacity_ - from);
  to.copy_in(skip, data_.get() + from, piece);
  to.copy_in(skip + piece, data_.get(), size - piece);
}

void ByteQueue::drop(size_t size) {
  size_ -= size;
  head_ = size_ == 0 ? 0 : (head_ + size) & (capacity_ - 1);
}

}  // namespace kernel
