// Signals that the driver of the runs listens to, and what the program under test does with
// signals.
//
// An engine like libFuzzer measures a run by SIGALRM and ends the process from handlers of others.
// Such a handler interrupts the program under test; it is no part of it. It reads the system's
// clock, allocates outside the ledger, and ends the process. The program does not see it: as it
// knows the signal, no handler was ever set.
//
// What the program itself says of a signal holds until the end of its run. It is noted here, by
// definitions of sigaction and signal that come before the C library's.
#include <cerrno>
#include <csignal>

#include "internal.hpp"

extern "C" {
int __interceptor_sigaction(int, const struct sigaction*, struct sigaction*) __attribute__((weak));
int __sigaction(int, const struct sigaction*, struct sigaction*);  // glibc's own name
}

namespace uvsim {

int real::set_action(int signum, const struct sigaction* action,
                     struct sigaction* before) noexcept {
  if (__interceptor_sigaction != nullptr) return __interceptor_sigaction(signum, action, before);
  return __sigaction(signum, action, before);
}

namespace {

constexpr int signals[] = {SIGINT, SIGTERM, SIGALRM, SIGSEGV, SIGBUS, SIGILL,
                           SIGFPE, SIGABRT, SIGUSR1, SIGUSR2, SIGXFSZ};
struct sigaction handlers[NSIG];  // the driver's own, of those in `signals`

struct Before {
  bool changed;
  struct sigaction action;
};
Before before_the_run[NSIG];  // of those that the program has changed
bool any_changed = false;

void leave_the_program(int signum, siginfo_t* info, void* interrupted) {
  const ledger::Outside outside;
  const int before = errno;
  const struct sigaction& its = handlers[signum];
  if ((its.sa_flags & SA_SIGINFO) != 0)
    its.sa_sigaction(signum, info, interrupted);
  else
    its.sa_handler(signum);
  errno = before;
}

bool has_handler(const struct sigaction& action) {
  return action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
}

bool is_drivers(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == leave_the_program;
}

void note_change(int signum, const struct sigaction& old) {
  if (before_the_run[signum].changed) return;
  before_the_run[signum] = {true, old};
  any_changed = true;
}

}  // namespace

void give_the_driver_its_signals() {
  static bool given = false;
  if (given) return;
  given = true;
  for (const int signum : signals) {
    struct sigaction action;
    if (real::set_action(signum, nullptr, &action) != 0 || !has_handler(action)) continue;
    handlers[signum] = action;
    action.sa_flags |= SA_SIGINFO;
    action.sa_sigaction = leave_the_program;
    real::set_action(signum, &action, nullptr);
  }
}

bool is_left_to_the_system(int signum) {
  struct sigaction now;
  // The C library's own two cannot be asked about.
  if (real::set_action(signum, nullptr, &now) != 0) return true;
  return now.sa_handler == SIG_DFL || is_drivers(now);
}

void take_back_signals() {
  if (!any_changed) return;
  any_changed = false;
  for (int signum = 1; signum < NSIG; ++signum) {
    Before& before = before_the_run[signum];
    if (before.changed) real::set_action(signum, &before.action, nullptr);
    before.changed = false;
  }
}

}  // namespace uvsim

using namespace uvsim;  // NOLINT(google-build-using-namespace): the C library's functions follow.

extern "C" {

int sigaction(int signum, const struct sigaction* action, struct sigaction* old) noexcept {
  if (run_to_leave() == nullptr) return real::set_action(signum, action, old);
  struct sigaction before = {};
  if (real::set_action(signum, action, &before) != 0) return -1;
  if (action != nullptr) note_change(signum, before);
  if (is_drivers(before)) before = {};
  if (old != nullptr) *old = before;
  return 0;
}

static sighandler_t set_handler(int signum, sighandler_t handler, int flags) noexcept {
  struct sigaction action = {};
  struct sigaction old = {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  if ((flags & SA_NODEFER) == 0) sigaddset(&action.sa_mask, signum);
  return sigaction(signum, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}

sighandler_t signal(int signum, sighandler_t handler) noexcept {
  return set_handler(signum, handler, SA_RESTART);
}

// What signal() is where a program is compiled for strict C.
sighandler_t __sysv_signal(int signum, sighandler_t handler) noexcept {
  return set_handler(signum, handler, static_cast<int>(SA_RESETHAND | SA_NODEFER));
}

}  // extern "C"
