// Scenarios of the loop itself: phases and their order, run modes, liveness, walking, closing,
// time.
#include <cstring>

#include "fixture.hpp"

using namespace conformance;

SCENARIO(one_turn_runs_its_phases_in_order, "-", R"(
  peer.read_start = 0
  timer.start(0) = 0
  idle.start = 0
  prepare.start = 0
  check.start = 0
  client.write(4) = 0
  victim.close
  [1.44] > timer fires
  > client write 0
  > idle runs
  > prepare runs
  > peer read 4 "ping"
  > check runs
  > victim closed
  [1.45+] > timer fires
  run(nowait) = 1
  second turn
  > idle runs
  > prepare runs
  > check runs
  run(nowait) = 1
)") {
  Pair pair(fixture);
  Timer& timer = fixture.timer("timer");
  Idle& idle = fixture.idle("idle");
  Prepare& prepare = fixture.prepare("prepare");
  Check& check = fixture.check("check");
  Timer& victim = fixture.timer("victim");
  pair.peer.read_start();
  timer.start(0);
  idle.start();
  prepare.start();
  check.start();
  pair.client.write("ping");
  victim.close();
  fixture.run(UV_RUN_NOWAIT);
  fixture.log("second turn");
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(the_default_mode_gives_due_timers_a_turn_before_the_first, "-", R"(
  timer.start(0) = 0
  prepare.start = 0
  > timer fires
  prepare.stop = 0
  run(default) = 0
)") {
  Timer& timer = fixture.timer("timer");
  Prepare& prepare = fixture.prepare("prepare");
  timer.on_timer = [&] { prepare.stop(); };
  timer.start(0);
  prepare.start();
  fixture.run();
}

SCENARIO(the_once_mode_gives_timers_a_turn_after_polling, "-", R"(
  timer.start(2) = 0
  prepare.start = 0
  check.start = 0
  > prepare runs
  > check runs
  > timer fires
  run(once) = 1
)") {
  Timer& timer = fixture.timer("timer");
  Prepare& prepare = fixture.prepare("prepare");
  Check& check = fixture.check("check");
  timer.start(2);
  prepare.start();
  check.start();
  fixture.run(UV_RUN_ONCE);
}

SCENARIO(an_empty_loop_runs_no_turn, "-", R"(
  alive = 0
  run(default) = 0
  run(once) = 0
  run(nowait) = 0
)") {
  fixture.call("alive", uv_loop_alive(fixture.loop()));
  fixture.run();
  fixture.run(UV_RUN_ONCE);
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(nowait_does_not_wait_for_a_timer, "-", R"(
  timer.start(60000) = 0
  run(nowait) = 1
  timer.stop = 0
  run(nowait) = 0
)") {
  Timer& timer = fixture.timer("timer");
  timer.start(60000);
  fixture.run(UV_RUN_NOWAIT);
  timer.stop();
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(once_returns_zero_when_its_event_was_the_last, "-", R"(
  timer.start(1) = 0
  > timer fires
  run(once) = 0
)") {
  Timer& timer = fixture.timer("timer");
  timer.start(1);
  fixture.run(UV_RUN_ONCE);
}

SCENARIO(an_idle_handle_keeps_polling_from_waiting, "-", R"(
  timer.start(60000) = 0
  idle.start = 0
  > idle runs
  > idle runs
  > idle runs
  idle.stop = 0
  timer.stop = 0
  run(default) = 0
)") {
  Idle& idle = fixture.idle("idle");
  Timer& timer = fixture.timer("timer");
  timer.start(60000);
  int turns = 0;
  idle.on_run = [&] {
    if (++turns == 3) {
      idle.stop();
      timer.stop();
    }
  };
  idle.start();
  fixture.run();
}

SCENARIO(stop_ends_the_run_after_the_turn, "-", R"(
  idle.start = 0
  check.start = 0
  > idle runs
  stop
  > check runs
  run(default) = 1
  idle.stop = 0
  > check runs
  run(nowait) = 1
  check.stop = 0
  run(default) = 0
)") {
  Idle& idle = fixture.idle("idle");
  Check& check = fixture.check("check");
  idle.on_run = [&] {
    fixture.log("stop");
    uv_stop(fixture.loop());
  };
  idle.start();
  check.start();
  fixture.run();
  idle.stop();
  fixture.run(UV_RUN_NOWAIT);
  check.stop();
  fixture.run();
}

