// Pipes.
#ifndef KERNEL_PIPE_HPP
#define KERNEL_PIPE_HPP

#include <sys/stat.h>

#include <array>

#include "file.hpp"

namespace kernel {

class PipeEnd;

// Sixteen pages, and a page is free again when its last byte is read. A write of up to a page is
// whole or not at all.
class Pipe {
 public:
  long read(const Buffers& to, long wait);
  long write(const Buffers& from, long wait);

  bool is_empty() const { return used_ == 0; }
  bool is_full() const { return used_ == pages; }
  int bytes() const { return static_cast<int>(queue_.size()); }

  PipeEnd* reader = nullptr;  // null: closed
  PipeEnd* writer = nullptr;
  int ends = 2;  // that still stand for it

 private:
  static constexpr size_t pages = 16;
  static constexpr size_t page_size = 4096;
  struct Page {
    size_t begin;
    size_t end;
  };

  Page& page(size_t index) { return pages_[(first_ + index) % pages]; }

  ByteQueue queue_;
  std::array<Page, pages> pages_{};
  size_t first_ = 0;
  size_t used_ = 0;
};

class PipeEnd final : public File {
 public:
  // Both ends together own the pipe.
  static void make(Machine& machine, File** reader, File** writer);

  ~PipeEnd() override;

  uint32_t ready() override;
  long read(const Buffers& to) override;
  long write(const Buffers& from) override;
  long ioctl(unsigned long request, int* value) override;
  unsigned kind() const override { return S_IFIFO; }
  void on_closed() override;

 private:
  PipeEnd(Machine& machine, Pipe* pipe, bool reads) : File(machine), pipe_(pipe), reads_(reads) {}

  Pipe* pipe_;
  bool reads_;
};

}  // namespace kernel

#endif
