// System calls on what uv_fileno gives, and urgent data: what the driver sees of them, what a
// Choices source can make of them, and where they go when the descriptor is none of the
// simulation's. What they answer is compared with the real kernel in
// ../conformance/scenarios_socket.cpp.
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "scenario.hpp"

namespace uvsim::test {
namespace {

template <class Handle>
int fd_of(Handle* h) {
  uv_os_fd_t fd = -1;
  EXPECT_EQ(uv_fileno(handle(h), &fd), 0);
  return fd;
}

// The result as libuv would say it.
int outcome(int result) { return result < 0 ? -errno : result; }

int set(int fd, int level, int name, int value) {
  return outcome(setsockopt(fd, level, name, &value, sizeof value));
}

int get(int fd, int level, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  const int result = outcome(getsockopt(fd, level, name, &value, &size));
  return result < 0 ? result : value;
}

int bytes(int fd, unsigned long request) {
  int value = 0;
  const int result = outcome(ioctl(fd, request, &value));
  return result < 0 ? result : value;
}

// ---- A server with one client outside
// -----------------------------------------------------

uv_loop_t loop;
uv_tcp_t server;
uv_tcp_t conn;
bool in_line;
void (*on_accepted)();

// Accepts one connection, calls on_accepted, and reads to its end.
int one_client() {
  uv_loop_init(&loop);
  uv_tcp_init(&loop, &server);
  const sockaddr_in address = loopback(port);
  uv_tcp_bind(&server, reinterpret_cast<const sockaddr*>(&address), 0);
  if (in_line) set(fd_of(&server), SOL_SOCKET, SO_OOBINLINE, 1);
  uv_listen(stream(&server), 8, [](uv_stream_t* s, int) {
    uv_tcp_init(&loop, &conn);
    call(conn, "conn");
    uv_accept(s, stream(&conn));
    uv_close(handle(s), nullptr);
    if (on_accepted != nullptr) on_accepted();
    if (uv_is_closing(handle(&conn)) != 0) return;
    uv_read_start(stream(&conn), on_alloc, [](uv_stream_t* c, ssize_t n, const uv_buf_t* buf) {
      if (n > 0) say(std::string(buf->base, static_cast<size_t>(n)));
      if (n < 0) {
        say(code(n));
        uv_close(handle(c), nullptr);
      }
    });
  });
  uv_run(&loop, UV_RUN_DEFAULT);
  return uv_loop_close(&loop);
}

class SocketCalls : public Scenario {
 protected:
  using Step = std::function<void(Network&)>;

  SocketCalls() {
    in_line = false;
    on_accepted = nullptr;
  }

  // The steps are taken one by one, each when the program has nothing to do; first of all, the
  // client connects.
  const Report& play(std::vector<Step> steps, Choices* choices = nullptr) {
    steps_ = std::move(steps);
    next_ = 0;
    client_ = Peer{};
    simulation.on_poll([this](Network& network, Wait wait) {
      if (wait.ready) return Progress::nothing;
      if (!client_) {
        client_ = network.connect(size_t{0});
        return Progress::made;
      }
      if (next_ == steps_.size()) return Progress::nothing;
      steps_[next_++](network);
      return Progress::made;
    });
    return choices == nullptr ? run(one_client) : run(*choices, one_client);
  }

  Peer client_;

 private:
  std::vector<Step> steps_;
  size_t next_ = 0;
};

// ---- Urgent data
// ----------------------------------------------------------------------------------

// What a client does, a character each: a letter is sent, a capital one as urgent data; '|' is
// where the server reads all that it can get, each read apart.
const char* const urgent_cases[] = {"abXcd|", "X|",      "X|a|", "Xa|",    "aX|b|", "aXbY|c|",
                                    "XYa|",   "aX|YbZ|", "abc|", "aX|bc|", "XaY|b|"};

std::string read_from_linux(const char* actions, bool inlined) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  bind(listener, reinterpret_cast<const sockaddr*>(&address), size);
  const int on = inlined ? 1 : 0;
  setsockopt(listener, SOL_SOCKET, SO_OOBINLINE, &on, sizeof on);
  listen(listener, 1);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  // Each byte leaves at once.
  const int now = 1;
  setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &now, sizeof now);
  EXPECT_EQ(connect(client, reinterpret_cast<const sockaddr*>(&address), size), 0);
  const int accepted = accept(listener, nullptr, nullptr);
  close(listener);
  std::string text;
  const auto read_all = [&] {
    char place[64];
    for (;;) {
      // Only what poll calls readable is read, as by libuv.
      pollfd readable{accepted, POLLIN, 0};
      if (poll(&readable, 1, 0) == 0) return;
      const ssize_t count = recv(accepted, place, sizeof place, MSG_DONTWAIT);
      if (count <= 0) return;
      if (!text.empty()) text += ' ';
      text.append(place, static_cast<size_t>(count));
    }
  };
  for (const char* action = actions; *action != '\0'; ++action) {
    if (*action == '|')
      read_all();
    else
      EXPECT_EQ(send(client, action, 1, *action < 'a' ? MSG_OOB : 0), 1);
  }
  close(client);
  close(accepted);
  return text;
}

