// TCP handles: binding, listening, accepting, connecting, options and names.
#include "scenario.hpp"

namespace uvsim::test {
namespace {

class Tcp : public Scenario {};

uv_loop_t loop;
uv_tcp_t tcps[8];
uv_connect_t connects[8];

void init_tcps(int count) {
  static const char* const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
  uv_loop_init(&loop);
  for (int i = 0; i < count; ++i) {
    uv_tcp_init(&loop, &tcps[i]);
    call(tcps[i], names[i]);
  }
}

int bind4(uv_tcp_t* tcp, const char* host, int to_port, unsigned flags = 0) {
  sockaddr_in address;
  uv_ip4_addr(host, to_port, &address);
  return uv_tcp_bind(tcp, reinterpret_cast<const sockaddr*>(&address), flags);
}

int bind6(uv_tcp_t* tcp, const char* host, int to_port, unsigned flags = 0) {
  sockaddr_in6 address;
  uv_ip6_addr(host, to_port, &address);
  return uv_tcp_bind(tcp, reinterpret_cast<const sockaddr*>(&address), flags);
}

int connect4(int index, const char* host, int to_port, uv_connect_cb callback = on_connect) {
  sockaddr_in address;
  uv_ip4_addr(host, to_port, &address);
  return uv_tcp_connect(&connects[index], &tcps[index], reinterpret_cast<const sockaddr*>(&address),
                        callback);
}

int connect6(int index, const char* host, int to_port) {
  sockaddr_in6 address;
  uv_ip6_addr(host, to_port, &address);
  return uv_tcp_connect(&connects[index], &tcps[index], reinterpret_cast<const sockaddr*>(&address),
                        on_connect);
}

int listen(uv_tcp_t* tcp, int backlog = 8) {
  return uv_listen(stream(tcp), backlog, [](uv_stream_t* s, int status) {
    say(name(s) + ":connection:" + code(status));
  });
}

std::string own_name(const uv_tcp_t* tcp, bool of_peer = false) {
  sockaddr_storage address = {};
  int size = sizeof address;
  auto* const sa = reinterpret_cast<sockaddr*>(&address);
  const int error =
      of_peer ? uv_tcp_getpeername(tcp, sa, &size) : uv_tcp_getsockname(tcp, sa, &size);
  if (error != 0) return code(error);
  char text[64] = "";
  if (sa->sa_family == AF_INET) {
    uv_ip4_name(reinterpret_cast<const sockaddr_in*>(sa), text, sizeof text);
    return std::string(text) + ":" +
           std::to_string(ntohs(reinterpret_cast<sockaddr_in*>(sa)->sin_port));
  }
  uv_ip6_name(reinterpret_cast<const sockaddr_in6*>(sa), text, sizeof text);
  return std::string(text) + ":" +
         std::to_string(ntohs(reinterpret_cast<sockaddr_in6*>(sa)->sin6_port));
}

int turns(int count) {
  for (int i = 0; i < count; ++i) uv_run(&loop, UV_RUN_NOWAIT);
  return close_all(&loop);
}

// ---- Init and bind -----------------------------------------------------------------------------

TEST_F(Tcp, init_knows_families) {
  run([] {
    uv_loop_init(&loop);
    say(code(uv_tcp_init_ex(&loop, &tcps[0], AF_INET)));
    say(code(uv_tcp_init_ex(&loop, &tcps[1], AF_INET6)));
    say(code(uv_tcp_init_ex(&loop, &tcps[2], 99)));
    say(code(uv_tcp_init_ex(&loop, &tcps[2], 0x100)));
    say(own_name(&tcps[0]));
    say(own_name(&tcps[1]));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "0 0 EINVAL EINVAL 0.0.0.0:0 :::0");
  EXPECT_EQ(simulation.report().result, 0);
}

TEST_F(Tcp, a_failed_init_leaves_nothing_in_the_loop) {
  options().descriptors = 5;
  run([] {
    uv_loop_init(&loop);
    say(code(uv_tcp_init_ex(&loop, &tcps[0], AF_INET)));
    return uv_loop_close(&loop);
  });
  EXPECT_EQ(simulation.report().result, 0);
  Only socket_fault(ChoicePoint::socket_error, 2);
  options().descriptors = 0;
  run(socket_fault, [] {
    init_tcps(1);
    say(code(bind4(&tcps[0], "127.0.0.1", 0)));
    return close_all(&loop);
  });
  Only init_fault(ChoicePoint::call_tcp_init, 1);
  run(init_fault, [] {
    uv_loop_init(&loop);
    say(code(uv_tcp_init(&loop, &tcps[0])));
    return uv_loop_close(&loop);
  });
  EXPECT_EQ(log(), "EMFILE ENOBUFS ENOMEM");
}

TEST_F(Tcp, bind_answers_as_libuv_does) {
  run([] {
    init_tcps(6);
    say(code(bind4(&tcps[0], "127.0.0.1", port)));
    say(code(bind4(&tcps[0], "127.0.0.1", port)));
    say(code(bind4(&tcps[1], "8.8.8.8", port)));
    say(code(bind4(&tcps[2], "127.0.0.1", 0, UV_TCP_IPV6ONLY)));
    say(code(bind4(&tcps[3], "127.0.0.1", 0)));
    say(code(bind6(&tcps[3], "::1", 0)));
    say(code(bind6(&tcps[4], "::1", 0)));
    say(code(bind4(&tcps[4], "127.0.0.1", 0)));
    sockaddr unknown = {};
    unknown.sa_family = AF_UNIX;
    say(code(uv_tcp_bind(&tcps[5], &unknown, 0)));
    uv_close(handle(&tcps[5]), nullptr);
    say(code(bind4(&tcps[5], "127.0.0.1", 0)));
    say(code(bind6(&tcps[2], "2001:db8::1", 0)));
    return close_all(&loop);
  });
  EXPECT_EQ(log(),
            "0 EINVAL EADDRNOTAVAIL EINVAL 0 ENOPROTOOPT 0 EINVAL EINVAL EINVAL EADDRNOTAVAIL");
}

TEST_F(Tcp, a_port_in_use_shows_late) {
  run([] {
    init_tcps(4);
    bind4(&tcps[0], "127.0.0.1", port);
    say(code(listen(&tcps[0])));
    say(code(bind4(&tcps[1], "127.0.0.1", port)));
    say(own_name(&tcps[1]));
    say(code(listen(&tcps[1])));
    say(code(bind4(&tcps[2], "0.0.0.0", port)));
    say(code(connect4(2, "127.0.0.1", port)));
    say(code(bind4(&tcps[3], "127.0.0.2", port)));
    say(code(listen(&tcps[3])));
    return turns(2);
  });
  EXPECT_EQ(log(), "0 0 EADDRINUSE EADDRINUSE 0 0 0 0 c:connected:EADDRINUSE");
}

TEST_F(Tcp, two_may_bind_a_port_and_one_may_listen) {
  run([] {
    init_tcps(2);
    say(code(bind4(&tcps[0], "127.0.0.1", port)));
    say(code(bind4(&tcps[1], "127.0.0.1", port)));
    say(code(listen(&tcps[0])));
    say(code(listen(&tcps[1])));
    say(code(listen(&tcps[0])));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "0 0 0 EADDRINUSE 0");
}

TEST_F(Tcp, a_port_may_be_shared_by_who_asks_for_it) {
  const auto program = [] {
    constexpr unsigned reuse_port = 2;
    init_tcps(3);
    for (int i = 0; i < 2; ++i) {
      bind4(&tcps[i], "127.0.0.1", port, reuse_port);
      say(code(listen(&tcps[i])));
    }
    bind4(&tcps[2], "127.0.0.1", port);
    say(code(listen(&tcps[2])));
    return close_all(&loop);
  };
  run(program);
  options().version = Version::v1_44;
  run(program);
  EXPECT_EQ(log(), "0 0 EADDRINUSE 0 EADDRINUSE EADDRINUSE");
}

TEST_F(Tcp, bind_may_fail) {
  const char* const expected[] = {"0 EADDRINUSE", "EACCES 0", "EADDRNOTAVAIL 0"};
  for (uint32_t answer = 1; answer < 4; ++answer) {
    log().clear();
    Only fault(ChoicePoint::call_bind, answer);
    run(fault, [] {
      init_tcps(1);
      say(code(bind4(&tcps[0], "127.0.0.1", port)));
      say(code(listen(&tcps[0])));
      return close_all(&loop);
    });
    EXPECT_EQ(log(), expected[answer - 1]);
  }
}

// ---- Listening and accepting -------------------------------------------------------------------

TEST_F(Tcp, listening_without_a_bind_takes_a_free_port) {
  run([] {
    init_tcps(2);
    say(code(listen(&tcps[0])));
    EXPECT_GT(port_of(&tcps[0]), 1024);
    uv_close(handle(&tcps[1]), nullptr);
    say(code(listen(&tcps[1])));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "0 EINVAL");
  const int faults[] = {UV_EADDRINUSE, UV_EMFILE};
  for (uint32_t answer = 1; answer < 3; ++answer) {
    log().clear();
    Only fault(ChoicePoint::call_listen, answer);
    run(fault, [] {
      init_tcps(1);
      say(code(listen(&tcps[0])));
      return close_all(&loop);
    });
    EXPECT_EQ(log(), code(faults[answer - 1]));
  }
  log().clear();
  Only fault(ChoicePoint::socket_error, 1);
  run(fault, [] {
    init_tcps(1);
    say(code(listen(&tcps[0])));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "EMFILE");
}

int three_clients(uv_connection_cb callback) {
  init_tcps(4);
  bind4(&tcps[3], "127.0.0.1", port);
  uv_listen(stream(&tcps[3]), 8, callback);
  for (int i = 0; i < 3; ++i) connect4(i, "127.0.0.1", port, nullptr);
  static uv_check_t check;
  uv_check_init(&loop, &check);
  uv_check_start(&check, [](uv_check_t*) { say("|"); });
  return turns(4);
}

uv_tcp_t taken[4];

void take(uv_stream_t* server, int status) {
  static int next;
  uv_tcp_t* const tcp = &taken[next++ % 3];
  uv_tcp_init(server->loop, tcp);
  std::string words = code(status);
  words += code(uv_accept(server, stream(tcp)));
  words += code(uv_accept(server, stream(tcp)));
  say(words);
}

TEST_F(Tcp, accepts_one_connection_per_wakeup_in_1_52) {
  run([] { return three_clients(take); });
  EXPECT_EQ(log(), "00EAGAIN | 00EAGAIN | 00EAGAIN | |");
}

TEST_F(Tcp, accepts_all_connections_in_a_wakeup_in_1_44) {
  options().version = Version::v1_44;
  run([] { return three_clients(take); });
  EXPECT_EQ(log(), "00EAGAIN 00EAGAIN 00EAGAIN | | | |");
}

TEST_F(Tcp, a_connection_that_is_not_taken_deafens_the_listener_until_it_is) {
  for (const Version version : {Version::v1_44, Version::v1_52}) {
    log().clear();
    options().version = version;
    const Report& report = run([] {
      init_tcps(4);
      bind4(&tcps[3], "127.0.0.1", port);
      listen(&tcps[3]);
      for (int i = 0; i < 3; ++i) connect4(i, "127.0.0.1", port, nullptr);
      for (int i = 0; i < 4; ++i) uv_run(&loop, UV_RUN_NOWAIT);
      say("late");
      uv_tcp_init(&loop, &taken[0]);
      say(code(uv_accept(stream(&tcps[3]), stream(&taken[0]))));
      return turns(4);
    });
    EXPECT_EQ(log(), "d:connection:0 late 0 d:connection:0");
    ASSERT_EQ(report.warnings.size(), 1u);
    EXPECT_EQ(report.warnings[0].rule, "R37");
    EXPECT_EQ(report.open_descriptors, 0u);
  }
}

TEST_F(Tcp, a_listener_may_be_closed_by_its_callback) {
  for (const Version version : {Version::v1_44, Version::v1_52}) {
    log().clear();
    options().version = version;
    run([] {
      return three_clients([](uv_stream_t* server, int) {
        say("first");
        uv_close(handle(server), on_close);
      });
    });
    EXPECT_EQ(log(), "first | d:closed | | |");
  }
}

TEST_F(Tcp, a_listener_that_is_closed_resets_who_waits) {
  run([] {
    init_tcps(3);
    bind4(&tcps[2], "127.0.0.1", port);
    listen(&tcps[2]);
    for (int i = 0; i < 2; ++i)
      connect4(i, "127.0.0.1", port, [](uv_connect_t* req, int status) {
        on_connect(req, status);
        if (uv_is_closing(handle(&tcps[2])) == 0) uv_close(handle(&tcps[2]), nullptr);
        uv_read_start(req->handle, on_alloc, on_read);
      });
    return turns(4);
  });
  // The first was parked in the listener's handle already: it is closed, and not reset.
  EXPECT_EQ(log(), "c:connection:0 a:connected:0 b:connected:ECONNRESET a:read:EOF b:read:EOF");
}

TEST_F(Tcp, a_failed_accept_costs_the_connection) {
  run([] {
    return three_clients(
        [](uv_stream_t* server, int) { say(code(uv_accept(server, stream(&tcps[0])))); });
  });
  EXPECT_EQ(log(), "EBUSY | EBUSY | EBUSY | |");
  EXPECT_TRUE(simulation.report().warnings.empty());
  log().clear();
  Only fault(ChoicePoint::call_accept, 1);
  run(fault, [] { return three_clients(take); });
  EXPECT_EQ(log(), "0EBUSYEAGAIN | 00EAGAIN | 00EAGAIN | |");
}

TEST_F(Tcp, a_late_accept_that_fails_deafens_the_listener) {
  const Report& report = run([] {
    init_tcps(4);
    bind4(&tcps[3], "127.0.0.1", port);
    listen(&tcps[3]);
    for (int i = 0; i < 3; ++i) connect4(i, "127.0.0.1", port, nullptr);
    for (int i = 0; i < 4; ++i) uv_run(&loop, UV_RUN_NOWAIT);
    say(code(uv_accept(stream(&tcps[3]), stream(&tcps[0]))));
    return turns(4);
  });
  EXPECT_EQ(log(), "d:connection:0 EBUSY");
  ASSERT_EQ(report.warnings.size(), 1u);
  EXPECT_EQ(report.warnings[0].rule, "R38");
}

TEST_F(Tcp, accepting_between_loops_or_into_a_closing_handle_is_an_error) {
  EXPECT_EQ(broken([] {
              static uv_loop_t other;
              uv_loop_init(&other);
              init_tcps(1);
              uv_tcp_init(&other, &tcps[1]);
              return uv_accept(stream(&tcps[0]), stream(&tcps[1]));
            }),
            "R37 tcp#1");
  EXPECT_EQ(broken([] {
              init_tcps(2);
              uv_close(handle(&tcps[1]), nullptr);
              return uv_accept(stream(&tcps[0]), stream(&tcps[1]));
            }),
            "R15 tcp#2");
}

// ---- Descriptors run out -----------------------------------------------------------------------

TEST_F(Tcp, without_descriptors_those_who_wait_are_accepted_and_closed) {
  options().descriptors = 9;  // the loop's 4, one in reserve, four sockets
  for (const Version version : {Version::v1_44, Version::v1_52}) {
    log().clear();
    options().version = version;
    run([] {
      init_tcps(4);
      bind4(&tcps[3], "127.0.0.1", port);
      listen(&tcps[3]);
      for (int i = 0; i < 3; ++i)
        connect4(i, "127.0.0.1", port,
                 [](uv_connect_t* req, int) { uv_read_start(req->handle, on_alloc, on_read); });
      return turns(6);
    });
    EXPECT_EQ(log(), "a:read:EOF b:read:EOF c:read:EOF");
  }
}

TEST_F(Tcp, without_a_descriptor_in_reserve_1_44_tells_and_1_52_keeps_silent) {
  options().descriptors = 7;
  const auto program = [] {
    static int told;
    told = 0;
    static uv_tcp_t extra[2];
    init_tcps(2);
    // A handle that takes the reserve's place keeps it from being opened again.
    bind4(&tcps[1], "127.0.0.1", port);
    uv_listen(stream(&tcps[1]), 8, [](uv_stream_t* server, int status) {
      if (told < 3) say(code(status));
      if (++told == 5) uv_close(handle(server), nullptr);
    });
    connect4(0, "127.0.0.1", port, nullptr);
    static_cast<void>(extra);
    for (int i = 0; i < 3; ++i) uv_run(&loop, UV_RUN_NOWAIT);
    return close_all(&loop);
  };
  // The reserve is shut in the first EMFILE, and taken by the peer of the second loop's handle.
  options().version = Version::v1_44;
  options().asked = ChoiceSet::none().with(ChoicePoint::accept_error);
  Only fault(ChoicePoint::accept_error, 1);
  run(fault, program);
  EXPECT_TRUE(simulation.report().ok()) << simulation.report().summary();
}

TEST_F(Tcp, accept_may_find_the_connection_aborted) {
  for (const Version version : {Version::v1_44, Version::v1_52}) {
    log().clear();
    options().version = version;
    Only fault(ChoicePoint::accept_error, 2);
    run(fault, [] { return three_clients(take); });
    EXPECT_EQ(log(), version == Version::v1_44 ? "00EAGAIN 00EAGAIN | | | |"
                                               : "| 00EAGAIN | 00EAGAIN | |");
  }
}

// ---- Connecting --------------------------------------------------------------------------------

TEST_F(Tcp, a_closed_port_refuses_in_the_callback) {
  run([] {
    init_tcps(1);
    say(code(connect4(0, "127.0.0.1", 1)));
    say(code(connect4(0, "127.0.0.1", 1)));
    say(own_name(&tcps[0], true));
    uv_run(&loop, UV_RUN_DEFAULT);
    say(code(connect4(0, "127.0.0.1", 1)));
    say(code(connect4(0, "127.0.0.1", 1)));
    uv_run(&loop, UV_RUN_DEFAULT);
    return close_all(&loop);
  });
  EXPECT_EQ(log(),
            "0 EALREADY ENOTCONN a:connected:ECONNREFUSED ECONNABORTED 0 a:connected:ECONNREFUSED");
}

TEST_F(Tcp, an_address_where_nobody_lives_times_out_after_two_minutes) {
  const Report& report = run([] {
    init_tcps(2);
    say(code(connect4(0, "192.0.2.1", 80)));
    say(code(connect6(1, "2001:db8::1", 80)));
    uv_close(handle(&tcps[1]), on_close);
    uv_run(&loop, UV_RUN_DEFAULT);
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "0 0 b:connected:ECANCELED b:closed a:connected:ETIMEDOUT");
  EXPECT_GT(report.virtual_ns, 120'000'000'000u);
  EXPECT_LT(report.virtual_ns, 130'000'000'000u);
}

TEST_F(Tcp, a_full_queue_makes_the_next_client_wait) {
  run([] {
    init_tcps(5);
    bind4(&tcps[4], "127.0.0.1", port);
    listen(&tcps[4], 1);
    for (int i = 0; i < 4; ++i) connect4(i, "127.0.0.1", port);
    for (int i = 0; i < 3; ++i) uv_run(&loop, UV_RUN_NOWAIT);
    say("later");
    static uv_timer_t timer;
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, [](uv_timer_t*) { uv_close(handle(&tcps[4]), nullptr); }, 10'000, 0);
    static uv_tcp_t conn;
    uv_tcp_init(&loop, &conn);
    uv_accept(stream(&tcps[4]), stream(&conn));
    uv_run(&loop, UV_RUN_DEFAULT);
    return close_all(&loop);
  });
  EXPECT_EQ(log(),
            "e:connection:0 a:connected:0 b:connected:0 later e:connection:0 c:connected:0 "
            "d:connected:0");
}

TEST_F(Tcp, connecting_twice_is_refused) {
  run([] {
    init_tcps(2);
    bind4(&tcps[1], "127.0.0.1", port);
    listen(&tcps[1]);
    connect4(0, "127.0.0.1", port);
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_run(&loop, UV_RUN_NOWAIT);
    say(code(connect4(0, "127.0.0.1", port)));
    uv_run(&loop, UV_RUN_NOWAIT);
    say(code(connect4(0, "127.0.0.1", port)));
    say(code(connect4(1, "127.0.0.1", port)));
    uv_tcp_init(&loop, &tcps[2]);
    bind4(&tcps[2], "127.0.0.1", 0);
    say(code(connect6(2, "::1", port)));
    uv_tcp_init(&loop, &tcps[3]);
    bind6(&tcps[3], "::1", 0);
    say(code(connect4(3, "127.0.0.1", port)));
    sockaddr unknown = {};
    say(code(uv_tcp_connect(&connects[4], &tcps[3], &unknown, nullptr)));
    uv_close(handle(&tcps[3]), nullptr);
    say(code(connect4(3, "127.0.0.1", port)));
    return close_all(&loop);
  });
  EXPECT_EQ(log(),
            "b:connection:0 a:connected:0 0 a:connected:0 EISCONN EISCONN EAFNOSUPPORT EINVAL "
            "EINVAL EINVAL");
}

TEST_F(Tcp, a_connection_that_was_reset_may_be_made_again) {
  run([] {
    return with_pair(
        [] {
          uv_tcp_close_reset(&pair().accepted, nullptr);
          uv_read_start(
              stream(&pair().client), on_alloc, [](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
                on_read(s, n, b);
                const sockaddr_in address = loopback(1);
                const auto* const sa = reinterpret_cast<const sockaddr*>(&address);
                say(code(uv_tcp_connect(&pair().connect, &pair().client, sa, on_connect)));
                say(code(uv_tcp_connect(&pair().connect, &pair().client, sa, on_connect)));
              });
        },
        9);
  });
  // Not told of the refusal before it is closed: the event that was being handled drains the empty
  // write queue, and stops waiting. So does libuv.
  EXPECT_EQ(log(), "client:read:ECONNRESET ECONNABORTED 0 client:connected:ECANCELED");
}

TEST_F(Tcp, closing_a_client_that_connects_cancels_it) {
  run([] {
    init_tcps(2);
    bind4(&tcps[1], "127.0.0.1", port);
    listen(&tcps[1]);
    connect4(0, "127.0.0.1", port);
    uv_close(handle(&tcps[0]), on_close);
    return turns(3);
  });
  EXPECT_EQ(log(), "b:connection:0 a:connected:ECANCELED a:closed");
}

TEST_F(Tcp, connecting_on_a_closing_handle_breaks_1_44) {
  options().version = Version::v1_44;
  EXPECT_EQ(broken([] {
              init_tcps(1);
              uv_close(handle(&tcps[0]), nullptr);
              return connect4(0, "127.0.0.1", port);
            }),
            "R15 tcp#1");
}

TEST_F(Tcp, connect_may_fail_in_every_way) {
  const char* const expected[] = {"a:connected:ECONNREFUSED", "a:connected:ETIMEDOUT",
                                  "a:connected:EHOSTUNREACH"};
  for (uint32_t answer = 1; answer < 4; ++answer) {
    log().clear();
    Only fault(ChoicePoint::connect_result, answer);
    run(fault, [] {
      init_tcps(2);
      bind4(&tcps[1], "127.0.0.1", port);
      listen(&tcps[1]);
      connect4(0, "127.0.0.1", port);
      return turns(2);
    });
    EXPECT_EQ(log(), expected[answer - 1]);
  }
  log().clear();
  Only refusal(ChoicePoint::call_connect, 1);
  run(refusal, [] {
    init_tcps(1);
    say(code(connect4(0, "127.0.0.1", port)));
    return close_all(&loop);
  });
  Only socket_fault(ChoicePoint::socket_error, 1);
  run(socket_fault, [] {
    init_tcps(1);
    say(code(connect4(0, "127.0.0.1", port)));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "EADDRNOTAVAIL EMFILE");
}

// ---- Addresses ---------------------------------------------------------------------------------

TEST_F(Tcp, both_ends_know_both_names) {
  run([] {
    return with_pair([] {
      EXPECT_EQ(own_name(&pair().client, true), "127.0.0.1:7000");
      EXPECT_EQ(own_name(&pair().accepted), "127.0.0.1:7000");
      EXPECT_EQ(own_name(&pair().client), own_name(&pair().accepted, true));
      sockaddr small = {};
      int size = 4;
      EXPECT_EQ(uv_tcp_getsockname(&pair().client, &small, &size), 0);
      EXPECT_EQ(size, static_cast<int>(sizeof(sockaddr_in)));
      close_pair();
    });
  });
  EXPECT_TRUE(simulation.report().ok());
  run([] {
    init_tcps(1);
    say(own_name(&tcps[0]));
    say(own_name(&tcps[0], true));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "EBADF EBADF");
  Only fault(ChoicePoint::call_address, 1);
  run(fault, [] {
    init_tcps(1);
    bind4(&tcps[0], "127.0.0.1", 0);
    say(own_name(&tcps[0]));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "EBADF EBADF ENOBUFS");
}

TEST_F(Tcp, ipv6_works_alone_and_takes_ipv4_on_its_wildcard) {
  run([] {
    init_tcps(5);
    static uv_tcp_t conn[3];
    bind6(&tcps[4], "::", port);
    uv_listen(stream(&tcps[4]), 8, [](uv_stream_t* server, int) {
      static int next;
      uv_tcp_t* const each = &conn[next++ % 3];
      uv_tcp_init(server->loop, each);
      uv_accept(server, stream(each));
      say(own_name(each));
    });
    connect6(0, "::1", port);
    connect4(1, "127.0.0.1", port);
    connect6(2, "::ffff:127.0.0.1", port);
    for (int i = 0; i < 5; ++i) uv_run(&loop, UV_RUN_NOWAIT);
    say(own_name(&tcps[2], true));
    say(code(bind4(&tcps[3], "127.0.0.1", port)));
    say(code(listen(&tcps[3])));
    return close_all(&loop);
  });
  EXPECT_EQ(log(),
            "::1:7000 a:connected:0 b:connected:0 c:connected:0 ::ffff:127.0.0.1:7000 "
            "::ffff:127.0.0.1:7000 ::ffff:127.0.0.1:7000 0 EADDRINUSE");
}

TEST_F(Tcp, ipv6_only_leaves_ipv4_alone) {
  run([] {
    init_tcps(4);
    say(code(bind6(&tcps[3], "::", port, UV_TCP_IPV6ONLY)));
    listen(&tcps[3]);
    say(code(bind4(&tcps[2], "0.0.0.0", port)));
    say(code(listen(&tcps[2])));
    connect6(0, "::", port);
    connect4(1, "0.0.0.0", port);
    return turns(3);
  });
  EXPECT_EQ(log(), "0 0 0 d:connection:0 c:connection:0 a:connected:0 b:connected:0");
}

TEST_F(Tcp, the_exact_address_goes_before_the_wildcard) {
  run([] {
    init_tcps(6);
    bind4(&tcps[2], "127.0.0.5", port);
    bind4(&tcps[3], "127.0.0.1", port);
    listen(&tcps[2]);
    listen(&tcps[3]);
    bind6(&tcps[4], "::", 7001);
    listen(&tcps[4]);
    connect4(0, "127.0.0.1", port);
    connect4(1, "127.0.0.5", port);
    say(code(bind4(&tcps[5], "0.0.0.0", 7002)));
    connect4(5, "127.0.0.1", 7001);
    uv_run(&loop, UV_RUN_NOWAIT);
    EXPECT_EQ(own_name(&tcps[5]), "127.0.0.1:7002");
    return turns(2);
  });
  EXPECT_EQ(log(),
            "0 c:connection:0 d:connection:0 e:connection:0 a:connected:0 b:connected:0 "
            "f:connected:0");
}

TEST_F(Tcp, ports_are_given_out_again_and_again) {
  run([] {
    uv_loop_init(&loop);
    static uv_tcp_t each;
    int last = 0;
    for (int i = 0; i < 30'000; ++i) {
      uv_tcp_init(&loop, &each);
      bind4(&each, "127.0.0.1", 0);
      const int now = port_of(&each);
      if (now == last || now < 1024) return 1;
      last = now;
      uv_close(handle(&each), nullptr);
      uv_run(&loop, UV_RUN_NOWAIT);
    }
    return uv_loop_close(&loop);
  });
  EXPECT_EQ(simulation.report().result, 0);
}

// ---- Options -----------------------------------------------------------------------------------

TEST_F(Tcp, options_are_kept_until_there_is_a_socket) {
  run([] {
    init_tcps(1);
    say(code(uv_tcp_nodelay(&tcps[0], 1)));
    say(code(uv_tcp_keepalive(&tcps[0], 1, 0)));
    say(code(uv_tcp_simultaneous_accepts(&tcps[0], 1)));
    bind4(&tcps[0], "127.0.0.1", 0);
    say(code(uv_tcp_nodelay(&tcps[0], 0)));
    say(code(uv_tcp_keepalive(&tcps[0], 1, 0)));
    say(code(uv_tcp_keepalive(&tcps[0], 1, 60)));
    say(code(uv_tcp_keepalive(&tcps[0], 0, 0)));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "0 0 0 0 EINVAL 0 0");
  Only fault(ChoicePoint::call_socket_option, 1);
  run(fault, [] {
    init_tcps(1);
    bind4(&tcps[0], "127.0.0.1", 0);
    say(code(uv_tcp_nodelay(&tcps[0], 0)));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "0 0 0 0 EINVAL 0 0 EINVAL");
}

TEST_F(Tcp, close_reset_needs_a_socket) {
  run([] {
    init_tcps(1);
    say(code(uv_tcp_close_reset(&tcps[0], nullptr)));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "EBADF");
}

}  // namespace
}  // namespace uvsim::test