SCENARIO(stop_before_the_run_makes_it_return_at_once, "-", R"(
  timer.start(0) = 0
  prepare.start = 0
  run(default) = 1
  again
  > timer fires
  prepare.stop = 0
  run(default) = 0
)") {
  Prepare& prepare = fixture.prepare("prepare");
  Timer& timer = fixture.timer("timer");
  timer.start(0);
  prepare.start();
  uv_stop(fixture.loop());
  fixture.run();
  fixture.log("again");
  timer.on_timer = [&] { prepare.stop(); };
  fixture.run();
}

SCENARIO(stop_in_one_timer_lets_the_other_due_timers_run, "-", R"(
  first.start(0) = 0
  second.start(0) = 0
  > first fires
  > second fires
  [1.45+] run(default) = 1
  run(default) = 0
  [1.44] run(default) = 0
)") {
  Timer& first = fixture.timer("first");
  Timer& second = fixture.timer("second");
  first.on_timer = [&] { uv_stop(fixture.loop()); };
  first.start(0);
  second.start(0);
  fixture.run();
  fixture.run();
}

SCENARIO(stop_in_a_check_callback_still_closes_handles, "-", R"(
  idle.start = 0
  check.start = 0
  > idle runs
  > check runs
  idle.close
  > idle closed
  run(default) = 1
)") {
  Check& check = fixture.check("check");
  Idle& idle = fixture.idle("idle");
  check.on_run = [&] {
    uv_stop(fixture.loop());
    idle.close();
  };
  idle.start();
  check.start();
  fixture.run();
}

SCENARIO(a_loop_is_alive_while_something_active_is_referenced, "-", R"(
  alive with an idle timer = 0
  timer.start(60000) = 0
  alive with a running timer = 1
  timer.unref
  alive with an unreferenced timer = 0
  run(default) = 0
  timer.close
  alive with a closing timer = 1
  > timer closed
  run(default) = 0
  alive after that = 0
)") {
  Timer& timer = fixture.timer("timer");
  fixture.call("alive with an idle timer", uv_loop_alive(fixture.loop()));
  timer.start(60000);
  fixture.call("alive with a running timer", uv_loop_alive(fixture.loop()));
  timer.unref();
  fixture.call("alive with an unreferenced timer", uv_loop_alive(fixture.loop()));
  fixture.run();
  timer.close();
  fixture.call("alive with a closing timer", uv_loop_alive(fixture.loop()));
  fixture.run();
  fixture.call("alive after that", uv_loop_alive(fixture.loop()));
}

SCENARIO(ref_and_unref_are_idempotent, "-", R"(
  timer: active=0 closing=0 ref=1
  timer.unref
  timer.unref
  timer: active=0 closing=0 ref=0
  timer.start(60000) = 0
  timer: active=1 closing=0 ref=0
  alive = 0
  timer.ref
  timer.ref
  timer: active=1 closing=0 ref=1
  alive = 1
  timer.unref
  alive = 0
)") {
  Timer& timer = fixture.timer("timer");
  timer.trace_state();
  timer.unref();
  timer.unref();
  timer.trace_state();
  timer.start(60000);
  timer.trace_state();
  fixture.call("alive", uv_loop_alive(fixture.loop()));
  timer.ref();
  timer.ref();
  timer.trace_state();
  fixture.call("alive", uv_loop_alive(fixture.loop()));
  timer.unref();
  fixture.call("alive", uv_loop_alive(fixture.loop()));
}

SCENARIO(unreferenced_handles_still_run_while_others_keep_the_loop, "-", R"(
  hidden.start(1) = 0
  hidden.unref
  keeper.start(4) = 0
  > hidden fires
  > keeper fires
  run(default) = 0
)") {
  Timer& hidden = fixture.timer("hidden");
  Timer& keeper = fixture.timer("keeper");
  hidden.start(1);
  hidden.unref();
  keeper.start(4);
  fixture.run();
}

