// Only what can happen: which answers a choice point may be given by default, which on request, and
// what a fault leaves behind.
#include <poll.h>

#include "scenario.hpp"

namespace uvsim::test {
namespace {

// The last answer to every question at `points`, and the kindest to all others.
class Worst final : public Choices {
 public:
  explicit Worst(ChoiceSet points) : points_(points) {}
  uint32_t pick(uint32_t n, ChoicePoint point) override { return points_.has(point) ? n - 1 : 0; }

 private:
  ChoiceSet points_;
};

class Faults : public Scenario {
 protected:
  Faults() { options().impossible = ChoiceSet::none(); }

  const Report& run_worst(ChoicePoint point, int (*program)()) {
    Worst worst(ChoiceSet::none().with(point));
    return run(worst, program);
  }
};

uv_loop_t loop;
uv_tcp_t tcp;
uv_pipe_t named;
uv_timer_t timer;
uv_async_t async;
uv_signal_t signal_handle;

// Calls on handles that are as they should be.
int healthy_calls() {
  uv_loop_init(&loop);
  say(code(uv_tcp_init(&loop, &tcp)));
  say(code(uv_pipe_init(&loop, &named, 0)));
  say(code(uv_timer_init(&loop, &timer)));
  say(code(uv_timer_start(&timer, [](uv_timer_t*) {}, 1, 0)));
  say(code(uv_async_init(&loop, &async, [](uv_async_t*) {})));
  say(code(uv_signal_init(&loop, &signal_handle)));
  say(code(uv_signal_start(&signal_handle, [](uv_signal_t*, int) {}, SIGUSR2)));
  const sockaddr_in address = loopback(port);
  say(code(uv_tcp_bind(&tcp, reinterpret_cast<const sockaddr*>(&address), 0)));
  say(code(uv_tcp_nodelay(&tcp, 1)));
  say(code(uv_tcp_keepalive(&tcp, 1, 60)));
  say(std::to_string(port_of(&tcp)));
  return close_all(&loop);
}

// And on an open stream, up to the end of its output.
void stream_calls() {
  uv_stream_t* const client = stream(&pair().client);
  static char byte[] = "x";
  const uv_buf_t few[4] = {uv_buf_init(byte, 1), uv_buf_init(byte, 1), uv_buf_init(byte, 1),
                           uv_buf_init(byte, 1)};
  say(code(uv_read_start(client, on_alloc, on_read)));
  say(code(uv_try_write(client, few, 4)));
  call(pair().writes[0], "w");
  say(code(uv_write(&pair().writes[0], client, few, 4, on_write)));
  say(code(uv_shutdown(&pair().shutdown, client, on_shutdown)));
}

constexpr ChoicePoint never_asked[] = {
    ChoicePoint::call_tcp_init,     ChoicePoint::call_pipe_init,  ChoicePoint::call_timer_init,
    ChoicePoint::call_timer_start,  ChoicePoint::call_async_init, ChoicePoint::call_signal_init,
    ChoicePoint::call_signal_start, ChoicePoint::call_accept,     ChoicePoint::call_read_start,
    ChoicePoint::call_try_write,    ChoicePoint::call_shutdown,   ChoicePoint::call_write,
    ChoicePoint::option_error,      ChoicePoint::ioctl_error,     ChoicePoint::call_socket_option};

TEST_F(Faults, calls_on_healthy_handles_do_not_fail) {
  for (const ChoicePoint point : never_asked) {
    log().clear();
    run_worst(point, healthy_calls);
    EXPECT_EQ(log(), "0 0 0 0 0 0 0 0 0 0 7000") << name_of(point);
    log().clear();
    run_worst(point, [] { return with_pair(stream_calls, 6); });
    EXPECT_EQ(log(), "0 4 0 0 w:0 client:shutdown:0") << name_of(point);
  }
}

TEST_F(Faults, that_libuv_never_gives_are_there_by_name) {
  for (const ChoicePoint point : never_asked) {
    if (point == ChoicePoint::call_accept) continue;  // without which there is no stream
    log().clear();
    options().impossible = ChoiceSet::none().with(point);
    const uint64_t asked = run_worst(point, healthy_calls).choices +
                           run_worst(point, [] { return with_pair(stream_calls, 6); }).choices;
    // Those two belong to system calls, which these programs do not make.
    const bool of_system_calls =
        point == ChoicePoint::option_error || point == ChoicePoint::ioctl_error;
    EXPECT_GT(asked, 0u) << name_of(point);
    if (of_system_calls) continue;
    EXPECT_NE(log(), "0 0 0 0 0 0 0 0 0 0 7000 0 4 0 0 w:0 client:shutdown:0") << name_of(point);
  }
}

TEST_F(Faults, every_name_can_be_asked_for) {
  ChoiceSet set = ChoiceSet::none();
  EXPECT_TRUE(ChoiceSet::parse("call_write,read_error", &set));
  EXPECT_TRUE(set.has(ChoicePoint::call_write));
  EXPECT_TRUE(set.has(ChoicePoint::read_error));
  EXPECT_FALSE(set.has(ChoicePoint::call_tcp_init));
  EXPECT_TRUE(ChoiceSet::parse("all", &set));
  for (uint32_t i = 0; i < choice_point_count; ++i) {
    ChoiceSet one = ChoiceSet::none();
    EXPECT_TRUE(set.has(static_cast<ChoicePoint>(i)));
    EXPECT_TRUE(ChoiceSet::parse(name_of(static_cast<ChoicePoint>(i)), &one));
    EXPECT_TRUE(one.has(static_cast<ChoicePoint>(i)));
  }
  EXPECT_FALSE(ChoiceSet::parse("call_writ", &set));
  EXPECT_TRUE(set.has(ChoicePoint::call_write)) << "and nothing was changed";
}

TEST_F(Faults, that_are_possible_are_those_with_a_cause) {
  for (const ChoicePoint point : never_asked)
    EXPECT_EQ(ChoiceSet::possible().has(point), point == ChoicePoint::call_write) << name_of(point);
  for (const ChoicePoint point :
       {ChoicePoint::read_error, ChoicePoint::write_error, ChoicePoint::accept_error,
        ChoicePoint::call_bind, ChoicePoint::ready_order, ChoicePoint::action})
    EXPECT_TRUE(ChoiceSet::possible().has(point)) << name_of(point);
}

// ---- Where an answer depends on the place
// --------------------------------------------------------

std::string bind_to(int number) {
  static int wanted;
  wanted = number;
  log().clear();
  Simulation simulation;
  Worst worst(ChoiceSet::none().with(ChoicePoint::call_bind));
  simulation.run(worst, [] {
    uv_loop_init(&loop);
    uv_tcp_init(&loop, &tcp);
    const sockaddr_in address = loopback(wanted);
    say(code(uv_tcp_bind(&tcp, reinterpret_cast<const sockaddr*>(&address), 0)));
    say(code(uv_listen(stream(&tcp), 8, [](uv_stream_t*, int) {})));
    return close_all(&loop);
  });
  return log();
}

TEST_F(Faults, only_low_ports_are_forbidden) {
  EXPECT_EQ(bind_to(80), "EACCES 0");
  EXPECT_EQ(bind_to(1024), "0 EADDRINUSE");
  EXPECT_EQ(bind_to(0), "0 EADDRINUSE");
}

TEST_F(Faults, a_write_runs_out_of_memory_only_with_more_than_four_buffers) {
  run_worst(ChoicePoint::call_write, [] {
    return with_pair(
        [] {
          static char byte[] = "x";
          uv_buf_t many[5];
          for (uv_buf_t& buf : many) buf = uv_buf_init(byte, 1);
          say(code(uv_write(&pair().writes[0], stream(&pair().client), many, 4, nullptr)));
          say(code(uv_write(&pair().writes[1], stream(&pair().client), many, 5, nullptr)));
        },
        3);
  });
  EXPECT_EQ(log(), "0 ENOMEM");
}

// ---- What is left behind
// -------------------------------------------------------------------------

TEST_F(Faults, a_peer_without_a_name_was_reset) {
  run_worst(ChoicePoint::call_address, [] {
    return with_pair(
        [] {
          uv_read_start(stream(&pair().client), on_alloc, on_read_close);
          uv_read_start(stream(&pair().accepted), on_alloc, on_read_close);
          sockaddr_storage name;
          int size = sizeof name;
          say(code(
              uv_tcp_getpeername(&pair().accepted, reinterpret_cast<sockaddr*>(&name), &size)));
          say(std::to_string(port_of(&pair().accepted)));
        },
        6);
  });
  EXPECT_EQ(log(),
            "ENOTCONN 7000 client:read:ECONNRESET conn:read:ECONNRESET conn:closed client:closed");
}

TEST_F(Faults, a_shutdown_of_a_connection_that_was_reset_fails) {
  run_worst(ChoicePoint::shutdown_error, [] {
    return with_pair(
        [] {
          uv_read_start(stream(&pair().client), on_alloc, on_read_close);
          uv_shutdown(&pair().shutdown, stream(&pair().client), on_shutdown);
        },
        6);
  });
  EXPECT_EQ(log(), "client:shutdown:ENOTCONN client:read:ECONNRESET client:closed");
}

TEST_F(Faults, a_connect_that_is_refused_leaves_its_socket) {
  run_worst(ChoicePoint::call_connect, [] {
    uv_loop_init(&loop);
    uv_tcp_init(&loop, &tcp);
    const sockaddr_in address = loopback(port);
    say(code(uv_tcp_connect(&pair().connect, &tcp, reinterpret_cast<const sockaddr*>(&address),
                            on_connect)));
    uv_os_fd_t fd = -1;
    say(code(uv_fileno(handle(&tcp), &fd)));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "EADDRNOTAVAIL 0");
}

}  // namespace
}  // namespace uvsim::test
