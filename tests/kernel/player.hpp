// Makes the steps of a script on a system: the simulated kernel or Linux. Both have the calls of
// kernel::Process, by the same names, and answer a negative errno value.
//
// What may differ between two right systems is not part of an answer: which port a free port is
// (the first that is seen is "port 1"), and, once a script has filled a buffer, how many bytes fit.
#ifndef TESTS_KERNEL_PLAYER_HPP
#define TESTS_KERNEL_PLAYER_HPP

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "kernel/options.hpp"
#include "script.hpp"

inline constexpr int first_fd = 3;
inline constexpr int last_fd = 26;  // with RLIMIT_NOFILE of 27

// The answer to one step, as text, and what the generator wants to know of it.
struct Answer {
  std::string text;
  long result = 0;
  int fds[2] = {-1, -1};
};

std::string result_text(long result);
std::string bytes_text(const char* bytes, size_t size);
std::string events_text(uint32_t events);
// The name of a Unix socket: one of three, and no other process's.
std::string socket_name(int index);
// The bytes that the step number `step` writes.
void make_bytes(size_t step, char* to, size_t size);

template <typename System>
class Player {
 public:
  explicit Player(System& system) : system_(system) {}

  Answer play(const Step& step);
  // What poll says of every descriptor.
  std::vector<short> readiness();

 private:
  Answer number(long result) { return {result_text(result), result, {-1, -1}}; }
  std::string address_text(const sockaddr_storage& address, socklen_t size);
  socklen_t place(const Step& step, sockaddr_storage* address);
  Answer transfer(const Step& step);
  Answer receive(const Step& step);
  Answer naming(const Step& step);
  Answer option(const Step& step);
  Answer descriptor(const Step& step);
  Answer counter(const Step& step);
  Answer wait(const Step& step);
  Answer fill(int fd);
  Answer drain(int fd);

  System& system_;
  std::vector<int> ports_;  // in the order in which they were seen
  size_t steps_ = 0;
  bool filled_ = false;
  std::array<char, 65536> bytes_{};
};

template <typename System>
Answer Player<System>::play(const Step& step) {
  ++steps_;
  Answer answer;
  if (step.call >= Call::read && step.call <= Call::recvmsg) {
    answer = transfer(step);
  } else if (step.call == Call::fill) {
    answer = fill(step.a);
  } else if (step.call == Call::drain) {
    answer = drain(step.a);
  } else if (step.call <= Call::accept4 || step.call == Call::shutdown ||
             step.call == Call::unlink || step.call == Call::getsockname ||
             step.call == Call::getpeername) {
    answer = naming(step);
  } else if (step.call == Call::getsockopt || step.call == Call::setsockopt) {
    answer = option(step);
  } else if (step.call <= Call::ioctl) {
    answer = descriptor(step);
  } else if (step.call >= Call::socketpair && step.call <= Call::timerfd_gettime) {
    answer = counter(step);
  } else {
    answer = wait(step);
  }
  if (system_.raised_sigpipe()) answer.text += " SIGPIPE";
  return answer;
}

template <typename System>
std::vector<short> Player<System>::readiness() {
  std::vector<pollfd> fds;
  for (int fd = first_fd; fd <= last_fd; ++fd)
    fds.push_back({fd, POLLIN | POLLPRI | POLLOUT | POLLRDHUP | POLLRDNORM | POLLWRNORM, 0});
  system_.poll(fds.data(), fds.size(), 0);
  std::vector<short> events;
  for (const pollfd& one : fds) events.push_back(one.revents);
  return events;
}

// ---- Addresses ---------------------------------------------------------------------------------