SCENARIO(the_active_handle_count_may_be_changed_by_hand, "-", R"(
  active_handles = 0
  alive = 1
  run(nowait) = 1
  alive = 0
  timer.start(60000) = 0
  active_handles = 1
)") {
  fixture.call("active_handles", fixture.loop()->active_handles);
  fixture.loop()->active_handles++;
  fixture.call("alive", uv_loop_alive(fixture.loop()));
  fixture.run(UV_RUN_NOWAIT);
  fixture.loop()->active_handles--;
  fixture.call("alive", uv_loop_alive(fixture.loop()));
  Timer& timer = fixture.timer("timer");
  timer.start(60000);
  fixture.call("active_handles", fixture.loop()->active_handles);
}

SCENARIO(of_prepare_and_check_handles_the_last_started_runs_first, "-", R"(
  prepare-1.start = 0
  prepare-2.start = 0
  check-1.start = 0
  check-2.start = 0
  idle-1.start = 0
  idle-2.start = 0
  > idle-2 runs
  > idle-1 runs
  > prepare-2 runs
  > prepare-1 runs
  > check-2 runs
  > check-1 runs
  run(nowait) = 1
  prepare-1.stop = 0
  prepare-1.start = 0
  > idle-2 runs
  > idle-1 runs
  > prepare-1 runs
  > prepare-2 runs
  > check-2 runs
  > check-1 runs
  run(nowait) = 1
)") {
  Prepare& one = fixture.prepare("prepare-1");
  Prepare& two = fixture.prepare("prepare-2");
  Check& three = fixture.check("check-1");
  Check& four = fixture.check("check-2");
  Idle& five = fixture.idle("idle-1");
  Idle& six = fixture.idle("idle-2");
  one.start();
  two.start();
  three.start();
  four.start();
  five.start();
  six.start();
  fixture.run(UV_RUN_NOWAIT);
  one.stop();
  one.start();
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(starting_a_watcher_twice_is_starting_it_once, "-", R"(
  idle.start = 0
  idle.start = 0
  idle: active=1 closing=0 ref=1
  > idle runs
  run(nowait) = 1
  idle.stop = 0
  idle.stop = 0
  idle: active=0 closing=0 ref=1
  run(nowait) = 0
)") {
  Idle& idle = fixture.idle("idle");
  idle.start();
  idle.start();
  idle.trace_state();
  fixture.run(UV_RUN_NOWAIT);
  idle.stop();
  idle.stop();
  idle.trace_state();
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(a_watcher_started_within_its_phase_runs_in_the_next_turn, "-", R"(
  first.start = 0
  > first runs
  second.start = 0
  run(nowait) = 1
  second turn
  > second runs
  > first runs
  run(nowait) = 1
)") {
  Idle& first = fixture.idle("first");
  Idle& second = fixture.idle("second");
  first.on_run = [&] {
    first.on_run = nullptr;
    second.start();
  };
  first.start();
  fixture.run(UV_RUN_NOWAIT);
  fixture.log("second turn");
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(a_watcher_stopped_by_its_neighbour_does_not_run, "-", R"(
  victim.start = 0
  killer.start = 0
  > killer runs
  victim.stop = 0
  run(nowait) = 1
)") {
  Prepare& victim = fixture.prepare("victim");
  Prepare& killer = fixture.prepare("killer");
  killer.on_run = [&] { victim.stop(); };
  victim.start();
  killer.start();
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(a_watcher_may_stop_and_restart_itself, "-", R"(
  check.start = 0
  > check runs
  check.stop = 0
  check.start = 0
  run(nowait) = 1
  > check runs
  check.stop = 0
  check.start = 0
  run(nowait) = 1
)") {
  Check& check = fixture.check("check");
  check.on_run = [&] {
    check.stop();
    check.start();
  };
  check.start();
  fixture.run(UV_RUN_NOWAIT);
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(starting_a_closing_watcher_of_the_loop, "R15", R"(
  timer.close
  timer.start(1) = EINVAL
  timer.again = EINVAL
  timer.stop = 0
  > timer closed
  run(default) = 0
)") {
  Timer& timer = fixture.timer("timer");
  timer.close();
  timer.start(1);
  timer.again();
  timer.stop();
  fixture.run();
}

