// getsockopt and setsockopt: one table of what is known.
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "machine.hpp"
#include "socket.hpp"

namespace kernel {

namespace {

// An option that is a number. One that is a switch takes every value for on, except 0.
struct Number {
  int level;
  int name;
  int SocketOptions::* value;
  int least;  // refused below, with EINVAL
  int most;
};

constexpr int anything = 0x7fffffff;
constexpr int longest = 32767;  // seconds of keep-alive: MAX_TCP_KEEPIDLE
constexpr int most_probes = 127;
constexpr int send_locked = 1;  // SOCK_SNDBUF_LOCK
constexpr int receive_locked = 2;
constexpr int both_locked = send_locked | receive_locked;

// Linux has no option with such a number; others that are not here are not simulated.
long unknown(int name) {
  constexpr int most = 255;
  return name > most ? -ENOPROTOOPT : unsimulated;
}

// TCP_DEFER_ACCEPT is kept as a number of SYN-ACKs sent again, after 1, 2, 4 ... and at most 120 s.
int deferred(int seconds) {
  constexpr int longest_step = 120;
  constexpr int most_steps = 255;
  int sum = 0;
  int step = 1;
  for (int steps = 0; sum < seconds && steps < most_steps; ++steps) {
    sum += step;
    step = std::min(2 * step, longest_step);
  }
  return sum;
}

constexpr Number numbers[] = {
    {IPPROTO_TCP, TCP_KEEPIDLE, &SocketOptions::keep_idle, 1, longest},
    {IPPROTO_TCP, TCP_KEEPINTVL, &SocketOptions::keep_interval, 1, longest},
    {IPPROTO_TCP, TCP_KEEPCNT, &SocketOptions::keep_count, 1, most_probes},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, &SocketOptions::user_timeout, 0, anything},
    {SOL_SOCKET, SO_BUF_LOCK, &SocketOptions::buffer_lock, 0, both_locked},
};

struct Switch {
  int level;
  int name;
  int SocketOptions::* value;
};

constexpr Switch switches[] = {
    {SOL_SOCKET, SO_KEEPALIVE, &SocketOptions::keep_alive},
    {IPPROTO_TCP, TCP_NODELAY, &SocketOptions::no_delay},
    {IPPROTO_TCP, TCP_CORK, &SocketOptions::cork},
    {IPPROTO_TCP, TCP_QUICKACK, &SocketOptions::quick_ack},
};

struct Flag {
  int level;
  int name;
  bool SocketOptions::* value;
};

constexpr Flag flags[] = {
    {SOL_SOCKET, SO_REUSEADDR, &SocketOptions::reuse_address},
    {SOL_SOCKET, SO_REUSEPORT, &SocketOptions::reuse_port},
    {SOL_SOCKET, SO_OOBINLINE, &SocketOptions::urgent_inline},
    {IPPROTO_IPV6, IPV6_V6ONLY, &SocketOptions::v6_only},
};

template <typename Row, size_t Count>
const Row* find(const Row (&rows)[Count], int level, int name) {
  for (const Row& row : rows)
    if (row.level == level && row.name == name) return &row;
  return nullptr;
}

bool is_of_family(const Socket& socket, int level) {
  if (level == IPPROTO_TCP) return socket.family() != AF_UNIX;
  if (level == IPPROTO_IPV6) return socket.family() == AF_INET6;
  return true;
}

// The sizes that Linux makes of the one that is asked for: twice, within bounds.
int doubled(int asked, int least) {
  constexpr int most = 212992;  // net.core.wmem_max, rmem_max
  return std::max(std::min(asked, most) * 2, least);
}

int buffer_size(const Socket& socket, bool send, const Options& machine) {
  const int set = send ? socket.options.send_buffer : socket.options.receive_buffer;
  if (set != 0) return set;
  if (socket.family() == AF_UNIX) return static_cast<int>(machine.unix_send_buffer);
  return static_cast<int>(send ? machine.tcp_send_buffer : machine.tcp_receive_buffer);
}

// The number that an option of the level SOL_SOCKET is, or a negative answer.
long socket_number(Socket& socket, int name, int* value) {
  switch (name) {
    case SO_ERROR: *value = socket.take_error(); return 0;
    case SO_TYPE: *value = SOCK_STREAM; return 0;
    case SO_DOMAIN: *value = socket.family(); return 0;
    case SO_PROTOCOL: *value = socket.family() == AF_UNIX ? 0 : IPPROTO_TCP; return 0;
    case SO_ACCEPTCONN: *value = socket.is_listening() ? 1 : 0; return 0;
    case SO_SNDBUF: *value = buffer_size(socket, true, socket.machine().options); return 0;
    case SO_RCVBUF: *value = buffer_size(socket, false, socket.machine().options); return 0;
    default: return unknown(name);
  }
}

long number_of(Socket& socket, int level, int name, int* value) {
  if (const Number* row = find(numbers, level, name)) {
    *value = socket.options.*row->value;
    return 0;
  }
  if (const Switch* row = find(switches, level, name)) {
    *value = socket.options.*row->value;
    return 0;
  }
  if (const Flag* row = find(flags, level, name)) {
    *value = socket.options.*row->value ? 1 : 0;
    return 0;
  }
  if (level == IPPROTO_TCP && name == TCP_DEFER_ACCEPT) {
    *value = socket.options.defer_accept;
    return 0;
  }
  return level == SOL_SOCKET ? socket_number(socket, name, value) : unknown(name);
}

long set_number(Socket& socket, int level, int name, int value) {
  if (const Number* row = find(numbers, level, name)) {
    if (value < row->least || value > row->most) return -EINVAL;
    socket.options.*row->value = value;
    return 0;
  }
  if (const Switch* row = find(switches, level, name)) {
    socket.options.*row->value = value != 0 ? 1 : 0;
    return 0;
  }
  if (const Flag* row = find(flags, level, name)) {
    socket.options.*row->value = value != 0;
    return 0;
  }
  constexpr int least_send = 4608;
  constexpr int least_receive = 2304;
  if (level == IPPROTO_TCP && name == TCP_DEFER_ACCEPT) {
    socket.options.defer_accept = deferred(value);
    return 0;
  }
  if (level != SOL_SOCKET) return unknown(name);
  if (name == SO_SNDBUF) {
    socket.options.buffer_lock |= send_locked;
    socket.options.send_buffer = doubled(value, least_send);
    return 0;
  }
  if (name == SO_RCVBUF) {
    socket.options.buffer_lock |= receive_locked;
    socket.options.receive_buffer = doubled(value, least_receive);
    return 0;
  }
  if (name == SO_TYPE || name == SO_ERROR || name == SO_DOMAIN || name == SO_PROTOCOL ||
      name == SO_ACCEPTCONN)
    return -ENOPROTOOPT;
  return unknown(name);
}

}  // namespace

