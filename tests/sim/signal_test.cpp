// Signals: delivered by the World, by uv_kill to oneself, and, on request, by the real thing.
#include <unistd.h>

#include <csignal>

#include "scenario.hpp"

namespace uvsim::test {
namespace {

class Signals : public Scenario {};

uv_loop_t loop;
uv_signal_t a;
uv_signal_t b;

void init_signals() {
  uv_loop_init(&loop);
  uv_signal_init(&loop, &a);
  uv_signal_init(&loop, &b);
  call(a, "a");
  call(b, "b");
}

void on_signal(uv_signal_t* s, int signum) {
  say(name(s) + ":" + std::to_string(signum) + (uv_is_active(handle(s)) != 0 ? "" : "!"));
}

TEST_F(Signals, start_answers_as_libuv_does) {
  run([] {
    init_signals();
    say(code(uv_signal_start(&a, on_signal, 0)));
    say(code(uv_signal_start(&a, on_signal, -1)));
    say(code(uv_signal_start(&a, on_signal, SIGKILL)));
    say(code(uv_signal_start(&a, on_signal, SIGSTOP)));
    say(code(uv_signal_start(&a, on_signal, 32)));
    say(code(uv_signal_start(&a, on_signal, 33)));
    say(code(uv_signal_start(&a, on_signal, 1000)));
    say(code(uv_signal_start(&a, on_signal, SIGINT)));
    say(code(uv_signal_start(&a, on_signal, SIGINT)));
    say(code(uv_signal_start(&a, on_signal, SIGTERM)));
    say(code(uv_signal_stop(&a)));
    say(code(uv_signal_stop(&a)));
    uv_close(handle(&a), nullptr);
    say(code(uv_signal_start(&a, on_signal, SIGINT)));
    say(code(uv_signal_stop(&a)));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "EINVAL EINVAL EINVAL EINVAL EINVAL EINVAL EINVAL 0 0 0 0 0 EINVAL 0");
}

TEST_F(Signals, reach_everybody_who_waits_and_one_shots_once) {
  run([] {
    init_signals();
    uv_signal_start_oneshot(&a, on_signal, SIGUSR1);
    uv_signal_start(&b, on_signal, SIGUSR1);
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(uv_kill(getpid(), SIGUSR1), 0);
      uv_run(&loop, UV_RUN_NOWAIT);
    }
    EXPECT_EQ(uv_is_active(handle(&a)), 0);
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "b:10 a:10 b:10");
}

TEST_F(Signals, are_dropped_when_the_handle_stops_before_they_are_looked_at) {
  run([] {
    init_signals();
    uv_signal_start(&a, on_signal, SIGUSR1);
    uv_signal_start(&b, on_signal, SIGUSR2);
    uv_kill(0, SIGUSR1);
    uv_kill(0, SIGUSR2);
    uv_signal_stop(&a);
    uv_signal_start(&b, on_signal, SIGTERM);
    uv_run(&loop, UV_RUN_NOWAIT);
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "");
}

TEST_F(Signals, that_were_caught_hold_the_close_callback_back) {
  run([] {
    init_signals();
    uv_signal_start(&a, on_signal, SIGUSR1);
    static uv_idle_t idle;
    uv_idle_init(&loop, &idle);
    uv_check_t check;
    uv_check_init(&loop, &check);
    uv_check_start(&check, [](uv_check_t*) {
      static bool once;
      if (once) return;
      once = true;
      uv_kill(0, SIGUSR1);
      uv_close(handle(&a), on_close);
    });
    uv_run(&loop, UV_RUN_NOWAIT);
    say("turn");
    uv_run(&loop, UV_RUN_NOWAIT);
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "turn a:closed");
}

TEST_F(Signals, are_reported_after_all_other_events) {
  run([] {
    init_signals();
    static uv_async_t async;
    uv_async_init(&loop, &async, [](uv_async_t*) { say("async"); });
    uv_signal_start(&a, on_signal, SIGUSR1);
    uv_kill(0, SIGUSR1);
    uv_async_send(&async);
    uv_run(&loop, UV_RUN_NOWAIT);
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "async a:10");
}

TEST_F(Signals, kill_knows_this_process_only) {
  run([] {
    init_signals();
    say(code(uv_kill(getpid(), 0)));
    say(code(uv_kill(1, SIGTERM)));
    say(code(uv_kill(0, -1)));
    say(code(uv_kill(0, 1000)));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "0 ESRCH EINVAL EINVAL");
}

TEST_F(Signals, that_nobody_waits_for_meet_the_process) {
  EXPECT_EQ(complaint([] { return uv_kill(0, SIGUSR1); }),
            "the program is sent signal 10, for which no handle waits: it would die here");
  std::signal(SIGUSR1, SIG_IGN);
  EXPECT_EQ(run([] { return uv_kill(0, SIGUSR1); }).result, 0);
  static int heard;
  std::signal(SIGUSR1, [](int) { ++heard; });
  EXPECT_EQ(run([] { return uv_kill(0, SIGUSR1); }).result, 0);
  EXPECT_EQ(heard, 1);
  std::signal(SIGUSR1, SIG_DFL);
  EXPECT_EQ(run([] { return uv_kill(0, SIGCHLD); }).result, 0);
}

TEST_F(Signals, may_be_refused) {
  Only init_fault(ChoicePoint::call_signal_init, 1);
  run(init_fault, [] {
    uv_loop_init(&loop);
    say(code(uv_signal_init(&loop, &a)));
    return uv_loop_close(&loop);
  });
  Only start_fault(ChoicePoint::call_signal_start, 1);
  run(start_fault, [] {
    init_signals();
    say(code(uv_signal_start(&a, on_signal, SIGINT)));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "EMFILE EINVAL");
}

TEST_F(Signals, of_the_real_kind_are_caught_where_one_asks_for_it) {
  options().real_signals = true;
  run([] {
    init_signals();
    uv_signal_start(&a, on_signal, SIGUSR1);
    uv_signal_start(&b, on_signal, SIGUSR1);
    std::raise(SIGUSR1);
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_signal_stop(&b);
    std::raise(SIGUSR1);
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_signal_stop(&a);
    uv_signal_start(&a, on_signal, SIGUSR2);
    return 0;
  });
  EXPECT_EQ(log(), "a:10 b:10 a:10");
  struct sigaction now;
  for (const int signum : {SIGUSR1, SIGUSR2}) {
    sigaction(signum, nullptr, &now);
    EXPECT_EQ(now.sa_handler, SIG_DFL);
  }
}

}  // namespace
}  // namespace uvsim::test
