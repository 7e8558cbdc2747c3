// The C library's clocks, sleeps and signals to the own process. The simulation answers them for
// the program under test on a thread of the simulation. The system answers all other calls.
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>

#include "internal.hpp"
#include "scheduler.hpp"

namespace uvsim {

namespace real {

unsigned alarm(unsigned seconds) noexcept {
  return static_cast<unsigned>(syscall(SYS_alarm, seconds));
}

void sleep(uint64_t ns) noexcept {
  timespec wish{static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
  while (syscall(SYS_nanosleep, &wish, &wish) != 0 && errno == EINTR) {
  }
}

}  // namespace real

namespace {

constexpr uint64_t second_ns = 1'000'000'000;

void sleep_through(uint64_t ns) {
  Call call(What::sleep, static_cast<int64_t>(ns / 1'000'000));
  sleep_for(call.context, ns);
}

bool is_span(const timespec* span) {
  return span != nullptr && span->tv_sec >= 0 && span->tv_nsec >= 0 &&
         span->tv_nsec < static_cast<long>(second_ns);
}

uint64_t ns_of(const timespec& span) {
  return static_cast<uint64_t>(span.tv_sec) * second_ns + static_cast<uint64_t>(span.tv_nsec);
}

// Nothing where the clock is none of those that move with virtual time.
std::optional<uint64_t> virtual_clock(clockid_t clock) {
  switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE: return epoch_ns + look_at_clock(look());
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME: return look_at_clock(look());
    default: return std::nullopt;
  }
}

// Positive errno, as clock_nanosleep has it.
int sleep_on(clockid_t clock, int flags, const timespec* wish) {
  if (!is_span(wish)) return EINVAL;
  uint64_t ns = ns_of(*wish);
  if ((flags & TIMER_ABSTIME) != 0) {
    const std::optional<uint64_t> now = virtual_clock(clock);
    if (!now) return EINVAL;
    ns = ns > *now ? ns - *now : 0;
  }
  sleep_through(ns);
  return 0;
}

// A signal to oneself: whether a handle waits for it. If nobody does, the program may die of it.
bool is_heard(int signum) {
  const ledger::Outside outside;
  if (signum == 0) return true;
  if (deliver_signal(current(), signum)) return true;
  die_of(current(), signum);
  return false;
}

}  // namespace
}  // namespace uvsim

using namespace uvsim;  // NOLINT(google-build-using-namespace): the C library's functions follow.

extern "C" {

unsigned sleep(unsigned seconds) {
  if (is_program())
    sleep_through(uint64_t{seconds} * second_ns);
  else
    real::sleep(uint64_t{seconds} * second_ns);
  return 0;
}

int usleep(useconds_t microseconds) {
  if (is_program())
    sleep_through(uint64_t{microseconds} * 1000);
  else
    real::sleep(uint64_t{microseconds} * 1000);
  return 0;
}

int nanosleep(const timespec* wish, timespec* rest) {
  if (!is_program()) return static_cast<int>(syscall(SYS_nanosleep, wish, rest));
  const int error = sleep_on(CLOCK_MONOTONIC, 0, wish);
  if (error != 0) errno = error;
  return error == 0 ? 0 : -1;
}

int clock_nanosleep(clockid_t clock, int flags, const timespec* wish, timespec* rest) {
  if (is_program()) return sleep_on(clock, flags, wish);
  const int before = errno;
  const long result = syscall(SYS_clock_nanosleep, clock, flags, wish, rest);
  const int error = result == 0 ? 0 : errno;
  errno = before;
  return error;
}

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  if (is_program()) {
    if (const std::optional<uint64_t> ns = virtual_clock(clock)) {
      now->tv_sec = static_cast<time_t>(*ns / second_ns);
      now->tv_nsec = static_cast<long>(*ns % second_ns);
      return 0;
    }
  }
  return static_cast<int>(syscall(SYS_clock_gettime, clock, now));
}

int gettimeofday(timeval* now, void* zone) noexcept {
  if (!is_program()) return static_cast<int>(syscall(SYS_gettimeofday, now, zone));
  const uint64_t ns = epoch_ns + look_at_clock(look());
  now->tv_sec = static_cast<time_t>(ns / second_ns);
  now->tv_usec = static_cast<suseconds_t>(ns % second_ns / 1000);
  return 0;
}

time_t time(time_t* now) noexcept {
  timespec clock{};
  clock_gettime(CLOCK_REALTIME, &clock);
  if (now != nullptr) *now = clock.tv_sec;
  return clock.tv_sec;
}

int raise(int signum) noexcept {
  if (is_program() && is_heard(signum)) return 0;
  return static_cast<int>(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signum));
}

int kill(pid_t pid, int signum) noexcept {
  if (is_program() && pid == getpid() && is_heard(signum)) return 0;
  return static_cast<int>(syscall(SYS_kill, pid, signum));
}

unsigned alarm(unsigned seconds) noexcept {
  if (!is_program()) return real::alarm(seconds);
  Context& context = look();
  const uint64_t left =
      context.alarm_ns == Wait::forever ? 0 : context.alarm_ns - context.now_ns + second_ns - 1;
  context.alarm_ns = seconds == 0 ? Wait::forever : context.now_ns + uint64_t{seconds} * second_ns;
  return static_cast<unsigned>(left / second_ns);
}

}  // extern "C"
