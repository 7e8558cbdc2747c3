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
std::atomic<unsigned> handlers = 0;  // that run right now

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

// The signals are blocked but for sigsuspend(): after each one this thread goes on, however many
// more there are.
void absorb() {
  sigset_t all_others;
  sigfillset(&all_others);
  for (const int signal : heard) sigdelset(&all_others, signal);
  // It is thread-safe; POSIX says so.
  while (listener != nullptr) sigsuspend(&all_others);  // NOLINT(concurrency-mt-unsafe)
}

}  // namespace

void Signals::block() noexcept {
  const sigset_t set = heard_set();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

// Whatever was inherited is put right, with one exception: who ignores SIGHUP was started by nohup.
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

// The absorber may be about to wait: the last signal, for it alone, then waits for it. A handler
// that runs has the program still; within a host, whose threads are not ours, it may be anywhere.
Signals::~Signals() {
  listener = nullptr;
  pthread_kill(absorber_.native_handle(), SIGUSR1);
  absorber_.join();
  while (handlers > 0) std::this_thread::yield();
}

}  // namespace echoproof
