// What is said of a run: leaks, misuse, what is not simulated, and how a plain program is told.
#include <array>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "several_tcps.hpp"

#if !defined(UVSIM_TESTS_ASAN)
// What AddressSanitizer would answer.
namespace {
void* poisoned;
}
extern "C" void* __asan_region_is_poisoned(void* begin, size_t size);
void* __asan_region_is_poisoned(void* /*begin*/, size_t /*size*/) { return poisoned; }
#endif

namespace uvsim::test {
namespace {

class Messages : public StepByStep {};

TEST_F(Messages, summaries_name_what_they_know) {
  run([] {
    uv_close(nullptr, nullptr);
    return 0;
  });
  EXPECT_EQ(simulation.report().summary(), "uv_close was called with a null handle (step 1)\n");
  options().ledger = true;
  run([] {
    void* volatile memory = std::malloc(7);
    void* volatile again = memory;
    std::free(memory);
    std::free(again);
    return 0;
  });
  EXPECT_EQ(simulation.report().summary().find("ledger:"), std::string::npos);
}

TEST_F(Messages, two_leaks_are_counted_and_the_first_is_described) {
  options().ledger = true;
  options().strict_ledger = true;
  static void* kept[2];
  const Report& report = run([] {
    kept[0] = std::malloc(70);
    kept[1] = std::malloc(71);
    return 0;
  });
  EXPECT_EQ(report.ledger.message.find("2 allocation(s)"), size_t{0}) << report.ledger.message;
  for (void* const memory : kept) std::free(memory);
}

TEST_F(Messages, allocations_do_not_fail_in_a_kind_world) {
  options().ledger = true;
  options().fail_allocations = true;
  const Report& report = run([] {
    delete new int;
    return 0;
  });
  EXPECT_EQ(report.summary(), "");
}

TEST_F(Messages, allocations_fail_where_choices_say_so) {
  options().ledger = true;
  options().fail_allocations = true;
  Only fault(ChoicePoint::allocation, 1);
  run(fault, [] {
    void* volatile memory = std::malloc(7);
    say(memory == nullptr ? "none" : "some");
    std::free(memory);
    return 0;
  });
  EXPECT_EQ(log(), "none");
}

TEST_F(Messages, what_is_not_simulated_is_named) {
  EXPECT_EQ(complaint([] {
              static uv_udp_t udp;
              return uv_udp_init(uv_default_loop(), &udp);
            }),
            "uv_udp_init is not simulated by uvsim");
}

int wait_for(void (*prepare_loop)()) {
  uv_loop_init(&loop);
  prepare_loop();
  uv_run(&loop, UV_RUN_DEFAULT);
  return 0;
}

void plain(int (*program)()) { std::exit(program()); }

TEST_F(Messages, a_plain_program_that_waits_for_ever_is_told_for_what) {
  EXPECT_EXIT(plain([] {
                return wait_for([] {
                  for (int i = 0; i < 4; ++i) uv_tcp_init(&loop, &tcps[i]);
                  for (int i = 0; i < 3; ++i) bind_to(i, "127.0.0.1", port + i), listen_on(i);
                  uv_unref(handle(&tcps[2]));
                  ++loop.active_reqs.count;
                });
              }),
              ::testing::ExitedWithCode(1), "for ever for tcp#1, tcp#2, 1 pending request");
  EXPECT_EXIT(plain([] { return wait_for([] { ++loop.active_handles; }); }),
              ::testing::ExitedWithCode(1), "for ever for nothing it knows of");
  EXPECT_EXIT(plain([] { return wait_for([] { ++loop.active_reqs.count; }); }),
              ::testing::ExitedWithCode(1), "for ever for 1 pending request");
}

TEST_F(Messages, a_plain_program_that_frees_twice_is_stopped_at_once) {
  EXPECT_EXIT(plain([] {
                uv_loop_init(&loop);
                void* volatile memory = std::malloc(7);
                void* volatile again = memory;
                std::free(memory);
                std::free(again);
                return 0;
              }),
              ::testing::KilledBySignal(SIGABRT), "double free");
}

// The loop refers to what was freed, and AddressSanitizer says so before the next uv_run does.
#if !defined(UVSIM_TESTS_ASAN)
int free_open_handle(bool run_again) {
  uv_loop_init(&loop);
  // Both are there before one is freed: a handle at the address of another, or beside one that was
  // freed, would be another mistake.
  std::array<uv_tcp_t*, 2> handles;
  for (uv_tcp_t*& heap : handles) {
    heap = static_cast<uv_tcp_t*>(std::malloc(sizeof(uv_tcp_t)));
    uv_tcp_init(&loop, heap);
  }
  for (uv_tcp_t* const heap : handles) std::free(heap);
  if (run_again) uv_run(&loop, UV_RUN_NOWAIT);
  return 0;
}

TEST_F(Messages, a_plain_program_may_free_handles_on_its_way_out_and_is_told) {
  EXPECT_EXIT(plain([] { return free_open_handle(false); }), ::testing::ExitedWithCode(0),
              "warning: R29: tcp#1");
  EXPECT_EXIT(plain([] { return free_open_handle(true); }), ::testing::KilledBySignal(SIGABRT),
              "R29: tcp#1");
  EXPECT_EXIT(plain([] {
                static uv_idle_t idle;
                uv_loop_init(&loop);
                uv_idle_init(&loop, &idle);
                uv_idle_start(&idle, [](uv_idle_t* h) {
                  auto* const heap = static_cast<uv_tcp_t*>(std::malloc(sizeof(uv_tcp_t)));
                  uv_tcp_init(h->loop, heap);
                  std::free(heap);
                });
                return uv_run(&loop, UV_RUN_DEFAULT);
              }),
              ::testing::KilledBySignal(SIGABRT), "R29");
}
#endif

TEST_F(Messages, an_abort_without_a_trace_says_the_message) {
  options().on_violation = OnViolation::abort;
  options().trace = false;
  EXPECT_DEATH(run([] {
                 uv_close(nullptr, nullptr);
                 return 0;
               }),
               "uvsim: uv_close was called with a null handle");
}

TEST_F(Messages, an_abort_shows_the_last_events) {
  options().on_violation = OnViolation::abort;
  EXPECT_DEATH(run([] {
                 for (int i = 0; i < 100; ++i) uv_sleep(1);
                 uv_close(nullptr, nullptr);
                 return 0;
               }),
               "earlier events");
}

TEST_F(Messages, a_thread_of_the_programs_own_may_do_little) {
  EXPECT_EXIT(plain([] {
                uv_loop_init(&loop);
                std::thread([] { uv_loop_alive(&loop); }).join();
                return 0;
              }),
              ::testing::ExitedWithCode(69), "uvsim cannot run this: a thread");
}

TEST_F(Messages, a_plain_program_may_go_on_after_a_simulation) {
  EXPECT_EXIT(plain([] {
                setenv("UVSIM_SEED", "1", 1);
                while (uv_loop_init(&loop) != 0) continue;
                Simulation between;
                between.options().ledger = false;
                between.run([] { return 0; });
                uv_loop_t other;
                while (uv_loop_init(&other) != 0) continue;
                return 0;
              }),
              ::testing::ExitedWithCode(0), "");
}

#if !defined(UVSIM_TESTS_ASAN)
TEST_F(Messages, a_buffer_must_be_as_large_as_it_says_where_a_sanitizer_can_tell) {
  poisoned = &poisoned;
  EXPECT_EQ(broken([] {
              return with_pair(
                  [] {
                    uv_read_start(stream(&pair().accepted), on_alloc, on_read);
                    write(0, "w", &pair().client, "x", 1);
                  },
                  4);
            }),
            "R12 tcp#2");
  poisoned = nullptr;
}

TEST_F(Messages, a_buffer_that_was_freed_must_not_come_from_alloc_cb) {
  options().ledger = true;
  EXPECT_EQ(broken([] {
              return with_pair(
                  [] {
                    uv_read_start(
                        stream(&pair().accepted),
                        [](uv_handle_t*, size_t, uv_buf_t* buf) {
                          char* volatile memory = static_cast<char*>(std::malloc(100));
                          *buf = uv_buf_init(memory, 100);
                          std::free(memory);
                        },
                        on_read);
                    write(0, "w", &pair().client, "x", 1);
                  },
                  4);
            }),
            "R2 tcp#3");
}
#endif

TEST_F(Messages, a_write_with_the_ledger_gives_everything_back) {
  options().ledger = true;
  const Report& report = run([] {
    return with_pair(
        [] {
          static uv_write_t* req;
          req = new uv_write_t;
          req->data = new char[10]();
          const uv_buf_t buf = uv_buf_init(static_cast<char*>(req->data), 10);
          uv_write(req, stream(&pair().client), &buf, 1, [](uv_write_t* done, int) {
            delete[] static_cast<char*>(done->data);
            delete done;
          });
        },
        4);
  });
  EXPECT_TRUE(report.ok()) << report.summary();
}

}  // namespace
}  // namespace uvsim::test
