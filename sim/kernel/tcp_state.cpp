// How a TCP connection goes from state to state, and what poll says of it.
#include <sys/epoll.h>

#include <algorithm>

#include "tcp.hpp"

namespace kernel {

Tcp::~Tcp() { machine().disarm(*this); }

uint32_t Tcp::ready() {
  if (state_ == State::listening) return waiting_.empty() ? 0 : uint32_t{EPOLLIN | EPOLLRDNORM};
  uint32_t events = 0;
  if (shutdown_ == (no_receive | no_send) || state_ == State::closed) events |= EPOLLHUP;
  if ((shutdown_ & no_receive) != 0) events |= EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
  if (state_ != State::connecting) {
    // An urgent byte that is not in line is nothing to read.
    const size_t least = is_urgent_at(position_) && !options.urgent_inline ? 2 : 1;
    if (arrived_ >= least) events |= EPOLLIN | EPOLLRDNORM;
    if ((shutdown_ & no_send) != 0 || is_writable()) {
      events |= EPOLLOUT | EPOLLWRNORM;
    } else {
      no_room_ = true;
    }
    if (urgent_ == Urgent::waiting) events |= EPOLLPRI;
  }
  if (error_ != 0) events |= EPOLLERR;
  return events;
}

// ---- Buffers -----------------------------------------------------------------------------------

size_t Tcp::window() const {
  const int set = options.receive_buffer;
  return set != 0 ? static_cast<size_t>(set) : machine().options.tcp_receive_buffer;
}

// What the send buffer still takes. Bytes leave it when they have arrived.
size_t Tcp::send_room() const {
  const int set = options.send_buffer;
  const size_t size = set != 0 ? static_cast<size_t>(set) : machine().options.tcp_send_buffer;
  const size_t used = peer_ == nullptr ? 0 : peer_->queue_.size() - peer_->arrived_;
  return size > used ? size - used : 0;
}

// With a third of the buffer free: as much room as half of what is in it.
bool Tcp::is_writable() const {
  const size_t used = peer_ == nullptr ? 0 : peer_->queue_.size() - peer_->arrived_;
  return send_room() > 0 && send_room() >= used / 2;
}

// Tells the sender of the window. One that was shut opens by a large piece, not by a byte.
void Tcp::announce_window() {
  constexpr size_t large = 64 * 1024;
  const size_t room = window() > arrived_ ? window() - arrived_ : 0;
  if (window_shut_ && room < std::min(large, window() / 2)) return;
  window_shut_ = false;
  let_in();
}

// Lets in what the window allows that the sender knows of.
void Tcp::let_in() {
  if (window_shut_) return;
  const size_t before = arrived_;
  arrived_ = std::min(queue_.size(), std::max(arrived_, window()));
  window_shut_ = arrived_ >= window();
  Tcp* const sender = peer_;
  if (sender == nullptr) return;
  if (arrived_ > before) {
    note_urgent();
    // Bytes for a program that has said that it will neither read nor write are answered with RST.
    if (fin_sent_ && (shutdown_ & no_receive) != 0) {
      arrived_ = before;
      part();
      on_reset();
      sender->on_reset();
      return;
    }
    wake(EPOLLIN | EPOLLPRI | EPOLLRDNORM | EPOLLRDBAND);
  }
  if (sender->fin_sent_ && !fin_received_ && arrived_ == queue_.size()) {
    on_fin();
    sender->on_fin_acknowledged();
  } else if (arrived_ > before) {
    sender->on_room();
  }
}

void Tcp::on_room() {
  if (!no_room_ || !is_writable()) return;
  no_room_ = false;
  wake(EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
}

// ---- What arrives ------------------------------------------------------------------------------

void Tcp::establish(Tcp& listener) {
  Tcp& accepted = *new Tcp(machine(), listener.family_);
  accepted.options = listener.options;
  accepted.shutdown_ = listener.shutdown_;
  accepted.local_ = remote_;
  accepted.remote_ = local_;
  accepted.state_ = state_ = State::connected;
  accepted.promise_ = Promise::kept;
  accepted.peer_ = this;
  accepted.holds_port_ = true;
  peer_ = &accepted;
  machine().ports.share(accepted);
  listener.waiting_.push_back(&accepted);
  machine().disarm(*this);
  wake(0);  // at the SYN-ACK; the listener learns of it with the last ACK
  listener.wake(EPOLLIN | EPOLLPRI | EPOLLRDNORM | EPOLLRDBAND);
  if ((accepted.shutdown_ & no_send) != 0) accepted.send_fin();
}

void Tcp::on_fin() {
  fin_received_ = true;
  done_ = true;
  shutdown_ |= no_receive;
  if (fin_acknowledged_) {
    machine().ports.linger(*this);
    finish();
  } else {
    wake(0);
  }
}

void Tcp::on_fin_acknowledged() {
  fin_acknowledged_ = true;
  if (fin_received_) {
    finish();
    return;
  }
  shutdown_ |= no_send;
  wake(0);
}

void Tcp::on_reset() {
  if (state_ != State::connecting && state_ != State::connected) return;
  error_ = state_ == State::connecting   ? ECONNREFUSED
           : fin_received_ && !fin_sent_ ? EPIPE
                                         : ECONNRESET;
  if (state_ == State::connecting) left_ = 1;  // the SYN
  was_reset_ = state_ == State::connected;
  part();
  finish();
  if (!orphan_) wake(EPOLLERR);
}

void Tcp::fail(int error) {
  if (state_ != State::connected) return;
  send_reset();
  on_reset();
  error_ = error;
}

// ---- What is sent ------------------------------------------------------------------------------

void Tcp::send_fin() {
  fin_sent_ = true;
  if (peer_ != nullptr) peer_->let_in();
  if (peer_ != nullptr) announce_window();
}

void Tcp::send_reset() {
  if (Tcp* const peer = part()) peer->on_reset();
}

// The two ends forget each other, and what has not arrived is lost. Returns the other end.
Tcp* Tcp::part() {
  Tcp* const peer = peer_;
  if (peer == nullptr) return nullptr;
  left_ = unacknowledged();
  peer->left_ = peer->unacknowledged();
  queue_.truncate(arrived_);
  peer->queue_.truncate(peer->arrived_);
  peer->peer_ = nullptr;
  peer_ = nullptr;
  return peer;
}

// The connection has ended here.
void Tcp::finish() {
  machine().disarm(*this);
  if (peer_ != nullptr) peer_->peer_ = nullptr;
  peer_ = nullptr;
  state_ = State::closed;
  shutdown_ = no_receive | no_send;
  if (!bound_) release_port();
  if (orphan_) {
    release_port();
    machine().bury(*this);
  } else {
    wake(0);
  }
}

void Tcp::release_port() {
  machine().ports.release(*this);
  holds_port_ = false;
}

void Tcp::drop_first() {
  Tcp& child = *waiting_.front();
  waiting_.erase(waiting_.begin());
  child.orphan_ = true;
  child.send_reset();
  child.finish();
}

void Tcp::stop_listening() {
  state_ = State::closed;
  while (!waiting_.empty()) drop_first();
}

// Back to a socket that was never connected.
void Tcp::disconnect() {
  const State before = state_;
  if (before == State::listening) stop_listening();
  if (before == State::connected) send_reset();
  if (before == State::connected || before == State::connecting) error_ = ECONNRESET;
  machine().disarm(*this);
  state_ = State::closed;
  if (!bound_ && before != State::closed) release_port();
  queue_.truncate(0);
  arrived_ = 0;
  left_ = 0;
  urgent_ = Urgent::none;
  shutdown_ = 0;
  done_ = fin_sent_ = fin_acknowledged_ = fin_received_ = false;
  remote_ = any(family_);
  if (!bound_host_) {
    const uint16_t port = local_.port;
    local_ = any(family_);
    local_.port = port;
  }
  wake(EPOLLERR);
}

void Tcp::on_closed() {
  orphan_ = true;
  const bool now = options.wait.l_onoff != 0 && options.wait.l_linger == 0;
  if (state_ == State::listening) stop_listening();
  if (state_ != State::connected) {
    finish();
  } else if (arrived_ > 0 || now) {
    send_reset();
    finish();
  } else {
    shutdown_ = no_receive | no_send;
    if (!fin_sent_) send_fin();
  }
}

}  // namespace kernel
