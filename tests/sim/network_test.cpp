// The network seen from outside: peers that a World plays, against a server and a client of the
// program; and what the driver can observe.
#include <csignal>

#include "scenario.hpp"

namespace uvsim::test {
namespace {

// The program: an echo server that lives until SIGINT.
uv_loop_t loop;
uv_tcp_t server;
uv_signal_t stop;
struct Connection {
  uv_tcp_t tcp;
  uv_write_t write;
};
Connection connections[16];
int accepted;

void on_echo_read(uv_stream_t* s, ssize_t n, const uv_buf_t* buf) {
  auto* const connection = reinterpret_cast<Connection*>(s);
  on_read(s, n, buf);
  if (n < 0) {
    uv_close(handle(s), on_close);
  } else if (n > 0) {
    const uv_buf_t answer = uv_buf_init(buf->base, static_cast<unsigned>(n));
    connection->write.data = s->data;
    uv_write(&connection->write, s, &answer, 1, on_write);
  }
}

void on_connection(uv_stream_t* s, int status) {
  EXPECT_EQ(status, 0);
  Connection& connection = connections[accepted++ % 16];
  uv_tcp_init(s->loop, &connection.tcp);
  call(connection.tcp, "conn");
  uv_accept(s, stream(&connection.tcp));
  uv_read_start(stream(&connection.tcp), on_alloc, on_echo_read);
}

int echo_server() {
  accepted = 0;
  uv_loop_init(&loop);
  uv_tcp_init(&loop, &server);
  const sockaddr_in address = loopback(port);
  uv_tcp_bind(&server, reinterpret_cast<const sockaddr*>(&address), 0);
  uv_listen(stream(&server), 4, on_connection);
  uv_signal_init(&loop, &stop);
  uv_signal_start(
      &stop,
      [](uv_signal_t* s, int) {
        uv_walk(
            s->loop,
            [](uv_handle_t* h, void*) {
              if (uv_is_closing(h) == 0) uv_close(h, nullptr);
            },
            nullptr);
      },
      SIGINT);
  uv_run(&loop, UV_RUN_DEFAULT);
  return uv_loop_close(&loop);
}

class World : public StepByStep {
 protected:
  const Report& play(std::vector<Step> steps, int (*program)() = echo_server) {
    return StepByStep::play(std::move(steps), program);
  }

  static std::string read_all(Network& network, Peer peer) {
    char bytes[4096];
    std::string all;
    while (const size_t count = network.read(peer, bytes, sizeof bytes)) all.append(bytes, count);
    return all;
  }

