// Signals: handles that wait for one, delivered by the World, by uv_kill to oneself, or, in a plain
// program, by the real thing. A signal is caught at once and reported in the poll phase, after all
// other events.
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "internal.hpp"

namespace uvsim {
namespace {

constexpr int signal_count = 65;

// Real signals that a plain program's handles have asked for, in the order in which they came. A
// handler may touch nothing else.
constexpr sig_atomic_t ring_size = 256;
volatile sig_atomic_t g_ring[ring_size];
volatile sig_atomic_t g_caught;  // how many, of which
volatile sig_atomic_t g_taken;   // so many were delivered
struct sigaction g_before[signal_count];
bool g_installed[signal_count];

void catch_signal(int signum) {
  // More than the ring holds are dropped, as they are when the pipe is full.
  if (g_caught - g_taken == ring_size) return;
  g_ring[g_caught % ring_size] = signum;
  g_caught = g_caught + 1;
}

void install(int signum) {
  if (g_installed[signum]) return;
  struct sigaction action = {};
  action.sa_handler = catch_signal;
  sigfillset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  g_installed[signum] = sigaction(signum, &action, &g_before[signum]) == 0;
}

void uninstall(int signum) {
  if (!g_installed[signum]) return;
  sigaction(signum, &g_before[signum], nullptr);
  g_installed[signum] = false;
}

bool anybody_waits(const Context& context, int signum) {
  for (const uv_signal_t* const other : context.signals)
    if (other->signum == signum) return true;
  return false;
}

void stop(Context& context, uv_signal_t* handle) {
  if (handle->signum == 0) return;
  const int signum = handle->signum;
  std::vector<uv_signal_t*>& started = context.signals;
  started.erase(std::find(started.begin(), started.end(), handle));
  handle->signum = 0;
  if (context.options.real_signals && !anybody_waits(context, signum)) uninstall(signum);
  handle_stop(base(handle));
}

bool can_be_caught(int signum) {
  return signum > 0 && signum < signal_count && signum != SIGKILL && signum != SIGSTOP &&
         signum != 32 && signum != 33;  // those two belong to the C library
}

bool is_deadly(int signum) {
  return signum != SIGCHLD && signum != SIGURG && signum != SIGWINCH && signum != SIGCONT;
}

int start(What what, uv_signal_t* handle, uv_signal_cb callback, int signum, bool one_shot) {
  Call call(what, signum);
  Context& context = call.context;
  HandleRecord& record = call.live(handle, UV_SIGNAL);
  if (is_closing(record.handle) || signum == 0) return call.result(UV_EINVAL);
  if (handle->signum == signum) {
    handle->signal_cb = callback;
    return call.result(0);
  }
  stop(context, handle);
  if (!can_be_caught(signum)) return call.result(UV_EINVAL);
  if (context.fault(1, 2, ChoicePoint::call_signal_start) == 1) return call.result(UV_EINVAL);
  if (context.options.real_signals) install(signum);
  handle->signum = signum;
  handle->signal_cb = callback;
  if (one_shot)
    handle->flags |= flag_one_shot;
  else
    handle->flags &= ~unsigned{flag_one_shot};
  context.signals.push_back(handle);
  handle_start(record.handle);
  return call.result(0);
}

}  // namespace

bool deliver_signal(Context& context, int signum) {
  bool heard = false;
  // Permanent handles come before one-shot handles.
  for (const bool one_shot : {false, true}) {
    for (uv_signal_t* const handle : context.signals) {
      if (handle->signum != signum) continue;
      if (((handle->flags & flag_one_shot) != 0) != one_shot) continue;
      LoopState& state = loop_state(context, handle->loop);
      state.signal_pipe.push_back({handle, signum});
      ++handle->caught_signals;
      make_ready(state.signal_watch);
      heard = true;
    }
  }
  return heard;
}

void raise_signal(Context& context, int signum) {
  context.event(What::raise, Subject{}, signum);
  if (deliver_signal(context, signum)) return;
  die_of(context, signum);
  std::raise(signum);
}

void die_of(Context& context, int signum) {
  if (!context.can_leave || !is_deadly(signum) || !is_left_to_the_system(signum)) return;
  context.report.aborted = true;
  context.report.died_of = signum;
  violate(context, "", Subject{},
          "the program is sent signal %d, for which no handle waits: it would die here", signum);
}

void take_real_signals(Context& context) {
  while (g_taken != g_caught) {
    const int signum = g_ring[g_taken % ring_size];
    g_taken = g_taken + 1;
    deliver_signal(context, signum);
  }
}

void run_signals(Context& context, LoopState& state) {
  // What arrives meanwhile waits for the next turn, as it does behind the pipe.
  const size_t count = state.signal_pipe.size();
  for (size_t i = 0; i < count; ++i) {
    uv_signal_t* const handle = state.signal_pipe[i].handle;
    const int signum = state.signal_pipe[i].signum;
    // Stopped since it was caught, or waiting for another signal by now.
    if (handle->signum == signum)
      call_back(context, What::signal_cb, record_of(context, handle).subject(), handle, signum,
                handle->signal_cb, handle, signum);
    ++handle->dispatched_signals;
    if ((handle->flags & flag_one_shot) != 0) stop(context, handle);
  }
  state.signal_pipe.erase(state.signal_pipe.begin(),
                          state.signal_pipe.begin() + static_cast<std::ptrdiff_t>(count));
}

void signal_close(Context& context, uv_signal_t* handle) { stop(context, handle); }

bool signal_is_trapped(const uv_signal_t* handle) {
  return handle->caught_signals != handle->dispatched_signals;
}

void restore_real_signals() noexcept {
  for (int signum = 1; signum < signal_count; ++signum) uninstall(signum);
}

}  // namespace uvsim

using namespace uvsim;

int uv_signal_init(uv_loop_t* loop, uv_signal_t* handle) {
  Call call(What::uv_signal_init);
  if (call.context.fault(1, 2, ChoicePoint::call_signal_init) == 1) return call.result(UV_EMFILE);
  handle_init(call, loop, base(handle), UV_SIGNAL);
  handle->signum = 0;
  handle->signal_cb = nullptr;
  handle->caught_signals = 0;
  handle->dispatched_signals = 0;
  return call.result(0);
}

int uv_signal_start(uv_signal_t* handle, uv_signal_cb signal_cb, int signum) {
  return start(What::uv_signal_start, handle, signal_cb, signum, false);
}

int uv_signal_start_oneshot(uv_signal_t* handle, uv_signal_cb signal_cb, int signum) {
  return start(What::uv_signal_start, handle, signal_cb, signum, true);
}

int uv_signal_stop(uv_signal_t* handle) {
  Call call(What::uv_signal_stop);
  HandleRecord& record = call.live(handle, UV_SIGNAL);
  if (!is_closing(record.handle)) stop(call.context, handle);
  return call.result(0);
}

int uv_kill(int pid, int signum) {
  Call call(What::uv_kill, signum);
  if (pid != 0 && pid != getpid()) return call.result(UV_ESRCH);
  if (signum < 0 || signum >= signal_count) return call.result(UV_EINVAL);
  if (signum == 0 || deliver_signal(call.context, signum)) return call.result(0);
  die_of(call.context, signum);
  std::raise(signum);
  return call.result(0);
}
