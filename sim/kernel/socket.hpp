// What stream sockets of all families have in common.
#ifndef KERNEL_SOCKET_HPP
#define KERNEL_SOCKET_HPP

#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>

#include "address.hpp"
#include "file.hpp"
#include "options.hpp"

namespace kernel {

// The bits of `shutdown_`: what cannot be done any more.
inline constexpr unsigned no_receive = 1;
inline constexpr unsigned no_send = 2;

// What setsockopt keeps, in the units of socket(7), tcp(7) and ipv6(7).
struct SocketOptions {
  bool reuse_address = false;
  bool reuse_port = false;
  bool urgent_inline = false;
  bool v6_only = false;
  int keep_alive = 0;
  int no_delay = 0;
  int cork = 0;
  int keep_idle = 7200;    // seconds
  int keep_interval = 75;  // seconds
  int keep_count = 9;
  int user_timeout = 0;  // milliseconds
  int quick_ack = 1;
  int defer_accept = 0;  // seconds
  int send_buffer = 0;   // bytes; 0: as the machine has it
  int receive_buffer = 0;
  int buffer_lock = 0;  // SO_BUF_LOCK
  linger wait{};        // SO_LINGER
};

class Socket : public File {
 public:
  Socket(Machine& machine, sa_family_t family) : File(machine), family_(family) {}

  Socket* as_socket() final { return this; }
  unsigned kind() const final { return S_IFSOCK; }
  sa_family_t family() const { return family_; }

  virtual long bind(const Address& address) = 0;
  virtual long listen(int backlog) = 0;
  virtual long accept(Socket** accepted) = 0;  // 0, and a socket that no descriptor holds yet
  // `wrong` says what is wrong with the address: 0 or a negative errno value. Some sockets notice
  // other things first.
  virtual long connect(const Address& address, long wrong) = 0;
  // The flags are MSG_*; what the message said of itself goes to `*flags` of receive.
  virtual long send(const Buffers& from, int flags) = 0;
  virtual long receive(const Buffers& to, int flags, int* said) = 0;
  virtual long shutdown(int how) = 0;
  virtual Address local() const = 0;
  virtual long remote(Address* address) const = 0;
  virtual bool is_listening() const = 0;

  long read(const Buffers& to) final;
  long write(const Buffers& from) final;

  int take_error();
  SocketOptions options;

 protected:
  bool waits(int flags) const { return (flags & MSG_DONTWAIT) == 0 && !non_blocking(); }
  long would_wait_with(int flags) const { return waits(flags) ? blocked : -EAGAIN; }
  // What the world lets through of `size` bytes.
  size_t share_of(size_t size, Question question);
  // -EPIPE, and SIGPIPE unless the flags forbid it.
  long broken(int flags);

  sa_family_t family_;
  unsigned shutdown_ = 0;
  int error_ = 0;  // SO_ERROR
};

// Answers of getsockopt and setsockopt; see socket_options.cpp for those that are known.
long get_option(Socket& socket, int level, int name, void* value, socklen_t* size);
long set_option(Socket& socket, int level, int name, const void* value, socklen_t size);

}  // namespace kernel

#endif
