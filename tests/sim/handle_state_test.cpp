// Handles and loops in rare states: before init, started twice, closed, forgotten.
#include <cstdlib>

#include "several_tcps.hpp"

namespace uvsim::test {
namespace {

class HandleStates : public StepByStep {};

TEST_F(HandleStates, a_timer_is_no_stream) {
  EXPECT_EQ(complaint([] {
              uv_loop_init(&loop);
              uv_timer_init(&loop, &timer);
              return uv_read_stop(stream(&timer));
            }),
            "uv_read_stop was called with a handle of another type");
}

TEST_F(HandleStates, getters_may_be_asked_before_init) {
  run([] {
    uv_tcp_t zero = {};
    say(code(uv_is_active(handle(&zero))) + code(uv_is_closing(handle(&zero))) +
        code(uv_has_ref(handle(&zero))));
    return 0;
  });
  EXPECT_EQ(log(), "000");
}

TEST_F(HandleStates, a_closed_handle_in_static_memory_may_be_stopped) {
  options().ledger = true;
  const Report& report = run([] {
    uv_loop_init(&loop);
    uv_timer_init(&loop, &timer);
    uv_close(handle(&timer), nullptr);
    uv_run(&loop, UV_RUN_DEFAULT);
    say(code(uv_timer_stop(&timer)) + code(uv_is_closing(handle(&timer))));
    return uv_loop_close(&loop);
  });
  EXPECT_TRUE(report.ok()) << report.summary();
  EXPECT_EQ(log(), "01");
}

TEST_F(HandleStates, closed_handles_are_forgotten_and_open_ones_are_not) {
  const Report& report = run([] {
    static uv_timer_t crowd[20'000];
    uv_loop_init(&loop);
    for (size_t i = 0; i < 20'000; ++i) {
      uv_timer_init(&loop, &crowd[i]);
      if (i % 4 != 0) uv_close(handle(&crowd[i]), nullptr);
      if (i % 1000 == 0) uv_run(&loop, UV_RUN_NOWAIT);
    }
    return close_all(&loop);
  });
  EXPECT_TRUE(report.ok()) << report.summary();
  EXPECT_EQ(report.result, 0);
  EXPECT_EQ(report.open_handles, 0u);
}

TEST_F(HandleStates, phases_started_twice_or_without_a_callback) {
  run([] {
    uv_loop_init(&loop);
    uv_prepare_t prepare;
    uv_check_t check;
    uv_prepare_init(&loop, &prepare);
    uv_check_init(&loop, &check);
    say(code(uv_prepare_start(&prepare, nullptr)));
    say(code(uv_check_start(&check, nullptr)));
    for (int i = 0; i < 2; ++i) {
      say(code(uv_prepare_start(&prepare, [](uv_prepare_t*) {})));
      say(code(uv_check_start(&check, [](uv_check_t*) {})));
    }
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "EINVAL EINVAL 0 0 0 0");
}

TEST_F(HandleStates, pending_work_means_no_sleep) {
  run([] {
    return with_pair(
        [] {
          uv_shutdown(&pair().shutdown, stream(&pair().client), nullptr);
          uv_read_stop(stream(&pair().accepted));
          static uv_check_t check;
          uv_check_init(&pair().loop, &check);
          uv_check_start(&check, [](uv_check_t* h) {
            static bool told;
            if (told) return;
            told = true;
            uv_run(uv_default_loop(), UV_RUN_NOWAIT);
            uv_shutdown_t* const again = &pair().shutdown_again;
            uv_shutdown(again, stream(&pair().accepted), nullptr);
            uv_prepare_t prepare;
            static_cast<void>(prepare);
            say(code(uv_backend_timeout(h->loop)));
          });
        },
        4);
  });
  EXPECT_EQ(log(), "0");
}

TEST_F(HandleStates, a_long_stare_at_the_clock_ends) {
  const Report& report = run([] {
    const uint64_t start = uv_hrtime();
    while (uv_hrtime() < start + 100'000'000'000) continue;
    return 0;
  });
  EXPECT_TRUE(report.ok()) << report.summary();
}

TEST_F(HandleStates, the_default_loop_is_not_the_programs_memory) {
  options().ledger = true;
  EXPECT_TRUE(run([] { return uv_loop_close(uv_default_loop()); }).ok());
}

TEST_F(HandleStates, a_loop_that_cannot_be_allocated_is_null) {
  run([] {
    uv_replace_allocator([](size_t) -> void* { return nullptr; },
                         [](void*, size_t) -> void* { return nullptr; },
                         [](size_t, size_t) -> void* { return nullptr; }, [](void*) {});
    EXPECT_EQ(uv_loop_new(), nullptr);
    return 0;
  });
}

TEST_F(HandleStates, a_loop_must_not_be_freed_while_it_is_open) {
  options().ledger = true;
  EXPECT_EQ(broken([] {
              auto* const heap = static_cast<uv_loop_t*>(std::calloc(1, sizeof(uv_loop_t)));
              uv_loop_init(heap);
              std::free(heap);
              return 0;
            }),
            "R34 ");
}

TEST_F(HandleStates, work_is_done_when_the_loop_polls_and_writes_cannot_be_cancelled) {
  run([] {
    return with_pair(
        [] {
          static uv_work_t work;
          uv_queue_work(
              &pair().loop, &work, [](uv_work_t*) { say("work"); },
              [](uv_work_t*, int status) { say("after:" + code(status)); });
          write(0, "w", &pair().client, "x", 1);
          say(code(uv_cancel(reinterpret_cast<uv_req_t*>(&pair().writes[0]))));
        },
        4);
  });
  EXPECT_EQ(log(), "EINVAL w:0 work after:0");
}

}  // namespace
}  // namespace uvsim::test