template <typename System>
std::string Player<System>::address_text(const sockaddr_storage& address, socklen_t size) {
  if (size < sizeof address.ss_family) return "nothing";
  if (address.ss_family == AF_UNIX) {
    const size_t length = size - sizeof address.ss_family;
    constexpr size_t automatic = 6;  // five digits that the kernel chooses
    if (length == automatic) return "unix automatic";
    std::string name(reinterpret_cast<const char*>(&address) + sizeof address.ss_family, length);
    for (char& letter : name)
      if (letter == 0) letter = '@';
    return "unix " + name;
  }
  // The port is in the same place in both.
  sockaddr_in6 in{};
  std::memcpy(&in, &address, sizeof in);
  const int port = ntohs(in.sin6_port);
  size_t index = 0;
  while (index < ports_.size() && ports_[index] != port) ++index;
  if (port != 0 && index == ports_.size()) ports_.push_back(port);
  const std::string port_text = port == 0 ? "no port" : "port " + std::to_string(index + 1);
  const bool v4 = address.ss_family == AF_INET;
  const char* const host = v4 ? reinterpret_cast<const char*>(&in) + offsetof(sockaddr_in, sin_addr)
                              : reinterpret_cast<const char*>(&in.sin6_addr);
  return bytes_text(host, v4 ? 4 : 16) + " " + port_text;
}

template <typename System>
socklen_t Player<System>::place(const Step& step, sockaddr_storage* address) {
  *address = {};
  if (step.b == same_as) {
    socklen_t size = sizeof *address;
    return system_.getsockname(step.c, reinterpret_cast<sockaddr*>(address), &size) == 0 ? size : 0;
  }
  if (step.b == abstract_name || step.b == path) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    const std::string text = (step.b == path ? "" : "@") + socket_name(step.c % 3);
    std::memcpy(name.sun_path, text.data(), text.size());
    if (step.b == abstract_name) name.sun_path[0] = 0;
    std::memcpy(address, &name, sizeof name);
    return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size());
  }
  // Of the family of the socket.
  int family = AF_INET;
  socklen_t size = sizeof family;
  system_.getsockopt(step.a, SOL_SOCKET, SO_DOMAIN, &family, &size);
  sockaddr_in6 other{};  // the port is in the same place in both
  size = sizeof other;
  if (step.b == over_ipv4) system_.getsockname(step.c, reinterpret_cast<sockaddr*>(&other), &size);
  if (family == AF_INET6) {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = other.sin6_family == AF_UNIX ? in_port_t{0} : other.sin6_port;
    if (step.b == over_ipv4) inet_pton(AF_INET6, "::ffff:127.0.0.1", &in.sin6_addr);
    if (step.b == free_port) in.sin6_addr = in6addr_loopback;
    std::memcpy(address, &in, sizeof in);
    return sizeof in;
  }
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = other.sin6_family == AF_UNIX ? in_port_t{0} : other.sin6_port;
  if (step.b != any_port) in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::memcpy(address, &in, sizeof in);
  return sizeof in;
}

template <typename System>
Answer Player<System>::naming(const Step& step) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  auto* const at = reinterpret_cast<sockaddr*>(&address);
  switch (step.call) {
    case Call::socket: return number(system_.socket(step.a, SOCK_STREAM | step.b, 0));
    case Call::bind: size = place(step, &address); return number(system_.bind(step.a, at, size));
    case Call::connect:
      size = place(step, &address);
      return number(system_.connect(step.a, at, size));
    case Call::listen: return number(system_.listen(step.a, step.b));
    case Call::shutdown: return number(system_.shutdown(step.a, step.b));
    case Call::unlink: return number(system_.unlink(socket_name(step.a).c_str()));
    default: break;
  }
  Answer answer = number(step.call == Call::accept4 ? system_.accept4(step.a, at, &size, step.b)
                         : step.call == Call::getsockname ? system_.getsockname(step.a, at, &size)
                                                          : system_.getpeername(step.a, at, &size));
  if (answer.result >= 0) answer.text += " " + address_text(address, size);
  return answer;
}

// ---- Bytes -------------------------------------------------------------------------------------

template <typename System>
Answer Player<System>::transfer(const Step& step) {
  const auto size = static_cast<size_t>(step.b);
  const auto second = static_cast<size_t>(step.c);
  iovec buffers[] = {{bytes_.data(), size}, {bytes_.data() + size, second}};
  msghdr message{};
  message.msg_iov = buffers;
  message.msg_iovlen = 1;
  make_bytes(steps_, bytes_.data(), size + (step.call == Call::writev ? second : 0));
  switch (step.call) {
    case Call::write: return number(system_.write(step.a, bytes_.data(), size));
    case Call::writev: return number(system_.writev(step.a, buffers, 2));
    case Call::send: return number(system_.send(step.a, bytes_.data(), size, step.c));
    case Call::sendmsg: return number(system_.sendmsg(step.a, &message, step.c));
    default: return receive(step);
  }
}

