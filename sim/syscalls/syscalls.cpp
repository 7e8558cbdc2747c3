// One function for each call that is wrapped.
#include "syscalls.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
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

namespace syscalls {

const char* name_of(Call call) {
  static constexpr const char* names[] = {
#define SYSCALLS_NAME(name) #name,
      SYSCALLS_CALLS(SYSCALLS_NAME)
#undef SYSCALLS_NAME
  };
  return names[static_cast<size_t>(call)];
}

}  // namespace syscalls

namespace {

using syscalls::Call;

kernel::Process* process = nullptr;
kernel::Machine* machine = nullptr;
syscalls::World* world = nullptr;
bool acts = false;            // the world
bool edge_triggered = false;  // some event that the program waits for is told once

constexpr int cannot_run = 69;

[[noreturn]] void refuse(const char* what) {
  std::fprintf(stderr, "floor 2 cannot run this: %s\n", what);
  std::_Exit(cannot_run);
}

bool is_simulated(int fd) { return process != nullptr && fd >= syscalls::first_descriptor; }

// Of a call that names no descriptor.
bool is_programs() { return process != nullptr && !acts; }

// As the C library gives an answer.
long answer(Call call, int fd, long value) {
  if (value == kernel::unsimulated) refuse(name_of(call));
  const bool broken_pipe = process->raised_sigpipe();
  if (world != nullptr) world->on_answer(call, fd, value);
  if (broken_pipe && value == -EPIPE) {
    if (world != nullptr) {
      world->on_broken_pipe();
    } else {
      std::raise(SIGPIPE);
    }
  }
  if (value >= 0) return value;
  errno = static_cast<int>(-value);
  return -1;
}

bool fails(Call call, int fd, long* result) {
  const int error = world == nullptr ? 0 : world->on_call(call, fd);
  if (error == 0) return false;
  world->on_answer(call, fd, -error);
  errno = error;
  *result = -1;
  return true;
}

void pass_time(uint64_t end_ns) {
  const uint64_t next = std::min(end_ns, machine->next_deadline());
  if (next != kernel::never) {
    machine->advance(next - std::min(next, machine->now()));
  } else if (world != nullptr) {
    world->on_deadlock();
  } else {
    refuse("a wait that nothing can end");
  }
}

// False: there is nothing to do.
bool let_act(bool ready, uint64_t end_ns) {
  if (world == nullptr) return false;
  acts = true;
  const bool acted = world->act({ready, end_ns});
  acts = false;
  return acted;
}

// Makes the call until it does not wait.
template <typename Make>
long make(Call call, int fd, Make once) {
  long result = 0;
  if (fails(call, fd, &result)) return result;
  while (true) {
    const long value = once();
    if (value != kernel::blocked) return answer(call, fd, value);
    if (!let_act(false, kernel::never)) pass_time(kernel::never);
  }
}

// The same for one that waits for readiness. `look` says whether anything is ready.
template <typename Look, typename Make>
long wait_for(Call call, int fd, int timeout_ms, Look look, Make once) {
  long result = 0;
  if (fails(call, fd, &result)) return result;
  constexpr uint64_t millisecond = 1'000'000;
  const uint64_t end = timeout_ms < 0
                           ? kernel::never
                           : machine->now() + static_cast<uint64_t>(timeout_ms) * millisecond;
  while (true) {
    const bool acted = let_act(look(), end);
    const long value = once();
    if (value != kernel::blocked && value != 0) return answer(call, fd, value);
    if (machine->now() >= end) return answer(call, fd, 0);
    if (!acted) pass_time(end);
  }
}

bool is_ready(int fd) {
  pollfd one{fd, POLLIN, 0};
  return process->poll(&one, 1, 0) != 0;
}

}  // namespace

