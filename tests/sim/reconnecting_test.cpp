// A socket whose connection failed or ended, and is used again.
#include <sys/socket.h>

#include "several_tcps.hpp"

namespace uvsim::test {
namespace {

class Reconnecting : public StepByStep {};

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

TEST_F(Reconnecting, a_socket_whose_failure_was_heard_is_fresh_again) {
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

TEST_F(Reconnecting, a_fault_on_a_fresh_socket_hurts_nobody_else) {
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

TEST_F(Reconnecting, a_fault_may_strike_a_connection_that_is_dead_already) {
  Only fault(ChoicePoint::read_error, 2);
  run(fault, [] {
    return reset_then([](uv_stream_t* s, ssize_t n, const uv_buf_t* b) { on_read(s, n, b); });
  });
  EXPECT_EQ(log(), "client:read:ETIMEDOUT");
}

TEST_F(Reconnecting, connecting_to_a_living_server_after_a_reset_works) {
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

TEST_F(Reconnecting, an_error_that_nobody_fetched_is_told_by_the_next_connect) {
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

TEST_F(Reconnecting, both_ends_may_be_alive_when_a_failed_connection_is_made_again) {
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

TEST_F(Reconnecting, a_peer_played_from_outside_outlives_the_socket) {
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

TEST_F(Reconnecting, a_connection_that_both_ends_have_ended_is_history) {
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

TEST_F(Reconnecting, a_shutdown_that_failed_still_shuts_the_next_connection) {
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

TEST_F(Reconnecting, a_hang_up_without_input_is_the_end_without_a_buffer_in_1_52) {
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

TEST_F(Reconnecting, shutting_down_a_dead_connection_breaks_it_for_connecting) {
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

TEST_F(Reconnecting, a_second_shutdown_after_a_refused_connect_is_refused) {
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

TEST_F(Reconnecting, shutting_down_while_connecting_ends_the_wait_too_early) {
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

TEST_F(Reconnecting, the_listener_may_be_gone_when_the_syn_is_sent_again) {
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

TEST_F(Reconnecting, a_syn_that_nobody_wants_any_more_is_dropped) {
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

}  // namespace
}  // namespace uvsim::test