template <typename System>
Answer Player<System>::receive(const Step& step) {
  const auto size = static_cast<size_t>(step.b);
  iovec buffers[] = {{bytes_.data(), size}, {bytes_.data() + size, static_cast<size_t>(step.c)}};
  msghdr message{};
  message.msg_iov = buffers;
  message.msg_iovlen = 1;
  bytes_.fill(0);
  // Linux waits for a byte that was not asked for, and then says 0: a signal would look like one.
  const int flags = step.c | (size == 0 ? MSG_DONTWAIT : 0);
  Answer answer;
  switch (step.call) {
    case Call::read: answer = number(system_.read(step.a, bytes_.data(), size)); break;
    case Call::readv: answer = number(system_.readv(step.a, buffers, 2)); break;
    case Call::recv: answer = number(system_.recv(step.a, bytes_.data(), size, flags)); break;
    default: answer = number(system_.recvmsg(step.a, &message, flags)); break;
  }
  if (answer.result > 0 && !filled_)
    answer.text += " " + bytes_text(bytes_.data(), static_cast<size_t>(answer.result));
  if (step.call == Call::recvmsg && answer.result >= 0)
    answer.text += " flags " + std::to_string(message.msg_flags & ~MSG_CMSG_CLOEXEC);
  return answer;
}

// ---- The others --------------------------------------------------------------------------------

template <typename System>
Answer Player<System>::option(const Step& step) {
  linger value{step.d, step.d};
  const bool both = step.b == SOL_SOCKET && step.c == SO_LINGER;
  socklen_t size = both ? sizeof value : sizeof(int);
  if (step.call == Call::setsockopt) {
    if (both) value = {step.d != 0 ? 1 : 0, step.d < 2 ? 0 : step.d};
    return number(system_.setsockopt(step.a, step.b, step.c, &value, size));
  }
  Answer answer = number(system_.getsockopt(step.a, step.b, step.c, &value, &size));
  if (answer.result < 0) return answer;
  answer.text += " " + std::to_string(value.l_onoff);
  if (both) answer.text += " " + std::to_string(value.l_linger);
  return answer;
}

template <typename System>
Answer Player<System>::descriptor(const Step& step) {
  switch (step.call) {
    case Call::close: return number(system_.close(step.a));
    case Call::dup: return number(system_.dup(step.a));
    case Call::dup2: return number(system_.dup2(step.a, step.b));
    case Call::dup3: return number(system_.dup3(step.a, step.b, step.c));
    case Call::fcntl: return number(system_.fcntl(step.a, step.b, step.c));
    default: break;
  }
  int value = step.c;
  const auto request = static_cast<unsigned>(step.b);
  Answer answer = number(system_.ioctl(step.a, request, &value));
  // What a byte costs in a Unix socket is the system's affair.
  const bool amount = request == FIONREAD || request == SIOCOUTQ;
  if (amount && filled_) value = value > 0 ? 1 : 0;
  if (request == SIOCOUTQ) value = 0;
  if (answer.result == 0) answer.text += " " + std::to_string(value);
  return answer;
}

