// One function for each call that is wrapped.
#include "syscalls.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

kernel::Process* process = nullptr;
kernel::Machine* machine = nullptr;
syscalls::World* world = nullptr;

constexpr int cannot_run = 69;

[[noreturn]] void refuse(const char* what) {
  std::fprintf(stderr, "floor 2 cannot run this: %s\n", what);
  std::_Exit(cannot_run);
}

bool is_simulated(int fd) { return process != nullptr && fd >= syscalls::first_descriptor; }

// As the C library gives an answer.
long answer(const char* call, long value) {
  if (value == kernel::unsimulated) refuse(call);
  if (process->raised_sigpipe()) std::raise(SIGPIPE);
  if (value >= 0) return value;
  errno = static_cast<int>(-value);
  return -1;
}

// Makes the call until it does not wait. `timeout_ms` is negative for one that waits for ever.
template <typename Call>
long wait_for(const char* name, int timeout_ms, Call call) {
  constexpr uint64_t millisecond = 1'000'000;
  const uint64_t end = timeout_ms < 0
                           ? kernel::never
                           : machine->now() + static_cast<uint64_t>(timeout_ms) * millisecond;
  while (true) {
    const long value = call();
    if (value != kernel::blocked) return answer(name, value);
    if (world != nullptr && world->act()) continue;
    if (machine->now() >= end) return 0;
    const uint64_t next = std::min(end, machine->next_deadline());
    if (next == kernel::never) refuse("a wait that nothing can end");
    machine->advance(next - machine->now());
  }
}

template <typename Call>
long wait_for_ever(const char* name, Call call) {
  return wait_for(name, -1, call);
}

}  // namespace

namespace syscalls {

void use(kernel::Process* new_process, kernel::Machine* new_machine, World* new_world) {
  process = new_process;
  machine = new_machine;
  world = new_world;
}

}  // namespace syscalls

// The names are the linker's.
// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

