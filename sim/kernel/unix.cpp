// A Unix socket ends in one step: its other end sees at once that it is gone.
#include "unix.hpp"

#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include <algorithm>

#include "machine.hpp"

namespace kernel {

namespace {

constexpr int send_flags = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE;
constexpr int receive_flags = MSG_PEEK | MSG_DONTWAIT | MSG_NOSIGNAL | MSG_CMSG_CLOEXEC;
constexpr size_t largest_message = 32 * 1024 + 4096 - 320;  // eight pages, and the rest of a head's

// What Linux charges for a message: whole pages, a piece of a power of two for the rest, which
// holds its head too, and what describes it.
size_t charge_of(size_t size) {
  constexpr size_t page = 4096;
  constexpr size_t head = 320;
  constexpr size_t description = 256;
  size_t pages = size / page;
  size_t rest = size % page;
  if (rest + head > page) {
    ++pages;
    rest = 0;
  }
  size_t piece = 512;
  while (piece < rest + head) piece *= 2;
  return pages * page + piece + description;
}

}  // namespace

void UnixSocket::connect_pair(UnixSocket& first, UnixSocket& second) {
  first.peer_ = &second;
  second.peer_ = &first;
  first.state_ = second.state_ = State::connected;
}

size_t UnixSocket::limit() const {
  const int set = options.send_buffer;
  return set != 0 ? static_cast<size_t>(set) : machine().options.unix_send_buffer;
}

uint32_t UnixSocket::ready() {
  uint32_t events = 0;
  if (error_ != 0) events |= EPOLLERR;
  if (shutdown_ == (no_receive | no_send)) events |= EPOLLHUP;
  if ((shutdown_ & no_receive) != 0) events |= EPOLLRDHUP | EPOLLIN | EPOLLRDNORM;
  if (queue_.size() > 0 || !waiting_.empty()) events |= EPOLLIN | EPOLLRDNORM;
  if (state_ == State::closed) events |= EPOLLHUP;
  // With three quarters of the buffer free.
  if (state_ != State::listening && charged_ * 4 <= limit())
    events |= EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
  return events;
}

long UnixSocket::bind(const Address& address) {
  Address name = address;
  if (local_.name_size != 0) {
    if (address.name_size == 0) return 0;
    // A path is looked at first.
    bool exists = false;
    if (!address.is_abstract()) machine().names.find(address, &exists);
    return exists ? -EADDRINUSE : -EINVAL;
  }
  while (name.name_size == 0) {
    name = machine().names.next_automatic();
    bool exists = false;
    machine().names.find(name, &exists);
    if (exists) name.name_size = 0;
  }
  const long answer = machine().names.bind(name, *this);
  if (answer == 0) local_ = name;
  return answer;
}

long UnixSocket::listen(int backlog) {
  if (local_.name_size == 0 || state_ == State::connected) return -EINVAL;
  const auto most = static_cast<unsigned>(machine().options.backlog);
  backlog_ = std::min(static_cast<unsigned>(backlog), most);
  state_ = State::listening;
  return 0;
}

long UnixSocket::accept(Socket** accepted) {
  if (state_ != State::listening) return -EINVAL;
  if (waiting_.empty()) {
    const bool ended = !non_blocking() && (shutdown_ & no_receive) != 0;
    return ended ? -EINVAL : would_wait();
  }
  *accepted = waiting_.front();
  waiting_.erase(waiting_.begin());
  return 0;
}

long UnixSocket::connect(const Address& address, long wrong) {
  if (wrong != 0) return wrong;
  if (address.name_size == 0) return -EINVAL;
  bool exists = false;
  UnixSocket* const listener = machine().names.find(address, &exists);
  if (!exists) return address.is_abstract() ? -ECONNREFUSED : -ENOENT;
  if (listener == nullptr || !listener->is_listening() || (listener->shutdown_ & no_receive) != 0)
    return -ECONNREFUSED;
  if (listener->waiting_.size() > listener->backlog_) return would_wait();
  if (state_ == State::connected) return -EISCONN;
  if (state_ == State::listening) return -EINVAL;
  UnixSocket& accepted = *new UnixSocket(machine());
  connect_pair(*this, accepted);
  accepted.local_ = listener->local_;
  listener->waiting_.push_back(&accepted);
  listener->wake(EPOLLIN | EPOLLPRI | EPOLLRDNORM | EPOLLRDBAND);
  return 0;
}

long UnixSocket::send(const Buffers& from, int flags) {
  if ((flags & ~send_flags) != 0) return unsimulated;
  if (state_ != State::connected) return -ENOTCONN;
  if ((shutdown_ & no_send) != 0 || peer_ == nullptr) return broken(flags);
  const size_t wanted = share_of(from.total(), Question::sent);
  size_t sent = 0;
  while (sent < wanted) {
    if ((peer_->shutdown_ & no_receive) != 0)
      return sent > 0 ? static_cast<long>(sent) : broken(flags);
    if (charged_ >= limit()) return sent > 0 ? static_cast<long>(sent) : would_wait_with(flags);
    const size_t size = std::min(wanted - sent, largest_message);
    peer_->queue_.append(from, sent, size);
    peer_->messages_.push_back(size);
    peer_->charges_.push_back(charge_of(size));
    charged_ += charge_of(size);
    sent += size;
    peer_->wake(EPOLLIN | EPOLLPRI | EPOLLRDNORM | EPOLLRDBAND);
  }
  return static_cast<long>(sent);
}

long UnixSocket::receive(const Buffers& to, int flags, int*) {
  if ((flags & ~receive_flags) != 0) return unsimulated;
  if (state_ != State::connected) return -EINVAL;
  const size_t there = queue_.size();
  const size_t size = share_of(std::min(to.total(), there), Question::received);
  if (there > 0) {
    queue_.copy(0, to, 0, size);
    if ((flags & MSG_PEEK) == 0) take_messages(size);
    return static_cast<long>(size);
  }
  if (error_ != 0) return -take_error();
  if ((shutdown_ & no_receive) != 0) return 0;
  return would_wait_with(flags);
}

void UnixSocket::take_messages(size_t size) {
  queue_.drop(size);
  size_t whole = 0;
  while (whole < messages_.size() && messages_[whole] <= size) size -= messages_[whole++];
  if (size > 0) messages_[whole] -= size;
  size_t charge = 0;
  for (size_t i = 0; i < whole; ++i) charge += charges_[i];
  messages_.erase(messages_.begin(), messages_.begin() + static_cast<long>(whole));
  charges_.erase(charges_.begin(), charges_.begin() + static_cast<long>(whole));
  if (whole > 0 && peer_ != nullptr) peer_->on_taken(charge);
}

void UnixSocket::on_taken(size_t charge) {
  charged_ -= charge;
  if (charged_ * 4 <= limit()) wake(EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
}

long UnixSocket::shutdown(int how) {
  if (how < SHUT_RD || how > SHUT_RDWR) return -EINVAL;
  const unsigned bits = static_cast<unsigned>(how) + 1;
  shutdown_ |= bits;
  wake(0);
  if (peer_ == nullptr) return 0;
  if ((bits & no_receive) != 0) peer_->shutdown_ |= no_send;
  if ((bits & no_send) != 0) peer_->shutdown_ |= no_receive;
  peer_->wake(0);
  return 0;
}

long UnixSocket::remote(Address* address) const {
  if (state_ != State::connected) return -ENOTCONN;
  *address = peer_ != nullptr ? peer_->local_ : remote_;
  return 0;
}

long UnixSocket::ioctl(unsigned long request, int* value) {
  switch (request) {
    case FIONREAD:
      if (state_ == State::listening) return -EINVAL;
      *value = static_cast<int>(queue_.size());
      return 0;
    case SIOCOUTQ: *value = static_cast<int>(charged_); return 0;
    default: return unsimulated;
  }
}

void UnixSocket::leave(bool was_accepted) {
  UnixSocket* const peer = peer_;
  if (peer == nullptr) return;
  peer_ = nullptr;
  peer->peer_ = nullptr;
  peer->remote_ = local_;
  peer->shutdown_ = no_receive | no_send;
  if (queue_.size() > 0 || !was_accepted) peer->error_ = ECONNRESET;
  peer->charged_ = 0;
  peer->wake(0);
}

void UnixSocket::on_closed() {
  machine().names.on_closed(*this);
  for (UnixSocket* child : waiting_) {
    child->leave(false);
    machine().bury(*child);
  }
  waiting_.clear();
  leave(true);
  machine().bury(*this);
}

}  // namespace kernel
