// Writing, trying to write, and shutting down.
#include <csignal>

#include "scenario.hpp"

namespace uvsim::test {
namespace {

class Writing : public Scenario {};

char big[8 << 20];

TEST_F(Writing, finishes_in_order_and_never_inside_the_call) {
  run([] {
    return with_pair(
        [] {
          for (int i = 0; i < 3; ++i)
            write(i, i == 0 ? "a" : i == 1 ? "b" : "c", &pair().client, "x", 1);
          say("after");
        },
        5);
  });
  EXPECT_EQ(log(), "after a:0 b:0 c:0");
}

TEST_F(Writing, finishes_one_request_per_pass_in_1_44_and_many_in_1_52) {
  const auto program = [] {
    return with_pair(
        [] {
          static uv_check_t check;
          uv_check_init(&pair().loop, &check);
          uv_check_start(&check, [](uv_check_t*) { say("|"); });
          write(0, "big", &pair().client, big, sizeof big);
          for (int i = 1; i < 40; ++i) write(i, "w", &pair().client, "x", 1);
          uv_read_start(stream(&pair().accepted), on_alloc,
                        [](uv_stream_t*, ssize_t, const uv_buf_t*) {});
        },
        100);
  };
  run(program);
  EXPECT_NE(log().find("big:0 w:0 w:0 w:0 w:0 w:0 w:0 w:0 w:0 w:0 w:0 w:0 w:0 w:0 w:0"),
            std::string::npos);
  log().clear();
  options().version = Version::v1_44;
  run(program);
  EXPECT_NE(log().find("big:0 w:0 w:0 w:0 w:0 w:0 w:0 w:0 w:0 | w:0 w:0"), std::string::npos)
      << log();
}

TEST_F(Writing, takes_many_buffers_and_empty_ones) {
  run([] {
    return with_pair(
        [] {
          const uv_buf_t bufs[6] = {uv_buf_init(big, 1), uv_buf_init(big, 0), uv_buf_init(big, 2),
                                    uv_buf_init(big, 0), uv_buf_init(big, 0), uv_buf_init(big, 1)};
          const uv_buf_t nothing[2] = {uv_buf_init(big, 0), uv_buf_init(big, 0)};
          Pair& p = pair();
          call(p.writes[0], "many");
          call(p.writes[1], "none");
          call(p.writes[2], "last");
          uv_read_start(stream(&p.accepted), on_alloc, on_read);
          EXPECT_EQ(uv_write(&p.writes[0], stream(&p.client), bufs, 6, on_write), 0);
          EXPECT_EQ(uv_write(&p.writes[1], stream(&p.client), nothing, 2, on_write), 0);
          EXPECT_EQ(uv_write(&p.writes[2], stream(&p.client), bufs, 1, nullptr), 0);
          say(std::to_string(uv_stream_get_write_queue_size(stream(&p.client))));
        },
        8);
  });
  EXPECT_EQ(log().substr(0, 10), "0 many:0 n");
  EXPECT_NE(log().find("none:0"), std::string::npos);
}

TEST_F(Writing, waits_for_a_reader_when_the_buffers_are_full) {
  static size_t received;
  received = 0;
  run([] {
    return with_pair(
        [] {
          Pair& p = pair();
          write(0, "big", &p.client, big, sizeof big);
          say(p.client.write_queue_size > 1'000'000 ? "queued" : "taken");
          write(1, "small", &p.client, "x", 1);
          uv_read_start(stream(&p.accepted), on_alloc,
                        [](uv_stream_t*, ssize_t n, const uv_buf_t*) {
                          received += static_cast<size_t>(n);
                          if (received == sizeof big + 1) close_pair();
                        });
        },
        400);
  });
  EXPECT_EQ(log(), "queued big:0 small:0");
  EXPECT_EQ(received, sizeof big + 1);
}

TEST_F(Writing, close_reports_what_was_written_as_written_and_cancels_the_rest) {
  run([] {
    return with_pair(
        [] {
          Pair& p = pair();
          write(0, "done", &p.client, "x", 1);
          write(1, "part", &p.client, big, sizeof big);
          write(2, "none", &p.client, "x", 1);
          EXPECT_EQ(uv_shutdown(&p.shutdown, stream(&p.client), on_shutdown), 0);
          uv_close(handle(&p.client), on_close);
        },
        4);
  });
  EXPECT_EQ(log(), "done:0 part:ECANCELED none:ECANCELED client:shutdown:ECANCELED client:closed");
}

TEST_F(Writing, to_a_closed_peer_succeeds_once_and_then_fails) {
  run([] {
    return with_pair(
        [] {
          static uv_timer_t timer;
          uv_timer_init(&pair().loop, &timer);
          uv_close(handle(&pair().client), nullptr);
          uv_timer_start(
              &timer,
              [](uv_timer_t*) {
                static int count;
                const char* const names[] = {"a", "b", "c"};
                if (count < 3) write(count, names[count], &pair().accepted, "x", 1);
                ++count;
              },
              1, 1);
        },
        1500);
  });
  EXPECT_EQ(log(), "a:0 b:EPIPE c:EPIPE");
}

TEST_F(Writing, to_a_reset_peer_fails_with_the_reset_first) {
  run([] {
    return with_pair(
        [] {
          uv_tcp_close_reset(&pair().client, nullptr);
          write(0, "a", &pair().accepted, "x", 1);
          write(1, "b", &pair().accepted, "x", 1);
          say(code(static_cast<int64_t>(pair().accepted.write_queue_size)));
          say(uv_is_writable(stream(&pair().accepted)) != 0 ? "writable" : "not");
        },
        5);
  });
  EXPECT_EQ(log(), "2 writable a:ECONNRESET b:EPIPE");
}

TEST_F(Writing, refuses_as_libuv_does) {
  run([] {
    return with_pair(
        [] {
          Pair& p = pair();
          uv_tcp_t fresh;
          uv_tcp_init(&p.loop, &fresh);
          const uv_buf_t buf = uv_buf_init(big, 1);
          say(code(write(0, "w", &fresh, "x", 1)));
          say(code(uv_try_write(stream(&fresh), &buf, 1)));
          uv_close(handle(&fresh), nullptr);
          uv_shutdown(&p.shutdown, stream(&p.client), nullptr);
          say(code(write(0, "w", &p.client, "x", 1)));
          say(code(uv_try_write(stream(&p.client), &buf, 1)));
          say(code(uv_write(&p.writes[1], stream(&p.accepted), &buf, 0, nullptr)));
          say(code(uv_write(&p.writes[1], stream(&p.accepted), nullptr, 1, nullptr)));
          uv_run(&p.loop, UV_RUN_NOWAIT);
          uv_close(handle(&p.client), nullptr);
          say(code(write(0, "w", &p.client, "x", 1)));
        },
        0);
    return 0;
  });
  EXPECT_EQ(log().substr(0, 41), "EBADF EBADF EPIPE EPIPE EINVAL EINVAL");
}

TEST_F(Writing, try_never_overtakes_and_never_calls_back) {
  run([] {
    return with_pair(
        [] {
          Pair& p = pair();
          const uv_buf_t buf = uv_buf_init(big, sizeof big);
          const uv_buf_t small = uv_buf_init(big, 1);
          const uv_buf_t empty = uv_buf_init(big, 0);
          say(code(uv_try_write(stream(&p.client), &empty, 1)));
          say(code(uv_try_write(stream(&p.client), &small, 1)));
          const int taken = uv_try_write(stream(&p.client), &buf, 1);
          say(taken > 1'000'000 && taken < static_cast<int>(sizeof big) ? "some" : "?");
          say(code(uv_try_write(stream(&p.client), &buf, 1)));
          write(0, "queued", &p.client, "x", 1);
          uv_read_start(stream(&p.accepted), on_alloc,
                        [](uv_stream_t*, ssize_t, const uv_buf_t*) {});
          say(code(uv_try_write(stream(&p.client), &small, 1)));
        },
        300);
  });
  EXPECT_EQ(log(), "0 1 some EAGAIN EAGAIN queued:0");
}

TEST_F(Writing, waits_for_the_connection) {
  run([] {
    static uv_loop_t loop;
    static uv_tcp_t tcp;
    static uv_connect_t connect;
    uv_loop_init(&loop);
    uv_tcp_init(&loop, &tcp);
    call(tcp, "tcp");
    const sockaddr_in address = loopback(1);
    EXPECT_EQ(
        uv_tcp_connect(&connect, &tcp, reinterpret_cast<const sockaddr*>(&address), on_connect), 0);
    write(0, "w", &tcp, "x", 1);
    const uv_buf_t buf = uv_buf_init(big, 1);
    say(code(uv_try_write(stream(&tcp), &buf, 1)));
    uv_run(&loop, UV_RUN_DEFAULT);
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "EAGAIN tcp:connected:ECONNREFUSED w:ECANCELED");
}

TEST_F(Writing, a_blocking_stream_takes_everything) {
  run([] {
    return with_pair(
        [] {
          EXPECT_EQ(uv_stream_set_blocking(stream(&pair().client), 1), 0);
          write(0, "w", &pair().client, big, sizeof big);
          say(std::to_string(pair().client.write_queue_size));
        },
        3);
  });
  EXPECT_EQ(log(), "0 w:0");
}

// ---- Shutdown ----------------------------------------------------------------------------------

TEST_F(Writing, shutdown_waits_for_the_queue_and_is_told_once) {
  run([] {
    return with_pair(
        [] {
          Pair& p = pair();
          write(0, "w", &p.client, "x", 1);
          EXPECT_EQ(uv_shutdown(&p.shutdown, stream(&p.client), on_shutdown), 0);
          say(code(uv_shutdown(&p.shutdown_again, stream(&p.client), on_shutdown)));
          say(code(uv_tcp_close_reset(&p.client, nullptr)));
          uv_read_start(stream(&p.accepted), on_alloc, on_read_close);
        },
        5);
    return 0;
  });
  EXPECT_EQ(log(), "ENOTCONN EINVAL w:0 client:shutdown:0 conn:read:1 conn:read:EOF conn:closed");
}

TEST_F(Writing, shutdown_of_a_reset_connection_fails_in_the_callback) {
  run([] {
    return with_pair(
        [] {
          uv_tcp_close_reset(&pair().client, nullptr);
          EXPECT_EQ(uv_shutdown(&pair().shutdown, stream(&pair().accepted), on_shutdown), 0);
        },
        4);
  });
  EXPECT_EQ(log(), "conn:shutdown:ENOTCONN");
}

TEST_F(Writing, shutdown_on_closing_handle_is_refused) {
  run([] {
    return with_pair(
        [] {
          uv_close(handle(&pair().client), nullptr);
          say(code(uv_shutdown(&pair().shutdown, stream(&pair().client), on_shutdown)));
        },
        4);
  });
  EXPECT_EQ(log(), "ENOTCONN");
}

// ---- Faults ------------------------------------------------------------------------------------

int write_six_bytes() {
  return with_pair(
      [] {
        uv_read_start(stream(&pair().accepted), on_alloc, on_read);
        write(0, "w", &pair().client, "abcdef", 6);
        uv_shutdown(&pair().shutdown, stream(&pair().client), on_shutdown);
      },
      8);
}

TEST_F(Writing, may_be_accepted_in_pieces) {
  for (uint32_t answer = 0; answer < 4; ++answer) {
    Only choices(ChoicePoint::write_size, answer);
    run(choices, [] {
      return with_pair(
          [] {
            const uv_buf_t buf = uv_buf_init(big, 6);
            say(code(uv_try_write(stream(&pair().client), &buf, 1)));
          },
          3);
    });
  }
  EXPECT_EQ(log(), "6 1 3 5");
  log().clear();
  Only choices(ChoicePoint::write_size, 1);
  run(choices, write_six_bytes);
  EXPECT_EQ(log(), "w:0 client:shutdown:0 conn:read:6 conn:read:EOF");
}

TEST_F(Writing, may_find_no_room) {
  Only choices(ChoicePoint::write_again, 1);
  run(choices, write_six_bytes);
  EXPECT_EQ(log(), "w:0 client:shutdown:0 conn:read:6 conn:read:EOF");
}

TEST_F(Writing, may_fail) {
  const char* const expected[] = {"w:ECONNRESET", "w:EPIPE", "w:ENOBUFS"};
  for (uint32_t answer = 1; answer < 4; ++answer) {
    log().clear();
    Only choices(ChoicePoint::write_error, answer);
    run(choices, write_six_bytes);
    EXPECT_NE(log().find(expected[answer - 1]), std::string::npos) << log();
  }
}

TEST_F(Writing, calls_may_be_refused) {
  Only write_fault(ChoicePoint::call_write, 1);
  run(write_fault,
      [] { return with_pair([] { say(code(write(0, "w", &pair().client, "x", 1))); }, 3); });
  Only try_fault(ChoicePoint::call_try_write, 1);
  run(try_fault, [] {
    return with_pair(
        [] {
          const uv_buf_t buf = uv_buf_init(big, 1);
          say(code(uv_try_write(stream(&pair().client), &buf, 1)));
        },
        3);
  });
  Only shutdown_fault(ChoicePoint::call_shutdown, 1);
  run(shutdown_fault, [] {
    return with_pair(
        [] { say(code(uv_shutdown(&pair().shutdown, stream(&pair().client), on_shutdown))); }, 3);
  });
  Only late_fault(ChoicePoint::shutdown_error, 1);
  run(late_fault, [] {
    return with_pair([] { uv_shutdown(&pair().shutdown, stream(&pair().client), on_shutdown); }, 4);
  });
  EXPECT_EQ(log(), "EBADF EBADF ENOTCONN client:shutdown:ENOTCONN");
}

TEST_F(Writing, out_of_memory_leaves_the_loop_alive_as_libuv_does) {
  Only fault(ChoicePoint::call_write, 1);
  run(fault, [] {
    return with_pair(
        [] {
          const uv_buf_t buf = uv_buf_init(big, 1);
          const uv_buf_t bufs[5] = {buf, buf, buf, buf, buf};
          say(code(uv_write(&pair().writes[0], stream(&pair().client), bufs, 5, on_write)));
          say(std::to_string(pair().loop.active_reqs.count));
          --pair().loop.active_reqs.count;
        },
        4);
  });
  EXPECT_EQ(log(), "ENOMEM 1");
}

// ---- Rules -------------------------------------------------------------------------------------

TEST_F(Writing, must_not_reuse_a_pending_request) {
  EXPECT_EQ(broken([] {
              return with_pair(
                  [] {
                    write(0, "a", &pair().client, "x", 1);
                    write(0, "b", &pair().client, "y", 1);
                  },
                  3);
            }),
            "R13 tcp#2");
}

TEST_F(Writing, must_not_change_bytes_that_wait) {
  EXPECT_EQ(broken([] {
              return with_pair(
                  [] {
                    write(0, "a", &pair().client, big, sizeof big);
                    big[sizeof big - 1] ^= 1;
                    uv_read_start(stream(&pair().accepted), on_alloc,
                                  [](uv_stream_t*, ssize_t, const uv_buf_t*) {});
                  },
                  400);
            }),
            "R12 tcp#2");
}

TEST_F(Writing, of_no_buffers_is_an_assertion_in_1_44) {
  options().version = Version::v1_44;
  EXPECT_EQ(broken([] {
              return with_pair(
                  [] {
                    const uv_buf_t buf = uv_buf_init(big, 1);
                    uv_write(&pair().writes[0], stream(&pair().client), &buf, 0, nullptr);
                  },
                  3);
            }),
            "R14 tcp#2");
}

TEST_F(Writing, with_a_handle_to_send_says_that_it_is_not_simulated) {
  EXPECT_EQ(complaint([] {
              return with_pair(
                  [] {
                    const uv_buf_t buf = uv_buf_init(big, 1);
                    uv_write2(&pair().writes[0], stream(&pair().client), &buf, 1,
                              stream(&pair().server), nullptr);
                  },
                  3);
            }),
            "uv_write2 with a handle to send is not simulated by uvsim");
  EXPECT_EQ(complaint([] {
              return with_pair(
                  [] {
                    const uv_buf_t buf = uv_buf_init(big, 1);
                    uv_try_write2(stream(&pair().client), &buf, 1, stream(&pair().server));
                  },
                  3);
            }),
            "uv_try_write2 with a handle is not simulated by uvsim");
}

class Sigpipe : public Writing {
 protected:
  Sigpipe() : before_(std::signal(SIGPIPE, SIG_DFL)) { options().check_sigpipe = true; }
  ~Sigpipe() override { std::signal(SIGPIPE, before_); }

 private:
  void (*before_)(int);
};

int write_twice_to_a_reset_peer() {
  return with_pair(
      [] {
        uv_tcp_close_reset(&pair().client, nullptr);
        write(0, "a", &pair().accepted, "x", 1);
        write(1, "b", &pair().accepted, "x", 1);
      },
      4);
}

TEST_F(Sigpipe, is_what_a_program_must_ignore) {
  EXPECT_EQ(broken(write_twice_to_a_reset_peer), "R21 tcp#3");
  Only fault(ChoicePoint::write_error, 2);
  EXPECT_EQ(run(fault, write_six_bytes).violations.at(0).rule, "R21");
  options().checks = false;
  EXPECT_TRUE(run(write_twice_to_a_reset_peer).ok());
  options().checks = true;
  std::signal(SIGPIPE, SIG_IGN);
  EXPECT_TRUE(run(write_twice_to_a_reset_peer).ok());
}

}  // namespace
}  // namespace uvsim::test
