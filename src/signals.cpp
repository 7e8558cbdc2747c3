#include "signals.hpp"

#include <pthread.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>

namespace echoproof {
namespace {

constexpr std::array heard{SIGTERM, SIGINT, SIGHUP, SIGUSR1};

std::atomic<Program*> listener = nullptr;
std::atomic<unsigned> handlers = 0;  // that are running

sigset_t heard_set() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : heard) sigaddset(&set, signal);
  return set;
}

void on_signal(int signal) {
  const int error = errno;
  ++handlers;
  if (Program* const program = listener; program != nullptr) program->hear(signal);
  --handlers;
  errno = error;
}

// Outside sigsuspend() this thread, too, blocks the signals. So it makes progress after each one.
void absorb() {
  sigset_t all_others;
  sigfillset(&all_others);
  for (const int signal : heard) sigdelset(&all_others, signal);
  // sigsuspend() is thread-safe by POSIX.
  while (listener != nullptr) sigsuspend(&all_others);  // NOLINT(concurrency-mt-unsafe)
}

}  // namespace

void Signals::block() noexcept {
  const sigset_t set = heard_set();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

// Replaces what was inherited, with one exception: an ignored SIGHUP stays ignored, as nohup(1)
// asks.
Signals::Signals(Program& program) {
  struct sigaction action{};
  action.sa_handler = on_signal;
  action.sa_mask = heard_set();
  action.sa_flags = SA_RESTART;
  for (const int signal : heard) {
    struct sigaction inherited{};
    sigaction(signal, nullptr, &inherited);
    if (signal == SIGHUP && inherited.sa_handler == SIG_IGN) continue;
    sigaction(signal, &action, nullptr);
  }
  listener = &program;
  absorber_ = std::thread(absorb);
}

// A last signal, to the absorber alone, ends its wait; if it is not waiting yet, the signal stays
// pending. Then handlers that still use the program have to end: in a process with other threads
// they can run in any thread.
Signals::~Signals() {
  // A request for a report that the absorber has not come to yet.
  sigset_t pending;
  sigemptyset(&pending);
  sigpending(&pending);
  if (sigismember(&pending, SIGUSR1) == 1) listener.load()->hear(SIGUSR1);
  listener = nullptr;
  pthread_kill(absorber_.native_handle(), SIGUSR1);
  absorber_.join();
  while (handlers > 0) std::this_thread::yield();
}

}  // namespace echoproof