SCENARIO(watchers_need_a_callback, "-", R"(
  idle without callback = EINVAL
  prepare without callback = EINVAL
  check without callback = EINVAL
  timer without callback = EINVAL
)") {
  uv_idle_t* idle = &fixture.idle("idle").uv;
  uv_prepare_t* prepare = &fixture.prepare("prepare").uv;
  uv_check_t* check = &fixture.check("check").uv;
  uv_timer_t* timer = &fixture.timer("timer").uv;
  fixture.call("idle without callback", uv_idle_start(idle, nullptr));
  fixture.call("prepare without callback", uv_prepare_start(prepare, nullptr));
  fixture.call("check without callback", uv_check_start(check, nullptr));
  fixture.call("timer without callback", uv_timer_start(timer, nullptr, 1, 0));
}

SCENARIO(every_kind_of_watcher_may_close_itself, "R28 R29", R"(
  idle.start = 0
  prepare.start = 0
  check.start = 0
  timer.start(0,1) = 0
  > timer fires
  timer.close
  > idle runs
  idle.close
  > prepare runs
  prepare.close
  > check runs
  check.close
  > check closed
  > prepare closed
  > idle closed
  > timer closed
  run(default) = 0
)") {
  Idle& idle = fixture.idle("idle");
  Prepare& prepare = fixture.prepare("prepare");
  Check& check = fixture.check("check");
  Timer& timer = fixture.timer("timer");
  idle.on_run = [&] { idle.close(); };
  prepare.on_run = [&] { prepare.close(); };
  check.on_run = [&] { check.close(); };
  timer.on_timer = [&] { timer.close(); };
  idle.start();
  prepare.start();
  check.start();
  timer.start(0, 1);
  fixture.run();
}

SCENARIO(a_close_is_reported_in_the_turn_in_which_it_was_asked, "R25", R"(
  prepare.start = 0
  check.start = 0
  > prepare runs
  > check runs
  run(nowait) = 1
  > prepare runs
  victim.close
  > check runs
  > victim closed
  run(nowait) = 1
  > prepare runs
  > check runs
  run(nowait) = 1
)") {
  Prepare& prepare = fixture.prepare("prepare");
  Check& check = fixture.check("check");
  Timer& victim = fixture.timer("victim");
  int turns = 0;
  prepare.on_run = [&] {
    if (++turns == 2) victim.close();
  };
  prepare.start();
  check.start();
  for (int turn = 0; turn < 3; turn++) fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(close_callbacks_run_in_reverse_order, "R26", R"(
  a.close
  b.close
  c.close
  d.close
  e.close
  > e closed
  > d closed
  > c closed
  > b closed
  > a closed
  run(default) = 0
)") {
  fixture.timer("a").close();
  fixture.idle("b").close();
  fixture.tcp("c").close();
  fixture.check("d").close();
  fixture.async("e").close();
  fixture.run();
}

SCENARIO(a_close_asked_for_in_a_close_callback_waits_for_the_next_turn, "R25", R"(
  first.close
  > first closed
  second.close
  run(nowait) = 1
  second turn
  > second closed
  run(nowait) = 0
)") {
  Timer& first = fixture.timer("first");
  Timer& second = fixture.timer("second");
  first.on_close = [&] { second.close(); };
  first.close();
  fixture.run(UV_RUN_NOWAIT);
  fixture.log("second turn");
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(a_close_callback_may_be_null, "R28", R"(
  alive = 1
  run(default) = 0
)") {
  fixture.timer("timer").close_quietly();
  fixture.tcp("tcp").close_quietly();
  fixture.call("alive", uv_loop_alive(fixture.loop()));
  fixture.run();
}

SCENARIO(is_closing_holds_before_and_after_the_close_callback, "R30", R"(
  timer.start(5,5) = 0
  timer: active=1 closing=0 ref=1
  timer.close
  timer: active=0 closing=1 ref=1
  > timer closed
  timer: active=0 closing=1 ref=0
  run(default) = 0
  timer: active=0 closing=1 ref=0
)") {
  Timer& timer = fixture.timer("timer");
  timer.start(5, 5);
  timer.trace_state();
  timer.close();
  timer.trace_state();
  timer.on_close = [&] { timer.trace_state(); };
  fixture.run();
  timer.trace_state();
}

