// The ports of TCP: which are taken, by which socket, and which sockets listen.
#ifndef KERNEL_PORTS_HPP
#define KERNEL_PORTS_HPP

#include <cstdint>
#include <vector>

#include "address.hpp"

namespace kernel {

class Machine;
class Tcp;

class Ports {
 public:
  explicit Ports(Machine& machine) : machine_(machine) {}

  // Takes the port of `wanted` for the socket, or a free one where that is 0; `*port` is the port.
  // 0, or -EADDRINUSE.
  long take(Tcp& socket, const Address& wanted, uint16_t* port);
  void share(Tcp& accepted);  // the port of its listener
  void release(const Tcp& socket);
  void linger(const Tcp& socket);  // TIME-WAIT: for a minute no socket can have it

  // May the socket listen where it is bound?
  bool may_listen(const Tcp& socket) const;
  // Which socket a connection to that address reaches; null if none listens there.
  Tcp* listener(const Address& to) const;

 private:
  struct Entry {
    Tcp* socket;  // null: in TIME-WAIT
    Address local;
    bool reuse;
    uint64_t until;
  };

  bool conflict(const Tcp& socket, const Address& wanted, const Entry& entry) const;
  bool is_free(const Tcp& socket, const Address& wanted) const;
  void forget_old();

  Machine& machine_;
  std::vector<Entry> entries_;
  int next_ = 0;  // of those that are given out
};

}  // namespace kernel

#endif
