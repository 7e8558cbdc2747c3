// Scenarios of timers, async handles and signals.
#include <csignal>

#include "arm.hpp"
#include "fixture.hpp"

using namespace conformance;

// ----------------------------------------------------------------------------------------- timers

SCENARIO(timers_fire_in_the_order_of_their_deadlines, "-", R"(
  late.start(6) = 0
  early.start(1) = 0
  middle.start(3) = 0
  > early fires
  > middle fires
  > late fires
  run(default) = 0
)") {
  Timer& late = fixture.timer("late");
  Timer& early = fixture.timer("early");
  Timer& middle = fixture.timer("middle");
  late.start(6);
  early.start(1);
  middle.start(3);
  fixture.run();
}

SCENARIO(timers_of_one_deadline_fire_in_the_order_of_their_starts, "-", R"(
  c.start(2) = 0
  a.start(2) = 0
  b.start(2) = 0
  a.start(2) = 0
  > c fires
  > b fires
  > a fires
  run(default) = 0
)") {
  Timer& a = fixture.timer("a");
  Timer& b = fixture.timer("b");
  Timer& c = fixture.timer("c");
  c.start(2);
  a.start(2);
  b.start(2);
  a.start(2);
  fixture.run();
}

SCENARIO(a_hundred_timers_keep_their_order, "-", R"(
  > 0 fires
  > 10 fires
  > 20 fires
  > 30 fires
  > 40 fires
  > 50 fires
  > 60 fires
  > 70 fires
  > 80 fires
  > 90 fires
  > 3 fires
  > 13 fires
  > 23 fires
  > 33 fires
  > 43 fires
  > 53 fires
  > 63 fires
  > 73 fires
  > 83 fires
  > 93 fires
  > 6 fires
  > 16 fires
  > 26 fires
  > 36 fires
  > 46 fires
  > 56 fires
  > 66 fires
  > 76 fires
  > 86 fires
  > 96 fires
  > 9 fires
  > 19 fires
  > 29 fires
  > 39 fires
  > 49 fires
  > 59 fires
  > 69 fires
  > 79 fires
  > 89 fires
  > 99 fires
  > 2 fires
  > 12 fires
  > 22 fires
  > 32 fires
  > 42 fires
  > 52 fires
  > 62 fires
  > 72 fires
  > 82 fires
  > 92 fires
  > 5 fires
  > 15 fires
  > 25 fires
  > 35 fires
  > 45 fires
  > 55 fires
  > 65 fires
  > 75 fires
  > 85 fires
  > 95 fires
  > 8 fires
  > 18 fires
  > 28 fires
  > 38 fires
  > 48 fires
  > 58 fires
  > 68 fires
  > 78 fires
  > 88 fires
  > 98 fires
  > 1 fires
  > 11 fires
  > 21 fires
  > 31 fires
  > 41 fires
  > 51 fires
  > 61 fires
  > 71 fires
  > 81 fires
  > 91 fires
  > 4 fires
  > 14 fires
  > 24 fires
  > 34 fires
  > 44 fires
  > 54 fires
  > 64 fires
  > 74 fires
  > 84 fires
  > 94 fires
  > 7 fires
  > 17 fires
  > 27 fires
  > 37 fires
  > 47 fires
  > 57 fires
  > 67 fires
  > 77 fires
  > 87 fires
  > 97 fires
  run(default) = 0
)") {
  uv_update_time(fixture.loop());
  for (int i = 0; i < 100; i++) {
    Timer& timer = fixture.timer(std::to_string(i));
    const Muted muted(fixture);
    timer.start(static_cast<std::uint64_t>(i * 37 % 10));
  }
  fixture.run();
}

SCENARIO(a_timer_of_zero_fires_in_the_next_turn, "-", R"(
  timer.start(0) = 0
  timer: active=1 closing=0 ref=1
  nothing has fired yet
  > timer fires
  run(nowait) = 0
  timer: active=0 closing=0 ref=1
)") {
  Timer& timer = fixture.timer("timer");
  timer.start(0);
  timer.trace_state();
  fixture.log("nothing has fired yet");
  fixture.run(UV_RUN_NOWAIT);
  timer.trace_state();
}

