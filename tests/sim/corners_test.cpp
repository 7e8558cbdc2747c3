// The corners of the engine: rare states of sockets, misuse, and messages. One test each; most of
// what happens here was seen on real libuv first.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <thread>

#include "../../sim/src/internal.hpp"
#include "scenario.hpp"

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

class Corners : public Scenario {
 protected:
  // The hook plays these, one each time the program has nothing to do.
  using Step = std::function<void(Network&)>;
  const Report& play(std::vector<Step> steps, int (*program)()) {
    steps_ = std::move(steps);
    next_ = 0;
    simulation.on_poll([this](Network& network, Wait wait) {
      if (wait.ready || next_ == steps_.size()) return Progress::nothing;
      steps_[next_++](network);
      return Progress::made;
    });
    return run(program);
  }

 private:
  std::vector<Step> steps_;
  size_t next_ = 0;
};

uv_loop_t loop;
uv_tcp_t tcps[8];
uv_connect_t connects[8];
uv_timer_t timer;
char big[8 << 20];

void init(int count) {
  static const char* const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
  uv_loop_init(&loop);
  for (int i = 0; i < count; ++i) {
    uv_tcp_init(&loop, &tcps[i]);
    call(tcps[i], names[i]);
  }
}

int bind_to(int index, const char* host, int to_port, unsigned flags = 0) {
  sockaddr_in address;
  uv_ip4_addr(host, to_port, &address);
  return uv_tcp_bind(&tcps[index], reinterpret_cast<const sockaddr*>(&address), flags);
}

int bind6_to(int index, const char* host, int to_port, unsigned flags = 0) {
  sockaddr_in6 address;
  uv_ip6_addr(host, to_port, &address);
  return uv_tcp_bind(&tcps[index], reinterpret_cast<const sockaddr*>(&address), flags);
}

int listen_on(int index, int backlog = 8) {
  return uv_listen(stream(&tcps[index]), backlog,
                   [](uv_stream_t*, int status) { say("connection:" + code(status)); });
}

int connect_to(uv_tcp_t* tcp, int to_port, int index = 0, uv_connect_cb callback = on_connect) {
  const sockaddr_in address = loopback(to_port);
  return uv_tcp_connect(&connects[index], tcp, reinterpret_cast<const sockaddr*>(&address),
                        callback);
}

int turns(int count) {
  for (int i = 0; i < count; ++i) uv_run(&loop, UV_RUN_NOWAIT);
  return close_all(&loop);
}

// ---- Handles and loops -------------------------------------------------------------------------

TEST_F(Corners, a_timer_is_no_stream) {
  EXPECT_EQ(complaint([] {
              uv_loop_init(&loop);
              uv_timer_init(&loop, &timer);
              return uv_read_stop(stream(&timer));
            }),
            "uv_read_stop was called with a handle of another type");
}

TEST_F(Corners, getters_may_be_asked_before_init) {
  run([] {
    uv_tcp_t zero = {};
    say(code(uv_is_active(handle(&zero))) + code(uv_is_closing(handle(&zero))) +
        code(uv_has_ref(handle(&zero))));
    return 0;
  });
  EXPECT_EQ(log(), "000");
}

