// Timers.
#include "scenario.hpp"

namespace uvsim::test {
namespace {

class Timers : public Scenario {};

uv_loop_t loop;
uv_timer_t timers[40];

void init_timers(int count) {
  uv_loop_init(&loop);
  static const char* const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
  for (int i = 0; i < count; ++i) {
    uv_timer_init(&loop, &timers[i]);
    call(timers[i], names[i % 8]);
  }
}

void on_timer(uv_timer_t* timer) {
  say(name(timer) + "@" + std::to_string(uv_now(timer->loop) % 1000));
}

TEST_F(Timers, run_when_due_in_the_order_of_their_start) {
  run([] {
    init_timers(5);
    uv_timer_start(&timers[0], on_timer, 20, 0);
    uv_timer_start(&timers[1], on_timer, 10, 0);
    uv_timer_start(&timers[2], on_timer, 10, 0);
    uv_timer_start(&timers[3], on_timer, 0, 0);
    uv_timer_start(&timers[4], on_timer, ~uint64_t{0}, 0);
    uv_unref(handle(&timers[4]));
    uv_run(&loop, UV_RUN_DEFAULT);
    say(std::to_string(uv_timer_get_due_in(&timers[0])));
    say(uv_timer_get_due_in(&timers[4]) > 1'000'000 ? "later" : "?");
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "d@0 b@10 c@10 a@20 0 later");
}

TEST_F(Timers, keep_their_order_in_a_crowd) {
  run([] {
    uv_loop_init(&loop);
    for (uint64_t i = 0; i < 40; ++i) {
      uv_timer_init(&loop, &timers[i]);
      timers[i].data = nullptr;
      uv_timer_start(
          &timers[i],
          [](uv_timer_t* t) {
            static uint64_t last;
            EXPECT_GE(t->timeout, last);
            last = t->timeout;
          },
          1 + i * 7 % 40, 0);
    }
    for (size_t i = 0; i < 40; i += 3) uv_timer_stop(&timers[i]);
    for (size_t i = 1; i < 40; i += 4) uv_close(handle(&timers[i]), nullptr);
    uv_run(&loop, UV_RUN_DEFAULT);
    return close_all(&loop);
  });
  EXPECT_EQ(simulation.report().result, 0);
}

TEST_F(Timers, repeat_until_they_are_stopped) {
  run([] {
    init_timers(1);
    EXPECT_EQ(uv_timer_again(&timers[0]), UV_EINVAL);
    EXPECT_EQ(uv_timer_start(&timers[0], nullptr, 1, 1), UV_EINVAL);
    uv_timer_start(
        &timers[0],
        [](uv_timer_t* t) {
          on_timer(t);
          static int count;
          ++count;
          if (count == 2) uv_timer_set_repeat(t, 30);
          if (count == 4) uv_timer_stop(t);
        },
        10, 20);
    EXPECT_EQ(uv_timer_get_repeat(&timers[0]), 20u);
    uv_run(&loop, UV_RUN_DEFAULT);
    EXPECT_EQ(uv_timer_again(&timers[0]), 0);
    EXPECT_EQ(uv_is_active(handle(&timers[0])), 1);
    uv_timer_set_repeat(&timers[0], 0);
    EXPECT_EQ(uv_timer_again(&timers[0]), 0);
    uv_close(handle(&timers[0]), nullptr);
    EXPECT_EQ(uv_timer_again(&timers[0]), 0);
    EXPECT_EQ(uv_timer_start(&timers[0], on_timer, 1, 1), UV_EINVAL);
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "a@10 a@30 a@50 a@80");
}

TEST_F(Timers, again_on_a_closing_repeating_timer_does_not_start_it) {
  run([] {
    init_timers(1);
    uv_timer_start(&timers[0], on_timer, 10, 10);
    uv_close(handle(&timers[0]), on_close);
    EXPECT_EQ(uv_timer_again(&timers[0]), 0);
    EXPECT_EQ(uv_is_active(handle(&timers[0])), 0);
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "a:closed");
}

int restart_with_zero() {
  init_timers(2);
  uv_timer_start(
      &timers[0],
      [](uv_timer_t* t) {
        on_timer(t);
        static int count;
        if (++count % 3 != 0) uv_timer_start(t, t->timer_cb, 0, 0);
      },
      1, 0);
  static uv_check_t check;
  uv_check_init(&loop, &check);
  uv_unref(handle(&check));
  uv_check_start(&check, [](uv_check_t*) { say("|"); });
  uv_run(&loop, UV_RUN_DEFAULT);
  return close_all(&loop);
}

TEST_F(Timers, started_by_a_timer_run_in_the_same_pass_in_1_44) {
  options().version = Version::v1_44;
  run(restart_with_zero);
  EXPECT_NE(log().find("a@1 a@1 a@1"), std::string::npos) << log();
}

TEST_F(Timers, started_by_a_timer_wait_for_the_next_pass_in_1_52) {
  run(restart_with_zero);
  EXPECT_NE(log().find("a@1 | a@1 | a@1"), std::string::npos) << log();
}

TEST_F(Timers, stopped_or_closed_by_another_that_is_due_do_not_run) {
  const auto program = [] {
    init_timers(4);
    uv_timer_start(
        &timers[0],
        [](uv_timer_t* t) {
          on_timer(t);
          uv_timer_stop(&timers[1]);
          uv_close(handle(&timers[2]), on_close);
          uv_timer_start(&timers[3], on_timer, 5, 0);
        },
        1, 0);
    for (int i = 1; i < 4; ++i) uv_timer_start(&timers[i], on_timer, 1, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    return close_all(&loop);
  };
  run(program);
  EXPECT_EQ(log(), "a@1 c:closed d@6");
  log().clear();
  options().version = Version::v1_44;
  run(program);
  EXPECT_EQ(log(), "a@1 c:closed d@6");
}

TEST_F(Timers, may_be_refused) {
  Only init_fault(ChoicePoint::call_timer_init, 1);
  run(init_fault, [] {
    uv_loop_init(&loop);
    say(code(uv_timer_init(&loop, &timers[0])));
    return uv_loop_close(&loop);
  });
  Only start_fault(ChoicePoint::call_timer_start, 1);
  run(start_fault, [] {
    init_timers(1);
    say(code(uv_timer_start(&timers[0], on_timer, 1, 0)));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "ENOMEM EINVAL");
}

}  // namespace
}  // namespace uvsim::test