long get_option(Socket& socket, int level, int name, void* value, socklen_t* size) {
  if (!is_of_family(socket, level)) return -EOPNOTSUPP;
  if (static_cast<int>(*size) < 0) return -EINVAL;
  if (level == SOL_SOCKET && name == SO_LINGER) {
    *size = std::min<socklen_t>(*size, sizeof(linger));
    std::memcpy(value, &socket.options.wait, *size);
    return 0;
  }
  int number = 0;
  const long answer = number_of(socket, level, name, &number);
  if (answer != 0) return answer;
  *size = std::min<socklen_t>(*size, sizeof number);
  std::memcpy(value, &number, *size);
  return 0;
}

long set_option(Socket& socket, int level, int name, const void* value, socklen_t size) {
  if (!is_of_family(socket, level)) return -EOPNOTSUPP;
  if (size < sizeof(int)) return -EINVAL;
  if (value == nullptr) return -EFAULT;
  if (level == SOL_SOCKET && name == SO_LINGER) {
    if (size < sizeof(linger)) return -EINVAL;
    std::memcpy(&socket.options.wait, value, sizeof(linger));
    socket.options.wait.l_onoff = socket.options.wait.l_onoff != 0 ? 1 : 0;
    if (socket.options.wait.l_onoff == 0) socket.options.wait.l_linger = 0;
    return 0;
  }
  int number = 0;
  std::memcpy(&number, value, sizeof number);
  return set_number(socket, level, name, number);
}

}  // namespace kernel
