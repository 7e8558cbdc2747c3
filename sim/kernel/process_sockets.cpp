// The calls that make sockets and name them.
#include <fcntl.h>
#include <netinet/in.h>

#include <cerrno>

#include "process.hpp"
#include "tcp.hpp"
#include "unix.hpp"

namespace kernel {

namespace {

constexpr int type_flags = SOCK_NONBLOCK | SOCK_CLOEXEC;

int file_flags(int type) { return O_RDWR | ((type & SOCK_NONBLOCK) != 0 ? O_NONBLOCK : 0); }

bool on_exec(int type) { return (type & SOCK_CLOEXEC) != 0; }

// A call that waits for memory and finds none.
long no_memory(Machine& machine) {
  switch (machine.pick(3, Question::memory)) {
    case 1: return -ENOBUFS;
    case 2: return -ENOMEM;
    default: return 0;
  }
}

}  // namespace

long Process::may_make_socket(int family, int type, int protocol) const {
  const int kind = type & 0xf;
  if ((type & ~0xf & ~type_flags) != 0) return -EINVAL;
  if (family != AF_INET && family != AF_INET6 && family != AF_UNIX) return unsimulated;
  if (kind != SOCK_STREAM) return unsimulated;
  if (family == AF_UNIX && protocol != 0 && protocol != PF_UNIX) return -EPROTONOSUPPORT;
  if (family != AF_UNIX && protocol != 0 && protocol != IPPROTO_TCP)
    return protocol == IPPROTO_UDP ? -EPROTONOSUPPORT : unsimulated;
  return no_memory(machine_);
}

Socket* Process::make_socket(int family) const {
  if (family == AF_UNIX) return new UnixSocket(machine_);
  return new Tcp(machine_, static_cast<sa_family_t>(family));
}

long Process::socket(int family, int type, int protocol) {
  begin();
  long answer = may_make_socket(family, type, protocol);
  if (answer == 0) answer = room_for(1);
  if (answer != 0) return answer;
  return add(*make_socket(family), file_flags(type), on_exec(type));
}

long Process::socketpair(int family, int type, int protocol, int fds[2]) {
  begin();
  long answer = may_make_socket(family, type, protocol);
  if (answer == 0) answer = room_for(2);
  if (answer != 0) return answer;
  if (family != AF_UNIX) return -EOPNOTSUPP;
  auto* const first = new UnixSocket(machine_);
  auto* const second = new UnixSocket(machine_);
  UnixSocket::connect_pair(*first, *second);
  fds[0] = static_cast<int>(add(*first, file_flags(type), on_exec(type)));
  fds[1] = static_cast<int>(add(*second, file_flags(type), on_exec(type)));
  return 0;
}

long Process::bind(int fd, const sockaddr* address, socklen_t size) {
  begin();
  long answer = 0;
  Socket* const socket = socket_of(fd, &answer);
  if (socket == nullptr) return answer;
  Address name;
  answer = parse(address, size, socket->family(), &name);
  return answer != 0 ? answer : socket->bind(name);
}

long Process::listen(int fd, int backlog) {
  begin();
  long answer = 0;
  Socket* const socket = socket_of(fd, &answer);
  return socket == nullptr ? answer : socket->listen(backlog);
}

long Process::accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  begin();
  if ((flags & ~type_flags) != 0) return file_of(fd) == nullptr ? -EBADF : -EINVAL;
  long answer = 0;
  Socket* const listener = socket_of(fd, &answer);
  if (listener == nullptr) return answer;
  // The number comes before the question whether there is a connection.
  answer = room_for(1);
  if (answer != 0) return answer;
  constexpr long failures[] = {0, -ENFILE, -ENOBUFS, -ENOMEM};
  answer = failures[machine_.pick(4, Question::accept)];
  if (answer != 0) return answer;
  Socket* accepted = nullptr;
  answer = listener->accept(&accepted);
  if (answer != 0) return answer;
  const long number = add(*accepted, file_flags(flags), on_exec(flags));
  Address name = any(accepted->family());
  accepted->remote(&name);
  give(name, accepted->family(), address, size);
  return number;
}

long Process::connect(int fd, const sockaddr* address, socklen_t size) {
  begin();
  long answer = 0;
  Socket* const socket = socket_of(fd, &answer);
  if (socket == nullptr) return answer;
  if (size >= sizeof(sa_family_t) && address->sa_family == AF_UNSPEC) return unsimulated;
  Address name;
  if (size < sizeof(sa_family_t)) return -EINVAL;
  const long wrong = parse(address, size, socket->family(), &name);
  return socket->connect(name, wrong);
}

long Process::shutdown(int fd, int how) {
  begin();
  long answer = 0;
  Socket* const socket = socket_of(fd, &answer);
  return socket == nullptr ? answer : socket->shutdown(how);
}

long Process::getsockname(int fd, sockaddr* address, socklen_t* size) {
  begin();
  long answer = 0;
  const Socket* const socket = socket_of(fd, &answer);
  if (socket == nullptr) return answer;
  if (static_cast<int>(*size) < 0) return -EINVAL;
  give(socket->local(), socket->family(), address, size);
  return 0;
}

long Process::getpeername(int fd, sockaddr* address, socklen_t* size) {
  begin();
  long answer = 0;
  const Socket* const socket = socket_of(fd, &answer);
  if (socket == nullptr) return answer;
  Address name;
  answer = socket->remote(&name);
  if (answer != 0) return answer;
  if (static_cast<int>(*size) < 0) return -EINVAL;
  give(name, socket->family(), address, size);
  return 0;
}

long Process::getsockopt(int fd, int level, int name, void* value, socklen_t* size) {
  begin();
  long answer = 0;
  Socket* const socket = socket_of(fd, &answer);
  return socket == nullptr ? answer : get_option(*socket, level, name, value, size);
}

long Process::setsockopt(int fd, int level, int name, const void* value, socklen_t size) {
  begin();
  long answer = 0;
  Socket* const socket = socket_of(fd, &answer);
  return socket == nullptr ? answer : set_option(*socket, level, name, value, size);
}

}  // namespace kernel
