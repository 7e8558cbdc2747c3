// eventfd and timerfd: descriptors that count.
#ifndef KERNEL_COUNTERS_HPP
#define KERNEL_COUNTERS_HPP

#include <ctime>

#include "file.hpp"
#include "machine.hpp"

namespace kernel {

class EventFd final : public File {
 public:
  EventFd(Machine& machine, uint64_t value, bool semaphore)
      : File(machine), value_(value), semaphore_(semaphore) {}

  uint32_t ready() override;
  long read(const Buffers& to) override;
  long write(const Buffers& from) override;

 private:
  uint64_t value_;
  bool semaphore_;
};

class TimerFd final : public File, public Timed {
 public:
  TimerFd(Machine& machine, clockid_t clock) : File(machine), clock_(clock) {}
  ~TimerFd() override { machine().disarm(*this); }

  TimerFd* as_timer() override { return this; }
  bool can_write() const override { return false; }

  uint32_t ready() override;
  long read(const Buffers& to) override;
  void on_deadline() override;
  long set(int flags, const itimerspec& value);
  itimerspec value() const;

 private:
  clockid_t clock_;
  uint64_t interval_ = 0;  // ns
  uint64_t expired_ = 0;   // times, since the last read
};

// The clocks of clock_gettime: 0, or -EINVAL for one that is not known.
long read_clock(const Machine& machine, clockid_t clock, uint64_t* ns);
timespec to_timespec(uint64_t ns);

}  // namespace kernel

#endif