SCENARIO(a_timer_of_zero_that_restarts_itself, "-", R"(
  timer.start(0) = 0
  prepare.start = 0
  [1.45+] > prepare runs
  > timer fires
  timer.start(0) = 0
  [1.45+] run(nowait) = 1
  [1.45+] > prepare runs
  > timer fires
  timer.start(0) = 0
  [1.44] > timer fires
  [1.44] timer.start(0) = 0
  [1.44] > timer fires
  [1.44] > prepare runs
  run(nowait) = 1
  [1.44] > prepare runs
  [1.44] run(nowait) = 1
)") {
  Timer& timer = fixture.timer("timer");
  Prepare& prepare = fixture.prepare("prepare");
  int count = 0;
  timer.on_timer = [&] {
    if (++count < 4) timer.start(0);
  };
  timer.start(0);
  prepare.start();
  fixture.run(UV_RUN_NOWAIT);
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(a_timer_started_by_a_timer_for_the_same_moment, "-", R"(
  first.start(0) = 0
  prepare.start = 0
  [1.45+] > prepare runs
  > first fires
  second.start(0) = 0
  [1.44] > second fires
  [1.44] > prepare runs
  run(nowait) = 1
  > prepare runs
  [1.45+] > second fires
  run(nowait) = 1
)") {
  Timer& first = fixture.timer("first");
  Timer& second = fixture.timer("second");
  Prepare& prepare = fixture.prepare("prepare");
  first.on_timer = [&] { second.start(0); };
  first.start(0);
  prepare.start();
  fixture.run(UV_RUN_NOWAIT);
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(a_repeating_timer_repeats_until_it_is_stopped, "-", R"(
  timer.start(1,2) = 0
  > timer fires
  timer: active=1 closing=0 ref=1
  > timer fires
  timer: active=1 closing=0 ref=1
  > timer fires
  timer: active=1 closing=0 ref=1
  timer.stop = 0
  run(default) = 0
  timer: active=0 closing=0 ref=1
)") {
  Timer& timer = fixture.timer("timer");
  int count = 0;
  timer.on_timer = [&] {
    timer.trace_state();
    if (++count == 3) timer.stop();
  };
  timer.start(1, 2);
  fixture.run();
  timer.trace_state();
}

SCENARIO(a_repeating_timer_does_not_make_up_for_lost_time, "-", R"(
  timer.start(1,1) = 0
  > timer fires
  run(nowait) = 1
  timer.stop = 0
)") {
  Timer& timer = fixture.timer("timer");
  timer.start(1, 1);
  uv_sleep(20);
  fixture.run(UV_RUN_NOWAIT);
  timer.stop();
}

SCENARIO(again_restarts_with_the_repeat_value, "-", R"(
  timer.again = EINVAL
  timer.start(60000) = 0
  timer.again = 0
  timer: active=1 closing=0 ref=1
  timer.again = 0
  > timer fires
  timer.stop = 0
  run(default) = 0
  timer.again = 0
  timer: active=1 closing=0 ref=1
)") {
  Timer& timer = fixture.timer("timer");
  timer.again();
  timer.start(60000);
  timer.again();
  timer.trace_state();
  uv_timer_set_repeat(&timer.uv, 2);
  timer.again();
  timer.on_timer = [&] { timer.stop(); };
  fixture.run();
  timer.again();
  timer.trace_state();
}

SCENARIO(a_repeat_set_in_the_callback_holds_from_the_next_time_on, "-", R"(
  timer.start(1,2) = 0
  > timer fires
  due in = 2
  repeat = 7
  > timer fires
  due in = 7
  repeat = 7
  > timer fires
  due in = 7
  repeat = 0
  timer.stop = 0
  run(default) = 0
)") {
  Timer& timer = fixture.timer("timer");
  int count = 0;
  timer.on_timer = [&] {
    fixture.call("due in", static_cast<long long>(uv_timer_get_due_in(&timer.uv)));
    if (++count == 1) uv_timer_set_repeat(&timer.uv, 7);
    if (count == 3) uv_timer_set_repeat(&timer.uv, 0);
    fixture.call("repeat", static_cast<long long>(uv_timer_get_repeat(&timer.uv)));
    if (count == 3) timer.stop();
  };
  timer.start(1, 2);
  fixture.run();
}

SCENARIO(setting_the_repeat_of_a_one_shot_timer_in_its_callback_does_not_start_it, "-", R"(
  timer.start(1) = 0
  > timer fires
  timer: active=0 closing=0 ref=1
  run(default) = 0
)") {
  Timer& timer = fixture.timer("timer");
  timer.on_timer = [&] {
    uv_timer_set_repeat(&timer.uv, 2);
    timer.trace_state();
  };
  timer.start(1);
  fixture.run();
}