template <typename System>
Answer Player<System>::counter(const Step& step) {
  Answer answer;
  switch (step.call) {
    case Call::socketpair:
      answer = number(system_.socketpair(AF_UNIX, SOCK_STREAM | step.a, 0, answer.fds));
      break;
    case Call::pipe2: answer = number(system_.pipe2(answer.fds, step.a)); break;
    case Call::eventfd2: return number(system_.eventfd2(static_cast<unsigned>(step.a), step.b));
    case Call::count: {
      const auto value = static_cast<uint64_t>(static_cast<int64_t>(step.b));
      return number(system_.write(step.a, &value, sizeof value));
    }
    case Call::timerfd_create: return number(system_.timerfd_create(CLOCK_MONOTONIC, step.a));
    case Call::timerfd_settime: {
      itimerspec value{};
      if (step.b == 1) value.it_value.tv_nsec = 1;
      if (step.b == 2) value.it_value.tv_sec = 1000;
      return number(system_.timerfd_settime(step.a, 0, &value, nullptr));
    }
    default: {
      itimerspec value{};
      answer = number(system_.timerfd_gettime(step.a, &value));
      if (answer.result == 0) answer.text += value.it_value.tv_sec > 0 ? " armed" : " not armed";
      return answer;
    }
  }
  return answer;
}

template <typename System>
Answer Player<System>::wait(const Step& step) {
  if (step.call == Call::epoll_create1) return number(system_.epoll_create1(step.a));
  if (step.call == Call::epoll_ctl) {
    epoll_event event{};
    event.events = static_cast<uint32_t>(step.d);
    event.data.fd = step.c;
    return number(system_.epoll_ctl(step.a, step.b, step.c, &event));
  }
  if (step.call == Call::epoll_wait) {
    std::array<epoll_event, 16> events{};
    Answer answer = number(system_.epoll_wait(step.a, events.data(), step.b, 0));
    for (size_t i = 0; static_cast<long>(i) < answer.result; ++i)
      answer.text += " " + std::to_string(events[i].data.fd) + ":" + events_text(events[i].events);
    return answer;
  }
  fd_set sets[3];
  for (fd_set& set : sets) {
    FD_ZERO(&set);
    FD_SET(step.a, &set);
  }
  const timeval now{};
  Answer answer = number(system_.select(step.a + 1, &sets[0], &sets[1], &sets[2], &now));
  for (fd_set& set : sets)
    if (answer.result >= 0) answer.text += FD_ISSET(step.a, &set) ? " yes" : " no";
  return answer;
}

// Until two attempts in succession find no room. What fits differs from system to system.
template <typename System>
Answer Player<System>::fill(int fd) {
  const long status = system_.fcntl(fd, F_GETFL, 0);
  if (status < 0) return number(status);
  // To a peer that has half-closed, Linux sends less than its window allows.
  pollfd half_closed{fd, POLLRDHUP, 0};
  if (system_.poll(&half_closed, 1, 0) > 0) return {"not filled", 0, {-1, -1}};
  system_.fcntl(fd, F_SETFL, status | O_NONBLOCK);
  make_bytes(0, bytes_.data(), 4096);
  long result = 0;
  bool some = false;
  for (int refusals = 0; refusals < 2;) {
    result = system_.write(fd, bytes_.data(), 4096);
    if (result > 0) some = filled_ = true;
    if (result == -EAGAIN) system_.settle();
    refusals = result > 0 ? 0 : result == -EAGAIN ? refusals + 1 : 2;
  }
  const bool raised = system_.raised_sigpipe();
  system_.fcntl(fd, F_SETFL, status);
  return {(some ? "some, then " : "") + result_text(result) + (raised ? " with SIGPIPE" : ""),
          result,
          {-1, -1}};
}

template <typename System>
Answer Player<System>::drain(int fd) {
  const long status = system_.fcntl(fd, F_GETFL, 0);
  if (status < 0) return number(status);
  system_.fcntl(fd, F_SETFL, status | O_NONBLOCK);
  size_t count = 0;
  long result = 0;
  for (int refusals = 0; refusals < (filled_ ? 2 : 1);) {
    result = system_.read(fd, bytes_.data(), bytes_.size());
    if (result > 0) count += static_cast<size_t>(result);
    if (result == -EAGAIN && filled_) system_.settle();
    refusals = result > 0 ? 0 : result == -EAGAIN ? refusals + 1 : 2;
    if (result == 8 && count >= 64) break;  // an eventfd that never ends
  }
  system_.fcntl(fd, F_SETFL, status);
  const std::string amount = filled_ ? (count > 0 ? "some" : "none") : std::to_string(count);
  return {amount + ", then " + result_text(result), result, {-1, -1}};
}

#endif
