// The system calls that programs make on a descriptor they got from uv_fileno: ioctl, setsockopt,
// getsockopt and shutdown. On a simulated socket they are answered here, as Linux answers them;
// on any other descriptor the system answers.
//
// These definitions win over the C library's because the program is linked with this archive before
// it, and over a sanitizer's because a sanitizer's are weak. Weak ones would keep the linker from
// taking this file out of the archive if nothing else were in it: so the simulated kernel asks for
// real::get_option, too. They may be called on any thread, before main and while a sanitizer
// starts: outside a run a call costs the look at a thread-local pointer, and is passed on. Passing
// on is a bare system call, which cannot come back here, or the sanitizer's own function, which
// knows what memory the call writes.
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdarg>

#include "internal.hpp"

extern "C" {
int __interceptor_ioctl(int, unsigned long, ...) __attribute__((weak));
int __interceptor_getsockopt(int, int, int, void*, socklen_t*) __attribute__((weak));
}

namespace uvsim {

namespace real {

int get_option(int fd, int level, int name, void* value, socklen_t* size) noexcept {
  if (__interceptor_getsockopt != nullptr)
    return __interceptor_getsockopt(fd, level, name, value, size);
  return static_cast<int>(syscall(SYS_getsockopt, fd, level, name, value, size));
}

namespace {

int set_option(int fd, int level, int name, const void* value, socklen_t size) noexcept {
  return static_cast<int>(syscall(SYS_setsockopt, fd, level, name, value, size));
}

int control(int fd, unsigned long request, void* argument) noexcept {
  if (__interceptor_ioctl != nullptr) return __interceptor_ioctl(fd, request, argument);
  return static_cast<int>(syscall(SYS_ioctl, fd, request, argument));
}

int shutdown(int fd, int how) noexcept { return static_cast<int>(syscall(SYS_shutdown, fd, how)); }

}  // namespace
}  // namespace real

namespace {

// Null: the descriptor is none of this thread's simulation.
Socket* simulated(int fd) {
  Simulation* const simulation = Simulation::current();
  if (simulation == nullptr) return nullptr;
  Kernel& kernel = simulation->context().kernel;
  Socket* const socket = kernel.socket_at(fd);
  return socket == nullptr || kernel.is_gone(*socket) ? nullptr : socket;
}

// A call of the program on a simulated socket.
class SystemCall {
 public:
  SystemCall(What what, int64_t value, const Socket& socket) : call_(what, value) {
    if (socket.owner != nullptr) call_.live(socket.owner, UV_STREAM);
  }
  Context& context() { return call_.context; }
  void result(int value) { call_.result(value); }
  [[noreturn]] void not_simulated(const char* what) {
    refuse(call_.context, Subject{}, "%s is not simulated by uvsim", what);
  }