class UrgentData : public SocketCalls {
 protected:
  std::string read_from_uvsim(const char* actions, bool inlined) {
    in_line = inlined;
    log().clear();
    std::vector<Step> steps;
    for (const char* action = actions; *action != '\0';) {
      const char* const from = action;
      while (*action != '|') ++action;
      const std::string batch(from, action++);
      steps.push_back([this, batch](Network& network) {
        for (const char c : batch) {
          if (c < 'a')
            EXPECT_TRUE(network.send_urgent(client_, c));
          else
            EXPECT_EQ(network.send(client_, &c, 1), 1u);
        }
      });
    }
    steps.push_back([this](Network& network) { network.half_close(client_); });
    EXPECT_TRUE(play(steps).ok());
    // The end, and a blank before it if there was anything.
    const size_t blank = log().rfind("EOF");
    return log().substr(0, blank == 0 || blank == std::string::npos ? 0 : blank - 1);
  }
};

TEST_F(UrgentData, is_lost_to_who_does_not_take_it_in_line_as_on_linux) {
  for (const char* const actions : urgent_cases)
    EXPECT_EQ(read_from_uvsim(actions, false), read_from_linux(actions, false)) << actions;
  EXPECT_EQ(read_from_uvsim("abXcd|", false), "ab cd");
}

TEST_F(UrgentData, is_data_to_who_takes_it_in_line_as_on_linux) {
  for (const char* const actions : urgent_cases)
    EXPECT_EQ(read_from_uvsim(actions, true), read_from_linux(actions, true)) << actions;
  EXPECT_EQ(read_from_uvsim("abXcd|", true), "ab Xcd");
}

TEST_F(UrgentData, ends_what_is_readable_unless_it_is_in_line) {
  static std::string seen;
  seen.clear();
  for (const bool inlined : {false, true}) {
    in_line = inlined;
    on_accepted = [] {
      seen += std::to_string(bytes(fd_of(&conn), FIONREAD)) + " ";
      uv_close(handle(&conn), nullptr);
    };
    // The hook connects and sends in one go, so that the bytes are there at once.
    client_ = Peer{};
    simulation.on_poll([this](Network& network, Wait wait) {
      if (client_ || wait.ready) return Progress::nothing;
      client_ = network.connect(size_t{0});
      network.send(client_, "ab", 2);
      network.send_urgent(client_, 'X');
      network.send(client_, "cd", 2);
      return Progress::made;
    });
    run(one_client);
  }
  EXPECT_EQ(seen, "2 5 ");
}

TEST_F(UrgentData, is_not_taken_by_a_closed_peer) {
  play({[this](Network& network) {
    network.close(client_);
    EXPECT_FALSE(network.send_urgent(client_, 'X'));
  }});
  EXPECT_EQ(log(), "EOF");
}

// ---- What the driver sees
// ---------------------------------------------------------------------------

