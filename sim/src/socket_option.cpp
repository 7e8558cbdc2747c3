// What setsockopt(2) and getsockopt(2) do to a simulated socket: which options there are, which
// values they take, and how they read back. As on Linux, down to the order in which it complains.
//
// Only a few have an effect here: SO_LINGER of no seconds, SO_OOBINLINE, SO_REUSEPORT and the
// buffer sizes. The others are kept, inherited by accepted sockets, and shown.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "internal.hpp"

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72  // of Linux 5.14
#endif

namespace uvsim {
namespace {

struct Switch {
  int level;
  int name;
  bool SocketOptions::* field;
};

constexpr Switch switches[] = {
    {SOL_SOCKET, SO_OOBINLINE, &SocketOptions::oob_inline},
    {SOL_SOCKET, SO_KEEPALIVE, &SocketOptions::keepalive},
    {SOL_SOCKET, SO_REUSEADDR, &SocketOptions::reuse_address},
    {SOL_SOCKET, SO_REUSEPORT, &SocketOptions::reuse_port},
    {IPPROTO_TCP, TCP_NODELAY, &SocketOptions::no_delay},
    {IPPROTO_TCP, TCP_QUICKACK, &SocketOptions::quick_ack},
    {IPPROTO_TCP, TCP_CORK, &SocketOptions::cork},
};

struct Number {
  int level;
  int name;
  int SocketOptions::* field;
  int least;
  int most;
};

constexpr Number numbers[] = {
    {IPPROTO_TCP, TCP_KEEPIDLE, &SocketOptions::keep_idle, 1, 32'767},
    {IPPROTO_TCP, TCP_KEEPINTVL, &SocketOptions::keep_interval, 1, 32'767},
    {IPPROTO_TCP, TCP_KEEPCNT, &SocketOptions::keep_count, 1, 127},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, &SocketOptions::user_timeout, 0, INT_MAX},
};

template <class Entry, size_t count>
const Entry* find(const Entry (&entries)[count], int level, int name) {
  for (const Entry& entry : entries)
    if (entry.level == level && entry.name == name) return &entry;
  return nullptr;
}

// TCP_DEFER_ACCEPT is kept as a number of retransmissions: after 1, 2, 4 ... and at most 120
// seconds each.
int seconds_of(int retransmissions) {
  int all = 0;
  for (int wait = 1; retransmissions > 0; --retransmissions) {
    all += wait;
    wait = wait < 60 ? wait * 2 : 120;
  }
  return all;
}

uint8_t retransmissions_of(int seconds) {
  int count = 0;
  while (count < UINT8_MAX && seconds_of(count) < seconds) ++count;
  return static_cast<uint8_t>(count);
}

bool only_for_reading(int level, int name) {
  return level == SOL_SOCKET && (name == SO_ERROR || name == SO_TYPE || name == SO_DOMAIN ||
                                 name == SO_PROTOCOL || name == SO_ACCEPTCONN);
}

int set_linger(Socket& socket, const void* value, socklen_t size) {
  linger wanted;
  if (size < sizeof wanted) return -EINVAL;
  std::memcpy(&wanted, value, sizeof wanted);
  socket.options.linger = wanted.l_onoff != 0;
  if (socket.options.linger) socket.options.linger_seconds = wanted.l_linger;
  return 0;
}

std::optional<int> number_of(Socket& socket, int level, int name) {
  if (const Switch* const on_off = find(switches, level, name))
    return socket.options.*on_off->field ? 1 : 0;
  if (const Number* const number = find(numbers, level, name)) return socket.options.*number->field;
  if (level == IPPROTO_TCP && name == TCP_DEFER_ACCEPT)
    return seconds_of(socket.options.defer_accept);
  if (level != SOL_SOCKET) return std::nullopt;
  constexpr int domains[] = {AF_INET, AF_INET6, AF_UNIX};
  switch (name) {
    case SO_SNDBUF: return static_cast<int>(socket.send_shown);
    case SO_RCVBUF: return static_cast<int>(socket.receive_shown);
    case SO_BUF_LOCK: return socket.options.buffer_lock;
    case SO_ERROR: return std::exchange(socket.error, 0);
    case SO_TYPE: return SOCK_STREAM;
    case SO_DOMAIN: return domains[static_cast<size_t>(socket.family)];
    case SO_PROTOCOL: return socket.family == Family::pipe ? 0 : IPPROTO_TCP;
    case SO_ACCEPTCONN: return socket.state == SocketState::listening ? 1 : 0;
    default: return std::nullopt;
  }
}

bool is_strange(const Socket& socket, int level) {
  return socket.family == Family::pipe && level != SOL_SOCKET;
}

}  // namespace

std::optional<int> set_option(Kernel& kernel, Socket& socket, int level, int name,
                              const void* value, socklen_t size) {
  if (is_strange(socket, level)) return -EOPNOTSUPP;
  if (level != SOL_SOCKET && level != IPPROTO_TCP) return std::nullopt;
  int number = 0;
  if (size < sizeof number) return -EINVAL;
  if (value == nullptr) return -EFAULT;
  std::memcpy(&number, value, sizeof number);
  if (level == SOL_SOCKET && name == SO_LINGER) return set_linger(socket, value, size);
  if (only_for_reading(level, name)) return -ENOPROTOOPT;
  if (const Switch* const on_off = find(switches, level, name)) {
    socket.options.*on_off->field = number != 0;
  } else if (const Number* const bounded = find(numbers, level, name)) {
    if (number < bounded->least || number > bounded->most) return -EINVAL;
    socket.options.*bounded->field = number;
  } else if (level == IPPROTO_TCP && name == TCP_DEFER_ACCEPT) {
    socket.options.defer_accept = retransmissions_of(number);
  } else if (level == SOL_SOCKET && name == SO_SNDBUF) {
    kernel.set_send_buffer(socket, number);
  } else if (level == SOL_SOCKET && name == SO_RCVBUF) {
    kernel.set_receive_buffer(socket, number);
  } else if (level == SOL_SOCKET && name == SO_BUF_LOCK) {
    constexpr int locks = SocketOptions::send_lock | SocketOptions::receive_lock;
    if ((number & ~locks) != 0) return -EINVAL;
    socket.options.buffer_lock = static_cast<uint8_t>(number);
  } else {
    return std::nullopt;
  }
  return 0;
}

std::optional<int> get_option(Socket& socket, int level, int name, void* value, socklen_t* size) {
  if (is_strange(socket, level)) return -EOPNOTSUPP;
  if (size == nullptr) return -EFAULT;
  if (*size > INT_MAX) return -EINVAL;
  linger lingering{};
  int number = 0;
  const void* from = &number;
  socklen_t most = sizeof number;
  if (level == SOL_SOCKET && name == SO_LINGER) {
    lingering.l_onoff = socket.options.linger ? 1 : 0;
    lingering.l_linger = socket.options.linger_seconds;
    from = &lingering;
    most = sizeof lingering;
  } else {
    const std::optional<int> known = number_of(socket, level, name);
    if (!known) return std::nullopt;
    number = *known;
  }
  if (*size > most) *size = most;
  if (*size > 0 && value == nullptr) return -EFAULT;
  if (*size > 0) std::memcpy(value, from, *size);
  return 0;
}

}  // namespace uvsim