SCENARIO(due_in_counts_down_from_the_timeout, "-", R"(
  due in = 0
  timer.start(5000) = 0
  due in = 5000
  less than before = 1
)") {
  Timer& timer = fixture.timer("timer");
  fixture.call("due in", static_cast<long long>(uv_timer_get_due_in(&timer.uv)));
  timer.start(5000);
  fixture.call("due in", static_cast<long long>(uv_timer_get_due_in(&timer.uv)));
  uv_sleep(3);
  uv_update_time(fixture.loop());
  fixture.call("less than before", uv_timer_get_due_in(&timer.uv) <= 4997);
}

SCENARIO(a_timer_is_never_early, "-", R"(
  timer.start(1) = 0
  > timer fires
  early = 0
  timer.start(2) = 0
  > timer fires
  early = 0
  timer.start(3) = 0
  > timer fires
  early = 0
  timer.start(5) = 0
  > timer fires
  early = 0
  timer.start(8) = 0
  > timer fires
  early = 0
  timer.start(13) = 0
  > timer fires
  early = 0
)") {
  for (const std::uint64_t timeout : {1U, 2U, 3U, 5U, 8U, 13U}) {
    Timer& timer = fixture.timer("timer");
    const std::uint64_t start = uv_now(fixture.loop());
    timer.on_timer = [&fixture, start, timeout] {
      fixture.call("early", uv_now(fixture.loop()) < start + timeout);
    };
    timer.start(timeout);
    uv_run(fixture.loop(), UV_RUN_DEFAULT);
  }
}

SCENARIO(a_timer_may_stop_another_that_is_due, "-", R"(
  first.start(0) = 0
  second.start(0) = 0
  > first fires
  second.stop = 0
  run(default) = 0
)") {
  Timer& first = fixture.timer("first");
  Timer& second = fixture.timer("second");
  first.on_timer = [&] { second.stop(); };
  first.start(0);
  second.start(0);
  fixture.run();
}

SCENARIO(a_timer_may_close_another_that_is_due, "R25", R"(
  first.start(0) = 0
  second.start(0) = 0
  > first fires
  second.close
  > second closed
  run(default) = 0
)") {
  Timer& first = fixture.timer("first");
  Timer& second = fixture.timer("second");
  first.on_timer = [&] { second.close(); };
  first.start(0);
  second.start(0);
  fixture.run();
}

SCENARIO(starting_a_running_timer_moves_its_deadline, "-", R"(
  timer.start(1) = 0
  other.start(3) = 0
  timer.start(6) = 0
  > other fires
  > timer fires
  run(default) = 0
)") {
  Timer& timer = fixture.timer("timer");
  Timer& other = fixture.timer("other");
  timer.start(1);
  other.start(3);
  timer.start(6);
  fixture.run();
}

SCENARIO(the_longest_timeout_does_not_overflow, "-", R"(
  start = 0
  endless: active=1 closing=0 ref=1
  timer.start(2) = 0
  > timer fires
  endless.stop = 0
  run(default) = 0
)") {
  Timer& endless = fixture.timer("endless");
  Timer& timer = fixture.timer("timer");
  timer.on_timer = [&] { endless.stop(); };
  fixture.call("start", uv_timer_start(&endless.uv, [](uv_timer_t*) {}, UINT64_MAX, 0));
  endless.trace_state();
  timer.start(2);
  fixture.run();
}

SCENARIO(a_timer_repeats_while_input_and_output_go_on, "-", R"(
  peer.read_start = 0
  timer.start(2,2) = 0
  > timer fires
  client.write(4) = 0
  > client write 0
  > peer read 4 "tick"
  > timer fires
  client.write(4) = 0
  > client write 0
  > peer read 4 "tick"
  > timer fires
  client.write(4) = 0
  timer.close
  > client write 0
  > peer read 4 "tick"
  peer.close
  > peer closed
  > timer closed
  run(default) = 0
)") {
  Pair pair(fixture);
  Timer& timer = fixture.timer("timer");
  int count = 0;
  timer.on_timer = [&] {
    pair.client.write("tick");
    if (++count == 3) timer.close();
  };
  pair.peer.on_read = [&](ssize_t nread) {
    if (nread > 0 && count == 3) pair.peer.close();
  };
  pair.peer.read_start();
  timer.start(2, 2);
  fixture.run();
}

