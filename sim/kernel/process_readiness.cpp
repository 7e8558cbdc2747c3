// epoll, poll and select, and the descriptors that count.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <cerrno>

#include "counters.hpp"
#include "epoll.hpp"
#include "pipe.hpp"
#include "process.hpp"

namespace kernel {

// Flags such as EFD_NONBLOCK and EPOLL_CLOEXEC are those of open(2).
static_assert(EFD_NONBLOCK == O_NONBLOCK && TFD_NONBLOCK == O_NONBLOCK);
static_assert(EFD_CLOEXEC == O_CLOEXEC && EPOLL_CLOEXEC == O_CLOEXEC);

long Process::pipe2(int fds[2], int flags) {
  begin();
  if ((flags & O_DIRECT) != 0) return unsimulated;
  if ((flags & ~(O_CLOEXEC | O_NONBLOCK)) != 0) return -EINVAL;
  const long answer = room_for(2);
  if (answer != 0) return answer;
  File* reader = nullptr;
  File* writer = nullptr;
  PipeEnd::make(machine_, &reader, &writer);
  const bool on_exec = (flags & O_CLOEXEC) != 0;
  fds[0] = static_cast<int>(add(*reader, O_RDONLY | (flags & O_NONBLOCK), on_exec));
  fds[1] = static_cast<int>(add(*writer, O_WRONLY | (flags & O_NONBLOCK), on_exec));
  return 0;
}

long Process::eventfd2(unsigned value, int flags) {
  begin();
  if ((flags & ~(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)) != 0) return -EINVAL;
  const long answer = room_for(1);
  if (answer != 0) return answer;
  auto* const file = new EventFd(machine_, value, (flags & EFD_SEMAPHORE) != 0);
  return add(*file, O_RDWR | (flags & EFD_NONBLOCK), (flags & EFD_CLOEXEC) != 0);
}

// ---- Time --------------------------------------------------------------------------------------

long Process::timerfd_create(int clock, int flags) {
  begin();
  if ((flags & ~(TFD_CLOEXEC | TFD_NONBLOCK)) != 0) return -EINVAL;
  if (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME && clock != CLOCK_BOOTTIME)
    return -EINVAL;
  const long answer = room_for(1);
  if (answer != 0) return answer;
  auto* const file = new TimerFd(machine_, clock);
  return add(*file, O_RDWR | (flags & TFD_NONBLOCK), (flags & TFD_CLOEXEC) != 0);
}

long Process::timerfd_settime(int fd, int flags, const itimerspec* value, itimerspec* before) {
  begin();
  File* const file = file_of(fd);
  if (file == nullptr) return -EBADF;
  TimerFd* const timer = file->as_timer();
  if (timer == nullptr) return -EINVAL;
  const itimerspec old = timer->value();
  const long answer = timer->set(flags, *value);
  if (answer == 0 && before != nullptr) *before = old;
  return answer;
}

long Process::timerfd_gettime(int fd, itimerspec* value) {
  begin();
  File* const file = file_of(fd);
  if (file == nullptr) return -EBADF;
  const TimerFd* const timer = file->as_timer();
  if (timer == nullptr) return -EINVAL;
  *value = timer->value();
  return 0;
}

long Process::clock_gettime(clockid_t clock, timespec* time) {
  begin();
  uint64_t ns = 0;
  const long answer = read_clock(machine_, clock, &ns);
  if (answer == 0) *time = to_timespec(ns);
  return answer;
}

// ---- epoll -------------------------------------------------------------------------------------

long Process::epoll_create1(int flags) {
  begin();
  if ((flags & ~EPOLL_CLOEXEC) != 0) return -EINVAL;
  const long answer = room_for(1);
  if (answer != 0) return answer;
  return add(*new Epoll(machine_), O_RDWR, (flags & EPOLL_CLOEXEC) != 0);
}

long Process::epoll_ctl(int epoll, int operation, int fd, const epoll_event* event) {
  begin();
  File* const owner = file_of(epoll);
  File* const file = file_of(fd);
  if (owner == nullptr || file == nullptr) return -EBADF;
  if (owner == file || owner->as_epoll() == nullptr) return -EINVAL;
  return owner->as_epoll()->control(operation, *file, fd, event);
}

long Process::epoll_wait(int epoll, epoll_event* events, int count, int timeout_ms) {
  begin();
  constexpr int most = 0x7fffffff / static_cast<int>(sizeof(epoll_event));
  File* const file = file_of(epoll);
  if (file == nullptr) return -EBADF;
  if (count <= 0 || count > most) return -EINVAL;
  if (file->as_epoll() == nullptr) return -EINVAL;
  const int found = file->as_epoll()->collect(events, count);
  return found == 0 && timeout_ms != 0 ? blocked : found;
}

// ---- poll and select ---------------------------------------------------------------------------

uint32_t Process::ready_of(int fd) const {
  File* const file = file_of(fd);
  return file == nullptr ? uint32_t{POLLNVAL} : file->ready();
}

long Process::poll(pollfd* fds, nfds_t count, int timeout_ms) {
  begin();
  if (count > static_cast<nfds_t>(limit_)) return -EINVAL;
  long found = 0;
  for (nfds_t i = 0; i < count; ++i) {
    pollfd& one = fds[i];
    one.revents = 0;
    if (one.fd < 0) continue;
    const auto wanted = static_cast<uint32_t>(static_cast<unsigned short>(one.events)) | POLLERR |
                        POLLHUP | POLLNVAL;
    one.revents = static_cast<short>(ready_of(one.fd) & wanted);
    if (one.revents != 0) ++found;
  }
  return found == 0 && timeout_ms != 0 ? blocked : found;
}

long Process::select(int count, fd_set* to_read, fd_set* to_write, fd_set* special,
                     const timeval* timeout) {
  begin();
  if (count < 0) return -EINVAL;
  struct Set {
    fd_set* fds;
    uint32_t events;
    fd_set found;
  };
  Set sets[] = {{to_read, EPOLLIN | EPOLLRDNORM | EPOLLRDBAND | EPOLLHUP | EPOLLERR, {}},
                {to_write, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND | EPOLLERR, {}},
                {special, EPOLLPRI, {}}};
  long found = 0;
  for (int fd = 0; fd < count && fd < FD_SETSIZE; ++fd) {
    for (Set& set : sets) {
      if (set.fds == nullptr || !FD_ISSET(fd, set.fds)) continue;
      if (file_of(fd) == nullptr) return -EBADF;
      if ((ready_of(fd) & set.events) == 0) continue;
      FD_SET(fd, &set.found);
      ++found;
    }
  }
  const bool waits = timeout == nullptr || timeout->tv_sec != 0 || timeout->tv_usec != 0;
  if (found == 0 && waits) return blocked;
  for (const Set& set : sets)
    if (set.fds != nullptr) *set.fds = set.found;
  return found;
}

}  // namespace kernel