TEST_F(Corners, a_closed_handle_in_static_memory_may_be_stopped) {
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

TEST_F(Corners, closed_handles_are_forgotten_and_open_ones_are_not) {
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

TEST_F(Corners, phases_started_twice_or_without_a_callback) {
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

TEST_F(Corners, pending_work_means_no_sleep) {
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

TEST_F(Corners, a_long_stare_at_the_clock_ends) {
  const Report& report = run([] {
    const uint64_t start = uv_hrtime();
    while (uv_hrtime() < start + 100'000'000'000) continue;
    return 0;
  });
  EXPECT_TRUE(report.ok()) << report.summary();
}

TEST_F(Corners, the_default_loop_is_not_the_programs_memory) {
  options().ledger = true;
  EXPECT_TRUE(run([] { return uv_loop_close(uv_default_loop()); }).ok());
}

TEST_F(Corners, a_loop_that_cannot_be_allocated_is_null) {
  run([] {
    uv_replace_allocator([](size_t) -> void* { return nullptr; },
                         [](void*, size_t) -> void* { return nullptr; },
                         [](size_t, size_t) -> void* { return nullptr; }, [](void*) {});
    EXPECT_EQ(uv_loop_new(), nullptr);
    return 0;
  });
}

TEST_F(Corners, a_loop_must_not_be_freed_while_it_is_open) {
  options().ledger = true;
  EXPECT_EQ(broken([] {
              auto* const heap = static_cast<uv_loop_t*>(std::calloc(1, sizeof(uv_loop_t)));
              uv_loop_init(heap);
              std::free(heap);
              return 0;
            }),
            "R34 ");
}

TEST_F(Corners, work_is_done_when_the_loop_polls_and_writes_cannot_be_cancelled) {
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

// ---- Messages ----------------------------------------------------------------------------------

TEST_F(Corners, summaries_name_what_they_know) {
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

TEST_F(Corners, two_leaks_are_counted_and_the_first_is_described) {
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

TEST_F(Corners, allocations_do_not_fail_in_a_kind_world) {
  options().ledger = true;
  options().fail_allocations = true;
  const Report& report = run([] {
    delete new int;
    return 0;
  });
  EXPECT_EQ(report.summary(), "");
}

TEST_F(Corners, allocations_fail_where_choices_say_so) {
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

TEST_F(Corners, what_is_not_simulated_is_named) {
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

TEST_F(Corners, a_plain_program_that_waits_for_ever_is_told_for_what) {
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

TEST_F(Corners, a_plain_program_that_frees_twice_is_stopped_at_once) {
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

TEST_F(Corners, a_plain_program_may_free_handles_on_its_way_out_and_is_told) {
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

TEST_F(Corners, an_abort_without_a_trace_says_the_message) {
  options().on_violation = OnViolation::abort;
  options().trace = false;
  EXPECT_DEATH(run([] {
                 uv_close(nullptr, nullptr);
                 return 0;
               }),
               "uvsim: uv_close was called with a null handle");
}

TEST_F(Corners, an_abort_shows_the_last_events) {
  options().on_violation = OnViolation::abort;
  EXPECT_DEATH(run([] {
                 for (int i = 0; i < 100; ++i) uv_sleep(1);
                 uv_close(nullptr, nullptr);
                 return 0;
               }),
               "earlier events");
}

TEST_F(Corners, a_thread_of_the_programs_own_may_do_little) {
  EXPECT_EXIT(plain([] {
                uv_loop_init(&loop);
                std::thread([] { uv_loop_alive(&loop); }).join();
                return 0;
              }),
              ::testing::ExitedWithCode(69), "uvsim cannot run this: a thread");
}

TEST_F(Corners, a_plain_program_may_go_on_after_a_simulation) {
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
TEST_F(Corners, a_buffer_must_be_as_large_as_it_says_where_a_sanitizer_can_tell) {
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

TEST_F(Corners, a_buffer_that_was_freed_must_not_come_from_alloc_cb) {
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

TEST_F(Corners, a_write_with_the_ledger_gives_everything_back) {
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

// ---- Sockets: connecting again and again -------------------------------------------------------

int reset_then(uv_read_cb callback, int count = 8) {
  static uv_read_cb then;
  then = callback;
  return with_pair(
      [] {
        uv_tcp_close_reset(&pair().accepted, nullptr);
        uv_read_start(stream(&pair().client), on_alloc, then);
      },
      count);
}

TEST_F(Corners, a_socket_whose_failure_was_heard_is_fresh_again) {
  run([] {
    return reset_then([](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
      on_read(s, n, b);
      if (n != UV_ECONNRESET) return;
      say(code(connect_to(&pair().client, 1)));
      sockaddr_storage address;
      int size = sizeof address;
      EXPECT_EQ(uv_tcp_getpeername(&pair().client, reinterpret_cast<sockaddr*>(&address), &size),
                UV_ENOTCONN);
      // libuv has set the handle readable and writable again.
      static uv_timer_t later;
      uv_timer_init(s->loop, &later);
      uv_timer_start(
          &later,
          [](uv_timer_t*) {
            say(code(uv_read_start(stream(&pair().client), on_alloc, on_read)));
            write(0, "w", &pair().client, "x", 1);
          },
          0, 0);
    });
  });
  EXPECT_EQ(log(), "client:read:ECONNRESET ECONNABORTED 0 w:EPIPE client:read:ENOTCONN");
}

TEST_F(Corners, a_fault_on_a_fresh_socket_hurts_nobody_else) {
  static int reads;
  reads = 0;
  struct Late final : Choices {
    uint32_t pick(uint32_t n, ChoicePoint point) override {
      return point == ChoicePoint::read_error && ++reads == 2 ? 1 % n : 0;
    }
  } late;
  run(late, [] {
    return reset_then([](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
      on_read(s, n, b);
      say(code(connect_to(&pair().client, 1)));
      static uv_timer_t later;
      uv_timer_init(s->loop, &later);
      uv_timer_start(
          &later, [](uv_timer_t*) { uv_read_start(stream(&pair().client), on_alloc, on_read); }, 0,
          0);
    });
  });
  EXPECT_EQ(log(), "client:read:ECONNRESET ECONNABORTED client:read:ECONNRESET");
}

TEST_F(Corners, a_fault_may_strike_a_connection_that_is_dead_already) {
  Only fault(ChoicePoint::read_error, 2);
  run(fault, [] {
    return reset_then([](uv_stream_t* s, ssize_t n, const uv_buf_t* b) { on_read(s, n, b); });
  });
  EXPECT_EQ(log(), "client:read:ETIMEDOUT");
}

TEST_F(Corners, connecting_to_a_living_server_after_a_reset_works) {
  run([] {
    return reset_then([](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
      on_read(s, n, b);
      say(code(connect_to(&pair().client, port)));
      static uv_timer_t later;
      uv_timer_init(s->loop, &later);
      uv_timer_start(
          &later, [](uv_timer_t*) { say(code(connect_to(&pair().client, port))); }, 0, 0);
      // The server takes no second connection into the same handle.
      pair().server.connection_cb = [](uv_stream_t*, int) { say("connection"); };
    });
  });
  EXPECT_EQ(log(), "client:read:ECONNRESET ECONNABORTED 0 client:connected:0 connection");
}

TEST_F(Corners, an_error_that_nobody_fetched_is_told_by_the_next_connect) {
  run([] {
    return with_pair(
        [] {
          uv_tcp_close_reset(&pair().accepted, nullptr);
          say(code(connect_to(&pair().client, 1)));
        },
        4);
  });
  EXPECT_EQ(log(), "ECONNRESET");
}

TEST_F(Corners, both_ends_may_be_alive_when_a_failed_connection_is_made_again) {
  Only fault(ChoicePoint::read_error, 1);
  run(fault, [] {
    return with_pair(
        [] {
          uv_read_start(stream(&pair().client), on_alloc,
                        [](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
                          on_read(s, n, b);
                          say(code(connect_to(&pair().client, 1)));
                          uv_read_start(stream(&pair().accepted), on_alloc, on_read);
                        });
          write(0, "w", &pair().accepted, "x", 1);
        },
        5);
  });
  EXPECT_EQ(log(), "w:0 client:read:ECONNRESET ECONNABORTED conn:read:ECONNRESET");
}

TEST_F(Corners, a_peer_played_from_outside_outlives_the_socket) {
  play({[](Network& n) { n.accept(8000); }, [](Network& n) { n.reset(Peer{1}); },
        [](Network& n) {
          EXPECT_EQ(n.view(Peer{1}).state, PeerState::closed);
          n.leave();
        }},
       [] {
         Simulation::current()->network().listen(8000);
         init(1);
         connect_to(&tcps[0], 8000, 0, [](uv_connect_t* req, int status) {
           on_connect(req, status);
           uv_read_start(req->handle, on_alloc, [](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
             on_read(s, n, b);
             say(code(connect_to(&tcps[0], 8000)));
           });
         });
         return uv_run(&loop, UV_RUN_DEFAULT);
       });
  EXPECT_EQ(log(), "a:connected:0 a:read:ECONNRESET ECONNABORTED");
}

TEST_F(Corners, a_connection_that_both_ends_have_ended_is_history) {
  run([] {
    return with_pair(
        [] {
          uv_shutdown(&pair().shutdown, stream(&pair().client), nullptr);
          uv_shutdown(&pair().shutdown_again, stream(&pair().accepted), nullptr);
          static uv_timer_t later;
          uv_timer_init(&pair().loop, &later);
          uv_timer_start(
              &later, [](uv_timer_t*) { say(code(connect_to(&pair().client, 1))); }, 1, 0);
          uv_run(uv_default_loop(), UV_RUN_NOWAIT);
        },
        300);
  });
  // shutdown(2) has told connect(2) that the connection was made.
  EXPECT_EQ(log(), "EISCONN");
}

TEST_F(Corners, a_shutdown_that_failed_still_shuts_the_next_connection) {
  run([] {
    return with_pair(
        [] {
          uv_tcp_close_reset(&pair().accepted, nullptr);
          uv_read_start(stream(&pair().client), on_alloc,
                        [](uv_stream_t*, ssize_t, const uv_buf_t*) {
                          connect_to(&pair().client, 1);  // the failure is heard of
                          static uv_timer_t later;
                          uv_timer_init(&pair().loop, &later);
                          uv_timer_start(
                              &later,
                              [](uv_timer_t*) {
                                uv_shutdown(&pair().shutdown, stream(&pair().client), on_shutdown);
                                static uv_timer_t last;
                                uv_timer_init(&pair().loop, &last);
                                uv_timer_start(
                                    &last,
                                    [](uv_timer_t*) {
                                      pair().server.connection_cb = [](uv_stream_t*, int) {};
                                      connect_to(&pair().client, port);
                                      write(0, "w", &pair().client, "x", 1);
                                    },
                                    1, 0);
                              },
                              0, 0);
                        });
        },
        400);
  });
  EXPECT_EQ(log(), "client:shutdown:ENOTCONN client:connected:0 w:EPIPE");
}

TEST_F(Corners, a_hang_up_without_input_is_the_end_without_a_buffer_in_1_52) {
  const auto program = [] {
    return with_pair(
        [] {
          uv_tcp_close_reset(&pair().accepted, nullptr);
          uv_read_start(stream(&pair().client), on_alloc,
                        [](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
                          on_read(s, n, b);
                          say(b->base == nullptr ? "null" : "buffer");
                        });
          connect_to(&pair().client, 1);
          const uv_buf_t empty = uv_buf_init(big, 0);
          const uv_buf_t many[6] = {empty, empty, empty, empty, empty, empty};
          uv_write(&pair().writes[0], stream(&pair().client), many, 6, nullptr);
        },
        4);
  };
  run(program);
  EXPECT_EQ(log().substr(0, 20), "client:read:EOF null");
  log().clear();
  options().version = Version::v1_44;
  run(program);
  EXPECT_EQ(log().substr(0, 27), "client:read:ENOTCONN buffer");
}

TEST_F(Corners, shutting_down_a_dead_connection_breaks_it_for_connecting) {
  run([] {
    return reset_then([](uv_stream_t*, ssize_t, const uv_buf_t*) { connect_to(&pair().client, 1); },
                      1);
  });
  log().clear();
  run([] {
    return with_pair(
        [] {
          uv_tcp_close_reset(&pair().accepted, nullptr);
          uv_shutdown(&pair().shutdown, stream(&pair().client), [](uv_shutdown_t* req, int status) {
            on_shutdown(req, status);
            say(code(connect_to(&pair().client, 1)));
          });
        },
        4);
  });
  EXPECT_EQ(log(), "client:shutdown:ENOTCONN EINVAL");
}

TEST_F(Corners, a_second_shutdown_after_a_refused_connect_is_refused) {
  run([] {
    return with_pair(
        [] {
          uv_shutdown(&pair().shutdown, stream(&pair().accepted), [](uv_shutdown_t* req, int) {
            // Refused, but libuv has set the handle writable again on the way.
            say(code(connect_to(&pair().accepted, 1)));
            say(code(uv_is_writable(req->handle)));
            say(code(uv_shutdown(&pair().shutdown_again, req->handle, on_shutdown)));
          });
        },
        4);
  });
  EXPECT_EQ(log(), "EISCONN 1 ENOTCONN");
}

// A client whose SYN is not answered, because the queue is full.
int with_waiting_client(void (*then)()) {
  init(5);
  bind_to(4, "127.0.0.1", port);
  listen_on(4, 1);
  for (int i = 0; i < 4; ++i) connect_to(&tcps[i], port, i);
  then();
  return 0;
}

TEST_F(Corners, shutting_down_while_connecting_ends_the_wait_too_early) {
  run([] {
    with_waiting_client([] {
      uv_shutdown(&pair().shutdown, stream(&tcps[3]), on_shutdown);
      uv_run(&loop, UV_RUN_NOWAIT);
      say(code(connect_to(&tcps[3], port, 5)));
      const uv_buf_t buf = uv_buf_init(big, 1);
      say(code(uv_try_write(stream(&tcps[3]), &buf, 1)));
    });
    return turns(2);
  });
  EXPECT_EQ(log().substr(0, 55), "d:connected:0 connection:0 a:connected:0 b:connected:0 ");
  EXPECT_NE(log().find("EALREADY EAGAIN"), std::string::npos) << log();
}

TEST_F(Corners, the_listener_may_be_gone_when_the_syn_is_sent_again) {
  run([] {
    with_waiting_client([] {
      uv_run(&loop, UV_RUN_NOWAIT);
      uv_close(handle(&tcps[4]), nullptr);
      log().clear();
    });
    uv_run(&loop, UV_RUN_DEFAULT);
    return turns(1);
  });
  EXPECT_NE(log().find("d:connected:ECONNREFUSED"), std::string::npos) << log();
}

TEST_F(Corners, a_syn_that_nobody_wants_any_more_is_dropped) {
  run([] {
    with_waiting_client([] {
      uv_close(handle(&tcps[3]), on_close);
      uv_run(&loop, UV_RUN_NOWAIT);
      // Its socket serves another by the time the SYN would be sent again.
      static uv_tcp_t other;
      uv_tcp_init_ex(&loop, &other, AF_INET);
      uv_sleep(2000);
    });
    return turns(3);
  });
  EXPECT_NE(log().find("d:connected:ECANCELED d:closed"), std::string::npos) << log();
  EXPECT_EQ(simulation.report().result, 0);
}

// ---- Sockets: the ends of connections ----------------------------------------------------------

TEST_F(Corners, a_write_to_a_peer_that_closed_before_its_fin_could_arrive_is_reset) {
  run([] {
    return with_pair(
        [] {
          // More than the window holds: the FIN waits behind it.
          write(0, "big", &pair().client, big, 1'000'000);
          static uv_timer_t later;
          uv_timer_init(&pair().loop, &later);
          uv_timer_start(
              &later,
              [](uv_timer_t*) {
                uv_close(handle(&pair().client), nullptr);
                write(1, "first", &pair().accepted, "x", 1);
                write(2, "second", &pair().accepted, "x", 1);
              },
              0, 0);
        },
        5);
  });
  EXPECT_EQ(log(), "big:0 first:0 second:ECONNRESET");
}

TEST_F(Corners, a_reset_after_a_fin_is_a_broken_pipe) {
  run([] {
    return with_pair(
        [] {
          write(0, "unread", &pair().client, "x", 1);
          uv_shutdown(&pair().shutdown, stream(&pair().accepted), [](uv_shutdown_t* req, int) {
            uv_close(handle(req->handle), nullptr);
            write(1, "late", &pair().client, "x", 1);
          });
        },
        5);
  });
  EXPECT_EQ(log(), "unread:0 late:EPIPE");
}

TEST_F(Corners, a_reset_takes_along_what_had_not_arrived) {
  play({[](Network& n) { n.connect(size_t{0}); },
        [](Network& n) { n.set_buffers(Peer{1}, 100, 10); },
        [](Network& n) { n.advance(1'000'000'000); },
        [](Network& n) {
          EXPECT_TRUE(n.view(Peer{1}).reset);
          EXPECT_EQ(n.view(Peer{1}).readable, 10u);
          n.leave();
        }},
       [] {
         init(2);
         bind_to(0, "127.0.0.1", port);
         uv_listen(stream(&tcps[0]), 8, [](uv_stream_t* server, int) {
           uv_accept(server, stream(&tcps[1]));
           uv_timer_init(&loop, &timer);
           uv_timer_start(
               &timer,
               [](uv_timer_t*) {
                 write(0, "w", &tcps[1], "0123456789abcdef", 16);
                 uv_tcp_close_reset(&tcps[1], nullptr);
               },
               500, 0);
         });
         return uv_run(&loop, UV_RUN_DEFAULT);
       });
}

TEST_F(Corners, lingering_means_nothing_to_a_pair) {
  run([] {
    uv_os_sock_t fds[2];
    init(2);
    uv_socketpair(SOCK_STREAM, 0, fds, 0, 0);
    uv_tcp_open(&tcps[0], fds[0]);
    uv_tcp_open(&tcps[0], fds[0]);
    uv_tcp_open(&tcps[1], fds[1]);
    uv_read_start(stream(&tcps[0]), on_alloc, on_read);
    uv_tcp_close_reset(&tcps[1], nullptr);
    EXPECT_EQ(uv_guess_handle(fds[1]), UV_UNKNOWN_HANDLE);
    return turns(2);
  });
  EXPECT_EQ(log(), "a:read:EOF");
}

TEST_F(Corners, names_of_dead_connections_are_gone) {
  run([] {
    return with_pair(
        [] {
          uv_tcp_close_reset(&pair().accepted, nullptr);
          sockaddr_storage address;
          int size = sizeof address;
          auto* const sa = reinterpret_cast<sockaddr*>(&address);
          say(code(uv_tcp_getpeername(&pair().client, sa, &size)));
          say(code(uv_tcp_getsockname(&pair().client, sa, &size)));
        },
        3);
  });
  EXPECT_EQ(log(), "ENOTCONN 0");
}

TEST_F(Corners, writing_before_the_connection_is_there_waits_for_it) {
  run([] {
    init(2);
    bind_to(1, "127.0.0.1", port);
    listen_on(1);
    connect_to(&tcps[0], port);
    write(0, "early", &tcps[0], "x", 1);
    return turns(4);
  });
  EXPECT_EQ(log(), "connection:0 a:connected:0 early:0");
}

TEST_F(Corners, closing_while_connecting_needs_no_callback) {
  run([] {
    init(1);
    connect_to(&tcps[0], 1, 0, nullptr);
    return turns(0);
  });
  EXPECT_EQ(simulation.report().result, 0);
}

// ---- Hang-ups in 1.44 --------------------------------------------------------------------------

TEST_F(Corners, a_hang_up_is_nothing_to_who_does_not_read) {
  options().version = Version::v1_44;
  run([] {
    return with_pair(
        [] {
          buffer_size = 3;
          uv_read_start(stream(&pair().accepted), on_alloc,
                        [](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
                          on_read(s, n, b);
                          if (n == 2) uv_read_stop(s);
                        });
          uv_shutdown(&pair().shutdown, stream(&pair().accepted), [](uv_shutdown_t*, int) {
            // The first read fills the buffer, the second comes back short.
            write(0, "w", &pair().client, "abcde", 5);
            uv_close(handle(&pair().client), nullptr);
          });
        },
        6);
  });
  EXPECT_EQ(log(), "w:0 conn:read:3 conn:read:2");
}

TEST_F(Corners, a_hang_up_without_a_short_read_is_read_to_its_end) {
  options().version = Version::v1_44;
  buffer_size = 3;
  run([] {
    return with_pair(
        [] {
          uv_read_start(stream(&pair().accepted), on_alloc, on_read);
          uv_shutdown(&pair().shutdown, stream(&pair().accepted), [](uv_shutdown_t*, int) {
            write(0, "w", &pair().client, "abc", 3);
            uv_close(handle(&pair().client), nullptr);
          });
        },
        6);
  });
  EXPECT_EQ(log(), "w:0 conn:read:3 conn:read:EOF");
}

TEST_F(Corners, an_eof_restarted_at_once_is_not_taken_for_a_hang_up) {
  options().version = Version::v1_44;
  run([] {
    return with_pair(
        [] {
          uv_read_start(stream(&pair().accepted), on_alloc,
                        [](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
                          on_read(s, n, b);
                          if (n == UV_EOF && log().size() < 30) uv_read_start(s, on_alloc, on_read);
                        });
          uv_shutdown(&pair().shutdown, stream(&pair().accepted),
                      [](uv_shutdown_t*, int) { uv_close(handle(&pair().client), nullptr); });
        },
        8);
  });
  EXPECT_EQ(log(), "conn:read:EOF conn:read:EOF");
}

TEST_F(Corners, an_alloc_cb_may_give_an_address_without_room) {
  run([] {
    return with_pair(
        [] {
          uv_read_start(
              stream(&pair().accepted),
              [](uv_handle_t*, size_t, uv_buf_t* buf) { *buf = uv_buf_init(big, 0); },
              [](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
                on_read(s, n, b);
                uv_read_stop(s);
              });
          write(0, "w", &pair().client, "x", 1);
        },
        4);
  });
  EXPECT_EQ(log(), "w:0 conn:read:ENOBUFS");
}

// ---- Addresses and listening -------------------------------------------------------------------

std::string bind6_and_listen(int index, const char* host, int to_port, unsigned flags = 0) {
  const std::string bound = code(bind6_to(index, host, to_port, flags));
  return bound + code(listen_on(index));
}

TEST_F(Corners, ipv4_and_ipv6_wildcards_exclude_each_other_unless_told) {
  run([] {
    init(4);
    bind_to(0, "0.0.0.0", port);
    listen_on(0);
    say(bind6_and_listen(1, "::", port));
    say(bind6_and_listen(2, "::", port, UV_TCP_IPV6ONLY));
    say(bind6_and_listen(3, "::1", port + 1));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "0EADDRINUSE 00 00");
  log().clear();
  run([] {
    init(2);
    bind_to(0, "127.0.0.1", port);
    listen_on(0);
    say(bind6_and_listen(1, "::1", port));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "00");
  log().clear();
  run([] {
    init(2);
    say(bind6_and_listen(0, "::1", port));
    bind_to(1, "127.0.0.1", port);
    say(code(listen_on(1)));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "00 0");
}

TEST_F(Corners, a_socket_keeps_its_family) {
  run([] {
    uv_loop_init(&loop);
    uv_tcp_init_ex(&loop, &tcps[0], AF_INET6);
    say(code(bind_to(0, "127.0.0.1", 0)));
    uv_tcp_init(&loop, &tcps[1]);
    bind6_to(1, "::", port, UV_TCP_IPV6ONLY);
    listen_on(1);
    uv_tcp_init(&loop, &tcps[2]);
    call(tcps[2], "c");
    say(code(connect_to(&tcps[2], port)));
    return turns(2);
  });
  EXPECT_EQ(log(), "EINVAL 0 c:connected:ECONNREFUSED");
}

TEST_F(Corners, a_shared_port_needs_both_to_agree) {
  run([] {
    constexpr unsigned reuse_port = 2;
    init(3);
    bind_to(0, "127.0.0.1", port);
    bind_to(1, "127.0.0.1", port, reuse_port);
    bind_to(2, "127.0.0.1", port + 1, reuse_port);
    say(code(listen_on(0)));
    say(code(listen_on(1)));
    say(code(listen_on(2)));
    uv_tcp_t late;
    uv_tcp_init(&loop, &late);
    const sockaddr_in address = loopback(port);
    uv_tcp_bind(&late, reinterpret_cast<const sockaddr*>(&address), reuse_port);
    say(code(uv_listen(stream(&late), 1, nullptr)));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "0 EADDRINUSE 0 EADDRINUSE");
}

TEST_F(Corners, a_free_port_is_one_that_nobody_has) {
  run([] {
    init(2);
    bind_to(0, "127.0.0.1", 32768);
    bind_to(1, "127.0.0.1", 0);
    say(std::to_string(port_of(&tcps[1])));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "32769");
}

TEST_F(Corners, a_connected_socket_neither_binds_nor_listens) {
  run([] {
    return with_pair(
        [] {
          const sockaddr_in address = loopback(0);
          say(code(uv_tcp_bind(&pair().client, reinterpret_cast<const sockaddr*>(&address), 0)));
          say(code(uv_listen(stream(&pair().client), 1, nullptr)));
        },
        2);
  });
  EXPECT_EQ(log(), "EINVAL EINVAL");
  log().clear();
  run([] {
    with_waiting_client([] { say(code(listen_on(3))); });
    return turns(0);
  });
  EXPECT_EQ(log().substr(0, 6), "EINVAL");
}

TEST_F(Corners, backlogs_are_bounded) {
  play({[](Network& n) {
         EXPECT_EQ(n.listener(0).backlog, 4096u);
         EXPECT_EQ(n.listener(1).backlog, 4096u);
         n.leave();
       }},
       [] {
         init(2);
         bind_to(0, "127.0.0.1", port);
         listen_on(0, -1);
         bind_to(1, "127.0.0.1", port + 1);
         listen_on(1, 1'000'000);
         return uv_run(&loop, UV_RUN_DEFAULT);
       });
}

TEST_F(Corners, pipes_and_ports_do_not_meet) {
  run([] {
    init(3);
    static uv_pipe_t pipes[3];
    for (uv_pipe_t& each : pipes) uv_pipe_init(&loop, &each, 0);
    say(code(uv_pipe_bind(&pipes[0], "/one")));
    say(code(uv_pipe_bind(&pipes[1], "/two")));
    say(code(uv_listen(stream(&pipes[0]), 1, [](uv_stream_t*, int) {})));
    bind_to(0, "127.0.0.1", port);
    say(code(listen_on(0)));
    say(code(uv_listen(stream(&pipes[1]), 1, [](uv_stream_t*, int) {})));
    bind_to(2, "127.0.0.1", 0);
    connect_to(&tcps[1], port);
    connect_to(&tcps[2], port + 1, 1);
    // A listening pipe cannot connect; the callback comes with the close.
    uv_pipe_connect(&connects[3], &pipes[0], "/two",
                    [](uv_connect_t*, int status) { say("pipe:" + code(status)); });
    return turns(3);
  });
  EXPECT_NE(log().find("0 0 0 0 0"), std::string::npos) << log();
  EXPECT_NE(log().find("b:connected:0"), std::string::npos) << log();
  EXPECT_NE(log().find("c:connected:ECONNREFUSED"), std::string::npos) << log();
  EXPECT_NE(log().find("pipe:ECANCELED"), std::string::npos) << log();
}

TEST_F(Corners, a_bound_pipe_may_connect) {
  run([] {
    uv_loop_init(&loop);
    static uv_pipe_t server;
    static uv_pipe_t client;
    uv_pipe_init(&loop, &server, 0);
    uv_pipe_init(&loop, &client, 0);
    call(client, "client");
    uv_pipe_bind(&server, "/one");
    uv_listen(stream(&server), 1, [](uv_stream_t*, int) { say("connection"); });
    uv_pipe_bind(&client, "/two");
    uv_pipe_connect(&connects[0], &client, "/one", on_connect);
    return turns(2);
  });
  EXPECT_EQ(log(), "connection client:connected:0");
}

TEST_F(Corners, pipe_names_may_be_abstract_and_may_refuse_to_be_cut) {
  run([] {
    uv_loop_init(&loop);
    static uv_pipe_t pipes[4];
    for (uv_pipe_t& each : pipes) uv_pipe_init(&loop, &each, 0);
    constexpr unsigned no_truncate = 1;
    const std::string longish(200, 'x');
    say(code(uv_pipe_bind2(&pipes[0], longish.data(), longish.size(), no_truncate)));
    say(code(uv_pipe_bind2(&pipes[0], longish.data(), longish.size(), 8)));
    say(code(uv_pipe_bind2(&pipes[0], "\0echo", 5, no_truncate)));
    say(code(uv_listen(stream(&pipes[0]), 1, nullptr)));
    char name[8] = {};
    size_t size = 3;
    say(code(uv_pipe_getsockname(&pipes[0], name, &size)));
    say(std::to_string(size));
    say(code(uv_pipe_getsockname(&pipes[0], name, &size)));
    say(name + 1);
    const auto connected = [](uv_connect_t*, int status) { say("connected:" + code(status)); };
    say(code(uv_pipe_connect2(&connects[0], &pipes[1], "\0echo", 5, no_truncate, connected)));
    say(code(
        uv_pipe_connect2(&connects[1], &pipes[2], longish.data(), 200, no_truncate, connected)));
    say(code(uv_pipe_connect2(&connects[1], &pipes[2], nullptr, 4, no_truncate, connected)));
    say(code(uv_pipe_connect2(&connects[1], &pipes[2], "x", 0, no_truncate, connected)));
    say(code(uv_pipe_connect2(&connects[1], &pipes[2], "x", 1, 8, connected)));
    uv_pipe_connect(&connects[1], &pipes[2], "", connected);
    pipes[0].connection_cb = [](uv_stream_t*, int) {};
    uv_os_sock_t fds[2];
    uv_socketpair(SOCK_STREAM, 0, fds, 0, 0);
    uv_pipe_open(&pipes[3], fds[0]);
    say(code(uv_pipe_bind(&pipes[3], "/one")));
    return turns(2);
  });
  EXPECT_EQ(log(),
            "EINVAL EINVAL 0 0 ENOBUFS 5 0 echo 0 EINVAL EINVAL EINVAL EINVAL EINVAL "
            "connected:EINVAL connected:0");
}

TEST_F(Corners, keepalive_checks_its_numbers) {
  run([] {
    init(1);
    bind_to(0, "127.0.0.1", 0);
    say(code(uv_tcp_keepalive_ex(&tcps[0], 1, 1, 0, 1)));
    say(code(uv_tcp_keepalive_ex(&tcps[0], 1, 1, 1, 0)));
    say(code(uv_tcp_keepalive_ex(&tcps[0], 1, 1, 1, 1)));
    return close_all(&loop);
  });
  Only fault(ChoicePoint::call_socket_option, 1);
  run(fault, [] {
    init(1);
    bind_to(0, "127.0.0.1", 0);
    say(code(uv_tcp_keepalive(&tcps[0], 1, 60)));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "EINVAL EINVAL 0 EINVAL");
}

// ---- The last descriptor -----------------------------------------------------------------------

// The second loop's handles come when there is no descriptor left to keep in reserve.
int listen_without_reserve() {
  static uv_loop_t other;
  static uv_tcp_t hoard[4];
  uv_loop_init(&other);
  init(0);
  for (int i = 0; i < 3; ++i) uv_tcp_init_ex(&other, &hoard[i], AF_INET);
  uv_tcp_init(&loop, &tcps[0]);
  uv_close(handle(&hoard[0]), nullptr);
  uv_run(&other, UV_RUN_NOWAIT);
  bind_to(0, "127.0.0.1", port);
  static int told;
  told = 0;
  uv_listen(stream(&tcps[0]), 8, [](uv_stream_t* server, int status) {
    say(code(status));
    if (++told == 3) uv_close(handle(server), nullptr);
  });
  uv_timer_init(&loop, &timer);
  uv_timer_start(&timer, [](uv_timer_t*) { uv_stop(&loop); }, 1000, 0);
  uv_run(&loop, UV_RUN_DEFAULT);
  close_all(&other);
  return close_all(&loop);
}

TEST_F(Corners, without_a_reserve_1_44_tells_again_and_again_and_1_52_spins) {
  options().descriptors = 12;
  options().version = Version::v1_44;
  const auto come = [](Network& n, Wait wait) {
    if (wait.ready || n.listeners() == 0 || n.peers() > 0) return Progress::nothing;
    n.connect(size_t{0});
    return Progress::made;
  };
  simulation.on_poll(come);
  run(listen_without_reserve);
  EXPECT_EQ(log(), "EMFILE EMFILE EMFILE");
  log().clear();
  options().version = Version::v1_52;
  const Report& report = run(listen_without_reserve);
  EXPECT_EQ(log(), "");
  EXPECT_GT(report.turns, 10'000u);
}

// ---- The poll phase ----------------------------------------------------------------------------

// Two connections; what the first reads decides about the second.
int two_readers(uv_read_cb first) {
  static uv_read_cb callback;
  callback = first;
  init(6);
  bind_to(5, "127.0.0.1", port);
  static int next;
  next = 2;
  uv_listen(stream(&tcps[5]), 8, [](uv_stream_t* server, int) {
    uv_accept(server, stream(&tcps[next]));
    uv_read_start(stream(&tcps[next]), on_alloc, next == 2 ? callback : on_read);
    ++next;
  });
  for (int i = 0; i < 2; ++i) connect_to(&tcps[i], port, i, nullptr);
  for (int i = 0; i < 4; ++i) uv_run(&loop, UV_RUN_NOWAIT);
  for (int i = 0; i < 2; ++i) write(i, i == 0 ? "w0" : "w1", &tcps[i], "x", 1);
  return turns(4);
}

TEST_F(Corners, who_is_closed_by_an_earlier_event_of_the_same_poll_hears_nothing) {
  run([] {
    return two_readers([](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
      on_read(s, n, b);
      if (uv_is_closing(handle(&tcps[3])) == 0) uv_close(handle(&tcps[3]), on_close);
    });
  });
  EXPECT_EQ(log(), "w0:0 w1:0 c:read:1 d:closed");
}

TEST_F(Corners, who_is_stopped_by_an_earlier_event_of_the_same_poll_hears_nothing) {
  run([] {
    return two_readers([](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
      on_read(s, n, b);
      uv_read_stop(stream(&tcps[3]));
    });
  });
  EXPECT_EQ(log(), "w0:0 w1:0 c:read:1");
}

TEST_F(Corners, who_waits_only_for_room_does_not_hear_of_bytes) {
  run([] {
    return two_readers([](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
      on_read(s, n, b);
      uv_read_stop(stream(&tcps[3]));
      write(9, "big", &tcps[3], big, sizeof big);
    });
  });
  EXPECT_EQ(log(), "w0:0 w1:0 c:read:1 big:ECANCELED");
}

TEST_F(Corners, a_hang_up_wakes_who_waits_for_room) {
  run([] {
    return with_pair(
        [] {
          uv_shutdown(&pair().shutdown, stream(&pair().client), nullptr);
          write(0, "big", &pair().accepted, big, sizeof big);
          static uv_timer_t later;
          uv_timer_init(&pair().loop, &later);
          uv_timer_start(
              &later, [](uv_timer_t*) { uv_tcp_close_reset(&pair().client, nullptr); }, 1, 0);
        },
        300);
  });
  EXPECT_EQ(log(), "big:EPIPE");
}

TEST_F(Corners, a_thousand_events_fit_into_one_poll_and_the_rest_waits) {
  static int most;
  most = 0;
  play({[](Network& n) {
          for (int i = 0; i < 1100; ++i) n.connect(size_t{0});
        },
        [](Network& n) {
          for (uint32_t i = 1; i <= 1100; ++i) n.send(Peer{i}, "x", 1);
        },
        [](Network& n) { n.leave(); }},
       [] {
         init(1);
         bind_to(0, "127.0.0.1", port);
         static uv_tcp_t crowd[1100];
         static int next;
         static int reads;
         next = reads = 0;
         uv_listen(stream(&tcps[0]), 4096, [](uv_stream_t* server, int) {
           uv_tcp_init(server->loop, &crowd[next]);
           uv_accept(server, stream(&crowd[next]));
           uv_read_start(stream(&crowd[next]), on_alloc,
                         [](uv_stream_t*, ssize_t, const uv_buf_t*) { ++reads; });
           ++next;
         });
         static uv_check_t check;
         uv_check_init(&loop, &check);
         uv_unref(handle(&check));
         uv_check_start(&check, [](uv_check_t*) {
           if (reads > most) most = reads;
           reads = 0;
         });
         return uv_run(&loop, UV_RUN_DEFAULT);
       });
  EXPECT_EQ(most, 1024);
}

TEST_F(Corners, the_world_may_turn_the_order_round) {
  Only choices(ChoicePoint::ready_order, 1);
  run(choices, [] {
    return two_readers([](uv_stream_t* s, ssize_t n, const uv_buf_t* b) { on_read(s, n, b); });
  });
  // The first poll with two ready handles was that of the connections.
  EXPECT_NE(log().find("c:read:1"), std::string::npos);
  Only fewer(ChoicePoint::ready_count, 1);
  run(fewer, [] {
    return two_readers([](uv_stream_t* s, ssize_t n, const uv_buf_t* b) { on_read(s, n, b); });
  });
  EXPECT_TRUE(simulation.report().ok());
}

TEST_F(Corners, every_random_world_is_survived) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    options().version = seed % 2 == 0 ? Version::v1_44 : Version::v1_52;
    Random random(seed, 128);
    const Report& report = run(random, [] {
      if (uv_loop_init(&loop) != 0) return 0;
      bool ready = true;
      for (int i = 0; i < 2; ++i) {
        uv_tcp_t* const tcp = &tcps[i];
        if (uv_tcp_init(&loop, tcp) != 0) {
          ready = false;
          break;
        }
        call(*tcp, "tcp");
      }
      if (ready && bind_to(1, "127.0.0.1", port) == 0 &&
          uv_listen(stream(&tcps[1]), 8, [](uv_stream_t* server, int status) {
            if (status != 0) return;
            static uv_tcp_t conn;
            if (uv_is_closing(handle(&tcps[2])) == 0) uv_close(handle(server), nullptr);
            if (uv_tcp_init(server->loop, &conn) != 0) return;
            call(conn, "conn");
            if (uv_accept(server, stream(&conn)) != 0 ||
                uv_read_start(stream(&conn), on_alloc, on_read_close) != 0)
              uv_close(handle(&conn), nullptr);
          }) == 0) {
        connect_to(&tcps[0], port);
        write(0, "w", &tcps[0], big, 1000);
        write(1, "v", &tcps[0], big, 3);
        uv_shutdown(&pair().shutdown, stream(&tcps[0]), on_shutdown);
      }
      for (int i = 0; i < 30; ++i) uv_run(&loop, UV_RUN_NOWAIT);
      return close_all(&loop);
    });
    ASSERT_TRUE(report.violations.empty())
        << seed << ": " << report.summary() << simulation.trace_text();
    ASSERT_EQ(report.result, 0) << seed;
  }
}

// ---- What the World may ask --------------------------------------------------------------------

TEST_F(Corners, a_socket_made_in_place_of_one_that_was_reported_hears_nothing_of_it) {
  run([] {
    return two_readers([](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
      on_read(s, n, b);
      if (uv_is_closing(handle(&tcps[3])) != 0) return;
      uv_close(handle(&tcps[3]), nullptr);
      uv_close(handle(&tcps[1]), nullptr);
      uv_tcp_init_ex(&loop, &tcps[6], AF_INET);
      uv_tcp_init_ex(&loop, &tcps[7], AF_INET);
    });
  });
  EXPECT_EQ(log(), "w0:0 w1:0 c:read:1");
}

TEST_F(Corners, the_world_sees_what_it_can_send_to_a_program_that_closed) {
  play({[](Network& n) { n.connect(size_t{0}); },
        [](Network& n) {
          EXPECT_TRUE(n.view(Peer{1}).fin);
          EXPECT_EQ(n.view(Peer{1}).writable, 0u);
          EXPECT_FALSE(n.loop_has_work());
          n.leave();
        }},
       [] {
         init(1);
         Simulation::current()->network().listen(8000);
         bind_to(0, "127.0.0.1", port);
         uv_listen(stream(&tcps[0]), 1, [](uv_stream_t* server, int) {
           uv_tcp_init(server->loop, &tcps[1]);
           uv_accept(server, stream(&tcps[1]));
           uv_close(handle(&tcps[1]), nullptr);
         });
         uv_timer_init(&loop, &timer);
         uv_timer_start(&timer, [](uv_timer_t*) {}, 1'000'000, 0);
         EXPECT_EQ(Simulation::current()->network().listener(0).port, port);
         return uv_run(&loop, UV_RUN_DEFAULT);
       });
}

TEST_F(Corners, the_world_sees_ipv6_listeners_and_skips_its_own) {
  play({[](Network& n) {
         n.listen(9000);
         EXPECT_EQ(n.listeners(), 1u);
         EXPECT_EQ(n.listener(0).name, "::1");
         EXPECT_EQ(n.listener(0).family, Family::ipv6);
         EXPECT_FALSE(static_cast<bool>(n.accept(9001)));
         n.half_close(n.connect(size_t{0}));
         n.leave();
       }},
       [] {
         init(3);
         bind_to(2, "127.0.0.1", port);
         bind6_to(0, "::1", port);
         listen_on(0);
         return uv_run(&loop, UV_RUN_DEFAULT);
       });
}

TEST_F(Corners, a_loop_with_work_says_so) {
  play({[](Network& n) {
         EXPECT_TRUE(n.loop_has_work());
         n.leave();
       }},
       [] {
         uv_loop_init(&loop);
         uv_timer_init(&loop, &timer);
         uv_timer_start(&timer, [](uv_timer_t*) {}, 0, 0);
         return uv_run(&loop, UV_RUN_NOWAIT);
       });
  play({[](Network& n) {
         EXPECT_TRUE(n.loop_has_work());
         n.leave();
       }},
       [] {
         uv_loop_init(&loop);
         uv_timer_init(&loop, &timer);
         static uv_prepare_t prepare;
         uv_prepare_init(&loop, &prepare);
         uv_prepare_start(&prepare, [](uv_prepare_t*) { uv_close(handle(&timer), nullptr); });
         return uv_run(&loop, UV_RUN_NOWAIT);
       });
  simulation.on_poll([](Network& n, Wait) {
    if (n.loop_has_work()) say("work");
    return Progress::nothing;
  });
  run([] {
    uv_os_sock_t fds[2];
    init(1);
    uv_socketpair(SOCK_STREAM, 0, fds, 0, 0);
    uv_tcp_open(&tcps[0], fds[0]);
    static uv_prepare_t prepare;
    uv_prepare_init(&loop, &prepare);
    uv_prepare_start(&prepare, [](uv_prepare_t*) {
      uv_shutdown(&pair().shutdown, stream(&tcps[0]), on_shutdown);
    });
    uv_run(&loop, UV_RUN_NOWAIT);
    return 0;
  });
  EXPECT_EQ(log(), "work a:shutdown:0");
}

// ---- Signals -----------------------------------------------------------------------------------

TEST_F(Corners, signals_that_are_ignored_by_nature_do_no_harm) {
  for (const int signum : {SIGCHLD, SIGURG, SIGWINCH, SIGCONT}) {
    static int sent;
    sent = signum;
    EXPECT_EQ(run([] { return uv_kill(0, sent); }).result, 0);
  }
  EXPECT_EQ(complaint([] { return uv_kill(0, 32); }),
            "the program is sent signal 32, for which no handle waits: it would die here");
}

TEST_F(Corners, more_real_signals_than_fit_are_dropped) {
  options().real_signals = true;
  static int heard;
  heard = 0;
  run([] {
    uv_loop_init(&loop);
    static uv_signal_t a;
    static uv_signal_t b;
    uv_signal_init(&loop, &a);
    uv_signal_init(&loop, &b);
    uv_signal_start(&b, [](uv_signal_t*, int) {}, SIGUSR2);
    uv_signal_start(&a, [](uv_signal_t*, int) { ++heard; }, SIGUSR1);
    // By the system, for uvsim has a raise() of its own.
    for (int i = 0; i < 300; ++i) syscall(SYS_kill, getpid(), SIGUSR1);
    uv_run(&loop, UV_RUN_NOWAIT);
    return close_all(&loop);
  });
  EXPECT_EQ(heard, 256);
}

// ---- Faults that need the right moment ---------------------------------------------------------

TEST_F(Corners, three_bytes_have_three_ways_to_be_read) {
  Only two(ChoicePoint::read_size, 2);
  run(two, [] {
    return with_pair(
        [] {
          uv_read_start(stream(&pair().accepted), on_alloc, on_read);
          write(0, "w", &pair().client, "abc", 3);
        },
        5);
  });
  EXPECT_EQ(log(), "w:0 conn:read:2 conn:read:1");
}

TEST_F(Corners, questions_about_writes_come_only_where_something_fits) {
  Random kind(1, 256);
  run(kind, [] {
    return with_pair(
        [] {
          const uv_buf_t empty = uv_buf_init(big, 0);
          const uv_buf_t much = uv_buf_init(big, sizeof big);
          say(code(uv_try_write(stream(&pair().client), &empty, 1)));
          uv_try_write(stream(&pair().client), &much, 1);
          say(code(uv_try_write(stream(&pair().client), &much, 1)));
        },
        3);
  });
  EXPECT_EQ(log(), "0 EAGAIN");
}

TEST_F(Corners, a_result_that_comes_after_its_event_was_dropped_is_hashed_only) {
  options().trace_events = 1;
  run([] {
    uv_loop_init(&loop);
    static int count;
    count = 0;
    uv_timer_init(&loop, &timer);
    uv_timer_start(
        &timer,
        [](uv_timer_t* t) {
          if (++count == 200) uv_close(handle(t), nullptr);
        },
        1, 1);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
  });
  EXPECT_EQ(simulation.trace_text().find("uv_run"), std::string::npos);
}

// ---- The address map ---------------------------------------------------------------------------

TEST_F(Corners, the_address_map_is_a_map) {
  AddressMap<int> map;
  static int values[3000];
  static char addresses[3000];
  EXPECT_EQ(map.find(&addresses[0]), nullptr);
  for (int round = 0; round < 3; ++round) {
    std::vector<bool> there(3000);
    uint32_t state = 12345;
    for (int step = 0; step < 20'000; ++step) {
      state = state * 1'103'515'245 + 12'345;
      const size_t i = state >> 8 & 0x7ff;
      if (there[i])
        map.erase(&addresses[i]);
      else
        map.put(&addresses[i], &values[i]);
      there[i] = !there[i];
      const size_t j = state >> 16 & 0x7ff;
      ASSERT_EQ(map.find(&addresses[j]), there[j] ? &values[j] : nullptr);
    }
    size_t count = 0;
    map.for_each([&](int&) { ++count; });
    EXPECT_EQ(count, map.size());
    map.clear();
    EXPECT_EQ(map.find(&addresses[1]), nullptr);
  }
}

}  // namespace
}  // namespace uvsim::test