// A call on a descriptor: the real one, or the process's, which may wait.
#define ON_DESCRIPTOR(type, name, declaration, arguments)                                    \
  extern "C" type __real_##name declaration;                                                 \
  extern "C" type __wrap_##name declaration;                                                 \
  type __wrap_##name declaration {                                                           \
    if (!is_simulated(fd)) return __real_##name arguments;                                   \
    return static_cast<type>(wait_for_ever(#name, [&] { return process->name arguments; })); \
  }

// A call that makes descriptors.
#define MAKES(name, call, declaration, arguments)                    \
  extern "C" int __real_##name declaration;                          \
  extern "C" int __wrap_##name declaration;                          \
  int __wrap_##name declaration {                                    \
    if (process == nullptr) return __real_##name arguments;          \
    return static_cast<int>(answer(#name, process->call arguments)); \
  }

ON_DESCRIPTOR(ssize_t, read, (int fd, void* to, size_t size), (fd, to, size))
ON_DESCRIPTOR(ssize_t, write, (int fd, const void* from, size_t size), (fd, from, size))
ON_DESCRIPTOR(ssize_t, readv, (int fd, const iovec* to, int count), (fd, to, count))
ON_DESCRIPTOR(ssize_t, writev, (int fd, const iovec* from, int count), (fd, from, count))
ON_DESCRIPTOR(ssize_t, sendmsg, (int fd, const msghdr* message, int flags), (fd, message, flags))
ON_DESCRIPTOR(ssize_t, recvmsg, (int fd, msghdr* message, int flags), (fd, message, flags))
ON_DESCRIPTOR(ssize_t, send, (int fd, const void* from, size_t size, int flags),
              (fd, from, size, flags))
ON_DESCRIPTOR(ssize_t, recv, (int fd, void* to, size_t size, int flags), (fd, to, size, flags))
ON_DESCRIPTOR(int, close, (int fd), (fd))
ON_DESCRIPTOR(int, dup2, (int fd, int to), (fd, to))
ON_DESCRIPTOR(int, dup3, (int fd, int to, int flags), (fd, to, flags))
ON_DESCRIPTOR(int, bind, (int fd, const sockaddr* address, socklen_t size), (fd, address, size))
ON_DESCRIPTOR(int, connect, (int fd, const sockaddr* address, socklen_t size), (fd, address, size))
ON_DESCRIPTOR(int, listen, (int fd, int backlog), (fd, backlog))
ON_DESCRIPTOR(int, accept4, (int fd, sockaddr* address, socklen_t* size, int flags),
              (fd, address, size, flags))
ON_DESCRIPTOR(int, shutdown, (int fd, int how), (fd, how))
ON_DESCRIPTOR(int, getsockname, (int fd, sockaddr* address, socklen_t* size), (fd, address, size))
ON_DESCRIPTOR(int, getpeername, (int fd, sockaddr* address, socklen_t* size), (fd, address, size))
ON_DESCRIPTOR(int, getsockopt, (int fd, int level, int name, void* value, socklen_t* size),
              (fd, level, name, value, size))
ON_DESCRIPTOR(int, setsockopt, (int fd, int level, int name, const void* value, socklen_t size),
              (fd, level, name, value, size))
ON_DESCRIPTOR(int, epoll_ctl, (int fd, int operation, int other, epoll_event* event),
              (fd, operation, other, event))

MAKES(socket, socket, (int family, int type, int protocol), (family, type, protocol))
MAKES(socketpair, socketpair, (int family, int type, int protocol, int* fds),
      (family, type, protocol, fds))
MAKES(pipe2, pipe2, (int* fds, int flags), (fds, flags))
MAKES(eventfd, eventfd2, (unsigned value, int flags), (value, flags))
MAKES(epoll_create1, epoll_create1, (int flags), (flags))

extern "C" {

int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...) {
  std::va_list arguments;
  va_start(arguments, command);
  const long argument = va_arg(arguments, long);
  va_end(arguments);
  if (!is_simulated(fd)) return __real_fcntl64(fd, command, argument);
  return static_cast<int>(answer("fcntl", process->fcntl(fd, command, argument)));
}

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...) {
  std::va_list arguments;
  va_start(arguments, request);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  if (!is_simulated(fd)) return __real_ioctl(fd, request, argument);
  return static_cast<int>(answer("ioctl", process->ioctl(fd, request, argument)));
}

int __real_epoll_pwait(int fd, epoll_event* events, int count, int timeout_ms,
                       const sigset_t* mask);
int __wrap_epoll_pwait(int fd, epoll_event* events, int count, int timeout_ms,
                       const sigset_t* mask);
int __wrap_epoll_pwait(int fd, epoll_event* events, int count, int timeout_ms,
                       const sigset_t* mask) {
  if (!is_simulated(fd)) return __real_epoll_pwait(fd, events, count, timeout_ms, mask);
  return static_cast<int>(wait_for("epoll_wait", timeout_ms, [&] {
    return process->epoll_wait(fd, events, count, timeout_ms);
  }));
}

int __real_epoll_wait(int fd, epoll_event* events, int count, int timeout_ms);
int __wrap_epoll_wait(int fd, epoll_event* events, int count, int timeout_ms);
int __wrap_epoll_wait(int fd, epoll_event* events, int count, int timeout_ms) {
  if (!is_simulated(fd)) return __real_epoll_wait(fd, events, count, timeout_ms);
  return __wrap_epoll_pwait(fd, events, count, timeout_ms, nullptr);
}

int __real_poll(pollfd* fds, nfds_t count, int timeout_ms);
int __wrap_poll(pollfd* fds, nfds_t count, int timeout_ms);
int __wrap_poll(pollfd* fds, nfds_t count, int timeout_ms) {
  if (count == 0 || !is_simulated(fds[0].fd)) return __real_poll(fds, count, timeout_ms);
  return static_cast<int>(
      wait_for("poll", timeout_ms, [&] { return process->poll(fds, count, timeout_ms); }));
}

// A reading takes a while, so that a program that reads until time has passed comes to an end.
int __real_clock_gettime(clockid_t clock, timespec* time);
int __wrap_clock_gettime(clockid_t clock, timespec* time);
int __wrap_clock_gettime(clockid_t clock, timespec* time) {
  constexpr uint64_t reading_ns = 1000;
  if (process == nullptr) return __real_clock_gettime(clock, time);
  machine->advance(reading_ns);
  return static_cast<int>(answer("clock_gettime", process->clock_gettime(clock, time)));
}

// Of a file only its kind is known.
int __real_fstat64(int fd, struct stat64* what);
int __wrap_fstat64(int fd, struct stat64* what);
int __wrap_fstat64(int fd, struct stat64* what) {
  if (!is_simulated(fd)) return __real_fstat64(fd, what);
  *what = {};
  return static_cast<int>(answer("fstat", process->fstat_kind(fd, &what->st_mode)));
}

int __real_nanosleep(const timespec* asked, timespec* left);
int __wrap_nanosleep(const timespec* asked, timespec* left);
int __wrap_nanosleep(const timespec* asked, timespec* left) {
  if (process == nullptr) return __real_nanosleep(asked, left);
  constexpr uint64_t second = 1'000'000'000;
  machine->advance(static_cast<uint64_t>(asked->tv_sec) * second +
                   static_cast<uint64_t>(asked->tv_nsec));
  return 0;
}

// Of a name that the machine does not know, nobody has heard: no real file is removed.
int __real_unlink(const char* path);
int __wrap_unlink(const char* path);
int __wrap_unlink(const char* path) {
  if (process == nullptr) return __real_unlink(path);
  return static_cast<int>(answer("unlink", process->unlink(path)));
}

// What libuv keeps open as a spare is nothing but a number.
int __real_open64(const char* path, int flags, ...);
int __wrap_open64(const char* path, int flags, ...);
int __wrap_open64(const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const int mode = va_arg(arguments, int);
  va_end(arguments);
  if (process == nullptr) return __real_open64(path, flags, mode);
  if (std::strcmp(path, "/") != 0 && std::strcmp(path, "/dev/null") != 0) refuse("open");
  return static_cast<int>(answer("open", process->eventfd2(0, flags & O_CLOEXEC)));
}

// What the C library's headers make of it where they check more.
int __wrap___open64_2(const char* path, int flags);
int __wrap___open64_2(const char* path, int flags) { return __wrap_open64(path, flags, 0); }

// libuv closes without a point of cancellation.
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
  std::va_list arguments;
  va_start(arguments, number);
  const int fd = va_arg(arguments, int);
  va_end(arguments);
  if (number != SYS_close) refuse("syscall");
  return __wrap_close(fd);
}

// What this floor does not know ends the run by name.
#define REFUSED(name)   \
  void __wrap_##name(); \
  void __wrap_##name() { refuse(#name); }
REFUSED(epoll_create)
REFUSED(fork)
REFUSED(execvp)
REFUSED(getaddrinfo)
REFUSED(inotify_init1)
REFUSED(pthread_create)
REFUSED(sendfile64)

}  // extern "C"

// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
