// A list that is searched: a machine has few names.
#include "names.hpp"

#include <cerrno>

namespace kernel {

long Names::bind(const Address& name, UnixSocket& socket) {
  bool exists = false;
  find(name, &exists);
  if (exists) return -EADDRINUSE;
  entries_.push_back({name, &socket});
  return 0;
}

UnixSocket* Names::find(const Address& name, bool* exists) const {
  for (const Entry& entry : entries_) {
    if (!entry.name.same_name(name)) continue;
    *exists = true;
    return entry.socket;
  }
  *exists = false;
  return nullptr;
}

void Names::on_closed(const UnixSocket& socket) {
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].socket != &socket) continue;
    if (entries_[i].name.is_abstract()) {
      entries_.erase(entries_.begin() + static_cast<long>(i));
    } else {
      entries_[i].socket = nullptr;
    }
    return;
  }
}

long Names::unlink(const Address& name) {
  if (name.is_abstract()) return -ENOENT;
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (!entries_[i].name.same_name(name)) continue;
    entries_.erase(entries_.begin() + static_cast<long>(i));
    return 0;
  }
  return -ENOENT;
}

Address Names::next_automatic() {
  constexpr char digits[] = "0123456789abcdef";
  Address name = any(AF_UNIX);
  name.name_size = 6;
  unsigned number = automatic_++;
  for (size_t i = 5; i > 0; --i, number /= 16) name.name[i] = digits[number % 16];
  return name;
}

}  // namespace kernel
