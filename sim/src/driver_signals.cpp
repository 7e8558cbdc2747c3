// Signals that the driver of the runs listens to. An engine like libFuzzer measures a run by
// SIGALRM and ends the process from handlers of others. Such a handler interrupts the program under
// test; it is no part of it. It reads the system's clock, allocates outside the ledger, and ends
// the process.
#include <csignal>

#include "internal.hpp"

namespace uvsim {
namespace {

constexpr int signals[] = {SIGINT, SIGTERM, SIGALRM, SIGSEGV, SIGBUS, SIGILL,
                           SIGFPE, SIGABRT, SIGUSR1, SIGUSR2, SIGXFSZ};
struct sigaction handlers[NSIG];  // the driver's own, of those in `signals`

void leave_the_program(int signum, siginfo_t* info, void* interrupted) {
  const ledger::Outside outside;
  const struct sigaction& its = handlers[signum];
  if ((its.sa_flags & SA_SIGINFO) != 0)
    its.sa_sigaction(signum, info, interrupted);
  else
    its.sa_handler(signum);
}

}  // namespace

void give_the_driver_its_signals() {
  static bool given = false;
  if (given) return;
  given = true;
  for (const int signum : signals) {
    struct sigaction action;
    if (sigaction(signum, nullptr, &action) != 0) continue;
    const bool has_handler = action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
    if (!has_handler) continue;
    handlers[signum] = action;
    action.sa_flags |= SA_SIGINFO;
    action.sa_sigaction = leave_the_program;
    sigaction(signum, &action, nullptr);
  }
}

}  // namespace uvsim
