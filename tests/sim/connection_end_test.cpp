// How connections end: FIN, RST, hang-ups, and what had not arrived.
#include <sys/socket.h>

#include "several_tcps.hpp"

namespace uvsim::test {
namespace {

class ConnectionEnd : public StepByStep {};

// ---- Sockets: the ends of connections -----------------------------------------------------------

TEST_F(ConnectionEnd, a_write_to_a_peer_that_closed_before_its_fin_could_arrive_is_reset) {
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

TEST_F(ConnectionEnd, a_reset_after_a_fin_is_a_broken_pipe) {
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

TEST_F(ConnectionEnd, a_reset_takes_along_what_had_not_arrived) {
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

TEST_F(ConnectionEnd, lingering_means_nothing_to_a_pair) {
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

TEST_F(ConnectionEnd, names_of_dead_connections_are_gone) {
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

TEST_F(ConnectionEnd, writing_before_the_connection_is_there_waits_for_it) {
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

TEST_F(ConnectionEnd, closing_while_connecting_needs_no_callback) {
  run([] {
    init(1);
    connect_to(&tcps[0], 1, 0, nullptr);
    return turns(0);
  });
  EXPECT_EQ(simulation.report().result, 0);
}

// ---- Hang-ups in 1.44 ---------------------------------------------------------------------------

TEST_F(ConnectionEnd, a_hang_up_is_nothing_to_who_does_not_read) {
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

TEST_F(ConnectionEnd, a_hang_up_without_a_short_read_is_read_to_its_end) {
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

TEST_F(ConnectionEnd, an_eof_restarted_at_once_is_not_taken_for_a_hang_up) {
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

TEST_F(ConnectionEnd, an_alloc_cb_may_give_an_address_without_room) {
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

}  // namespace
}  // namespace uvsim::test