SCENARIO(a_handle_may_be_made_anew_in_its_close_callback, "R28 R29", R"(
  timer.start(60000) = 0
  timer.close
  > timer closed
  timer.start(1) = 0
  > timer fires
  run(default) = 0
)") {
  Timer& timer = fixture.timer("timer");
  timer.on_close = [&] {
    timer.on_close = nullptr;
    uv_timer_init(fixture.loop(), &timer.uv);
    timer.uv.data = static_cast<Named*>(&timer);
    timer.start(1);
  };
  timer.start(60000);
  timer.close();
  fixture.run();
}

namespace {

struct HeapTimer {
  uv_timer_t uv;
  Fixture* fixture;
};

}  // namespace

SCENARIO(a_handle_may_be_freed_in_its_close_callback, "R28", R"(
  freed
  freed
  freed
  run(default) = 0
)") {
  for (int i = 0; i < 3; i++) {
    auto* timer = new HeapTimer{{}, &fixture};
    uv_timer_init(fixture.loop(), &timer->uv);
    uv_timer_start(
        &timer->uv,
        [](uv_timer_t* handle) {
          uv_close(reinterpret_cast<uv_handle_t*>(handle), [](uv_handle_t* closed) {
            auto* mine = reinterpret_cast<HeapTimer*>(closed);
            mine->fixture->log("freed");
            delete mine;
          });
        },
        static_cast<std::uint64_t>(i), 0);
  }
  fixture.run();
}

namespace {

void visit(uv_handle_t* handle, void* argument) {
  static_cast<Fixture*>(argument)->log("visit %s closing=%d", uv_handle_type_name(handle->type),
                                       uv_is_closing(handle));
}

}  // namespace

SCENARIO(walk_visits_every_handle_in_the_order_of_creation, "R33", R"(
  timer.close
  visit tcp closing=0
  visit timer closing=1
  visit pipe closing=0
  visit idle closing=0
  visit check closing=0
  visit prepare closing=0
  visit async closing=0
  visit signal closing=0
  > timer closed
  run(nowait) = 1
  after the close
  visit tcp closing=0
  visit pipe closing=0
  visit idle closing=0
  visit check closing=0
  visit prepare closing=0
  visit async closing=0
  visit signal closing=0
)") {
  fixture.tcp("tcp");
  Timer& closing = fixture.timer("timer");
  fixture.pipe("pipe");
  fixture.idle("idle");
  fixture.check("check");
  fixture.prepare("prepare");
  fixture.async("async");
  fixture.signal("signal");
  closing.close();
  uv_walk(fixture.loop(), visit, &fixture);
  fixture.run(UV_RUN_NOWAIT);
  fixture.log("after the close");
  uv_walk(fixture.loop(), visit, &fixture);
}

SCENARIO(walk_does_not_visit_what_it_creates, "R33", R"(
  visit timer
)") {
  fixture.timer("first");
  uv_walk(
      fixture.loop(),
      [](uv_handle_t* handle, void* argument) {
        Fixture& walked = *static_cast<Fixture*>(argument);
        walked.log("visit %s", uv_handle_type_name(handle->type));
        walked.idle("created");
      },
      &fixture);
}

SCENARIO(handles_may_be_closed_while_walking, "R33 R34", R"(
  a.close
  b.close
  c.close
  > c closed
  > b closed
  > a closed
  run(default) = 0
  loop_close of an empty loop would be = 0
)") {
  for (const char* name : {"a", "b", "c"}) fixture.timer(name);
  uv_walk(
      fixture.loop(),
      [](uv_handle_t* handle, void*) {
        static_cast<Named*>(static_cast<void*>(handle->data))->close();
      },
      nullptr);
  fixture.run();
  fixture.call("loop_close of an empty loop would be", uv_loop_alive(fixture.loop()));
}

SCENARIO(loop_close_is_refused_while_handles_are_open, "R34", R"(
  loop_init = 0
  loop_close = EBUSY
  timer.close
  loop_close = EBUSY
  > timer closed
  run = 0
  loop_close = 0
)") {
  uv_loop_t loop;
  fixture.call("loop_init", uv_loop_init(&loop));
  Timer& timer = fixture.timer("timer", &loop);
  fixture.call("loop_close", uv_loop_close(&loop));
  timer.close();
  fixture.call("loop_close", uv_loop_close(&loop));
  fixture.call("run", uv_run(&loop, UV_RUN_DEFAULT));
  fixture.call("loop_close", uv_loop_close(&loop));
}