TEST_F(SocketCalls, tell_a_driver_of_a_fin_that_waits_behind_bytes) {
  options().send_window = 1000;
  options().receive_window = 1000;
  on_accepted = [] {
    static const char data[300] = {};
    const uv_buf_t buf = uv_buf_init(const_cast<char*>(data), sizeof data);
    EXPECT_EQ(uv_try_write(stream(&conn), &buf, 1), 300);
    EXPECT_EQ(bytes(fd_of(&conn), SIOCOUTQ), 200);
    EXPECT_EQ(shutdown(fd_of(&conn), SHUT_WR), 0);
    EXPECT_EQ(bytes(fd_of(&conn), SIOCOUTQ), 201);
  };
  client_ = Peer{};
  int step = 0;
  simulation.on_poll([&, this](Network& network, Wait wait) {
    char place[300];
    if (wait.ready) return Progress::nothing;
    switch (step++) {
      case 0:
        client_ = network.connect(size_t{0});
        EXPECT_FALSE(network.view(client_).fin_sent);
        network.set_buffers(client_, 100, 100);
        return Progress::made;
      case 1: {
        const PeerView view = network.view(client_);
        EXPECT_EQ(view.readable, 100u);
        EXPECT_EQ(view.held, 200u);
        EXPECT_TRUE(view.fin_sent);
        EXPECT_FALSE(view.fin);
        EXPECT_FALSE(view.program_closed);
        EXPECT_EQ(network.read(client_, place, 100), 100u);
        EXPECT_EQ(network.read(client_, place, 100), 100u);
        EXPECT_EQ(network.view(client_).held, 0u);
        EXPECT_TRUE(network.view(client_).fin);
        network.close(client_);
        return Progress::made;
      }
      default: return Progress::nothing;
    }
  });
  run(one_client);
}

TEST_F(SocketCalls, take_nothing_back_that_a_buffer_held_before_it_became_smaller) {
  options().receive_window = 1000;
  on_accepted = [] {
    static const char data[300] = {};
    const uv_buf_t buf = uv_buf_init(const_cast<char*>(data), sizeof data);
    EXPECT_EQ(uv_try_write(stream(&conn), &buf, 1), 300);
    Network& network = Simulation::current()->network();
    const Peer client{1};
    char place[300];
    network.set_buffers(client, 100, 100);
    EXPECT_EQ(bytes(fd_of(&conn), SIOCOUTQ), 0);
    EXPECT_EQ(network.view(client).readable, 300u);
    EXPECT_EQ(network.read(client, place, 250), 250u);
    // There is room for 50 now beside the 50 that are left.
    EXPECT_EQ(uv_try_write(stream(&conn), &buf, 1), 300);
    EXPECT_EQ(bytes(fd_of(&conn), SIOCOUTQ), 250);
    EXPECT_EQ(network.view(client).readable, 100u);
    EXPECT_EQ(shutdown(fd_of(&conn), SHUT_WR), 0);
    network.set_buffers(client, 1000, 1000);
    EXPECT_TRUE(network.view(client).fin);
    network.set_buffers(client, 100, 100);
    EXPECT_TRUE(network.view(client).fin);
    network.close(client);
    uv_close(handle(&conn), nullptr);
  };
  client_ = Peer{};
  simulation.on_poll([this](Network& network, Wait wait) {
    if (client_ || wait.ready) return Progress::nothing;
    client_ = network.connect(size_t{0});
    return Progress::made;
  });
  run(one_client);
}

TEST_F(SocketCalls, let_a_reset_take_back_what_the_kernel_holds) {
  on_accepted = [] {
    static const char data[300] = {};
    const uv_buf_t buf = uv_buf_init(const_cast<char*>(data), sizeof data);
    EXPECT_EQ(uv_try_write(stream(&conn), &buf, 1), 300);
    EXPECT_EQ(shutdown(fd_of(&conn), SHUT_WR), 0);
    EXPECT_EQ(uv_tcp_close_reset(&conn, on_close), 0);
    const PeerView view = Simulation::current()->network().view(Peer{1});
    EXPECT_TRUE(view.reset);
    EXPECT_FALSE(view.fin);
    EXPECT_EQ(view.readable, 100u);
    EXPECT_EQ(view.held, 0u);
  };
  client_ = Peer{};
  simulation.on_poll([this](Network& network, Wait wait) {
    if (client_ || wait.ready) return Progress::nothing;
    client_ = network.connect(size_t{0});
    network.set_buffers(client_, 100, 100);
    return Progress::made;
  });
  run(one_client);
  EXPECT_EQ(log(), "conn:closed");
}