namespace syscalls {

void World::on_broken_pipe() { std::raise(SIGPIPE); }

void World::on_deadlock() { refuse("a wait that nothing can end"); }

void use(kernel::Process* new_process, kernel::Machine* new_machine, World* new_world) {
  process = new_process;
  machine = new_machine;
  world = new_world;
  acts = edge_triggered = false;
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
    return static_cast<type>(make(Call::name, fd, [&] { return process->name arguments; })); \
  }

// A call that names none.
#define WITHOUT_DESCRIPTOR(name, call, declaration, arguments)                              \
  extern "C" int __real_##name declaration;                                                 \
  extern "C" int __wrap_##name declaration;                                                 \
  int __wrap_##name declaration {                                                           \
    if (!is_programs()) return __real_##name arguments;                                     \
    return static_cast<int>(make(Call::name, -1, [&] { return process->call arguments; })); \
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
WITHOUT_DESCRIPTOR(socket, socket, (int family, int type, int protocol), (family, type, protocol))
WITHOUT_DESCRIPTOR(socketpair, socketpair, (int family, int type, int protocol, int* fds),
                   (family, type, protocol, fds))
WITHOUT_DESCRIPTOR(pipe2, pipe2, (int* fds, int flags), (fds, flags))
WITHOUT_DESCRIPTOR(eventfd, eventfd2, (unsigned value, int flags), (value, flags))
WITHOUT_DESCRIPTOR(epoll_create1, epoll_create1, (int flags), (flags))

extern "C" {

int __real_epoll_ctl(int fd, int operation, int other, epoll_event* event);
int __wrap_epoll_ctl(int fd, int operation, int other, epoll_event* event);
int __wrap_epoll_ctl(int fd, int operation, int other, epoll_event* event) {
  if (!is_simulated(fd)) return __real_epoll_ctl(fd, operation, other, event);
  if (event != nullptr && (event->events & (EPOLLET | EPOLLONESHOT)) != 0) edge_triggered = true;
  return static_cast<int>(
      make(Call::epoll_ctl, fd, [&] { return process->epoll_ctl(fd, operation, other, event); }));
}

int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...) {
  std::va_list arguments;
  va_start(arguments, command);
  const long argument = va_arg(arguments, long);
  va_end(arguments);
  if (!is_simulated(fd)) return __real_fcntl64(fd, command, argument);
  return static_cast<int>(
      make(Call::fcntl, fd, [&] { return process->fcntl(fd, command, argument); }));
}

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...) {
  std::va_list arguments;
  va_start(arguments, request);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  if (!is_simulated(fd)) return __real_ioctl(fd, request, argument);
  return static_cast<int>(
      make(Call::ioctl, fd, [&] { return process->ioctl(fd, request, argument); }));
}

int __real_epoll_pwait(int fd, epoll_event* events, int count, int timeout_ms,
                       const sigset_t* mask);
int __wrap_epoll_pwait(int fd, epoll_event* events, int count, int timeout_ms,
                       const sigset_t* mask);
