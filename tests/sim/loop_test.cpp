// Loops: their life, the order of phases in both versions, the clock, and walking.
#include <csignal>

#include "scenario.hpp"

namespace uvsim::test {
namespace {

class Loops : public Scenario {};

uv_loop_t loop;

TEST_F(Loops, live_and_close) {
  run([] {
    loop.data = &loop;
    say(code(uv_loop_init(&loop)));
    EXPECT_EQ(uv_loop_get_data(&loop), &loop);
    uv_loop_set_data(&loop, nullptr);
    EXPECT_EQ(uv_loop_size(), sizeof(uv_loop_t));
    EXPECT_GT(uv_backend_fd(&loop), 0);
    say(code(uv_loop_alive(&loop)));
    say(code(uv_run(&loop, UV_RUN_DEFAULT)));
    uv_timer_t timer;
    uv_timer_init(&loop, &timer);
    say(code(uv_loop_close(&loop)));
    uv_close(handle(&timer), nullptr);
    say(code(uv_loop_alive(&loop)));
    say(code(uv_loop_close(&loop)));
    uv_run(&loop, UV_RUN_DEFAULT);
    ++loop.active_reqs.count;
    say(code(uv_loop_close(&loop)));
    --loop.active_reqs.count;
    say(code(uv_loop_close(&loop)));
    say(code(uv_loop_init(&loop)));
    say(code(uv_loop_close(&loop)));
    uv_library_shutdown();
    return 0;
  });
  EXPECT_EQ(log(), "0 0 0 EBUSY 1 EBUSY EBUSY 0 0 0");
  EXPECT_EQ(simulation.report().open_descriptors, 0u);
}

TEST_F(Loops, the_default_one_need_not_be_closed) {
  run([] { return uv_run(uv_default_loop(), UV_RUN_DEFAULT); });
  EXPECT_EQ(simulation.report().open_descriptors, 0u);
}

TEST_F(Loops, the_default_one_is_made_again_after_it_was_closed) {
  run([] {
    uv_loop_t* const first = uv_default_loop();
    EXPECT_EQ(first, uv_default_loop());
    EXPECT_EQ(uv_loop_close(first), 0);
    EXPECT_EQ(uv_default_loop(), first);
    uv_loop_t* const second = uv_loop_new();
    EXPECT_NE(second, first);
    uv_loop_delete(second);
    uv_loop_delete(first);
    return 0;
  });
  EXPECT_TRUE(simulation.report().ok()) << simulation.report().summary();
}

TEST_F(Loops, may_not_come_into_being) {
  Only fault(ChoicePoint::call_loop_init, 1);
  run(fault, [] {
    EXPECT_EQ(uv_loop_init(&loop), UV_EMFILE);
    return 0;
  });
  options().descriptors = 2;
  run([] {
    EXPECT_EQ(uv_loop_init(&loop), UV_EMFILE);
    EXPECT_EQ(uv_default_loop(), nullptr);
    EXPECT_EQ(uv_loop_new(), nullptr);
    return 0;
  });
  EXPECT_EQ(simulation.report().open_descriptors, 0u);
}

TEST_F(Loops, configure_knows_its_options) {
  const auto program = [] {
    const volatile int use_io_uring = 2;
    const volatile int unknown = 9;
    uv_loop_init(&loop);
    say(code(uv_loop_configure(&loop, UV_LOOP_BLOCK_SIGNAL, SIGPROF)));
    say(code(uv_loop_configure(&loop, UV_LOOP_BLOCK_SIGNAL, SIGINT)));
    say(code(uv_loop_configure(&loop, static_cast<uv_loop_option>(use_io_uring))));
    say(code(uv_loop_configure(&loop, static_cast<uv_loop_option>(unknown))));
    return uv_loop_close(&loop);
  };
  run(program);
  options().version = Version::v1_44;
  run(program);
  EXPECT_EQ(log(), "0 EINVAL 0 ENOSYS 0 EINVAL ENOSYS ENOSYS");
}

// ---- Phases ------------------------------------------------------------------------------------

int one_of_each() {
  static uv_timer_t timer;
  static uv_idle_t idle;
  static uv_prepare_t prepare;
  static uv_check_t check;
  static uv_async_t async;
  static int turns;
  turns = 0;
  uv_loop_init(&loop);
  uv_timer_init(&loop, &timer);
  uv_idle_init(&loop, &idle);
  uv_prepare_init(&loop, &prepare);
  uv_check_init(&loop, &check);
  uv_async_init(&loop, &async, [](uv_async_t*) { say("async"); });
  uv_timer_start(&timer, [](uv_timer_t*) { say("timer"); }, 0, 0);
  uv_idle_start(&idle, [](uv_idle_t*) {
    say("idle");
    uv_async_send(&async);
    uv_timer_start(&timer, [](uv_timer_t*) { say("timer"); }, 0, 0);
  });
  uv_prepare_start(&prepare, [](uv_prepare_t*) { say("prepare"); });
  uv_check_start(&check, [](uv_check_t* h) {
    say("check");
    if (++turns == 2)
      uv_walk(h->loop, [](uv_handle_t* each, void*) { uv_close(each, on_close); }, nullptr);
  });
  for (uv_handle_t* const h :
       {handle(&timer), handle(&idle), handle(&prepare), handle(&check), handle(&async)})
    h->data = const_cast<char*>(uv_handle_type_name(h->type));
  uv_run(&loop, UV_RUN_DEFAULT);
  return uv_loop_close(&loop);
}

constexpr char closing[] = " async:closed check:closed prepare:closed idle:closed timer:closed";

TEST_F(Loops, run_all_phases_in_order) {
  for (const Version version : {Version::v1_44, Version::v1_52}) {
    log().clear();
    options().version = version;
    EXPECT_EQ(run(one_of_each).result, 0);
    EXPECT_EQ(log(), std::string("timer idle prepare async check timer idle prepare async check") +
                         closing);
  }
}

TEST_F(Loops, run_timers_first_in_1_44_and_last_in_1_52) {
  const auto program = [] {
    static uv_timer_t timer;
    static uv_check_t check;
    uv_loop_init(&loop);
    uv_timer_init(&loop, &timer);
    uv_check_init(&loop, &check);
    uv_timer_start(&timer, [](uv_timer_t*) { say("timer"); }, 0, 0);
    uv_check_start(&check, [](uv_check_t*) { say("check"); });
    uv_run(&loop, UV_RUN_NOWAIT);
    return close_all(&loop);
  };
  run(program);
  options().version = Version::v1_44;
  run(program);
  EXPECT_EQ(log(), "check timer timer check");
}

TEST_F(Loops, run_once_waits_for_a_timer_and_runs_it) {
  const auto program = [] {
    uv_loop_init(&loop);
    uv_timer_t timer;
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, [](uv_timer_t*) { say("timer"); }, 5, 0);
    say(code(uv_run(&loop, UV_RUN_NOWAIT)));
    say(code(uv_run(&loop, UV_RUN_ONCE)));
    return close_all(&loop);
  };
  run(program);
  options().version = Version::v1_44;
  run(program);
  EXPECT_EQ(log(), "1 timer 0 1 timer 0");
}

TEST_F(Loops, stop_ends_the_run_after_the_turn) {
  const auto program = [] {
    uv_loop_init(&loop);
    static uv_timer_t timer;
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, [](uv_timer_t*) { say("timer"); }, 0, 1);
    uv_stop(&loop);
    say(code(uv_run(&loop, UV_RUN_DEFAULT)));
    say(code(uv_backend_timeout(&loop)));
    uv_timer_start(
        &timer,
        [](uv_timer_t* t) {
          uv_stop(t->loop);
          say("stop");
          say(code(uv_backend_timeout(t->loop)));
        },
        0, 1);
    say(code(uv_run(&loop, UV_RUN_DEFAULT)));
    return close_all(&loop);
  };
  run(program);
  options().version = Version::v1_44;
  run(program);
  EXPECT_EQ(log(), "1 0 stop 0 1 1 0 stop 0 1");
}