SCENARIO(a_loop_may_be_closed_and_made_again, "R34", R"(
  loop_init = 0
  timer.start(1) = 0
  > timer fires
  timer.close
  > timer closed
  run = 0
  loop_close = 0
  loop_init = 0
  timer.start(1) = 0
  > timer fires
  timer.close
  > timer closed
  run = 0
  loop_close = 0
  loop_init = 0
  timer.start(1) = 0
  > timer fires
  timer.close
  > timer closed
  run = 0
  loop_close = 0
)") {
  uv_loop_t loop;
  for (int round = 0; round < 3; round++) {
    fixture.call("loop_init", uv_loop_init(&loop));
    Timer& timer = fixture.timer("timer", &loop);
    timer.on_timer = [&] { timer.close(); };
    timer.start(1);
    fixture.call("run", uv_run(&loop, UV_RUN_DEFAULT));
    fixture.call("loop_close", uv_loop_close(&loop));
  }
}

SCENARIO(loops_do_not_disturb_each_other, "-", R"(
  here.start(0) = 0
  there.start(0) = 0
  > here fires
  run(default) = 0
  > there fires
  run other = 0
)") {
  uv_loop_t* other = fixture.open_second_loop();
  Timer& here = fixture.timer("here");
  Timer& there = fixture.timer("there", other);
  here.start(0);
  there.start(0);
  fixture.run();
  fixture.call("run other", uv_run(other, UV_RUN_DEFAULT));
}

SCENARIO(a_callback_may_run_another_loop, "R35", R"(
  outer.start(0) = 0
  > outer fires
  inner.start(2) = 0
  > inner fires
  run other = 0
  outer goes on
  run(default) = 0
)") {
  uv_loop_t* other = fixture.open_second_loop();
  Timer& outer = fixture.timer("outer");
  Timer& inner = fixture.timer("inner", other);
  outer.on_timer = [&] {
    inner.start(2);
    fixture.call("run other", uv_run(other, UV_RUN_DEFAULT));
    fixture.log("outer goes on");
  };
  outer.start(0);
  fixture.run();
}

SCENARIO(two_loops_talk_to_each_other, "-", R"(
  server.bind = 0
  server.listen = 0
  client.connect = 0
  > server connection 0
  server.accept(peer) = 0
  peer.read_start = 0
  > client connect 0
  client.read_start = 0
  client.write(4) = 0
  > client write 0
  > peer read 4 "ping"
  peer.write(4) = 0
  > peer write 0
  > client read 4 "pong"
  client.read_stop = 0
)") {
  uv_loop_t* other = fixture.open_second_loop();
  Stream& server = fixture.tcp("server");
  Stream& peer = fixture.tcp("peer");
  Stream& client = fixture.tcp("client", other);
  server.on_connection = [&] {
    server.accept(peer);
    peer.read_start();
  };
  peer.on_read = [&](ssize_t nread) {
    if (nread > 0) peer.write("pong");
  };
  client.on_connect = [&] {
    client.read_start();
    client.write("ping");
  };
  client.on_read = [&](ssize_t) { client.read_stop(); };
  server.bind_loopback();
  server.listen();
  client.connect(server);
  for (int turn = 0; turn < 200 && client.last_read.empty(); turn++) {
    uv_run(fixture.loop(), UV_RUN_NOWAIT);
    uv_run(other, UV_RUN_NOWAIT);
  }
}

SCENARIO(the_default_loop_is_one_loop_until_it_is_closed, "-", R"(
  same = 1
  timer.start(1) = 0
  > timer fires
  timer.close
  > timer closed
  run = 0
  loop_close = 0
  timer.start(1) = 0
  > timer fires
  timer.close
  > timer closed
  run = 0
  loop_close = 0
)") {
  const uv_loop_t* loop = uv_default_loop();
  fixture.call("same", loop == uv_default_loop());
  for (int round = 0; round < 2; round++) {
    Timer& timer = fixture.timer("timer", uv_default_loop());
    timer.on_timer = [&] { timer.close(); };
    timer.start(1);
    fixture.call("run", uv_run(uv_default_loop(), UV_RUN_DEFAULT));
    fixture.call("loop_close", uv_loop_close(uv_default_loop()));
  }
}

