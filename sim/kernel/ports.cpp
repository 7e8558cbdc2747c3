// The rules of bind(2) and SO_REUSEADDR, as socket(7) and ip(7) tell them.
#include "ports.hpp"

#include <cerrno>

#include "machine.hpp"
#include "tcp.hpp"

namespace kernel {

namespace {

constexpr uint64_t time_wait_ns = 60'000'000'000;

// Does one of the two addresses hold the other? An IPv6 socket for every address holds IPv4 too,
// unless it is told to be IPv6 only.
bool overlap(const Address& a, bool a_only_v6, const Address& b, bool b_only_v6) {
  if (a.family == b.family) return a.is_any() || b.is_any() || a.same_host(b);
  const Address& v6 = a.family == AF_INET6 ? a : b;
  return v6.is_any() && !(a.family == AF_INET6 ? a_only_v6 : b_only_v6);
}

}  // namespace

bool Ports::conflict(const Tcp& socket, const Address& wanted, const Entry& entry) const {
  if (entry.socket == &socket || entry.local.port != wanted.port) return false;
  const bool only_v6 = entry.socket != nullptr && entry.socket->options.v6_only;
  if (!overlap(wanted, socket.options.v6_only, entry.local, only_v6)) return false;
  const bool reuse = entry.socket != nullptr ? entry.socket->options.reuse_address : entry.reuse;
  const bool listens = entry.socket != nullptr && entry.socket->is_listening();
  if (socket.options.reuse_address && reuse && !listens) return false;
  return entry.socket == nullptr || !socket.options.reuse_port || !entry.socket->options.reuse_port;
}

bool Ports::is_free(const Tcp& socket, const Address& wanted) const {
  for (const Entry& entry : entries_)
    if (conflict(socket, wanted, entry)) return false;
  return true;
}

bool Ports::may_listen(const Tcp& socket) const { return is_free(socket, socket.local()); }

long Ports::take(Tcp& socket, const Address& wanted, uint16_t* port) {
  forget_old();
  Address address = wanted;
  if (address.port != 0) {
    if (!is_free(socket, address)) return -EADDRINUSE;
  } else {
    const int first = machine_.options.first_port;
    const int count = machine_.options.last_port - first + 1;
    int tries = 0;
    // A port that the kernel chooses is no other socket's, whatever the options.
    bool taken = true;
    for (; tries < count && taken; ++tries) {
      address.port = static_cast<uint16_t>(first + next_);
      next_ = (next_ + 1) % count;
      taken = false;
      for (const Entry& entry : entries_) taken = taken || entry.local.port == address.port;
    }
    if (taken) return -EADDRINUSE;
  }
  *port = address.port;
  release(socket);
  entries_.push_back({&socket, address, false, never});
  return 0;
}

void Ports::share(Tcp& accepted) {
  entries_.push_back({&accepted, accepted.local(), false, never});
}

void Ports::release(const Tcp& socket) {
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].socket != &socket) continue;
    entries_.erase(entries_.begin() + static_cast<long>(i));
    return;
  }
}

void Ports::linger(const Tcp& socket) {
  entries_.push_back(
      {nullptr, socket.local(), socket.options.reuse_address, machine_.now() + time_wait_ns});
}

Tcp* Ports::listener(const Address& to) const {
  // The more exact address goes first; among equals, the world decides.
  Tcp* found[3] = {};
  unsigned count[3] = {};
  for (const Entry& entry : entries_) {
    if (entry.socket == nullptr || !entry.socket->is_listening()) continue;
    if (entry.local.port != to.port) continue;
    if (!overlap(entry.local, entry.socket->options.v6_only, to, true)) continue;
    const size_t rank = !entry.local.is_any()             ? 0
                        : entry.local.family == to.family ? size_t{1}
                                                          : size_t{2};
    ++count[rank];
    if (found[rank] == nullptr || machine_.pick(count[rank], Question::listener) != 0)
      found[rank] = entry.socket;
  }
  return found[0] != nullptr ? found[0] : found[1] != nullptr ? found[1] : found[2];
}

void Ports::forget_old() {
  for (size_t i = entries_.size(); i > 0; --i)
    if (entries_[i - 1].until <= machine_.now())
      entries_.erase(entries_.begin() + static_cast<long>(i - 1));
}

}  // namespace kernel