TEST_F(SocketCalls, are_events_of_their_handle) {
  on_accepted = [] {
    bytes(fd_of(&conn), SIOCOUTQ);
    set(fd_of(&conn), SOL_SOCKET, SO_KEEPALIVE, 1);
    get(fd_of(&conn), SOL_SOCKET, 9999);
    shutdown(fd_of(&conn), SHUT_WR);
  };
  static std::string told;
  told.clear();
  simulation.on_event(
      [](void*, const EventView& event) {
        if (event.kind != EventKind::call || event.name[0] == 'u') return;
        told += std::string(event.name) + " #" + std::to_string(event.subject_id) + " of " +
                std::to_string(event.peer.id) + " = " + code(event.result) + "\n";
      },
      nullptr);
  play({[this](Network& network) { network.close(client_); }});
  simulation.on_event(nullptr, nullptr);
  EXPECT_EQ(told,
            "ioctl #2 of 1 = 0\nsetsockopt #2 of 1 = 0\ngetsockopt #2 of 1 = ENOPROTOOPT\n"
            "shutdown #2 of 1 = 0\n");
  EXPECT_NE(simulation.trace_text().find("getsockopt tcp#2 9999 = -92 ENOPROTOOPT"),
            std::string::npos);
}

TEST_F(SocketCalls, with_options_that_are_not_known_are_warned_of) {
  on_accepted = [] {
    say(code(set(fd_of(&conn), IPPROTO_IP, IP_TOS, 1)));
    errno = 7;
    get(fd_of(&conn), SOL_SOCKET, SO_TYPE);
    say(std::to_string(errno));
  };
  const Report& report = play({[this](Network& network) { network.close(client_); }});
  EXPECT_EQ(log(), "ENOPROTOOPT 7 EOF");
  ASSERT_EQ(report.warnings.size(), 1u);
  EXPECT_EQ(report.warnings[0].message,
            "setsockopt of level 0, option 1 is not simulated by uvsim");
}

TEST_F(SocketCalls, that_are_not_simulated_say_so) {
  EXPECT_EQ(complaint([] {
              uv_loop_init(&loop);
              uv_tcp_init_ex(&loop, &conn, AF_INET);
              return bytes(fd_of(&conn), FIOASYNC);
            }),
            "this ioctl request of a socket is not simulated by uvsim");
  EXPECT_EQ(complaint([] {
              uv_loop_init(&loop);
              uv_tcp_init_ex(&loop, &conn, AF_INET);
              uv_listen(stream(&conn), 1, [](uv_stream_t*, int) {});
              EXPECT_EQ(shutdown(fd_of(&conn), SHUT_WR), 0);
              return shutdown(fd_of(&conn), SHUT_RD);
            }),
            "shutdown(2) of a listener's input is not simulated by uvsim");
}

// ---- Faults
// -----------------------------------------------------------------------------------------

TEST_F(SocketCalls, fail_where_choices_say_so) {
  const auto with = [this](ChoicePoint point) {
    log().clear();
    Only fault(point, 1);
    on_accepted = [] {
      const int fd = fd_of(&conn);
      say(code(bytes(fd, SIOCOUTQ)));
      say(code(set(fd, SOL_SOCKET, SO_KEEPALIVE, 1)));
      say(code(outcome(shutdown(fd, SHUT_WR))));
    };
    play({[this](Network& network) { network.close(client_); }}, &fault);
    return log();
  };
  EXPECT_EQ(with(ChoicePoint::ioctl_error), "EACCES 0 0 EOF");
  EXPECT_EQ(with(ChoicePoint::option_error), "0 EACCES 0 EOF");
  EXPECT_EQ(with(ChoicePoint::shutdown_error), "0 0 ENOTCONN ECONNRESET");
}

// ---- Descriptors of the process, and no descriptors
// --------------------------------------------------------

TEST_F(SocketCalls, on_other_descriptors_are_the_systems) {
  run([] {
    uv_loop_init(&loop);
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    EXPECT_EQ(::write(ends[0], "abc", 3), 3);
    EXPECT_EQ(bytes(ends[1], FIONREAD), 3);
    EXPECT_EQ(get(ends[0], SOL_SOCKET, SO_DOMAIN), AF_UNIX);
    EXPECT_EQ(set(ends[0], SOL_SOCKET, SO_KEEPALIVE, 1), 0);
    EXPECT_EQ(outcome(shutdown(ends[0], SHUT_WR)), 0);
    char place[4];
    EXPECT_EQ(read(ends[1], place, 4), 3);
    EXPECT_EQ(read(ends[1], place, 4), 0);
    close(ends[0]);
    close(ends[1]);
    const int null = open("/dev/null", O_RDONLY);
    EXPECT_EQ(bytes(null, SIOCOUTQ), -ENOTTY);
    EXPECT_EQ(get(null, SOL_SOCKET, SO_TYPE), -ENOTSOCK);
    EXPECT_EQ(outcome(shutdown(null, SHUT_WR)), -ENOTSOCK);
    close(null);
    EXPECT_EQ(bytes(null, SIOCOUTQ), -EBADF);
    EXPECT_EQ(set(null, SOL_SOCKET, SO_KEEPALIVE, 1), -EBADF);
    return uv_loop_close(&loop);
  });
}

