// What all files have in common.
#include "file.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <cerrno>

#include "epoll.hpp"
#include "machine.hpp"

namespace kernel {

File::File(Machine& machine) : machine_(machine) { machine.adopt(*this); }

File::~File() = default;

long File::read(const Buffers&) { return -EINVAL; }

long File::write(const Buffers&) { return -EINVAL; }

long File::ioctl(unsigned long, int*) { return -ENOTTY; }

void File::on_closed() { machine_.bury(*this); }

bool File::non_blocking() const { return (status & O_NONBLOCK) != 0; }

long File::would_wait() const { return non_blocking() ? -EAGAIN : blocked; }

void File::drop() {
  if (--holders_ > 0) return;
  while (!watches.empty()) watches.back()->owner->forget(*watches.back());
  on_closed();
}

void File::wake(uint32_t events) {
  for (Watch* watch : watches) watch->owner->on_wake(*watch, events);
}

}  // namespace kernel