  Peer a_;
  Peer b_;
};

TEST_F(World, talks_to_a_server_and_stops_it) {
  const Report& report = play({
      [this](Network& n) {
        EXPECT_EQ(n.listeners(), 1u);
        const Listener listener = n.listener(0);
        EXPECT_EQ(listener.port, port);
        EXPECT_EQ(listener.name, "127.0.0.1");
        EXPECT_EQ(listener.family, Family::ipv4);
        EXPECT_EQ(listener.backlog, 4u);
        EXPECT_EQ(listener.queued, 0u);
        EXPECT_GT(listener.descriptor, 0);
        EXPECT_FALSE(static_cast<bool>(a_));
        a_ = n.connect(size_t{0});
        EXPECT_TRUE(static_cast<bool>(a_));
        EXPECT_FALSE(n.view(a_).accepted);
        EXPECT_EQ(n.listener(0).queued, 1u);
        EXPECT_TRUE(n.loop_has_work());
      },
      [this](Network& n) {
        EXPECT_TRUE(n.view(a_).accepted);
        EXPECT_EQ(n.open_connections(), 1u);
        EXPECT_FALSE(n.loop_has_work());
        EXPECT_EQ(n.send(a_, "hello", 5), 5u);
      },
      [this](Network& n) {
        const PeerView view = n.view(a_);
        EXPECT_EQ(view.state, PeerState::established);
        EXPECT_EQ(view.readable, 5u);
        EXPECT_GT(view.writable, 1000u);
        EXPECT_EQ(view.sent, 5u);
        EXPECT_GT(view.port, 1024);
        EXPECT_EQ(read_all(n, a_), "hello");
        EXPECT_EQ(n.view(a_).received, 5u);
        n.half_close(a_);
        EXPECT_EQ(n.view(a_).writable, 0u);
      },
      [this](Network& n) {
        EXPECT_TRUE(n.view(a_).fin);
        EXPECT_TRUE(n.view(a_).program_closed);
        EXPECT_EQ(n.open_connections(), 0u);
        n.close(a_);
        n.close(a_);
        n.half_close(a_);
        n.reset(a_);
        EXPECT_EQ(n.send(a_, "x", 1), 0u);
        EXPECT_EQ(n.view(a_).state, PeerState::closed);
        EXPECT_EQ(n.peers(), 1u);
        EXPECT_FALSE(n.signal(SIGTERM));
        EXPECT_TRUE(n.signal(SIGINT));
      },
  });
  EXPECT_TRUE(report.ok()) << report.summary();
  EXPECT_TRUE(report.finished);
  EXPECT_EQ(report.result, 0);
  EXPECT_EQ(log(), "conn:read:5 conn:0 conn:read:EOF conn:closed");
}

TEST_F(World, resets_and_is_reset) {
  play({
      [this](Network& n) {
        a_ = n.connect(Family::ipv4, port);
        b_ = n.connect(Family::ipv4, port);
      },
      [this](Network& n) { n.reset(a_); },
      [this](Network& n) {
        // Closing with unread bytes is a reset too.
        n.send(b_, "x", 1);
      },
      [this](Network& n) { n.close(b_); },
      [](Network& n) {
        const Peer peer = n.connect(Family::ipv4, port);
        EXPECT_EQ(n.view(peer).state, PeerState::established);
      },
      [](Network& n) {
        // The program closes with bytes unread: the stop signal comes before it can look.
        n.send(Peer{3}, "unread", 6);
        n.signal(SIGINT);
      },
  });
  EXPECT_EQ(log(),
            "conn:read:ECONNRESET conn:closed conn:read:1 conn:0 conn:read:ECONNRESET conn:closed "
            "conn:read:6 conn:0");
}

TEST_F(World, sees_a_reset_by_the_program) {
  play({
           [this](Network& n) { a_ = n.connect(size_t{0}); },
           [this](Network& n) {
             const PeerView view = n.view(a_);
             EXPECT_TRUE(view.reset);
             EXPECT_EQ(n.send(a_, "x", 1), 0u);
             EXPECT_EQ(view.writable, 0u);
             n.leave();
           },
       },
       [] {
         uv_loop_init(&loop);
         uv_tcp_init(&loop, &server);
         const sockaddr_in address = loopback(port);
         uv_tcp_bind(&server, reinterpret_cast<const sockaddr*>(&address), 0);
         uv_listen(stream(&server), 4, [](uv_stream_t* s, int) {
           uv_tcp_init(s->loop, &connections[0].tcp);
           uv_accept(s, stream(&connections[0].tcp));
           uv_tcp_close_reset(&connections[0].tcp, nullptr);
         });
         return uv_run(&loop, UV_RUN_DEFAULT);
       });
  EXPECT_TRUE(simulation.report().quiescent);
}

TEST_F(World, ends_a_run_that_would_never_end) {
  const Report& report = play({[](Network& n) { n.leave(); }}, [] {
    static uv_timer_t timer;
    uv_loop_init(&loop);
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, [](uv_timer_t*) {}, 1000, 1000);
    return uv_run(&loop, UV_RUN_DEFAULT);
  });
  EXPECT_TRUE(report.quiescent);
  EXPECT_EQ(report.callbacks, 0u);
}

TEST_F(World, is_refused_where_nobody_listens) {
  play({[](Network& n) {
    EXPECT_EQ(n.view(n.connect(Family::ipv4, 1)).state, PeerState::refused);
    EXPECT_EQ(n.view(n.connect(Family::ipv6, port)).state, PeerState::refused);
    EXPECT_EQ(n.view(n.connect("/nobody")).state, PeerState::refused);
    n.signal(SIGINT);
  }});
}

TEST_F(World, waits_in_a_full_queue) {
  play(
      {
          [this](Network& n) {
            for (int i = 0; i < 3; ++i) a_ = n.connect(size_t{0});
            EXPECT_EQ(n.view(a_).state, PeerState::connecting);
            EXPECT_EQ(n.view(a_).writable, 0u);
            n.advance(1'500'000'000);
            EXPECT_EQ(n.view(a_).state, PeerState::connecting);
            EXPECT_GE(n.now_ns(), 1'500'000'000u);
          },
      },
      [] {
        uv_loop_init(&loop);
        uv_tcp_init(&loop, &server);
        const sockaddr_in address = loopback(port);
        uv_tcp_bind(&server, reinterpret_cast<const sockaddr*>(&address), 0);
        uv_listen(stream(&server), 1, [](uv_stream_t*, int) { say("heard"); });
        return uv_run(&loop, UV_RUN_DEFAULT);
      });
  // One is parked and two wait; they are not accepted, and the third comes in when it tries again.
  EXPECT_EQ(log(), "heard");
}

TEST_F(World, feels_the_programs_buffers_and_has_its_own) {
  static const char block[4096] = {};
  play({
      [this](Network& n) { a_ = n.connect(size_t{0}); },
      [this](Network& n) {
        n.set_buffers(a_, 100, 10);
        EXPECT_EQ(n.send(a_, block, 50), 50u);
      },
      [this](Network& n) {
        // Half of it may be read at a time: the receive buffer holds no more.
        EXPECT_EQ(n.view(a_).readable, 10u);
        char bytes[100];
        EXPECT_EQ(n.read(a_, bytes, 0), 0u);
        EXPECT_EQ(n.read(a_, bytes, 100), 10u);
        EXPECT_EQ(n.read(a_, bytes, 100), 10u);
        EXPECT_EQ(read_all(n, a_).size(), 30u);
        EXPECT_EQ(n.read(a_, bytes, 100), 0u);
        n.signal(SIGINT);
      },
  });
}

TEST_F(World, sees_the_fin_only_after_what_fits_was_read) {
  play({
      [this](Network& n) { a_ = n.connect(size_t{0}); },
      [this](Network& n) {
        n.set_buffers(a_, 100, 10);
        n.send(a_, "0123456789abcdef", 16);
      },
      [this](Network& n) { n.half_close(a_); },
      [this](Network& n) {
        EXPECT_TRUE(n.view(a_).program_closed);
        EXPECT_FALSE(n.view(a_).fin);
        char bytes[8];
        EXPECT_EQ(n.read(a_, bytes, 8), 8u);
        EXPECT_TRUE(n.view(a_).fin);
        EXPECT_EQ(read_all(n, a_), "89abcdef");
        n.signal(SIGINT);
      },
  });
}

// ---- The program as a client -------------------------------------------------------------------

int client_of_8000() {
  uv_loop_init(&loop);
  static uv_tcp_t tcp;
  static uv_connect_t connect;
  uv_tcp_init(&loop, &tcp);
  call(tcp, "tcp");
  const sockaddr_in address = loopback(8000);
  static uv_timer_t timer;
  uv_timer_init(&loop, &timer);
  uv_timer_start(
      &timer,
      [](uv_timer_t*) {
        const sockaddr_in to = loopback(8000);
        uv_tcp_connect(&connect, &tcp, reinterpret_cast<const sockaddr*>(&to),
                       [](uv_connect_t* req, int status) {
                         on_connect(req, status);
                         if (status == 0) uv_read_start(req->handle, on_alloc, on_read_close);
                       });
      },
      10, 0);
  static_cast<void>(address);
  uv_run(&loop, UV_RUN_DEFAULT);
  return close_all(&loop);
}

TEST_F(World, listens_for_the_program) {
  play({
           [](Network& n) {
             EXPECT_EQ(n.listen(8000), 8000);
             EXPECT_EQ(n.listen(8000), 0);
             EXPECT_GT(n.listen(0), 1024);
             EXPECT_EQ(n.listeners(), 0u);
             EXPECT_FALSE(static_cast<bool>(n.accept(8000)));
             EXPECT_FALSE(static_cast<bool>(n.accept(9)));
             n.advance(10'000'000);
           },
           [this](Network& n) {
             a_ = n.accept(8000);
             EXPECT_TRUE(static_cast<bool>(a_));
             EXPECT_EQ(n.send(a_, "hi", 2), 2u);
           },
           [this](Network& n) {
             n.stop_listening(8000);
             n.stop_listening(9);
             n.close(a_);
           },
       },
       client_of_8000);
  EXPECT_EQ(log(), "tcp:connected:0 tcp:read:2 tcp:read:EOF tcp:closed");
}

TEST_F(World, listens_to_ipv6_too) {
  play({[](Network& n) {
          EXPECT_EQ(n.listen(8000), 8000);
          n.advance(20'000'000);
        },
        [](Network& n) { n.close(n.accept(8000)); }},
       [] {
         static uv_tcp_t tcp;
         static uv_timer_t timer;
         static uv_connect_t connect;
         uv_loop_init(&loop);
         uv_timer_init(&loop, &timer);
         uv_tcp_init(&loop, &tcp);
         call(tcp, "tcp");
         uv_timer_start(
             &timer,
             [](uv_timer_t*) {
               sockaddr_in6 to;
               uv_ip6_addr("::1", 8000, &to);
               uv_tcp_connect(&connect, &tcp, reinterpret_cast<const sockaddr*>(&to), on_connect);
             },
             10, 0);
         uv_run(&loop, UV_RUN_DEFAULT);
         return close_all(&loop);
       });
  EXPECT_EQ(log(), "tcp:connected:0");
}

TEST_F(World, connects_to_pipes_by_name) {
  play({
           [this](Network& n) {
             EXPECT_EQ(n.listener(0).name, "/run/echo");
             EXPECT_EQ(n.listener(0).family, Family::pipe);
             a_ = n.connect("/run/echo");
             b_ = n.connect(size_t{0});
           },
           [this](Network& n) {
             EXPECT_EQ(n.send(a_, "x", 1), 1u);
             n.half_close(a_);
             n.close(b_);
             n.leave();
           },
       },
       [] {
         static uv_pipe_t pipe;
         uv_loop_init(&loop);
         uv_pipe_init(&loop, &pipe, 0);
         uv_pipe_bind(&pipe, "/run/echo");
         uv_listen(stream(&pipe), 4, [](uv_stream_t* s, int) {
           static uv_pipe_t conn[2];
           static int next;
           uv_pipe_t* const each = &conn[next++ % 2];
           uv_pipe_init(s->loop, each, 0);
           uv_accept(s, stream(each));
         });
         return uv_run(&loop, UV_RUN_DEFAULT);
       });
  EXPECT_TRUE(simulation.report().quiescent);
}

// ---- Mistakes of the World ---------------------------------------------------------------------

TEST_F(World, is_told_of_its_mistakes) {
  play({[](Network& n) { n.close(Peer{7}); }});
  EXPECT_EQ(simulation.report().violations.at(0).message, "there is no such peer in this run");
  play({[](Network& n) { n.close(Peer{}); }});
  EXPECT_EQ(simulation.report().violations.at(0).message, "there is no such peer in this run");
  play({[](Network& n) { n.listener(3); }});
  EXPECT_EQ(simulation.report().violations.at(0).message, "there is no listener 3");
  play({[](Network& n) { n.connect(size_t{3}); }});
  EXPECT_EQ(simulation.report().violations.at(0).message, "there is no listener 3 to connect to");
}

// ---- What a question is about, and events ------------------------------------------------------

struct Curious final : Choices {
  explicit Curious(Network& network) : network_(network) {}
  uint32_t pick(uint32_t, ChoicePoint point) override {
    if (point == ChoicePoint::read_error) read_ = network_.asked_about().id;
    if (point == ChoicePoint::turn_time) turn_ = network_.asked_about().id;
    return 0;
  }
  Network& network_;
  uint32_t read_ = 99;
  uint32_t turn_ = 99;
};

TEST_F(World, knows_which_peer_a_question_is_about) {
  Curious curious(simulation.network());
  simulation.on_poll([](Network& n, Wait wait) {
    if (wait.ready) return Progress::nothing;
    switch (n.peers()) {
      case 0:
      case 1: n.connect(size_t{0}); return Progress::made;
      default: break;
    }
    if (n.view(Peer{2}).sent == 0) return n.send(Peer{2}, "x", 1), Progress::made;
    n.leave();
    return Progress::nothing;
  });
  run(curious, echo_server);
  EXPECT_EQ(curious.read_, 2u);
  EXPECT_EQ(curious.turn_, 0u);
}

TEST_F(World, hears_of_events_as_they_happen) {
  struct Heard {
    std::string words;
  } heard;
  simulation.on_event(
      [](void* context, const EventView& event) {
        auto& words = static_cast<Heard*>(context)->words;
        EXPECT_LT(event.what, event_names());
        if (event.peer.id != 0) words += std::string(event.name) + (event.closing ? "! " : " ");
        if (event.kind == EventKind::happening) words += std::string("[") + event.name + "] ";
        if (std::strcmp(event.name, "uv_accept") == 0)
          words += event.has_result && event.result == 0 ? "accepted " : "? ";
      },
      &heard);
  play({
      [this](Network& n) { a_ = n.connect(size_t{0}); },
      [this](Network& n) { n.send(a_, "x", 1); },
      [this](Network& n) { n.close(a_); },
      [](Network& n) { n.leave(); },
  });
  simulation.on_event(nullptr, nullptr);
  EXPECT_EQ(heard.words,
            "[peer_connect] accepted uv_read_start [peer_send] alloc_cb read_cb uv_write write_cb "
            "[peer_close] alloc_cb read_cb uv_close! close_cb! ");
}

}  // namespace
}  // namespace uvsim::test
