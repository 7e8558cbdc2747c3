// Bytes on their way: the buffers of a call, and a queue of bytes.
#ifndef KERNEL_BUFFERS_HPP
#define KERNEL_BUFFERS_HPP

#include <sys/uio.h>

#include <cstddef>
#include <memory>

namespace kernel {

// The buffers of one call, the caller's.
struct Buffers {
  const iovec* at = nullptr;
  size_t count = 0;

  size_t total() const;
  // Copies `size` bytes from or to the buffers, `skip` bytes after their beginning.
  void copy_out(size_t skip, char* to, size_t size) const;
  void copy_in(size_t skip, const char* from, size_t size) const;
};

// A ring that grows. It counts the bytes that it holds and has no limit of its own.
class ByteQueue {
 public:
  size_t size() const { return size_; }
  void append(const Buffers& from, size_t skip, size_t size);
  // Copies bytes `first` .. `first + size` without taking them out.
  void copy(size_t first, const Buffers& to, size_t skip, size_t size) const;
  char at(size_t index) const { return data_[(head_ + index) & (capacity_ - 1)]; }
  void drop(size_t size);                       // at the front
  void truncate(size_t size) { size_ = size; }  // at the back

 private:
  void reserve(size_t size);

  std::unique_ptr<char[]> data_;
  size_t capacity_ = 0;  // a power of two
  size_t head_ = 0;
  size_t size_ = 0;
};

}  // namespace kernel

#endif
