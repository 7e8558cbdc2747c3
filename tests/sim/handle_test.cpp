// Handles of every kind: references, closing, getters; idle, prepare, check and async; and what a
// program must not do to a handle or a request.
#include <cstdlib>
#include <memory>

#include "scenario.hpp"

namespace uvsim::test {
namespace {

class Handles : public Scenario {};

uv_loop_t loop;
uv_tcp_t tcp;
uv_timer_t timer;
uv_idle_t idle;
uv_prepare_t prepare;
uv_check_t check;
uv_async_t async;

TEST_F(Handles, count_as_active_while_started_and_referenced) {
  run([] {
    uv_loop_init(&loop);
    uv_timer_init(&loop, &timer);
    const auto active = [] { say(std::to_string(loop.active_handles)); };
    active();
    uv_timer_start(&timer, [](uv_timer_t*) {}, 1, 0);
    active();
    uv_unref(handle(&timer));
    uv_unref(handle(&timer));
    active();
    EXPECT_EQ(uv_has_ref(handle(&timer)), 0);
    uv_timer_stop(&timer);
    uv_ref(handle(&timer));
    uv_ref(handle(&timer));
    EXPECT_EQ(uv_has_ref(handle(&timer)), 1);
    active();
    uv_timer_start(&timer, [](uv_timer_t*) {}, 1, 0);
    uv_unref(handle(&timer));
    uv_ref(handle(&timer));
    active();
    uv_close(handle(&timer), nullptr);
    uv_unref(handle(&timer));
    uv_ref(handle(&timer));
    active();
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "0 1 0 0 1 0");
}

TEST_F(Handles, liveness_is_read_from_the_field_that_programs_change) {
  run([] {
    uv_loop_init(&loop);
    ++loop.active_handles;
    say(code(uv_loop_alive(&loop)));
    --loop.active_handles;
    say(code(uv_loop_alive(&loop)));
    return uv_loop_close(&loop);
  });
  EXPECT_EQ(log(), "1 0");
}

TEST_F(Handles, the_last_closed_is_told_first) {
  run([] {
    static uv_tcp_t more[3];
    static const char* const names[] = {"a", "b", "c"};
    uv_loop_init(&loop);
    for (int i = 0; i < 3; ++i) {
      uv_tcp_init(&loop, &more[i]);
      call(more[i], names[i]);
      uv_close(handle(&more[i]), on_close);
      EXPECT_EQ(uv_is_closing(handle(&more[i])), 1);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    EXPECT_EQ(uv_is_closing(handle(&more[0])), 1);
    return uv_loop_close(&loop);
  });
  EXPECT_EQ(log(), "c:closed b:closed a:closed");
}

TEST_F(Handles, closed_in_a_close_callback_wait_for_the_next_turn) {
  run([] {
    uv_loop_init(&loop);
    uv_tcp_init(&loop, &tcp);
    uv_timer_init(&loop, &timer);
    call(timer, "timer");
    uv_close(handle(&tcp), [](uv_handle_t*) { uv_close(handle(&timer), on_close); });
    uv_run(&loop, UV_RUN_NOWAIT);
    say("turn");
    uv_run(&loop, UV_RUN_NOWAIT);
    return uv_loop_close(&loop);
  });
  EXPECT_EQ(log(), "turn timer:closed");
}

TEST_F(Handles, carry_data) {
  run([] {
    uv_loop_init(&loop);
    uv_tcp_init(&loop, &tcp);
    uv_handle_set_data(handle(&tcp), &loop);
    EXPECT_EQ(uv_handle_get_data(handle(&tcp)), &loop);
    EXPECT_EQ(uv_handle_get_type(handle(&tcp)), UV_TCP);
    uv_req_t req = {};
    uv_req_set_data(&req, &loop);
    EXPECT_EQ(uv_req_get_data(&req), &loop);
    EXPECT_EQ(uv_req_get_type(&req), UV_UNKNOWN_REQ);
    return close_all(&loop);
  });
}

TEST_F(Handles, many_of_them_come_and_go) {
  run([] {
    uv_loop_init(&loop);
    static uv_timer_t crowd[6000];
    for (int round = 0; round < 2; ++round) {
      for (uv_timer_t& each : crowd) {
        uv_timer_init(&loop, &each);
        uv_close(handle(&each), nullptr);
      }
      uv_run(&loop, UV_RUN_DEFAULT);
    }
    uv_timer_init(&loop, &timer);
    return close_all(&loop);
  });
  EXPECT_TRUE(simulation.report().ok());
  EXPECT_EQ(simulation.report().result, 0);
}

// ---- Idle, prepare, check, async ---------------------------------------------------------------

TEST_F(Handles, phases_run_the_last_started_first_and_each_once_per_turn) {
  run([] {
    static uv_idle_t second;
    uv_loop_init(&loop);
    uv_idle_init(&loop, &idle);
    uv_idle_init(&loop, &second);
    EXPECT_EQ(uv_idle_start(&idle, nullptr), UV_EINVAL);
    uv_idle_start(&idle, [](uv_idle_t*) { say("first"); });
    EXPECT_EQ(uv_idle_start(&idle, nullptr), 0);
    uv_idle_start(&second, [](uv_idle_t* h) {
      say("second");
      uv_idle_stop(h);
      uv_idle_stop(h);
      uv_idle_start(h, [](uv_idle_t*) { say("again"); });
    });
    uv_run(&loop, UV_RUN_NOWAIT);
    say("|");
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_prepare_init(&loop, &prepare);
    uv_check_init(&loop, &check);
    uv_prepare_start(&prepare, [](uv_prepare_t*) { say("prepare"); });
    uv_check_start(&check, [](uv_check_t*) { say("check"); });
    uv_idle_stop(&second);
    uv_run(&loop, UV_RUN_ONCE);
    uv_prepare_stop(&prepare);
    uv_check_stop(&check);
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "second first | again first first prepare check");
}

TEST_F(Handles, async_sends_before_the_loop_looks_are_one) {
  run([] {
    static uv_async_t silent;
    uv_loop_init(&loop);
    uv_async_init(&loop, &async, [](uv_async_t*) { say("async"); });
    uv_async_init(&loop, &silent, nullptr);
    EXPECT_EQ(uv_is_active(handle(&async)), 1);
    uv_async_send(&async);
    uv_async_send(&async);
    uv_async_send(&silent);
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_async_send(&async);
    uv_close(handle(&async), nullptr);
    EXPECT_EQ(uv_async_send(&async), 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    EXPECT_EQ(uv_async_send(&async), 0);
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "async");
  Only fault(ChoicePoint::call_async_init, 1);
  run(fault, [] {
    uv_loop_init(&loop);
    EXPECT_EQ(uv_async_init(&loop, &async, nullptr), UV_EMFILE);
    return uv_loop_close(&loop);
  });
}

// ---- Rules -------------------------------------------------------------------------------------

TEST_F(Handles, must_be_closed_once) {
  EXPECT_EQ(broken([] {
              uv_loop_init(&loop);
              uv_tcp_init(&loop, &tcp);
              uv_close(handle(&tcp), nullptr);
              uv_close(handle(&tcp), nullptr);
              return 0;
            }),
            "R27 tcp#1");
  EXPECT_EQ(broken([] {
              uv_loop_init(&loop);
              uv_tcp_init(&loop, &tcp);
              uv_close(handle(&tcp), nullptr);
              uv_run(&loop, UV_RUN_DEFAULT);
              uv_close(handle(&tcp), nullptr);
              return 0;
            }),
            "R27 tcp#1");
  EXPECT_EQ(broken([] {
              uv_loop_init(&loop);
              uv_tcp_init_ex(&loop, &tcp, AF_INET);
              uv_close(handle(&tcp), nullptr);
              uv_tcp_close_reset(&tcp, nullptr);
              return 0;
            }),
            "R27 tcp#1");
}

TEST_F(Handles, must_not_be_initialised_again_while_the_loop_has_them) {
  EXPECT_EQ(broken([] {
              uv_loop_init(&loop);
              uv_tcp_init(&loop, &tcp);
              return uv_tcp_init(&loop, &tcp);
            }),
            "R29 tcp#1");
  EXPECT_EQ(broken([] {
              uv_loop_init(&loop);
              uv_tcp_init(&loop, &tcp);
              uv_close(handle(&tcp), nullptr);
              return uv_tcp_init(&loop, &tcp);
            }),
            "R29 tcp#1");
}

TEST_F(Handles, must_not_be_started_when_closing_where_libuv_does_not_check) {
  EXPECT_EQ(broken([] {
              uv_loop_init(&loop);
              uv_idle_init(&loop, &idle);
              uv_close(handle(&idle), nullptr);
              return uv_idle_start(&idle, [](uv_idle_t*) {});
            }),
            "R15 idle#1");
}

TEST_F(Handles, are_left_alone_when_closing_where_one_is_strict) {
  const auto program = [] {
    uv_loop_init(&loop);
    uv_timer_init(&loop, &timer);
    uv_close(handle(&timer), nullptr);
    uv_timer_stop(&timer);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
  };
  EXPECT_EQ(broken(program), "nothing: ");
  options().strict = true;
  EXPECT_EQ(broken(program), "R15 timer#1");
  EXPECT_EQ(broken([] {
              uv_loop_init(&loop);
              uv_timer_init(&loop, &timer);
              uv_close(handle(&timer), nullptr);
              uv_run(&loop, UV_RUN_DEFAULT);
              return uv_timer_stop(&timer);
            }),
            "R15 timer#1");
}

TEST_F(Handles, that_are_none_are_named) {
  EXPECT_EQ(complaint([] {
              uv_loop_init(&loop);
              static uv_tcp_t garbage;
              std::memset(static_cast<void*>(&garbage), 0x5a, sizeof garbage);
              return uv_read_stop(stream(&garbage));
            }),
            "uv_read_stop was called with a stream handle that was never initialised; "
            "a copy of one is none");
  EXPECT_EQ(complaint([] { return uv_timer_stop(nullptr); }),
            "uv_timer_stop was called with a null handle");
  EXPECT_EQ(complaint([] {
              uv_close(nullptr, nullptr);
              return 0;
            }),
            "uv_close was called with a null handle");
  EXPECT_EQ(complaint([] {
              uv_close(reinterpret_cast<uv_handle_t*>(&loop), nullptr);
              return 0;
            }),
            "uv_close was called with a handle that was never initialised; "
            "a copy of one is none");
  EXPECT_EQ(complaint([] {
              uv_loop_init(&loop);
              uv_timer_init(&loop, &timer);
              return uv_idle_stop(reinterpret_cast<uv_idle_t*>(&timer));
            }),
            "uv_idle_stop was called with a handle of another type");
  EXPECT_EQ(complaint([] {
              uv_loop_init(&loop);
              return uv_timer_init(&loop, nullptr);
            }),
            "a handle was initialised at address 0");
}

// With the ledger, which needs the program's memory on the heap.
class HandleMemory : public Handles {
 protected:
  HandleMemory() { options().ledger = true; }
};

TEST_F(HandleMemory, must_live_until_the_close_callback) {
  EXPECT_EQ(broken([] {
              uv_loop_init(&loop);
              auto* const heap = static_cast<uv_tcp_t*>(std::malloc(sizeof(uv_tcp_t)));
              uv_tcp_init(&loop, heap);
              uv_close(handle(heap), nullptr);
              std::free(heap);
              return 0;
            }),
            "R28 tcp#1");
  EXPECT_EQ(broken([] {
              uv_loop_init(&loop);
              auto* const heap = static_cast<uv_tcp_t*>(std::malloc(sizeof(uv_tcp_t)));
              uv_tcp_init(&loop, heap);
              std::free(heap);
              return 0;
            }),
            "R29 tcp#1");
}

TEST_F(HandleMemory, may_be_freed_in_the_close_callback) {
  const Report& report = run([] {
    uv_loop_init(&loop);
    auto* const heap = new uv_tcp_t;
    uv_tcp_init(&loop, heap);
    uv_close(handle(heap), [](uv_handle_t* h) { delete reinterpret_cast<uv_tcp_t*>(h); });
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
  });
  EXPECT_TRUE(report.ok()) << report.summary();
  EXPECT_EQ(report.ledger.allocations, 1u);
  EXPECT_EQ(report.ledger.releases, 1u);
}

#if !defined(UVSIM_TESTS_ASAN)
TEST_F(HandleMemory, must_not_be_asked_after_it_was_freed) {
  EXPECT_EQ(broken([] {
              uv_loop_init(&loop);
              auto* const heap = static_cast<uv_tcp_t*>(std::malloc(sizeof(uv_tcp_t)));
              uv_tcp_init(&loop, heap);
              uv_close(handle(heap), [](uv_handle_t* h) { std::free(h); });
              uv_run(&loop, UV_RUN_DEFAULT);
              return uv_is_closing(handle(heap));
            }),
            "R30 tcp#1");
}
#endif

TEST_F(HandleMemory, of_a_request_must_live_until_its_callback) {
  EXPECT_EQ(broken([] {
              return with_pair(
                  [] {
                    auto* const req = static_cast<uv_write_t*>(std::malloc(sizeof(uv_write_t)));
                    const uv_buf_t buf = uv_buf_init(buffer, 1);
                    uv_write(req, stream(&pair().client), &buf, 1, nullptr);
                    std::free(req);
                  },
                  3);
            }),
            "R13 tcp#2");
}

TEST_F(HandleMemory, of_bytes_must_live_until_the_callback) {
  EXPECT_EQ(broken([] {
              return with_pair(
                  [] {
                    auto* const bytes = static_cast<char*>(std::calloc(10, 1));
                    const uv_buf_t buf = uv_buf_init(bytes, 10);
                    uv_write(&pair().writes[0], stream(&pair().client), &buf, 1, nullptr);
                    std::free(bytes);
                  },
                  3);
            }),
            "R12 tcp#2");
}

// Reachable still, so that a leak checker leaves the finding to the ledger.
void*& lost() {
  static void* memory;
  return memory;
}

TEST_F(HandleMemory, that_leaks_is_reported_with_the_step) {
  options().strict_ledger = true;
  const Report& report = run([] {
    uv_loop_init(&loop);
    uv_tcp_init(&loop, &tcp);
    lost() = std::malloc(77);
    return close_all(&loop);
  });
  EXPECT_FALSE(report.ok());
  EXPECT_EQ(report.ledger.live, 1u);
  EXPECT_EQ(report.ledger.live_bytes, 77u);
  EXPECT_NE(report.summary().find("77"), std::string::npos) << report.summary();
  std::free(lost());
}

TEST_F(HandleMemory, freed_twice_is_found) {
  EXPECT_EQ(broken([] {
              void* volatile memory = std::malloc(7);
              void* volatile again = memory;
              std::free(memory);
              std::free(again);
              return 0;
            }),
            " ");
}

TEST_F(HandleMemory, above_the_baseline_is_counted) {
  run([] {
    int* volatile before = new int;
    Simulation::current()->ledger_baseline();
    int* volatile after = new int;
    EXPECT_EQ(Simulation::current()->ledger_live(), 1u);
    EXPECT_EQ(Simulation::current()->ledger_live_bytes(), 2 * sizeof(int));
    delete after;
    EXPECT_EQ(Simulation::current()->ledger_live(), 0u);
    delete before;
    return 0;
  });
  EXPECT_EQ(simulation.ledger_live(), 0u);
  EXPECT_EQ(simulation.ledger_live_bytes(), 0u);
  simulation.ledger_baseline();
}

}  // namespace
}  // namespace uvsim::test
