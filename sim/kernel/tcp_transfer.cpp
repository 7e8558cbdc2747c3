// Bytes through a TCP socket: send, receive, urgent data, and how many there are.
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <algorithm>

#include "tcp.hpp"

namespace kernel {

namespace {

// MSG_MORE and MSG_NOSIGNAL change nothing that the other end can see.
constexpr uint64_t probe_ns = 200'000'000;  // the shortest retransmission timeout
constexpr int send_flags = MSG_OOB | MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE;
constexpr int receive_flags = MSG_OOB | MSG_PEEK | MSG_DONTWAIT | MSG_NOSIGNAL | MSG_CMSG_CLOEXEC;

}  // namespace

long Tcp::send(const Buffers& from, int flags) {
  if ((flags & ~send_flags) != 0) return unsimulated;
  if (!can_send()) {
    if (error_ == EPIPE) {
      error_ = 0;
      return broken(flags);
    }
    if (error_ != 0) return -take_error();
    return state_ == State::connecting ? would_wait_with(flags) : broken(flags);
  }
  if (error_ != 0 || (shutdown_ & no_send) != 0) return broken(flags);
  const size_t wanted = from.total();
  if (wanted == 0) return 0;
  if (send_room() == 0) {
    no_room_ = true;
    return would_wait_with(flags);
  }
  // The sizes of Linux's buffers are limits that the last piece may cross; these are not.
  const bool urgent = (flags & MSG_OOB) != 0;
  const size_t window = peer_->window() > peer_->arrived_ ? peer_->window() - peer_->arrived_ : 0;
  const size_t room = send_room() + (peer_->window_shut_ ? 0 : window);
  size_t size = std::min(wanted, room);
  if (!urgent) size = share_of(size, Question::sent);
  peer_->queue_.append(from, 0, size);
  if (urgent && size == wanted) peer_->set_urgent();
  if (size < wanted) no_room_ = true;
  peer_->let_in();
  announce_window();  // what is sent says how far the window is open
  return static_cast<long>(size);
}

// The last byte of the queue is urgent. One that was so before and still is at the head, untaken
// or not, is no part of the stream any more; another becomes a byte like others.
void Tcp::set_urgent() {
  if (is_urgent_at(position_) && !options.urgent_inline && queue_.size() > 1) {
    queue_.drop(1);
    ++position_;
    if (arrived_ > 0) --arrived_;
  }
  urgent_ = Urgent::announced;
  urgent_at_ = position_ + queue_.size() - 1;
}

// The byte that was announced has arrived.
void Tcp::note_urgent() {
  if (urgent_ != Urgent::announced || urgent_at_ >= position_ + arrived_) return;
  urgent_ = Urgent::waiting;
  urgent_byte_ = queue_.at(urgent_at_ - position_);
}

long Tcp::receive(const Buffers& to, int flags, int* said) {
  if ((flags & ~receive_flags) != 0) return unsimulated;
  if (state_ == State::listening) return -ENOTCONN;
  if ((flags & MSG_OOB) != 0) return receive_urgent(to, flags, said);
  const uint64_t before = position_;
  const size_t count = take(to, flags);
  if ((flags & MSG_PEEK) == 0 && position_ != before) on_taken();
  return count > 0 || (to.total() == 0 && arrived_ > 0) ? static_cast<long>(count)
                                                        : nothing_to_read(flags);
}

// The window may open. After shutdown(SHUT_RD) nothing is said of it: the sender has to probe.
void Tcp::on_taken() {
  if ((shutdown_ & no_receive) == 0) {
    announce_window();
  } else if (window_shut_ && peer_ != nullptr) {
    machine().arm(*peer_, machine().now() + probe_ns);
  }
}

// Copies up to the next urgent byte. One that is not in line is stepped over at the beginning.
size_t Tcp::take(const Buffers& to, int flags) {
  const size_t room = share_of(std::min(to.total(), arrived_), Question::received);
  size_t skipped = 0;
  if (room > 0 && is_urgent_at(position_) && !options.urgent_inline) skipped = 1;
  size_t count = std::min(room, arrived_ - skipped);
  if (urgent_ != Urgent::none && urgent_at_ >= position_ + skipped) {
    const uint64_t distance = urgent_at_ - position_ - skipped;
    if (distance > 0) count = std::min<uint64_t>(count, distance);
  }
  queue_.copy(skipped, to, 0, count);
  if ((flags & MSG_PEEK) != 0) return count;
  queue_.drop(skipped + count);
  arrived_ -= skipped + count;
  position_ += skipped + count;
  if (position_ > urgent_at_) urgent_ = Urgent::none;
  return count;
}

long Tcp::nothing_to_read(int flags) {
  if (done_) return 0;
  if (error_ != 0) return -take_error();
  if ((shutdown_ & no_receive) != 0) return 0;
  if (state_ == State::closed) return -ENOTCONN;
  return would_wait_with(flags);
}

long Tcp::receive_urgent(const Buffers& to, int flags, int* said) {
  if (options.urgent_inline || urgent_ == Urgent::none || urgent_ == Urgent::taken) return -EINVAL;
  if (state_ == State::closed && !done_) return -ENOTCONN;
  if (urgent_ == Urgent::announced) return (shutdown_ & no_receive) != 0 ? 0 : -EAGAIN;
  if ((flags & MSG_PEEK) == 0) urgent_ = Urgent::taken;
  *said |= MSG_OOB;
  if (to.total() == 0) {
    *said |= MSG_TRUNC;
    return 0;
  }
  to.copy_in(0, &urgent_byte_, 1);
  return 1;
}

size_t Tcp::readable() const {
  if (urgent_ == Urgent::none || options.urgent_inline || urgent_at_ < position_) return arrived_;
  return std::min<uint64_t>(arrived_, urgent_at_ - position_);
}

// A FIN counts for one. What a reset leaves behind stays.
int Tcp::unacknowledged() const {
  if (state_ == State::closed) return left_;
  const size_t unsent = peer_ == nullptr ? 0 : peer_->queue_.size() - peer_->arrived_;
  return static_cast<int>(unsent) + (fin_sent_ && !fin_acknowledged_ && unsent > 0 ? 1 : 0);
}

long Tcp::ioctl(unsigned long request, int* value) {
  switch (request) {
    case FIONREAD:
    case SIOCOUTQ:
      if (state_ == State::listening) return -EINVAL;
      if (request == SIOCOUTQ) {
        *value = unacknowledged();
      } else {
        *value = state_ == State::connecting ? 0 : static_cast<int>(readable());
      }
      return 0;
    case SIOCATMARK: *value = is_urgent_at(position_) ? 1 : 0; return 0;
    default: return unsimulated;
  }
}

}  // namespace kernel
