// Options::real_descriptors: simulated descriptors that are descriptors of the process too, and
// sockets that the program made itself.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "scenario.hpp"

namespace uvsim::test {
namespace {

class Descriptors : public Scenario {
 protected:
  Descriptors() { options().real_descriptors = true; }
};

uv_loop_t loop;
uv_tcp_t server;
uv_tcp_t client;
uv_tcp_t other;
uv_pipe_t pipe_end;
uv_connect_t connect;

void init_handles() {
  uv_loop_init(&loop);
  uv_tcp_init(&loop, &server);
  uv_tcp_init(&loop, &client);
  uv_tcp_init(&loop, &other);
  call(server, "server");
  call(client, "client");
  call(other, "other");
}

bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

template <class Handle>
int number_of(Handle* h) {
  uv_os_fd_t fd = -1;
  EXPECT_EQ(uv_fileno(handle(h), &fd), 0);
  return fd;
}

TEST_F(Descriptors, take_options_and_end_with_the_handle_or_the_run) {
  static int closed;
  static int left;
  run([] {
    init_handles();
    const sockaddr_in any = loopback(0);
    uv_tcp_bind(&server, reinterpret_cast<const sockaddr*>(&any), 0);
    uv_tcp_bind(&client, reinterpret_cast<const sockaddr*>(&any), 0);
    closed = number_of(&server);
    left = number_of(&client);
    const int on = 1;
    EXPECT_EQ(setsockopt(closed, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    uv_close(handle(&server), nullptr);
    EXPECT_FALSE(is_open(closed));
    EXPECT_TRUE(is_open(left));
    return 0;
  });
  EXPECT_FALSE(is_open(left));
}

TEST_F(Descriptors, that_the_program_closes_itself_fail_and_are_not_given_out_again) {
  run([] {
    return with_pair(
        [] {
          const int fd = number_of(&pair().client);
          close(fd);
          say(code(write(0, "w", &pair().client, "x", 1)));
          uv_read_start(stream(&pair().client), on_alloc, on_read);
          write(1, "v", &pair().accepted, "x", 1);
          const int pair_of[2] = {-1, -1};
          EXPECT_EQ(uv_socketpair(SOCK_STREAM, 0, const_cast<int*>(pair_of), 0, 0), 0);
          EXPECT_NE(pair_of[0], fd);
          EXPECT_NE(pair_of[1], fd);
        },
        4);
  });
  EXPECT_NE(log().find("0 w:EBADF"), std::string::npos) << log();
}

TEST_F(Descriptors, gone_are_told_to_a_reader) {
  run([] {
    return with_pair(
        [] {
          write(0, "w", &pair().accepted, "x", 1);
          uv_read_start(stream(&pair().client), on_alloc, on_read);
          close(number_of(&pair().client));
        },
        4);
  });
  EXPECT_NE(log().find("client:read:EBADF"), std::string::npos) << log();
}

// Only so many descriptors can be opened while it lives.
class LowerLimit {
 public:
  explicit LowerLimit(int free) {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit now = before_;
    now.rlim_cur = 0;
    for (; free > 0; ++now.rlim_cur) free -= is_open(static_cast<int>(now.rlim_cur)) ? 0 : 1;
    setrlimit(RLIMIT_NOFILE, &now);
  }
  ~LowerLimit() { setrlimit(RLIMIT_NOFILE, &before_); }
  LowerLimit(const LowerLimit&) = delete;
  LowerLimit& operator=(const LowerLimit&) = delete;

 private:
  rlimit before_{};
};

TEST_F(Descriptors, run_out_when_those_of_the_process_do) {
  const LowerLimit limit(7);
  run([] {
    // Four are the loop's own, and one is kept in reserve.
    init_handles();
    const sockaddr_in address = loopback(port);
    const auto* const sa = reinterpret_cast<const sockaddr*>(&address);
    uv_tcp_bind(&server, sa, 0);
    uv_listen(stream(&server), 8, [](uv_stream_t*, int) { say("unexpected"); });
    say(code(uv_tcp_connect(&connect, &client, sa, [](uv_connect_t* request, int status) {
      on_connect(request, status);
      uv_read_start(request->handle, on_alloc, on_read);
    })));
    say(code(uv_tcp_bind(&other, sa, 0)));
    for (int i = 0; i < 3; ++i) uv_run(&loop, UV_RUN_NOWAIT);
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "0 EMFILE client:connected:0 client:read:EOF");
}

TEST_F(Descriptors, of_new_sockets_can_be_opened) {
  run([] {
    init_handles();
    const int fresh = socket(AF_INET6, SOCK_STREAM, 0);
    const int bound = socket(AF_INET, SOCK_STREAM, 0);
    const int second = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = loopback(0);
    EXPECT_EQ(bind(bound, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    say(code(uv_tcp_open(&client, fresh)));
    say(code(uv_tcp_open(&client, second)));
    say(code(uv_tcp_open(&server, bound)));
    close(second);
    say(code(uv_tcp_open(&other, second)));
    say(code(uv_listen(stream(&server), 8, [](uv_stream_t*, int status) {
      say("connection:" + code(status));
      uv_close(handle(&server), nullptr);
    })));
    EXPECT_NE(port_of(&server), 0);
    address = loopback(port_of(&server));
    uv_tcp_connect(&connect, &other, reinterpret_cast<const sockaddr*>(&address), on_connect);
    uv_run(&loop, UV_RUN_DEFAULT);
    const int result = close_all(&loop);
    EXPECT_FALSE(is_open(fresh));
    EXPECT_FALSE(is_open(bound));
    return result;
  });
  EXPECT_EQ(log(), "0 EBUSY 0 EBADF 0 connection:0 other:connected:0");
}

TEST_F(Descriptors, numbers_of_closed_ones_are_used_again) {
  run([] {
    init_handles();
    const sockaddr_in any = loopback(0);
    uv_tcp_bind(&server, reinterpret_cast<const sockaddr*>(&any), 0);
    const int number = number_of(&server);
    uv_close(handle(&server), nullptr);
    const int again = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(again, number);
    say(code(uv_tcp_open(&client, again)));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "0");
}

TEST_F(Descriptors, that_were_only_reserved_are_given_back) {
  const int before = dup(STDIN_FILENO);
  close(before);
  Only refusal(ChoicePoint::socket_error, 1);
  run(refusal, [] {
    init_handles();
    const sockaddr_in any = loopback(0);
    say(code(uv_tcp_bind(&server, reinterpret_cast<const sockaddr*>(&any), 0)));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "EMFILE");
  const int after = dup(STDIN_FILENO);
  close(after);
  EXPECT_EQ(after, before);
}

TEST_F(Descriptors, are_not_needed_by_peers) {
  simulation.on_poll([](Network& network, Wait) {
    if (network.peers() > 0) return Progress::nothing;
    const Peer peer = network.connect(size_t{0});
    network.send(peer, "x", 1);
    network.close(peer);
    return Progress::made;
  });
  run([] {
    init_handles();
    const sockaddr_in address = loopback(port);
    uv_tcp_bind(&server, reinterpret_cast<const sockaddr*>(&address), 0);
    uv_listen(stream(&server), 8, [](uv_stream_t* s, int) {
      uv_accept(s, stream(&client));
      uv_read_start(stream(&client), on_alloc, on_read_close);
      uv_close(handle(s), nullptr);
    });
    uv_close(handle(&other), nullptr);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
  });
  EXPECT_EQ(log(), "client:read:1 client:read:EOF client:closed");
}

TEST_F(Descriptors, of_the_real_machine_cannot_be_opened) {
  EXPECT_EQ(complaint([] {
              init_handles();
              return uv_tcp_open(&client, socket(AF_INET, SOCK_DGRAM, 0));
            }).find("uv_tcp_open of descriptor"),
            0);
  EXPECT_EQ(complaint([] {
              init_handles();
              return uv_tcp_open(&client, socket(AF_UNIX, SOCK_STREAM, 0));
            }).find("uv_tcp_open of descriptor"),
            0);
  EXPECT_EQ(complaint([] {
              int ends[2];
              init_handles();
              socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
              return uv_tcp_open(&client, ends[0]);
            }).find("uv_tcp_open of descriptor"),
            0);
  EXPECT_EQ(complaint([] {
              init_handles();
              return uv_tcp_open(&client, STDERR_FILENO);
            }),
            "uv_tcp_open of descriptor 2 is not simulated: it is of the real machine");
  EXPECT_EQ(complaint([] {
              init_handles();
              uv_pipe_init(&loop, &pipe_end, 0);
              return uv_pipe_open(&pipe_end, STDERR_FILENO);
            }),
            "uv_pipe_open of descriptor 2 is not simulated: it is of the real machine");
}

TEST_F(Descriptors, of_new_sockets_are_not_simulated_where_numbers_are_not_real) {
  options().real_descriptors = false;
  EXPECT_EQ(complaint([] {
              init_handles();
              return uv_tcp_open(&client, STDERR_FILENO);
            }),
            "uv_tcp_open of descriptor 2 is not simulated: it is of the real machine");
}

}  // namespace
}  // namespace uvsim::test