 private:
  Call call_;
};

// What the C library makes of the kernel's answer. `before` is errno as the program knew it: what
// was done in the meantime is not the program's doing.
int answer(int result, int before) {
  errno = result < 0 ? -result : before;
  return result < 0 ? -1 : result;
}

// An option that Linux may know, and uvsim does not.
int unknown_option(Context& context, const char* function, int level, int name) {
  warn(context, "", Subject{}, "%s of level %d, option %d is not simulated by uvsim", function,
       level, name);
  return -ENOPROTOOPT;
}

int set_simulated(Socket& socket, int fd, int level, int name, const void* value, socklen_t size) {
  SystemCall call(What::setsockopt, name, socket);
  Context& context = call.context();
  std::optional<int> result;
  if (context.fault(1, 2, ChoicePoint::option_error, &socket) == 1)
    result = -EACCES;
  else
    result = set_option(context.kernel, socket, level, name, value, size);
  // A descriptor of the process is a socket of the right kind, if not a connected one.
  if (!result && context.options.real_descriptors)
    result = real::set_option(fd, level, name, value, size) == 0 ? 0 : -errno;
  if (!result) result = unknown_option(context, "setsockopt", level, name);
  call.result(*result);
  return *result;
}

int get_simulated(Socket& socket, int fd, int level, int name, void* value, socklen_t* size) {
  SystemCall call(What::getsockopt, name, socket);
  Context& context = call.context();
  std::optional<int> result;
  if (context.fault(1, 2, ChoicePoint::option_error, &socket) == 1)
    result = -EACCES;
  else
    result = get_option(socket, level, name, value, size);
  if (!result && context.options.real_descriptors)
    result = real::get_option(fd, level, name, value, size) == 0 ? 0 : -errno;
  if (!result) result = unknown_option(context, "getsockopt", level, name);
  call.result(*result);
  return *result;
}

// FIONREAD: up to the urgent byte, unless it is in line.
size_t readable_bytes(const Socket& socket) {
  const size_t there = socket.visible();
  return socket.options.oob_inline || socket.urgent > there ? there : socket.urgent;
}

int control_simulated(Socket& socket, int fd, unsigned long request, void* argument) {
  SystemCall call(What::ioctl, static_cast<int64_t>(request), socket);
  Context& context = call.context();
  if (context.fault(1, 2, ChoicePoint::ioctl_error, &socket) == 1) {
    call.result(-EACCES);
    return -EACCES;
  }
  size_t bytes = 0;
  switch (request) {
    case SIOCOUTQ: bytes = Kernel::unacknowledged(socket); break;
    case FIONREAD: bytes = readable_bytes(socket); break;
    default:
      if (!context.options.real_descriptors) call.not_simulated("this ioctl request of a socket");
      const int result = real::control(fd, request, argument);
      const int error = errno;
      call.result(result < 0 ? -error : result);
      return result < 0 ? -error : result;
  }
  int result = 0;
  if (socket.state == SocketState::listening)
    result = -EINVAL;
  else if (argument == nullptr)
    result = -EFAULT;
  else
    *static_cast<int*>(argument) = bytes < INT_MAX ? static_cast<int>(bytes) : INT_MAX;
  call.result(result);
  return result;
}

int shut_down_simulated(Socket& socket, int how) {
  SystemCall call(What::shutdown, how, socket);
  Context& context = call.context();
  const bool listens = socket.state == SocketState::listening;
  if (socket.state == SocketState::connecting) call.not_simulated("shutdown(2) while connecting");
  if (listens && how != SHUT_WR) call.not_simulated("shutdown(2) of a listener's input");
  if (!listens && socket.family != Family::pipe &&
      context.pick(2, ChoicePoint::shutdown_error, &socket) == 1)
    context.kernel.lose_connection(socket);
  const int result = listens ? 0 : context.kernel.shutdown(socket, how);
  call.result(result);
  return result;
}

}  // namespace
}  // namespace uvsim

using namespace uvsim;  // NOLINT(google-build-using-namespace): the C library's functions follow.

extern "C" {

int ioctl(int fd, unsigned long request, ...) noexcept {
  va_list arguments;
  va_start(arguments, request);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  Socket* const socket = simulated(fd);
  if (socket == nullptr) return real::control(fd, request, argument);
  const int before = errno;
  return answer(control_simulated(*socket, fd, request, argument), before);
}

int setsockopt(int fd, int level, int name, const void* value, socklen_t size) noexcept {
  Socket* const socket = simulated(fd);
  if (socket == nullptr) return real::set_option(fd, level, name, value, size);
  const int before = errno;
  return answer(set_simulated(*socket, fd, level, name, value, size), before);
}

int getsockopt(int fd, int level, int name, void* value, socklen_t* size) noexcept {
  Socket* const socket = simulated(fd);
  if (socket == nullptr) return real::get_option(fd, level, name, value, size);
  const int before = errno;
  return answer(get_simulated(*socket, fd, level, name, value, size), before);
}

int shutdown(int fd, int how) noexcept {
  Socket* const socket = simulated(fd);
  if (socket == nullptr) return real::shutdown(fd, how);
  const int before = errno;
  return answer(shut_down_simulated(*socket, how), before);
}

}  // extern "C"