TEST_F(Loops, backend_timeout_tells_how_long_they_would_sleep) {
  run([] {
    uv_loop_init(&loop);
    static uv_timer_t timer;
    static uv_idle_t idle;
    static uv_tcp_t tcp;
    uv_timer_init(&loop, &timer);
    uv_idle_init(&loop, &idle);
    uv_tcp_init(&loop, &tcp);
    uv_run(&loop, UV_RUN_NOWAIT);
    say(code(uv_backend_timeout(&loop)));
    uv_timer_start(&timer, [](uv_timer_t*) {}, 25, 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    say(code(uv_backend_timeout(&loop)));
    uv_timer_start(&timer, [](uv_timer_t*) {}, 0, 0);
    say(code(uv_backend_timeout(&loop)));
    uv_timer_start(&timer, [](uv_timer_t*) {}, uint64_t{1} << 40, 0);
    say(code(uv_backend_timeout(&loop)));
    uv_idle_start(&idle, [](uv_idle_t*) {});
    say(code(uv_backend_timeout(&loop)));
    uv_idle_stop(&idle);
    const sockaddr_in address = loopback(port);
    uv_tcp_bind(&tcp, reinterpret_cast<const sockaddr*>(&address), 0);
    uv_listen(stream(&tcp), 1, nullptr);
    say(code(uv_backend_timeout(&loop)));
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_close(handle(&tcp), nullptr);
    say(code(uv_backend_timeout(&loop)));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "0 25 0 2147483647 0 0 0");
}

TEST_F(Loops, several_in_one_program_keep_apart) {
  run([] {
    static uv_loop_t other;
    static uv_timer_t inner;
    static uv_timer_t outer;
    uv_loop_init(&loop);
    uv_loop_init(&other);
    uv_timer_init(&loop, &outer);
    uv_timer_init(&other, &inner);
    uv_timer_start(&inner, [](uv_timer_t*) { say("inner"); }, 1, 0);
    uv_timer_start(
        &outer,
        [](uv_timer_t*) {
          say("outer");
          uv_run(&other, UV_RUN_DEFAULT);
          say("again");
        },
        1, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    return close_all(&other) + close_all(&loop);
  });
  EXPECT_EQ(log(), "outer inner again");
}

// ---- The clock ---------------------------------------------------------------------------------

TEST_F(Loops, time_passes_for_who_spins) {
  run([] {
    uv_loop_init(&loop);
    uv_timer_t timer;
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, [](uv_timer_t*) {}, 1'000'000, 0);
    const uint64_t start = uv_now(&loop);
    while (uv_now(&loop) < start + 100) uv_run(&loop, UV_RUN_NOWAIT);
    // Also where there is nothing to run.
    uv_close(handle(&timer), nullptr);
    uv_run(&loop, UV_RUN_DEFAULT);
    while (uv_now(&loop) < start + 200) EXPECT_EQ(uv_run(&loop, UV_RUN_NOWAIT), 0);
    const uint64_t began = uv_hrtime();
    while (uv_hrtime() < began + 2'000'000'000) continue;
    uv_update_time(&loop);
    EXPECT_GE(uv_now(&loop), start + 2'200);
    uv_sleep(500);
    uv_update_time(&loop);
    EXPECT_GE(uv_now(&loop), start + 2'700);
    EXPECT_LT(uv_now(&loop), start + 3'100);
    return close_all(&loop);
  });
  EXPECT_TRUE(simulation.report().ok()) << simulation.report().summary();
}

TEST_F(Loops, know_the_time_of_day) {
  run([] {
    uv_timeval64_t now = {};
    EXPECT_EQ(uv_gettimeofday(nullptr), UV_EINVAL);
    EXPECT_EQ(uv_gettimeofday(&now), 0);
    EXPECT_GT(now.tv_sec, 1'700'000'000);
    return 0;
  });
}

TEST_F(Loops, count_their_idle_time_when_asked) {
  run([] {
    static uv_timer_t timer;
    uv_loop_init(&loop);
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, [](uv_timer_t*) {}, 100, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    EXPECT_EQ(uv_metrics_idle_time(&loop), 0u);
    uv_loop_configure(&loop, UV_METRICS_IDLE_TIME);
    uv_timer_start(&timer, [](uv_timer_t*) {}, 100, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    EXPECT_GE(uv_metrics_idle_time(&loop), 90'000'000u);
    return close_all(&loop);
  });
}

TEST_F(Loops, turns_may_take_long) {
  Only late(ChoicePoint::turn_time, 2);
  run(late, [] {
    uv_loop_init(&loop);
    const uint64_t start = uv_now(&loop);
    uv_idle_t idle;
    uv_idle_init(&loop, &idle);
    uv_idle_start(&idle, [](uv_idle_t*) {});
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_update_time(&loop);
    EXPECT_GE(uv_now(&loop), start + 50);
    return close_all(&loop);
  });
}

// ---- Walking -----------------------------------------------------------------------------------

TEST_F(Loops, walk_visits_everybody_and_prints) {
  run([] {
    static uv_timer_t timer;
    static uv_tcp_t tcp;
    uv_loop_init(&loop);
    uv_timer_init(&loop, &timer);
    uv_tcp_init(&loop, &tcp);
    uv_timer_start(&timer, [](uv_timer_t*) {}, 1, 0);
    uv_unref(handle(&tcp));
    FILE* const file = std::tmpfile();
    uv_print_all_handles(&loop, file);
    uv_print_active_handles(&loop, file);
    uv_print_active_handles(nullptr, file);
    std::rewind(file);
    char line[100];
    while (std::fgets(line, sizeof line, file) != nullptr) say(std::string(line, 14));
    std::fclose(file);
    uv_loop_close(uv_default_loop());
    uv_walk(
        &loop,
        [](uv_handle_t* h, void* arg) {
          say(uv_handle_type_name(uv_handle_get_type(h)));
          EXPECT_EQ(arg, &loop);
          EXPECT_EQ(uv_handle_get_loop(h), &loop);
        },
        &loop);
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "[RA-] timer    [---] tcp      [RA-] timer    timer tcp");
}

// ---- Rules -------------------------------------------------------------------------------------

TEST_F(Loops, must_not_run_inside_themselves) {
  EXPECT_EQ(broken([] {
              static uv_idle_t idle;
              uv_loop_init(&loop);
              uv_idle_init(&loop, &idle);
              uv_idle_start(&idle, [](uv_idle_t* h) { uv_run(h->loop, UV_RUN_NOWAIT); });
              return uv_run(&loop, UV_RUN_DEFAULT);
            }),
            "R35 loop#1");
  EXPECT_EQ(broken([] {
              static uv_idle_t idle;
              uv_loop_init(&loop);
              uv_idle_init(&loop, &idle);
              uv_idle_start(&idle, [](uv_idle_t* h) { uv_loop_close(h->loop); });
              return uv_run(&loop, UV_RUN_DEFAULT);
            }),
            "R35 loop#1");
}

TEST_F(Loops, must_be_there) {
  EXPECT_EQ(broken([] {
              uv_loop_init(&loop);
              uv_loop_close(&loop);
              return uv_run(&loop, UV_RUN_DEFAULT);
            }),
            "R34 ");
  EXPECT_EQ(broken([] { return uv_run(nullptr, UV_RUN_DEFAULT); }), " ");
  EXPECT_EQ(broken([] {
              uv_loop_init(&loop);
              return uv_loop_init(&loop);
            }),
            "R34 loop#1");
  EXPECT_EQ(broken([] {
              uv_loop_t* const made = uv_loop_new();
              static uv_timer_t timer;
              uv_timer_init(made, &timer);
              uv_loop_delete(made);
              return 0;
            }),
            "R34 ");
}

}  // namespace
}  // namespace uvsim::test
