// Both are read as a number of eight bytes.
#include "counters.hpp"

#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <cerrno>

namespace kernel {

namespace {

constexpr uint64_t second = 1'000'000'000;
constexpr uint64_t most = ~uint64_t{0} - 1;  // of an eventfd

long give_number(uint64_t number, const Buffers& to) {
  to.copy_in(0, reinterpret_cast<const char*>(&number), sizeof number);
  return sizeof number;
}

bool is_time(const timespec& time) {
  return time.tv_sec >= 0 && time.tv_nsec >= 0 && time.tv_nsec < static_cast<long>(second);
}

uint64_t from_timespec(const timespec& time) {
  return static_cast<uint64_t>(time.tv_sec) * second + static_cast<uint64_t>(time.tv_nsec);
}

}  // namespace

timespec to_timespec(uint64_t ns) {
  return {static_cast<time_t>(ns / second), static_cast<long>(ns % second)};
}

long read_clock(const Machine& machine, clockid_t clock, uint64_t* ns) {
  switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE: *ns = machine.now() + machine.options.epoch_ns; return 0;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME: *ns = machine.now(); return 0;
    default: return -EINVAL;
  }
}

// ---- eventfd -----------------------------------------------------------------------------------

uint32_t EventFd::ready() {
  return (value_ > 0 ? uint32_t{EPOLLIN} : 0) | (value_ < most ? uint32_t{EPOLLOUT} : 0);
}

long EventFd::read(const Buffers& to) {
  if (to.total() < sizeof value_) return -EINVAL;
  if (value_ == 0) return would_wait();
  const uint64_t number = semaphore_ ? 1 : value_;
  value_ -= number;
  wake(EPOLLOUT);
  return give_number(number, to);
}

long EventFd::write(const Buffers& from) {
  uint64_t number = 0;
  if (from.total() != sizeof number) return -EINVAL;
  from.copy_out(0, reinterpret_cast<char*>(&number), sizeof number);
  if (number > most) return -EINVAL;
  if (number > most - value_) return would_wait();
  value_ += number;
  wake(EPOLLIN);
  return sizeof number;
}

// ---- timerfd -----------------------------------------------------------------------------------

uint32_t TimerFd::ready() { return expired_ > 0 ? uint32_t{EPOLLIN} : 0; }

long TimerFd::read(const Buffers& to) {
  if (to.total() < sizeof expired_) return -EINVAL;
  if (expired_ == 0) return would_wait();
  const uint64_t times = expired_;
  expired_ = 0;
  return give_number(times, to);
}

void TimerFd::on_deadline() {
  ++expired_;
  if (interval_ != 0) {
    // All that lies between this instant and the next is one step.
    machine().arm(*this, machine().now() + interval_);
  }
  wake(EPOLLIN);
}

long TimerFd::set(int flags, const itimerspec& value) {
  if ((flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) != 0) return -EINVAL;
  if (!is_time(value.it_value) || !is_time(value.it_interval)) return -EINVAL;
  machine().disarm(*this);
  expired_ = 0;
  interval_ = from_timespec(value.it_interval);
  uint64_t at = from_timespec(value.it_value);
  if (at == 0) return 0;
  if ((flags & TFD_TIMER_ABSTIME) == 0) {
    at += machine().now();
  } else if (clock_ == CLOCK_REALTIME) {
    at = at > machine().options.epoch_ns ? at - machine().options.epoch_ns : 1;
  }
  machine().arm(*this, at);
  machine().advance(0);  // it may be over already
  return 0;
}

itimerspec TimerFd::value() const {
  itimerspec value{};
  value.it_interval = to_timespec(interval_);
  if (deadline != never) value.it_value = to_timespec(deadline - machine().now());
  return value;
}

}  // namespace kernel
