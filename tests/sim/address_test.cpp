// Who may listen where, and the names of pipes and ports.
#include <sys/socket.h>

#include "../../sim/src/internal.hpp"
#include "several_tcps.hpp"

namespace uvsim::test {
namespace {

class Addresses : public StepByStep {};

// ---- Addresses and listening --------------------------------------------------------------------

std::string bind6_and_listen(int index, const char* host, int to_port, unsigned flags = 0) {
  const std::string bound = code(bind6_to(index, host, to_port, flags));
  return bound + code(listen_on(index));
}

TEST_F(Addresses, ipv4_and_ipv6_wildcards_exclude_each_other_unless_told) {
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

TEST_F(Addresses, a_socket_keeps_its_family) {
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

TEST_F(Addresses, a_shared_port_needs_both_to_agree) {
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

TEST_F(Addresses, a_free_port_is_one_that_nobody_has) {
  run([] {
    init(2);
    bind_to(0, "127.0.0.1", 32768);
    bind_to(1, "127.0.0.1", 0);
    say(std::to_string(port_of(&tcps[1])));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "32769");
}

TEST_F(Addresses, a_connected_socket_neither_binds_nor_listens) {
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

TEST_F(Addresses, backlogs_are_bounded) {
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

TEST_F(Addresses, pipes_and_ports_do_not_meet) {
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

TEST_F(Addresses, a_bound_pipe_may_connect) {
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

TEST_F(Addresses, pipe_names_may_be_abstract_and_may_refuse_to_be_cut) {
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

TEST_F(Addresses, keepalive_checks_its_numbers) {
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

// ---- The address map ----------------------------------------------------------------------------

TEST_F(Addresses, the_address_map_is_a_map) {
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
