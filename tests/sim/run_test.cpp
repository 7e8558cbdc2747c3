// Runs: a clean start each time, the report, limits, quiescence, the trace, and plain programs.
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "scenario.hpp"

namespace uvsim::test {
namespace {

class Runs : public Scenario {};

uv_loop_t loop;
uv_timer_t timer;
uv_idle_t idle;

int wait_a_second() {
  uv_loop_init(&loop);
  uv_timer_init(&loop, &timer);
  uv_timer_start(&timer, [](uv_timer_t*) {}, 1000, 0);
  uv_run(&loop, UV_RUN_DEFAULT);
  return close_all(&loop);
}

int spin_for_ever() {
  uv_loop_init(&loop);
  uv_idle_init(&loop, &idle);
  uv_idle_start(&idle, [](uv_idle_t*) {});
  return uv_run(&loop, UV_RUN_DEFAULT);
}

int leave_everything_open() {
  uv_loop_init(&loop);
  static uv_tcp_t tcp;
  uv_tcp_init_ex(&loop, &tcp, AF_INET);
  return 3;
}

TEST_F(Runs, start_clean_and_repeat_exactly) {
  const Report first = run(wait_a_second);
  EXPECT_TRUE(first.ok());
  EXPECT_TRUE(first.finished);
  EXPECT_GE(first.virtual_ns, 1'000'000'000u);
  EXPECT_EQ(first.callbacks, 2u);  // the timer's, and close_all's walk
  run(leave_everything_open);
  EXPECT_EQ(simulation.report().result, 3);
  EXPECT_EQ(simulation.report().open_handles, 1u);
  EXPECT_EQ(simulation.report().open_descriptors, 6u);
  const Report& again = run(wait_a_second);
  EXPECT_EQ(again.trace_hash, first.trace_hash);
  EXPECT_EQ(again.steps, first.steps);
  EXPECT_EQ(again.turns, first.turns);
  EXPECT_EQ(again.summary(), "");
  EXPECT_EQ(&simulation.report(), &again);
}

TEST_F(Runs, differ_in_their_hash_when_they_differ) {
  const uint64_t one = run(wait_a_second).trace_hash;
  const uint64_t two = run([] {
                         uv_loop_init(&loop);
                         return 0;
                       }).trace_hash;
  EXPECT_NE(one, two);
}

TEST_F(Runs, may_be_driven_in_two_halves) {
  Kindest kindest;
  EXPECT_EQ(Simulation::current(), nullptr);
  simulation.begin(kindest);
  EXPECT_EQ(Simulation::current(), &simulation);
  EXPECT_EQ(&simulation.context(), &Simulation::current()->context());
  EXPECT_EQ(wait_a_second(), 0);
  EXPECT_EQ(simulation.end(5).result, 5);
  EXPECT_FALSE(simulation.report().finished);
}

TEST_F(Runs, end_with_their_simulation) {
  Kindest kindest;
  {
    Simulation other;
    other.begin(kindest);
  }
  EXPECT_EQ(Simulation::current(), nullptr);
}

TEST_F(Runs, leave_by_a_violation_and_the_next_is_clean) {
  const Report& report = run([] {
    uv_loop_init(&loop);
    uv_timer_init(&loop, &timer);
    uv_timer_start(
        &timer,
        [](uv_timer_t* t) {
          uv_close(handle(t), nullptr);
          uv_close(handle(t), nullptr);
          say("never");
        },
        1, 0);
    return uv_run(&loop, UV_RUN_DEFAULT);
  });
  EXPECT_FALSE(report.ok());
  EXPECT_FALSE(report.finished);
  EXPECT_EQ(log(), "");
  EXPECT_EQ(report.summary().substr(0, 9), "R27: time");
  EXPECT_TRUE(run(wait_a_second).ok());
}

TEST_F(Runs, reclaim_what_a_left_program_had_allocated) {
  options().ledger = true;
  const Report& report = run([] {
    int* volatile kept = new int[100];
    uv_close(nullptr, nullptr);
    delete[] kept;
    return 0;
  });
  EXPECT_TRUE(report.ledger.active);
  EXPECT_EQ(report.ledger.live, 1u);
  EXPECT_TRUE(report.ledger.ok);
}

// ---- Limits ------------------------------------------------------------------------------------

TEST_F(Runs, are_bounded_in_every_way) {
  const auto limit_of = [this](int (*program)()) { return run(program).limit; };
  EXPECT_EQ(limit_of(wait_a_second), Limit::none);
  options().max_turns = 100;
  EXPECT_EQ(limit_of(spin_for_ever), Limit::turns);
  EXPECT_NE(simulation.report().summary().find("turns"), std::string::npos);
  EXPECT_FALSE(simulation.report().ok());
  options().max_turns = 1'000'000;
  options().max_callbacks = 100;
  EXPECT_EQ(limit_of(spin_for_ever), Limit::callbacks);
  options().max_callbacks = 1'000'000;
  options().max_steps = 100;
  EXPECT_EQ(limit_of(spin_for_ever), Limit::steps);
  EXPECT_EQ(limit_of([] {
              for (;;) uv_sleep(0);
              return 0;
            }),
            Limit::steps);
  options().max_steps = 100'000'000;
  options().max_seconds = 0;
  EXPECT_EQ(limit_of(wait_a_second), Limit::time);
  options().max_seconds = ~uint64_t{0};
  options().max_calls_in_callback = 1000;
  EXPECT_EQ(limit_of([] {
              uv_loop_init(&loop);
              while (uv_loop_alive(&loop) == 0) continue;
              return 0;
            }),
            Limit::calls_in_callback);
  EXPECT_EQ(limit_of([] {
              for (;;) uv_sleep(0);
              return 0;
            }),
            Limit::calls_in_callback);
}

TEST_F(Runs, do_not_count_the_calls_of_a_program_that_sleeps_between_them) {
  options().max_calls_in_callback = 10;
  const auto sleeps_often = [] {
    for (int turn = 0; turn < 1000; ++turn) uv_sleep(1);
    return 0;
  };
  EXPECT_EQ(run(sleeps_often).limit, Limit::none);
}

TEST_F(Runs, bound_a_hook_that_claims_progress) {
  options().max_idle_hooks = 10;
  simulation.on_poll([](Network&, Wait) { return Progress::made; });
  EXPECT_EQ(run(wait_a_second).limit, Limit::hooks);
}

TEST_F(Runs, name_their_limits) {
  for (const Limit limit : {Limit::none, Limit::steps, Limit::callbacks, Limit::turns, Limit::time,
                            Limit::calls_in_callback, Limit::hooks})
    EXPECT_GT(std::strlen(name_of(limit)), 3u);
}

// ---- Quiescence --------------------------------------------------------------------------------

int listen_for_nobody() {
  static uv_tcp_t tcp;
  uv_loop_init(&loop);
  uv_tcp_init(&loop, &tcp);
  const sockaddr_in address = loopback(port);
  uv_tcp_bind(&tcp, reinterpret_cast<const sockaddr*>(&address), 0);
  uv_listen(stream(&tcp), 1, nullptr);
  say(code(uv_run(&loop, UV_RUN_DEFAULT)));
  return close_all(&loop);
}

TEST_F(Runs, are_left_when_nothing_can_happen) {
  const Report& report = run(listen_for_nobody);
  EXPECT_TRUE(report.quiescent);
  EXPECT_FALSE(report.finished);
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(log(), "");
}

TEST_F(Runs, may_be_unblocked_when_nothing_can_happen) {
  options().on_quiescence = OnQuiescence::unblock;
  const Report& report = run(listen_for_nobody);
  EXPECT_TRUE(report.quiescent);
  EXPECT_TRUE(report.finished);
  EXPECT_EQ(log(), "1");
}

// ---- The hook ----------------------------------------------------------------------------------

TEST_F(Runs, tell_the_hook_how_long_they_would_sleep) {
  simulation.on_poll([](Network& network, Wait wait) {
    if (wait.ready) return Progress::nothing;
    if (wait.ns == Wait::forever) return Progress::nothing;
    say(std::to_string(wait.ns / 1'000'000));
    if (wait.ns < 900'000'000) return Progress::nothing;
    network.advance(300'000'000);
    return Progress::made;
  });
  run(wait_a_second);
  EXPECT_EQ(log().substr(0, 8), "1000 700");
}

TEST_F(Runs, refuse_calls_from_the_hook) {
  simulation.on_poll([](Network&, Wait) {
    uv_sleep(1);
    return Progress::nothing;
  });
  EXPECT_EQ(complaint(wait_a_second), "uv_sleep was called from the poll hook");
}

TEST_F(Runs, give_the_hook_a_turn_while_a_write_is_tried_again_and_again) {
  simulation.on_poll([](Network& network, Wait) {
    if (network.listeners() == 0) return Progress::nothing;
    if (network.peers() == 0) {
      network.connect(size_t{0});
      return Progress::made;
    }
    static int patience;
    if (++patience > 5) network.reset(Peer{1});
    return Progress::made;
  });
  run([] {
    static uv_tcp_t tcp;
    uv_loop_init(&loop);
    uv_tcp_init(&loop, &tcp);
    const sockaddr_in address = loopback(port);
    uv_tcp_bind(&tcp, reinterpret_cast<const sockaddr*>(&address), 0);
    uv_listen(stream(&tcp), 1, [](uv_stream_t* server, int) {
      static uv_tcp_t conn;
      uv_tcp_init(server->loop, &conn);
      uv_accept(server, stream(&conn));
      int result = 0;
      while (result >= 0 || result == UV_EAGAIN) {
        const uv_buf_t buf = uv_buf_init(buffer, sizeof buffer);
        result = uv_try_write(stream(&conn), &buf, 1);
      }
      say(code(result));
      close_all(server->loop);
    });
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_run(&loop, UV_RUN_NOWAIT);
    return 0;
  });
  EXPECT_EQ(log(), "ECONNRESET");
}

// ---- The trace ---------------------------------------------------------------------------------

TEST_F(Runs, tell_what_happened) {
  run([] {
    Simulation::current()->note("here \"it\" is\\\n", 7);
    uv_loop_init(&loop);
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, nullptr, 0, 0);
    return 0;
  });
  const std::string text = simulation.trace_text();
  EXPECT_NE(text.find("uv_timer_start timer#1 = -22 EINVAL"), std::string::npos) << text;
  EXPECT_NE(text.find("note here"), std::string::npos) << text;
  EXPECT_NE(text.find("uv_loop_init loop#1 = 0"), std::string::npos) << text;
  const std::string json = simulation.trace_json();
  EXPECT_NE(json.find("\"text\":\"here \\\"it\\\" is\\\\ \""), std::string::npos) << json;
  EXPECT_NE(json.find("\"result\":-22"), std::string::npos) << json;
  EXPECT_NE(json.find("\"subject\":\"timer#1\""), std::string::npos) << json;
}

TEST_F(Runs, keep_the_last_events_only_and_hash_them_all) {
  const uint64_t hash = run(wait_a_second).trace_hash;
  options().trace_events = 1;  // the least is 64
  run([] {
    for (int i = 0; i < 1000; ++i) uv_sleep(0);
    return 0;
  });
  EXPECT_NE(simulation.trace_text().find("(936 earlier events)"), std::string::npos);
  options().trace = false;
  EXPECT_EQ(run(wait_a_second).trace_hash, hash);
  EXPECT_EQ(simulation.trace_text().find("uv_run"), std::string::npos);
}

// ---- Findings ----------------------------------------------------------------------------------

int bind_and_never_ask() {
  static uv_tcp_t first;
  static uv_tcp_t second;
  uv_loop_init(&loop);
  const sockaddr_in address = loopback(port);
  for (uv_tcp_t* const tcp : {&first, &second}) {
    uv_tcp_init(&loop, tcp);
    uv_tcp_bind(tcp, reinterpret_cast<const sockaddr*>(&address), 0);
    if (tcp == &first) uv_listen(stream(tcp), 1, nullptr);
  }
  return close_all(&loop);
}

TEST_F(Runs, warn_of_what_libuv_survives) {
  EXPECT_EQ(warned(bind_and_never_ask), "R40 tcp#2");
  EXPECT_TRUE(simulation.report().ok());
  options().warnings_fatal = true;
  EXPECT_EQ(broken(bind_and_never_ask), "R40 tcp#2");
  options().checks = false;
  EXPECT_EQ(broken(bind_and_never_ask), "nothing: ");
}

// ---- Programs that know nothing of a simulation
// --------------------------------------------------

using RunsDeath = Runs;

TEST_F(RunsDeath, a_violation_outside_a_run_aborts_with_the_way_there) {
  options().on_violation = OnViolation::abort;
  EXPECT_DEATH(run([] {
                 uv_loop_init(&loop);
                 uv_timer_init(&loop, &timer);
                 return uv_timer_init(&loop, &timer);
               }),
               "R29: timer#1: .*\n.*the way there.*\n.*uv_loop_init");
  options().max_turns = 10;
  EXPECT_DEATH(run(spin_for_ever), "too many loop turns");
}

TEST_F(RunsDeath, a_violation_between_begin_and_end_aborts) {
  Kindest kindest;
  EXPECT_DEATH(
      {
        simulation.begin(kindest);
        uv_close(nullptr, nullptr);
      },
      "null handle");
}

TEST_F(RunsDeath, two_at_once_are_refused) {
  Kindest kindest;
  EXPECT_DEATH(
      {
        Simulation other;
        simulation.begin(kindest);
        other.begin(kindest);
      },
      "while another was running");
}

TEST_F(RunsDeath, the_network_is_of_a_running_simulation) {
  EXPECT_DEATH(simulation.network().peers(), "no simulation was running");
}

int plain(int (*program)()) {
  const int result = program();
  std::exit(result);
}

TEST_F(RunsDeath, a_plain_program_just_works) {
  EXPECT_EXIT(plain(wait_a_second), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(plain(spin_for_ever), ::testing::KilledBySignal(SIGABRT), "too many");
  EXPECT_EXIT(plain(listen_for_nobody), ::testing::ExitedWithCode(1),
              "nothing can happen any more, and the loop waits for ever for tcp#1");
}

TEST_F(RunsDeath, a_plain_program_obeys_the_environment) {
  const auto with = [](const char* name, const char* value, int (*program)()) {
    setenv(name, value, 1);
    plain(program);
  };
  EXPECT_EXIT(with("UVSIM_TRACE", "text", wait_a_second), ::testing::ExitedWithCode(0),
              "uv_timer_start timer#1");
  EXPECT_EXIT(with("UVSIM_TRACE", "json", wait_a_second), ::testing::ExitedWithCode(0),
              "\"what\":\"uv_timer_start\"");
  EXPECT_EXIT(with("UVSIM_MAX_TURNS", "5", spin_for_ever), ::testing::KilledBySignal(SIGABRT),
              "turns");
  EXPECT_EXIT(with("UVSIM_MAX_SECONDS", "0", wait_a_second), ::testing::KilledBySignal(SIGABRT),
              "virtual time");
  const auto sqpoll = [] {
    uv_loop_init(&loop);
    const volatile int option = 2;
    return uv_loop_configure(&loop, static_cast<uv_loop_option>(option)) == 0 ? 52 : 44;
  };
  EXPECT_EXIT(with("UVSIM_VERSION", "1.44", sqpoll), ::testing::ExitedWithCode(44), "");
  EXPECT_EXIT(with("UVSIM_VERSION", "1.52", sqpoll), ::testing::ExitedWithCode(52), "");
  EXPECT_EXIT(with("UVSIM_CHECKS", "0", bind_and_never_ask), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(with("UVSIM_LEDGER", "0", wait_a_second), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(with("UVSIM_SEED", "5",
                   [] {
                     while (uv_loop_init(&loop) != 0) continue;
                     return 0;
                   }),
              ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(with("UVSIM_DESCRIPTORS", "1", [] { return uv_loop_init(&loop) < 0 ? 7 : 0; }),
              ::testing::ExitedWithCode(7), "");
  // The first question is whether uv_loop_init fails.
  EXPECT_EXIT(with("UVSIM_CHOICES", "01", [] { return uv_loop_init(&loop) < 0 ? 7 : 0; }),
              ::testing::ExitedWithCode(7), "");
  EXPECT_EXIT(with("UVSIM_WATCHDOG", "1",
                   [] {
                     uv_loop_init(&loop);
                     for (;;)
                       ::poll(nullptr, 0, 0);  // ThreadSanitizer lets signals wait for such a call
                     return 0;
                   }),
              ::testing::KilledBySignal(SIGABRT), "watchdog");
}

TEST_F(RunsDeath, a_driver_may_have_called_libuv_before) {
  const auto program = [this] {
    uv_loop_init(&loop);
    run(wait_a_second);
    const bool ok = simulation.report().ok();
    uv_loop_t other;
    uv_loop_init(&other);
    std::exit(ok ? uv_loop_close(&other) : 1);
  };
  EXPECT_EXIT(program(), ::testing::ExitedWithCode(0), "");
}

TEST_F(RunsDeath, a_watchdog_is_called_off_at_the_end_of_the_run) {
  options().watchdog_seconds = 100;
  run(wait_a_second);
  EXPECT_EQ(alarm(0), 0u);
}

}  // namespace
}  // namespace uvsim::test