int __wrap_epoll_pwait(int fd, epoll_event* events, int count, int timeout_ms,
                       const sigset_t* mask) {
  if (!is_simulated(fd)) return __real_epoll_pwait(fd, events, count, timeout_ms, mask);
  return static_cast<int>(wait_for(
      Call::epoll_wait, fd, timeout_ms, [&] { return is_ready(fd); },
      [&] {
        const long found = process->epoll_wait(fd, events, count, timeout_ms);
        if (found <= 0 || world == nullptr || edge_triggered) return found;
        return static_cast<long>(world->on_events(events, static_cast<int>(found)));
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
  return static_cast<int>(wait_for(
      Call::poll, fds[0].fd, timeout_ms, [&] { return process->poll(fds, count, 0) != 0; },
      [&] { return process->poll(fds, count, timeout_ms); }));
}

int __real_nanosleep(const timespec* time, timespec* left);
int __wrap_nanosleep(const timespec* time, timespec* left);
int __wrap_nanosleep(const timespec* time, timespec* left) {
  if (!is_programs()) return __real_nanosleep(time, left);
  return static_cast<int>(make(Call::nanosleep, -1, [&] {
    constexpr uint64_t second = 1'000'000'000;
    machine->advance(static_cast<uint64_t>(time->tv_sec) * second +
                     static_cast<uint64_t>(time->tv_nsec));
    return 0L;
  }));
}

// A reading takes a while, so that a program that reads until time has passed comes to an end.
int __real_clock_gettime(clockid_t clock, timespec* time);
int __wrap_clock_gettime(clockid_t clock, timespec* time);
int __wrap_clock_gettime(clockid_t clock, timespec* time) {
  constexpr uint64_t reading_ns = 1000;
  if (!is_programs()) return __real_clock_gettime(clock, time);
  machine->advance(reading_ns);
  return static_cast<int>(
      make(Call::clock_gettime, -1, [&] { return process->clock_gettime(clock, time); }));
}

// Of a file only its kind is known.
int __real_fstat64(int fd, struct stat64* what);
int __wrap_fstat64(int fd, struct stat64* what);
int __wrap_fstat64(int fd, struct stat64* what) {
  if (!is_simulated(fd)) return __real_fstat64(fd, what);
  *what = {};
  return static_cast<int>(
      make(Call::fstat, fd, [&] { return process->fstat_kind(fd, &what->st_mode); }));
}

// Of a name that the machine does not know, nobody has heard: no real file is removed.
int __real_unlink(const char* path);
int __wrap_unlink(const char* path);
int __wrap_unlink(const char* path) {
  if (!is_programs()) return __real_unlink(path);
  return static_cast<int>(make(Call::unlink, -1, [&] { return process->unlink(path); }));
}

// What libuv keeps open as a spare is nothing but a number.
int __real_open64(const char* path, int flags, ...);
int __wrap_open64(const char* path, int flags, ...);
int __wrap_open64(const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const int mode = va_arg(arguments, int);
  va_end(arguments);
  if (!is_programs()) return __real_open64(path, flags, mode);
  if (std::strcmp(path, "/") != 0 && std::strcmp(path, "/dev/null") != 0) refuse("open");
  return static_cast<int>(
      make(Call::open, -1, [&] { return process->eventfd2(0, flags & O_CLOEXEC); }));
}

// The same call, checked by the C library's fortification.
int __real___open64_2(const char* path, int flags);
int __wrap___open64_2(const char* path, int flags);
int __wrap___open64_2(const char* path, int flags) {
  return is_programs() ? __wrap_open64(path, flags, 0) : __real___open64_2(path, flags);
}

// libuv closes without a point of cancellation.
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
  std::va_list list;
  va_start(list, number);
  long arguments[6];
  for (long& argument : arguments) argument = va_arg(list, long);
  va_end(list);
  if (number == SYS_close) return __wrap_close(static_cast<int>(arguments[0]));
  if (is_programs()) refuse("syscall");
  return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3],
                        arguments[4], arguments[5]);
}

// What this floor does not know ends the run by name.
#define REFUSED(type, name, declaration, arguments) \
  type __real_##name declaration;                   \
  type __wrap_##name declaration;                   \
  type __wrap_##name declaration {                  \
    if (is_programs()) refuse(#name);               \
    return __real_##name arguments;                 \
  }
REFUSED(int, epoll_create, (int size), (size))
REFUSED(pid_t, fork, (), ())
REFUSED(int, execvp, (const char* file, char* const* words), (file, words))
REFUSED(int, getaddrinfo,
        (const char* node, const char* service, const addrinfo* hints, addrinfo** found),
        (node, service, hints, found))
REFUSED(int, inotify_init1, (int flags), (flags))
REFUSED(int, pthread_create,
        (pthread_t * thread, const pthread_attr_t* how, void* (*start)(void*), void* argument),
        (thread, how, start, argument))
REFUSED(ssize_t, sendfile64, (int to, int from, off64_t* offset, size_t size),
        (to, from, offset, size))

}  // extern "C"

// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