// ------------------------------------------------------------------------------------------ async

SCENARIO(sends_before_the_turn_are_one_callback, "R36", R"(
  async.send = 0
  async.send = 0
  async.send = 0
  > async async
  run(nowait) = 1
  second turn
  run(nowait) = 1
)") {
  Async& async = fixture.async("async");
  async.send();
  async.send();
  async.send();
  fixture.run(UV_RUN_NOWAIT);
  fixture.log("second turn");
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(an_async_handle_keeps_the_loop_alive, "-", R"(
  async: active=1 closing=0 ref=1
  alive = 1
  async.unref
  alive = 0
  run(default) = 0
)") {
  Async& async = fixture.async("async");
  async.trace_state();
  fixture.call("alive", uv_loop_alive(fixture.loop()));
  async.unref();
  fixture.call("alive", uv_loop_alive(fixture.loop()));
  fixture.run();
}

SCENARIO(a_send_within_the_callback_calls_it_again, "R36", R"(
  async.send = 0
  > async async
  async.send = 0
  run(nowait) = 1
  second turn
  > async async
  async.send = 0
  > async async
  async.close
  > async closed
  run(default) = 0
)") {
  Async& async = fixture.async("async");
  int count = 0;
  async.on_async = [&] {
    if (++count < 3) {
      async.send();
    } else {
      async.close();
    }
  };
  async.send();
  fixture.run(UV_RUN_NOWAIT);
  fixture.log("second turn");
  fixture.run();
}

SCENARIO(async_callbacks_run_in_the_order_of_their_inits, "-", R"(
  c.send = 0
  a.send = 0
  b.send = 0
  > a async
  > b async
  > c async
  run(nowait) = 1
)") {
  Async& a = fixture.async("a");
  Async& b = fixture.async("b");
  Async& c = fixture.async("c");
  c.send();
  a.send();
  b.send();
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(an_async_callback_may_close_another_that_was_sent, "R25", R"(
  a.send = 0
  b.send = 0
  > a async
  b.close
  > b closed
  run(nowait) = 1
)") {
  Async& a = fixture.async("a");
  Async& b = fixture.async("b");
  a.on_async = [&] { b.close(); };
  a.send();
  b.send();
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(a_send_to_a_closing_async_is_lost, "R15", R"(
  async.send = 0
  async.close
  > async closed
  run(default) = 0
)") {
  Async& async = fixture.async("async");
  async.send();
  async.close();
  fixture.run();
}

SCENARIO(an_async_without_a_callback_only_wakes_the_loop, "-", R"(
  init = 0
  send = 0
  run(once) = 1
  run(default) = 0
)") {
  uv_async_t async;
  fixture.call("init", uv_async_init(fixture.loop(), &async, nullptr));
  fixture.call("send", uv_async_send(&async));
  fixture.run(UV_RUN_ONCE);
  uv_close(reinterpret_cast<uv_handle_t*>(&async), nullptr);
  fixture.run();
}

// ---------------------------------------------------------------------------------------- signals

SCENARIO(a_signal_reaches_its_handle_in_the_next_poll, "-", R"(
  signal.start = 0
  signal: active=1 closing=0 ref=1
  nothing yet
  > signal signal 10
  signal.close
  > signal closed
  run(default) = 0
)") {
  Signal& signal = fixture.signal("signal");
  signal.on_signal = [&](int) { signal.close(); };
  signal.start(SIGUSR1);
  signal.trace_state();
  deliver_signal(SIGUSR1);
  fixture.log("nothing yet");
  fixture.run();
}

SCENARIO(each_signal_sent_is_one_callback, "-", R"(
  signal.start = 0
  > signal signal 10
  > signal signal 10
  > signal signal 10
  run(nowait) = 1
  signal.stop = 0
)") {
  Signal& signal = fixture.signal("signal");
  signal.start(SIGUSR1);
  deliver_signal(SIGUSR1);
  deliver_signal(SIGUSR1);
  deliver_signal(SIGUSR1);
  fixture.run(UV_RUN_NOWAIT);
  signal.stop();
}