SCENARIO(data_of_loops_and_handles_is_kept, "-", R"(
  loop data = 1
  loop data field = 1
  handle data = 1
  handle loop = 1
  handle type is timer = 1
  run(default) = 0
  handle data after close = 1
)") {
  int value = 0;
  uv_loop_set_data(fixture.loop(), &value);
  fixture.call("loop data", uv_loop_get_data(fixture.loop()) == &value);
  fixture.call("loop data field", fixture.loop()->data == &value);
  uv_timer_t timer;
  uv_timer_init(fixture.loop(), &timer);
  auto* handle = reinterpret_cast<uv_handle_t*>(&timer);
  uv_handle_set_data(handle, &value);
  fixture.call("handle data", uv_handle_get_data(handle) == &value);
  fixture.call("handle loop", uv_handle_get_loop(handle) == fixture.loop());
  fixture.call("handle type is timer", uv_handle_get_type(handle) == UV_TIMER);
  uv_close(handle, nullptr);
  fixture.run();
  fixture.call("handle data after close", uv_handle_get_data(handle) == &value);
}

SCENARIO(data_of_requests_is_kept, "-", R"(
  write = 0
  request data = 1
  request type is write = 1
  request handle = 1
  run(nowait) = 0
)") {
  int value = 0;
  uv_write_t request;
  auto* generic = reinterpret_cast<uv_req_t*>(&request);
  uv_req_set_data(generic, &value);
  Pair pair(fixture);
  char byte = 'x';
  const uv_buf_t buffer = uv_buf_init(&byte, 1);
  fixture.call("write", uv_write(&request, pair.client.stream(), &buffer, 1, nullptr));
  fixture.call("request data", uv_req_get_data(generic) == &value);
  fixture.call("request type is write", uv_req_get_type(generic) == UV_WRITE);
  fixture.call("request handle", request.handle == pair.client.stream());
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(backend_timeout_tells_how_long_polling_would_wait, "-", R"(
  run(nowait) = 0
  empty loop = 0
  timer.start(60000) = 0
  run(nowait) = 1
  about a minute = 1
  idle.start = 0
  timer and idle = 0
  idle.stop = 0
  check.start = 0
  timer.stop = 0
  no timer = EPERM
  timer.start(0) = 0
  due timer = 0
  timer.stop = 0
  timer.close
  closing handle = 0
  > check runs
  > timer closed
  run(nowait) = 1
  stopped = 0
)") {
  fixture.run(UV_RUN_NOWAIT);
  fixture.call("empty loop", uv_backend_timeout(fixture.loop()));
  Timer& timer = fixture.timer("timer");
  timer.start(60000);
  fixture.run(UV_RUN_NOWAIT);
  const int timeout = uv_backend_timeout(fixture.loop());
  fixture.call("about a minute", timeout > 50000 && timeout <= 60000);
  Idle& idle = fixture.idle("idle");
  idle.start();
  fixture.call("timer and idle", uv_backend_timeout(fixture.loop()));
  idle.stop();
  Check& check = fixture.check("check");
  check.start();
  timer.stop();
  fixture.call("no timer", uv_backend_timeout(fixture.loop()));
  timer.start(0);
  fixture.call("due timer", uv_backend_timeout(fixture.loop()));
  timer.stop();
  timer.close();
  fixture.call("closing handle", uv_backend_timeout(fixture.loop()));
  fixture.run(UV_RUN_NOWAIT);
  uv_stop(fixture.loop());
  fixture.call("stopped", uv_backend_timeout(fixture.loop()));
}

SCENARIO(loop_configure_knows_its_options, "-", R"(
  idle time = 0
  block SIGPROF = 0
  block SIGTERM = EINVAL
)") {
  fixture.call("idle time", uv_loop_configure(fixture.loop(), UV_METRICS_IDLE_TIME));
  fixture.call("block SIGPROF", uv_loop_configure(fixture.loop(), UV_LOOP_BLOCK_SIGNAL, SIGPROF));
  fixture.call("block SIGTERM", uv_loop_configure(fixture.loop(), UV_LOOP_BLOCK_SIGNAL, SIGTERM));
}

