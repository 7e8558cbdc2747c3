// How TCP sockets find each other: bind, listen, accept, connect, and the end of it, shutdown.
#include <sys/epoll.h>

#include <algorithm>

#include "tcp.hpp"

namespace kernel {

namespace {

constexpr int linear_syns = 4;  // net.ipv4.tcp_syn_linear_timeouts: sent again a second apart
constexpr int most_syns = 6;    // net.ipv4.tcp_syn_retries
constexpr uint64_t second = 1'000'000'000;

}  // namespace

long Tcp::choose_port(const Address& wanted) {
  uint16_t port = 0;
  const long answer = machine().ports.take(*this, wanted, &port);
  if (answer != 0) return answer;
  holds_port_ = true;
  local_ = wanted;
  local_.port = port;
  return 0;
}

long Tcp::bind(const Address& address) {
  if (!address.is_any() && !address.is_loopback()) return -EADDRNOTAVAIL;
  if (state_ != State::closed || holds_port_) return -EINVAL;
  if (address.family != family_ && options.v6_only) return -EINVAL;
  const long answer = choose_port(address);
  if (answer != 0) {
    local_.ip = {};
    return answer;
  }
  bound_ = address.port != 0;
  bound_host_ = !address.is_any();
  if (bound_host_ && address.family == AF_INET6) options.v6_only = true;
  return 0;
}

long Tcp::listen(int backlog) {
  if (promise_ != Promise::none) return -EINVAL;
  if (state_ != State::closed && state_ != State::listening) return -EINVAL;
  const auto most = static_cast<unsigned>(machine().options.backlog);
  backlog_ = std::min(static_cast<unsigned>(backlog), most);
  if (state_ == State::listening) return 0;
  if (!holds_port_) {
    Address wanted = local_;
    wanted.port = 0;
    const long answer = choose_port(wanted);
    if (answer != 0) return answer;
  } else if (!machine().ports.may_listen(*this)) {
    return -EADDRINUSE;
  }
  state_ = State::listening;
  return 0;
}

long Tcp::accept(Socket** accepted) {
  if (state_ != State::listening) return -EINVAL;
  if (waiting_.empty()) return would_wait();
  Tcp& first = *waiting_.front();
  waiting_.erase(waiting_.begin());
  *accepted = &first;
  return 0;
}

long Tcp::connect(const Address& address, long wrong) {
  long answer = -EALREADY;
  switch (promise_) {
    case Promise::kept: return -EISCONN;
    case Promise::dropped: return -EINVAL;
    case Promise::in_progress: break;
    case Promise::none:
      if (state_ != State::closed) return -EISCONN;
      answer = wrong != 0 ? wrong : begin_connect(address);
      if (answer != -EINPROGRESS) return answer;
      promise_ = Promise::in_progress;
      // The answer to the SYN is seen when the call is over, if no call waits for it.
      if (!send_syn() || non_blocking()) break;
  }
  if (state_ == State::connecting || (answer == -EINPROGRESS && non_blocking()))
    return non_blocking() ? answer : blocked;
  return end_connect();
}

// -EINPROGRESS: a SYN can be sent.
long Tcp::begin_connect(const Address& address) {
  if (tried_ipv4_) return unsimulated;
  Address to = address;
  if (to.is_any()) {
    to.family = bound_host_ ? local_.family : to.family;
    to.ip = loopback(to.family).ip;
  }
  if (to.family != family_ && options.v6_only) return -ENETUNREACH;
  if (!to.is_loopback()) return -ENETUNREACH;
  if (bound_host_ && local_.family != to.family)
    return local_.family == AF_INET ? -EAFNOSUPPORT : -ENETUNREACH;
  if (to.port != 0 && to.port == local_.port && (local_.is_any() || to.same_host(local_)))
    return unsimulated;
  if (!holds_port_) {
    const long answer = choose_port(loopback(to.family));
    if (answer != 0) return answer == -EADDRINUSE ? -EADDRNOTAVAIL : answer;
  } else if (local_.is_any()) {
    local_.family = to.family;
    local_.ip = loopback(to.family).ip;
  }
  remote_ = to;
  tried_ipv4_ = to.family != family_;
  state_ = State::connecting;
  syns_ = 0;
  error_ = 0;
  done_ = false;
  return -EINPROGRESS;
}

// Whether it was answered. One that finds the listen queue full is lost, and sent again later.
bool Tcp::send_syn() {
  Tcp* const listener = machine().ports.listener(remote_);
  if (listener == nullptr) {
    on_reset();
    return true;
  }
  if (listener->waiting_.size() <= listener->backlog_) {
    establish(*listener);
    return true;
  }
  const int doubled = std::max(0, syns_ - linear_syns);
  machine().arm(*this, machine().now() + (second << doubled));
  return false;
}

void Tcp::on_deadline() {
  if (state_ == State::connected) {
    if (peer_ != nullptr) peer_->announce_window();
    return;
  }
  if (++syns_ <= most_syns) {
    send_syn();
    return;
  }
  error_ = ETIMEDOUT;
  finish();
  wake(EPOLLERR);
}

long Tcp::end_connect() {
  if (state_ == State::closed) {
    const int error = take_error();
    promise_ = Promise::none;
    disconnect();
    return error != 0 ? -error : -ECONNABORTED;
  }
  promise_ = Promise::kept;
  return 0;
}

long Tcp::shutdown(int how) {
  if (how < SHUT_RD || how > SHUT_RDWR) return -EINVAL;
  const unsigned bits = static_cast<unsigned>(how) + 1;
  if (promise_ == Promise::in_progress)
    promise_ = state_ == State::connected ? Promise::kept : Promise::dropped;
  long answer = 0;
  if (state_ == State::connecting || (state_ == State::listening && (bits & no_receive) != 0)) {
    disconnect();
    promise_ = Promise::none;
  } else if (state_ != State::listening) {
    if (state_ == State::closed) answer = -ENOTCONN;
    shutdown_ |= bits;
    if ((bits & no_send) != 0 && can_send()) send_fin();
  }
  wake(0);
  return answer;
}

long Tcp::remote(Address* address) const {
  if (remote_.port == 0 || state_ == State::closed || state_ == State::connecting) return -ENOTCONN;
  *address = remote_;
  return 0;
}

}  // namespace kernel
