// pipe(7): pages, and which end is told when.
#include "pipe.hpp"

#include <sys/epoll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>

#include "machine.hpp"

namespace kernel {

// ---- The pages ---------------------------------------------------------------------------------

long Pipe::read(const Buffers& to, long wait) {
  const size_t wanted = to.total();
  if (wanted == 0) return 0;
  const bool was_full = is_full();
  size_t taken = 0;
  while (used_ > 0 && taken < wanted) {
    Page& first = page(0);
    const size_t size = std::min(first.end - first.begin, wanted - taken);
    queue_.copy(taken, to, taken, size);
    taken += size;
    first.begin += size;
    if (first.begin < first.end) break;
    first_ = (first_ + 1) % pages;
    --used_;
  }
  queue_.drop(taken);
  if (taken == 0) return writer == nullptr ? 0 : wait;
  if (was_full && !is_full() && writer != nullptr) writer->wake(EPOLLOUT | EPOLLWRNORM);
  return static_cast<long>(taken);
}

long Pipe::write(const Buffers& from, long wait) {
  const size_t wanted = from.total();
  size_t put = 0;
  // The part that is no whole page goes behind what is there, where it fits.
  const size_t odd = wanted % page_size;
  if (odd > 0 && used_ > 0 && page(used_ - 1).end + odd <= page_size) {
    page(used_ - 1).end += odd;
    put = odd;
  }
  while (put < wanted && !is_full()) {
    const size_t size = std::min(page_size, wanted - put);
    page(used_++) = {0, size};
    put += size;
  }
  queue_.append(from, 0, put);
  if (put == 0) return wait;
  reader->wake(EPOLLIN | EPOLLRDNORM);
  return static_cast<long>(put);
}

// ---- The ends ----------------------------------------------------------------------------------

void PipeEnd::make(Machine& machine, File** reader, File** writer) {
  auto* const pipe = new Pipe;
  pipe->reader = new PipeEnd(machine, pipe, true);
  pipe->writer = new PipeEnd(machine, pipe, false);
  *reader = pipe->reader;
  *writer = pipe->writer;
}

PipeEnd::~PipeEnd() {
  if (--pipe_->ends == 0) delete pipe_;
}

uint32_t PipeEnd::ready() {
  if (reads_) {
    return (pipe_->is_empty() ? 0 : uint32_t{EPOLLIN | EPOLLRDNORM}) |
           (pipe_->writer == nullptr ? uint32_t{EPOLLHUP} : 0);
  }
  return (pipe_->is_full() ? 0 : uint32_t{EPOLLOUT | EPOLLWRNORM}) |
         (pipe_->reader == nullptr ? uint32_t{EPOLLERR} : 0);
}

long PipeEnd::read(const Buffers& to) { return reads_ ? pipe_->read(to, would_wait()) : -EBADF; }

long PipeEnd::write(const Buffers& from) {
  if (reads_) return -EBADF;
  if (from.total() == 0) return 0;
  if (pipe_->reader == nullptr) {
    machine().broken_pipe = true;
    return -EPIPE;
  }
  return pipe_->write(from, would_wait());
}

long PipeEnd::ioctl(unsigned long request, int* value) {
  if (request != FIONREAD) return -ENOTTY;
  *value = pipe_->bytes();
  return 0;
}

void PipeEnd::on_closed() {
  PipeEnd* const other = reads_ ? pipe_->writer : pipe_->reader;
  (reads_ ? pipe_->reader : pipe_->writer) = nullptr;
  if (other != nullptr) other->wake(0);
  machine().bury(*this);
}

}  // namespace kernel