SCENARIO(idle_time_is_measured_only_when_asked_for, "-", R"(
  timer.start(3) = 0
  > timer fires
  run(default) = 0
  idle time = 0
  timer.start(3) = 0
  > timer fires
  run(default) = 0
  some idle time = 1
)") {
  Timer& timer = fixture.timer("timer");
  timer.start(3);
  fixture.run();
  fixture.call("idle time", static_cast<long long>(uv_metrics_idle_time(fixture.loop())));
  uv_loop_configure(fixture.loop(), UV_METRICS_IDLE_TIME);
  timer.start(3);
  fixture.run();
  fixture.call("some idle time", uv_metrics_idle_time(fixture.loop()) > 1000000);
}

SCENARIO(loop_time_stands_still_within_a_callback, "-", R"(
  timer.start(0) = 0
  > timer fires
  unchanged by sleeping = 1
  moved by updating = 1
  run(default) = 0
)") {
  Timer& timer = fixture.timer("timer");
  timer.on_timer = [&] {
    const std::uint64_t before = uv_now(fixture.loop());
    uv_sleep(5);
    fixture.call("unchanged by sleeping", uv_now(fixture.loop()) == before);
    uv_update_time(fixture.loop());
    fixture.call("moved by updating", uv_now(fixture.loop()) >= before + 5);
  };
  timer.start(0);
  fixture.run();
}

SCENARIO(time_moves_in_a_loop_that_never_blocks, "-", R"(
  timer.start(3) = 0
  > timer fires
)") {
  Timer& timer = fixture.timer("timer");
  bool has_fired = false;
  timer.on_timer = [&] { has_fired = true; };
  timer.start(3);
  const std::uint64_t start = uv_hrtime();
  while (!has_fired && uv_hrtime() - start < 10'000'000'000) uv_run(fixture.loop(), UV_RUN_NOWAIT);
}

SCENARIO(the_clock_moves_for_a_program_that_spins_on_it, "-", R"(
  moved = 1
  slept = 1
)") {
  const std::uint64_t start = uv_hrtime();
  std::uint64_t readings = 0;
  while (uv_hrtime() - start < 200'000 && readings < 1'000'000'000) readings++;
  fixture.call("moved", uv_hrtime() - start >= 200'000);
  const std::uint64_t before = uv_hrtime();
  uv_sleep(2);
  fixture.call("slept", uv_hrtime() - before >= 2'000'000);
}

SCENARIO(sizes_and_names_of_types_are_those_of_the_header, "-", R"(
  loop = 1
  tcp = 1
  pipe = 1
  timer = 1
  write = 1
  connect = 1
  unknown handle = 1
  tcp pipe signal
  write shutdown connect
  unknown name = 1
)") {
  fixture.call("loop", uv_loop_size() == sizeof(uv_loop_t));
  fixture.call("tcp", uv_handle_size(UV_TCP) == sizeof(uv_tcp_t));
  fixture.call("pipe", uv_handle_size(UV_NAMED_PIPE) == sizeof(uv_pipe_t));
  fixture.call("timer", uv_handle_size(UV_TIMER) == sizeof(uv_timer_t));
  fixture.call("write", uv_req_size(UV_WRITE) == sizeof(uv_write_t));
  fixture.call("connect", uv_req_size(UV_CONNECT) == sizeof(uv_connect_t));
  fixture.call("unknown handle", static_cast<long long>(uv_handle_size(UV_UNKNOWN_HANDLE)) == -1);
  fixture.log("%s %s %s", uv_handle_type_name(UV_TCP), uv_handle_type_name(UV_NAMED_PIPE),
              uv_handle_type_name(UV_SIGNAL));
  fixture.log("%s %s %s", uv_req_type_name(UV_WRITE), uv_req_type_name(UV_SHUTDOWN),
              uv_req_type_name(UV_CONNECT));
  fixture.call("unknown name", uv_handle_type_name(UV_UNKNOWN_HANDLE) == nullptr);
}
