// The names of Unix sockets: paths, and abstract ones.
#ifndef KERNEL_NAMES_HPP
#define KERNEL_NAMES_HPP

#include <vector>

#include "address.hpp"

namespace kernel {

class UnixSocket;

// A path stays when its socket is closed, until it is unlinked; an abstract name goes with it.
// Paths are compared as they are written.
class Names {
 public:
  long bind(const Address& name, UnixSocket& socket);  // 0 or -EADDRINUSE
  // Null: no socket. `*exists` says whether there is such a name at all.
  UnixSocket* find(const Address& name, bool* exists) const;
  void on_closed(const UnixSocket& socket);
  long unlink(const Address& name);  // 0 or -ENOENT
  Address next_automatic();          // a free abstract name of five digits

 private:
  struct Entry {
    Address name;
    UnixSocket* socket;  // null: closed
  };
  std::vector<Entry> entries_;
  unsigned automatic_ = 0;
};

}  // namespace kernel

#endif