TEST_F(SocketCalls, outside_a_run_are_the_systems) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  EXPECT_EQ(get(ends[0], SOL_SOCKET, SO_TYPE), SOCK_STREAM);
  close(ends[0]);
  close(ends[1]);
  EXPECT_EQ(get(500'000, SOL_SOCKET, SO_TYPE), -EBADF);
}

TEST_F(SocketCalls, concern_the_simulated_connection_where_numbers_are_the_processs) {
  options().real_descriptors = true;
  on_accepted = [] {
    const int fd = fd_of(&conn);
    const uv_buf_t buf = uv_buf_init(const_cast<char*>("abcde"), 5);
    EXPECT_EQ(uv_try_write(stream(&conn), &buf, 1), 5);
    EXPECT_EQ(bytes(fd, SIOCOUTQ), 2);
    // Of what uvsim does not know, the process's own socket does.
    EXPECT_EQ(set(fd, IPPROTO_IP, IP_TOS, 16), 0);
    EXPECT_EQ(get(fd, IPPROTO_IP, IP_TOS), 16);
    EXPECT_EQ(outcome(shutdown(fd, SHUT_WR)), 0);
  };
  int step = 0;
  simulation.on_poll([&, this](Network& network, Wait wait) {
    if (wait.ready) return Progress::nothing;
    if (step == 0) {
      client_ = network.connect(size_t{0});
      network.set_buffers(client_, 3, 3);
    } else if (step == 1) {
      EXPECT_TRUE(network.view(client_).fin_sent);
      network.close(client_);
    }
    return step++ < 2 ? Progress::made : Progress::nothing;
  });
  const Report& report = run(one_client);
  EXPECT_TRUE(report.warnings.empty());
  EXPECT_EQ(log(), "ECONNRESET");
}

TEST_F(SocketCalls, of_a_pipe_know_its_bytes_and_its_end) {
  run([] {
    uv_loop_init(&loop);
    uv_os_sock_t ends[2];
    EXPECT_EQ(uv_socketpair(SOCK_STREAM, 0, ends, 0, 0), 0);
    static uv_pipe_t left;
    static uv_pipe_t right;
    uv_pipe_init(&loop, &left, 0);
    uv_pipe_init(&loop, &right, 0);
    uv_pipe_open(&left, ends[0]);
    uv_pipe_open(&right, ends[1]);
    call(right, "right");
    const uv_buf_t buf = uv_buf_init(const_cast<char*>("abc"), 3);
    EXPECT_EQ(uv_try_write(stream(&left), &buf, 1), 3);
    EXPECT_EQ(bytes(ends[1], FIONREAD), 3);
    EXPECT_EQ(bytes(ends[0], SIOCOUTQ), 3);
    EXPECT_EQ(get(ends[0], SOL_SOCKET, SO_DOMAIN), AF_UNIX);
    EXPECT_EQ(set(ends[0], IPPROTO_TCP, TCP_NODELAY, 1), -EOPNOTSUPP);
    EXPECT_EQ(outcome(shutdown(ends[0], SHUT_WR)), 0);
    uv_read_start(stream(&right), on_alloc, on_read_close);
    uv_run(&loop, UV_RUN_DEFAULT);
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "right:read:3 right:read:EOF right:closed");
}

TEST_F(SocketCalls, let_two_listeners_share_a_port) {
  run([] {
    static uv_tcp_t both[2];
    uv_loop_init(&loop);
    const sockaddr_in address = loopback(port);
    for (uv_tcp_t& one : both) {
      uv_tcp_init_ex(&loop, &one, AF_INET);
      EXPECT_EQ(set(fd_of(&one), SOL_SOCKET, SO_REUSEPORT, 1), 0);
      EXPECT_EQ(uv_tcp_bind(&one, reinterpret_cast<const sockaddr*>(&address), 0), 0);
      say(code(uv_listen(stream(&one), 8, [](uv_stream_t*, int) {})));
    }
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "0 0");
}

}  // namespace
}  // namespace uvsim::test