SCENARIO(every_handle_of_a_signal_is_called, "-", R"(
  either.start = 0
  either.start = 0
  other.start = 0
  > either signal 10
  > either signal 10
  run(nowait) = 1
  > other signal 12
  run(nowait) = 1
)") {
  Signal& one = fixture.signal("either");
  Signal& two = fixture.signal("either");
  Signal& other = fixture.signal("other");
  one.start(SIGUSR1);
  two.start(SIGUSR1);
  other.start(SIGUSR2);
  deliver_signal(SIGUSR1);
  fixture.run(UV_RUN_NOWAIT);
  deliver_signal(SIGUSR2);
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(a_one_shot_signal_stops_itself, "-", R"(
  always.start = 0
  once.start_oneshot = 0
  > always signal 10
  > once signal 10
  run(nowait) = 1
  once: active=0 closing=0 ref=1
  > always signal 10
  run(nowait) = 1
  always was called = 1
)") {
  Signal& once = fixture.signal("once");
  Signal& always = fixture.signal("always");
  always.start(SIGUSR1);
  once.start_oneshot(SIGUSR1);
  deliver_signal(SIGUSR1);
  bool is_traced = false;
  always.on_signal = [&](int) { is_traced = true; };
  fixture.run(UV_RUN_NOWAIT);
  once.trace_state();
  deliver_signal(SIGUSR1);
  fixture.run(UV_RUN_NOWAIT);
  fixture.call("always was called", is_traced);
}

SCENARIO(a_signal_handle_may_change_its_number, "-", R"(
  guard.start = 0
  signal.start = 0
  signal.start = 0
  signum = 12
  > guard signal 10
  run(nowait) = 1
  > signal signal 12
  run(nowait) = 1
)") {
  Signal& signal = fixture.signal("signal");
  Signal& guard = fixture.signal("guard");
  guard.start(SIGUSR1);
  signal.start(SIGUSR1);
  signal.start(SIGUSR2);
  fixture.call("signum", signal.uv.signum);
  deliver_signal(SIGUSR1);
  fixture.run(UV_RUN_NOWAIT);
  deliver_signal(SIGUSR2);
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(signals_that_cannot_be_watched, "-", R"(
  signal.start = EINVAL
  signal.start = EINVAL
  signal.start = EINVAL
  signal: active=0 closing=0 ref=1
  signal.stop = 0
)") {
  Signal& signal = fixture.signal("signal");
  signal.start(0);
  signal.start(SIGKILL);
  signal.start(SIGSTOP);
  signal.trace_state();
  signal.stop();
}

SCENARIO(a_stopped_signal_handle_is_not_called_for_what_was_sent_before, "-", R"(
  signal.start = 0
  signal.stop = 0
  run(nowait) = 0
  signal: active=0 closing=0 ref=1
)") {
  Signal& signal = fixture.signal("signal");
  signal.start(SIGUSR1);
  deliver_signal(SIGUSR1);
  signal.stop();
  fixture.run(UV_RUN_NOWAIT);
  signal.trace_state();
}

SCENARIO(a_signal_handle_closed_with_a_signal_on_its_way, "R25", R"(
  signal.start = 0
  signal.close
  > signal closed
  run(default) = 0
)") {
  Signal& signal = fixture.signal("signal");
  signal.start(SIGUSR1);
  deliver_signal(SIGUSR1);
  signal.close();
  fixture.run();
}

SCENARIO(a_signal_reaches_the_handles_of_every_loop, "-", R"(
  here.start = 0
  there.start = 0
  > here signal 10
  run(nowait) = 1
  > there signal 10
  run other = 1
)") {
  uv_loop_t* other = fixture.open_second_loop();
  Signal& here = fixture.signal("here");
  Signal& there = fixture.signal("there", other);
  here.start(SIGUSR1);
  there.start(SIGUSR1);
  deliver_signal(SIGUSR1);
  fixture.run(UV_RUN_NOWAIT);
  fixture.call("run other", uv_run(other, UV_RUN_NOWAIT));
}

SCENARIO(an_unreferenced_signal_handle_does_not_keep_the_loop, "-", R"(
  signal.start = 0
  alive = 1
  signal.unref
  alive = 0
  run(default) = 0
)") {
  Signal& signal = fixture.signal("signal");
  signal.start(SIGUSR1);
  fixture.call("alive", uv_loop_alive(fixture.loop()));
  signal.unref();
  fixture.call("alive", uv_loop_alive(fixture.loop()));
  fixture.run();
}
