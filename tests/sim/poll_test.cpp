// One poll with several events: who hears of what, in which order, and what the World sees.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "several_tcps.hpp"

namespace uvsim::test {
namespace {

class Poll : public StepByStep {};

// ---- The last descriptor ------------------------------------------------------------------------

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

TEST_F(Poll, without_a_reserve_1_44_tells_again_and_again_and_1_52_spins) {
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

// ---- The poll phase -----------------------------------------------------------------------------

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

TEST_F(Poll, who_is_closed_by_an_earlier_event_of_the_same_poll_hears_nothing) {
  run([] {
    return two_readers([](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
      on_read(s, n, b);
      if (uv_is_closing(handle(&tcps[3])) == 0) uv_close(handle(&tcps[3]), on_close);
    });
  });
  EXPECT_EQ(log(), "w0:0 w1:0 c:read:1 d:closed");
}

TEST_F(Poll, who_is_stopped_by_an_earlier_event_of_the_same_poll_hears_nothing) {
  run([] {
    return two_readers([](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
      on_read(s, n, b);
      uv_read_stop(stream(&tcps[3]));
    });
  });
  EXPECT_EQ(log(), "w0:0 w1:0 c:read:1");
}

TEST_F(Poll, who_waits_only_for_room_does_not_hear_of_bytes) {
  run([] {
    return two_readers([](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
      on_read(s, n, b);
      uv_read_stop(stream(&tcps[3]));
      write(9, "big", &tcps[3], big, sizeof big);
    });
  });
  EXPECT_EQ(log(), "w0:0 w1:0 c:read:1 big:ECANCELED");
}

TEST_F(Poll, a_hang_up_wakes_who_waits_for_room) {
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

TEST_F(Poll, a_thousand_events_fit_into_one_poll_and_the_rest_waits) {
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

TEST_F(Poll, the_world_may_turn_the_order_round) {
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

TEST_F(Poll, every_random_world_is_survived) {
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

// ---- What the World may ask ---------------------------------------------------------------------

TEST_F(Poll, the_world_is_asked_when_threads_in_real_time_are_at_rest) {
  static std::atomic<bool> sent;
  static uv_async_t bell;
  sent = false;
  int early = 0;
  simulation.on_poll([&early](Network&, Wait wait) {
    if (!wait.ready && !sent) ++early;
    return Progress::nothing;
  });
  run([] {
    uv_loop_init(&loop);
    uv_async_init(&loop, &bell, [](uv_async_t*) { uv_close(handle(&bell), nullptr); });
    std::thread worker([] {
      std::atomic<int> work{0};
      while (++work < 20'000'000) continue;
      sent = true;
      uv_async_send(&bell);
    });
    uv_run(&loop, UV_RUN_DEFAULT);
    worker.join();
    return uv_loop_close(&loop);
  });
  EXPECT_EQ(early, 0);
}

TEST_F(Poll, a_socket_made_in_place_of_one_that_was_reported_hears_nothing_of_it) {
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

TEST_F(Poll, the_world_sees_what_it_can_send_to_a_program_that_closed) {
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

TEST_F(Poll, the_world_sees_ipv6_listeners_and_skips_its_own) {
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

TEST_F(Poll, a_loop_with_work_says_so) {
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

// ---- Signals ------------------------------------------------------------------------------------

TEST_F(Poll, signals_that_are_ignored_by_nature_do_no_harm) {
  for (const int signum : {SIGCHLD, SIGURG, SIGWINCH, SIGCONT}) {
    static int sent;
    sent = signum;
    EXPECT_EQ(run([] { return uv_kill(0, sent); }).result, 0);
  }
  EXPECT_EQ(complaint([] { return uv_kill(0, 32); }),
            "the program is sent signal 32, for which no handle waits: it would die here");
}

TEST_F(Poll, more_real_signals_than_fit_are_dropped) {
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

// ---- Faults that need the right moment ----------------------------------------------------------

TEST_F(Poll, three_bytes_have_three_ways_to_be_read) {
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

TEST_F(Poll, questions_about_writes_come_only_where_something_fits) {
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

TEST_F(Poll, a_result_that_comes_after_its_event_was_dropped_is_hashed_only) {
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

}  // namespace
}  // namespace uvsim::test
