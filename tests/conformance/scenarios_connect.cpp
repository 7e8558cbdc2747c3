// Scenarios of binding, listening, connecting and accepting, over TCP.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "arm.hpp"
#include "fixture.hpp"

using namespace conformance;

namespace {

/// A listening server whose connections are accepted into handles that the fixture keeps.
Stream& listening(Fixture& fixture, const std::string& name = "server") {
  const Muted muted(fixture);
  Stream& server = fixture.tcp(name);
  server.bind_loopback();
  server.listen();
  return server;
}

}  // namespace

SCENARIO(connecting_tells_both_ends_through_callbacks, "-", R"(
  server.bind = 0
  server.listen = 0
  client: readable=0 writable=0
  client.connect = 0
  client: active=0 closing=0 ref=1
  nothing yet
  > server connection 0
  server.accept(peer) = 0
  server.close
  peer: readable=1 writable=1
  > client connect 0
  client: readable=1 writable=1
  > server closed
  run(default) = 0
  client: active=0 closing=0 ref=1
)") {
  Stream& server = fixture.tcp("server");
  Stream& client = fixture.tcp("client");
  Stream& peer = fixture.tcp("peer");
  server.on_connection = [&] {
    server.accept(peer);
    server.close();
    peer.trace_direction();
  };
  client.on_connect = [&] { client.trace_direction(); };
  server.bind_loopback();
  server.listen();
  client.trace_direction();
  client.connect(server);
  client.trace_state();
  fixture.log("nothing yet");
  fixture.run();
  client.trace_state();
}

SCENARIO(a_closed_port_refuses_through_the_callback, "-", R"(
  server.close
  > server closed
  run(default) = 0
  client.connect = 0
  > client connect ECONNREFUSED
  client: active=0 closing=0 ref=1
  run(default) = 0
  client: readable=1 writable=1
  client.read_start = 0
  client.write(1) = 0
  client.shutdown = 0
  > client write EPIPE
  > client shutdown ENOTCONN
  > client read EOF
  run(default) = 0
)") {
  Stream& client = fixture.tcp("client");
  int port = 0;
  {
    Stream& server = listening(fixture);
    port = server.port();
    server.close();
    fixture.run();
  }
  client.on_connect = [&] { client.trace_state(); };
  client.connect_port(port);
  fixture.run();
  client.trace_direction();
  client.read_start();
  client.write("x");
  client.shutdown();
  fixture.run();
}

SCENARIO(writes_queued_behind_a_refused_connect_fail_after_it, "R14 R24", R"(
  server.close
  > server closed
  run(default) = 0
  client.connect = 0
  client.write 1(3) = 0
  client.write 2(3) = 0
  client.write_queue_size = 6
  > client connect ECONNREFUSED
  > client write 1 ECANCELED
  > client write 2 ECANCELED
  run(default) = 0
  client.write_queue_size = 0
)") {
  Stream& client = fixture.tcp("client");
  Stream& server = listening(fixture);
  const int port = server.port();
  server.close();
  fixture.run();
  client.connect_port(port);
  client.write("one", "1");
  client.write("two", "2");
  client.trace_queue();
  fixture.run();
  client.trace_queue();
}

SCENARIO(a_second_connect_before_the_first_is_done, "-", R"(
  client.connect = 0
  client.connect = EALREADY
  > server connection 0
  server.accept(peer) = 0
  server.close
  > client connect 0
  > server closed
  run(default) = 0
)") {
  Stream& server = listening(fixture);
  Stream& client = fixture.tcp("client");
  Stream& peer = fixture.tcp("peer");
  server.on_connection = [&] {
    server.accept(peer);
    server.close();
  };
  client.connect(server);
  client.connect(server);
  fixture.run();
}

SCENARIO(a_connect_on_a_connected_handle, "-", R"(
  client.connect = 0
  server.close
  > client connect 0
  > server closed
  run(default) = 0
)") {
  Stream& server = listening(fixture);
  Pair pair(fixture);
  pair.client.connect(server);
  server.close();
  fixture.run();
}

SCENARIO(a_connect_may_be_tried_again_after_it_was_refused, "-", R"(
  client.connect = 0
  > client connect ECONNREFUSED
  client.connect = ECONNABORTED
  run(nowait) = 1
  run(nowait) = 1
  run(nowait) = 1
  run(nowait) = 1
)") {
  Stream& gone = listening(fixture, "gone");
  const int closed_port = gone.port();
  gone.close_quietly();
  Stream& server = listening(fixture);
  Stream& peer = fixture.tcp("peer");
  Stream& client = fixture.tcp("client");
  server.on_connection = [&] {
    server.accept(peer);
    server.close();
  };
  bool is_second = false;
  client.on_connect = [&] {
    if (is_second) return;
    is_second = true;
    client.connect(server);
  };
  client.connect_port(closed_port);
  for (int turn = 0; turn < 4; turn++) fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(close_cancels_a_connect, "R24 R25", R"(
  client.connect = 0
  client.close
  > server connection 0
  > client connect ECANCELED
  > client closed
  run(nowait) = 1
)") {
  Stream& server = listening(fixture);
  Stream& client = fixture.tcp("client");
  client.connect(server);
  client.close();
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(try_write_in_the_connect_callback_of_a_closed_client, "R18 R24", R"(
  client.connect = 0
  client.close
  > server connection 0
  > client connect ECANCELED
  client.try_write(1) = EAGAIN
  client.write(1) = EBADF
  client.shutdown = ENOTCONN
  > client closed
  run(nowait) = 1
)") {
  Stream& server = listening(fixture);
  Stream& client = fixture.tcp("client");
  client.on_connect = [&] {
    client.try_write("x");
    client.write("x");
    client.shutdown();
  };
  client.connect(server);
  client.close();
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(closing_cancels_connect_then_writes_then_shutdown, "R24 R25", R"(
  client.connect = 0
  client.write 1(3) = 0
  client.write 2(3) = 0
  client.shutdown = 0
  client.close
  > server connection 0
  > client connect ECANCELED
  > client write 1 ECANCELED
  > client write 2 ECANCELED
  > client shutdown ECANCELED
  > client closed
  run(nowait) = 1
)") {
  Stream& server = listening(fixture);
  Stream& client = fixture.tcp("client");
  client.connect(server);
  client.write("one", "1");
  client.write("two", "2");
  client.shutdown();
  client.close();
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(a_client_may_close_in_its_connect_callback, "R11", R"(
  client.connect = 0
  > server connection 0
  server.accept(peer) = 0
  server.close
  peer.read_start = 0
  > client connect 0
  client.close
  > client closed
  > server closed
  > peer read EOF
  run(default) = 0
)") {
  Stream& server = listening(fixture);
  Stream& client = fixture.tcp("client");
  Stream& peer = fixture.tcp("peer");
  server.on_connection = [&] {
    server.accept(peer);
    server.close();
    peer.read_start();
  };
  client.on_connect = [&] { client.close(); };
  client.connect(server);
  fixture.run();
}

SCENARIO(a_client_with_queued_writes_closes_in_its_connect_callback, "R24", R"(
  client.connect = 0
  client.write 1(3) = 0
  client.write 2(3) = 0
  > server connection 0
  > client connect 0
  client.write_queue_size = 6
  client.close
  > client write 1 ECANCELED
  > client write 2 ECANCELED
  > client closed
  run(nowait) = 1
)") {
  Stream& server = listening(fixture);
  Stream& client = fixture.tcp("client");
  client.on_connect = [&] {
    client.trace_queue();
    client.close();
  };
  client.connect(server);
  client.write("one", "1");
  client.write("two", "2");
  fixture.run_until([&] { return uv_is_closing(client.handle()) != 0; });
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(writes_and_reads_may_be_asked_for_before_the_connection_stands, "R18", R"(
  client.connect = 0
  client.read_start = 0
  client.try_write(5) = EAGAIN
  client.write 1(3) = 0
  client.write 2(3) = 0
  client.write_queue_size = 6
  client.try_write(4) = EAGAIN
  > server connection 0
  server.accept(peer) = 0
  server.close
  peer.read_start = 0
  > client connect 0
  > server closed
  > client write 1 0
  > client write 2 0
  client.shutdown = 0
  > client shutdown 0
  > peer read 6 "onetwo"
  > peer read EOF
  peer.close
  > peer closed
  > client read EOF
  run(default) = 0
)") {
  Stream& server = listening(fixture);
  Stream& client = fixture.tcp("client");
  Stream& peer = fixture.tcp("peer");
  server.on_connection = [&] {
    server.accept(peer);
    server.close();
    peer.read_start();
  };
  peer.on_read = [&](ssize_t nread) {
    if (nread < 0) peer.close();
  };
  client.connect(server);
  client.read_start();
  client.try_write("early");
  client.write("one", "1");
  client.write("two", "2");
  client.trace_queue();
  client.try_write("late");
  client.on_write = [&](const std::string& tag, int) {
    if (tag == "2") client.shutdown();
  };
  fixture.run();
}

SCENARIO(read_start_before_connect_is_refused, "R9", R"(
  client.read_start = ENOTCONN
  client.write(1) = EBADF
  client.try_write(1) = EBADF
  client.shutdown = ENOTCONN
  client: readable=0 writable=0
  client: active=0 closing=0 ref=1
)") {
  Stream& client = fixture.tcp("client");
  client.read_start();
  client.write("x");
  client.try_write("x");
  client.shutdown();
  client.trace_direction();
  client.trace_state();
}

SCENARIO(shutdown_asked_for_before_the_connection_stands, "R22", R"(
  client.connect = 0
  client.shutdown = 0
  > client connect 0
  client.close
  > server connection 0
  server.accept(peer) = 0
  server.close
  peer.read_start = 0
  > server closed
  > client shutdown ECANCELED
  > client closed
  > peer read EOF
  run(default) = 0
)") {
  Stream& server = listening(fixture);
  Stream& client = fixture.tcp("client");
  Stream& peer = fixture.tcp("peer");
  server.on_connection = [&] {
    server.accept(peer);
    server.close();
    peer.read_start();
  };
  client.on_connect = [&] { client.close(); };
  client.connect(server);
  client.shutdown();
  fixture.run();
}

// --------------------------------------------------------------------------------- listen, accept

SCENARIO(accept_without_a_connection_says_again, "R37", R"(
  server.accept(peer) = EAGAIN
  server: active=1 closing=0 ref=1
  peer: active=0 closing=0 ref=1
)") {
  Stream& server = listening(fixture);
  Stream& peer = fixture.tcp("peer");
  server.accept(peer);
  server.trace_state();
  peer.trace_state();
}

SCENARIO(a_second_accept_for_one_connection_says_again, "R37", R"(
  client.connect = 0
  > server connection 0
  server.accept(first) = 0
  server.accept(second) = EAGAIN
  server.close
  > client connect 0
  > server closed
  run(default) = 0
)") {
  Stream& server = listening(fixture);
  Stream& client = fixture.tcp("client");
  Stream& first = fixture.tcp("first");
  Stream& second = fixture.tcp("second");
  server.on_connection = [&] {
    server.accept(first);
    server.accept(second);
    server.close();
  };
  client.connect(server);
  fixture.run();
}

SCENARIO(connections_that_wait_together, "R37", R"(
  check.start = 0
  > server connection 0
  server.accept(peer-0) = 0
  [1.44] > server connection 0
  [1.44] server.accept(peer-1) = 0
  [1.44] > server connection 0
  [1.44] server.accept(peer-2) = 0
  > client-0 connect 0
  > client-1 connect 0
  > client-2 connect 0
  > check runs
  run(nowait) = 1
  [1.45+] > server connection 0
  [1.45+] server.accept(peer-1) = 0
  [1.45+] > check runs
  [1.45+] run(nowait) = 1
  [1.45+] > server connection 0
  [1.45+] server.accept(peer-2) = 0
  > check runs
  run(nowait) = 1
  > check runs
  run(nowait) = 1
  [1.44] > check runs
  [1.44] run(nowait) = 1
)") {
  Stream& server = listening(fixture);
  Check& check = fixture.check("check");
  std::vector<Stream*> peers;
  for (int i = 0; i < 3; i++) {
    Stream& client = fixture.tcp("client-" + std::to_string(i));
    const Muted muted(fixture);
    client.connect(server);
  }
  server.on_connection = [&] {
    peers.push_back(&fixture.tcp("peer-" + std::to_string(peers.size())));
    server.accept(*peers.back());
  };
  check.start();
  for (int turn = 0; turn < 4; turn++) fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(a_connection_that_is_not_accepted_stops_the_listener, "R37", R"(
  one.connect = 0
  two.connect = 0
  > server connection 0
  > one connect 0
  > two connect 0
  run(nowait) = 1
  run(nowait) = 1
  run(nowait) = 1
  accepted late
  server.accept(peer) = 0
  > server connection 0
  run(nowait) = 1
  server.accept(last) = 0
  server.accept(last) = EAGAIN
)") {
  Stream& server = listening(fixture);
  Stream& one = fixture.tcp("one");
  Stream& two = fixture.tcp("two");
  one.connect(server);
  two.connect(server);
  for (int turn = 0; turn < 3; turn++) fixture.run(UV_RUN_NOWAIT);
  fixture.log("accepted late");
  Stream& peer = fixture.tcp("peer");
  server.accept(peer);
  fixture.run(UV_RUN_NOWAIT);
  Stream& last = fixture.tcp("last");
  server.accept(last);
  server.accept(last);
}

SCENARIO(a_late_accept_from_a_timer, "R37", R"(
  client.connect = 0
  > server connection 0
  timer.start(2) = 0
  > client connect 0
  client.write(11) = 0
  > client write 0
  client.close
  > client closed
  > timer fires
  server.accept(peer) = 0
  peer.read_start = 0
  server.close
  > peer read 11 "early bytes"
  > server closed
  > peer read EOF
  run(default) = 0
)") {
  Stream& server = listening(fixture);
  Stream& client = fixture.tcp("client");
  Stream& peer = fixture.tcp("peer");
  Timer& timer = fixture.timer("timer");
  server.on_connection = [&] { timer.start(2); };
  timer.on_timer = [&] {
    server.accept(peer);
    peer.read_start();
    server.close();
  };
  client.on_connect = [&] { client.write("early bytes"); };
  client.on_write = [&](const std::string&, int) { client.close(); };
  client.connect(server);
  fixture.run();
}

SCENARIO(a_parked_connection_is_closed_with_its_listener, "R37", R"(
  client.connect = 0
  > server connection 0
  server.close
  > client connect 0
  client.read_start = 0
  > server closed
  > client read EOF
  run(default) = 0
)") {
  Stream& server = listening(fixture);
  Stream& client = fixture.tcp("client");
  server.on_connection = [&] { server.close(); };
  client.on_connect = [&] { client.read_start(); };
  client.connect(server);
  fixture.run();
}

SCENARIO(a_parked_connection_with_bytes_is_reset_with_its_listener, "R37", R"(
  client.connect = 0
  > server connection 0
  > client connect 0
  client.read_start = 0
  client.write(10) = 0
  timer.start(2) = 0
  > client write 0
  > timer fires
  server.close
  > client read ECONNRESET
  > server closed
  run(default) = 0
)") {
  Stream& server = listening(fixture);
  Stream& client = fixture.tcp("client");
  Timer& timer = fixture.timer("timer");
  timer.on_timer = [&] { server.close(); };
  client.on_connect = [&] {
    client.read_start();
    client.write("never read");
    timer.start(2);
  };
  client.connect(server);
  fixture.run();
}

SCENARIO(connections_in_the_backlog_are_reset_with_the_listener, "-", R"(
  waiting.connect = 0
  > waiting connect 0
  waiting.read_start = 0
  server.close
  > server closed
  > waiting read ECONNRESET
  run(default) = 0
)") {
  Stream& server = listening(fixture);
  Stream& parked = fixture.tcp("parked");
  Stream& waiting = fixture.tcp("waiting");
  {
    const Muted muted(fixture);
    parked.connect(server);
    fixture.run_until([&] { return server.stream()->accepted_fd != -1; });
  }
  waiting.on_connect = [&] {
    waiting.read_start();
    server.close();
  };
  waiting.connect(server);
  fixture.run();
}

SCENARIO(accept_into_a_handle_that_is_open_drops_the_connection, "R38", R"(
  client.connect = 0
  > server connection 0
  server.accept(used) = EBUSY
  > client connect 0
  client.read_start = 0
  run(nowait) = 1
  > client read EOF
  run(nowait) = 1
  run(nowait) = 1
  another client
  next.connect = 0
  > server connection 0
  server.accept(used) = EBUSY
  > next connect 0
  run(nowait) = 1
  run(nowait) = 1
  run(nowait) = 1
)") {
  Stream& server = listening(fixture);
  Pair used(fixture, "used", "other");
  Stream& client = fixture.tcp("client");
  server.on_connection = [&] { server.accept(used.client); };
  client.on_connect = [&] { client.read_start(); };
  client.connect(server);
  for (int turn = 0; turn < 3; turn++) fixture.run(UV_RUN_NOWAIT);
  fixture.log("another client");
  Stream& next = fixture.tcp("next");
  next.connect(server);
  for (int turn = 0; turn < 3; turn++) fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(a_late_accept_that_fails_leaves_the_listener_deaf, "R38", R"(
  client.connect = 0
  > server connection 0
  > client connect 0
  client.read_start = 0
  run(nowait) = 1
  server.accept(used) = EBUSY
  > client read EOF
  run(nowait) = 1
  another client
  next.connect = 0
  > next connect 0
  run(nowait) = 1
  run(nowait) = 1
  run(nowait) = 1
)") {
  Stream& server = listening(fixture);
  Pair used(fixture, "used", "other");
  Stream& client = fixture.tcp("client");
  client.on_connect = [&] { client.read_start(); };
  client.connect(server);
  fixture.run(UV_RUN_NOWAIT);
  server.accept(used.client);
  fixture.run(UV_RUN_NOWAIT);
  fixture.log("another client");
  Stream& next = fixture.tcp("next");
  next.connect(server);
  for (int turn = 0; turn < 3; turn++) fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(a_server_may_close_in_its_connection_callback, "R37", R"(
  one.connect = 0
  > server connection 0
  server.accept(peer) = 0
  server.close
  peer.close
  > one connect 0
  one.read_start = 0
  > peer closed
  > server closed
  > one read EOF
  run(default) = 0
)") {
  Stream& server = listening(fixture);
  Stream& one = fixture.tcp("one");
  Stream& peer = fixture.tcp("peer");
  server.on_connection = [&] {
    server.accept(peer);
    server.close();
    peer.close();
  };
  one.on_connect = [&] { one.read_start(); };
  one.connect(server);
  fixture.run();
}

SCENARIO(a_rejected_connection_is_accepted_and_closed, "R37", R"(
  client.connect = 0
  > server connection 0
  server.accept(spare) = 0
  spare.close
  > client connect 0
  client.read_start = 0
  > spare closed
  server.close
  > client read EOF
  > server closed
  run(default) = 0
)") {
  Stream& server = listening(fixture);
  Stream& client = fixture.tcp("client");
  Stream& spare = fixture.tcp("spare");
  server.on_connection = [&] {
    server.accept(spare);
    spare.close();
  };
  spare.on_close = [&] { server.close(); };
  client.on_connect = [&] { client.read_start(); };
  client.connect(server);
  fixture.run();
}

SCENARIO(listen_on_a_closing_handle, "R15", R"(
  server.bind = 0
  server.close
  server.listen = EINVAL
  > server closed
  run(default) = 0
)") {
  Stream& server = fixture.tcp("server");
  server.bind_loopback();
  server.close();
  server.listen();
  fixture.run();
}

SCENARIO(listen_again_changes_nothing, "-", R"(
  server.listen = 0
  client.connect = 0
  > server connection 0
  server.accept(peer) = 0
  server.close
  > client connect 0
  > server closed
  run(default) = 0
)") {
  Stream& server = listening(fixture);
  Stream& client = fixture.tcp("client");
  Stream& peer = fixture.tcp("peer");
  server.listen();
  server.on_connection = [&] {
    server.accept(peer);
    server.close();
  };
  client.connect(server);
  fixture.run();
}

SCENARIO(listen_without_bind_takes_a_free_port, "R40", R"(
  server.listen = 0
  has a port = 1
  client.connect = 0
  > server connection 0
  server.accept(peer) = 0
  server.close
  > client connect 0
  > server closed
  run(default) = 0
)") {
  Stream& server = fixture.tcp("server");
  Stream& client = fixture.tcp("client");
  Stream& peer = fixture.tcp("peer");
  server.on_connection = [&] {
    server.accept(peer);
    server.close();
  };
  server.listen();
  fixture.call("has a port", server.port() != 0);
  client.connect(server);
  fixture.run();
}

SCENARIO(an_unreferenced_listener_does_not_keep_the_loop, "-", R"(
  alive = 1
  server.unref
  alive = 0
  run(default) = 0
)") {
  Stream& server = listening(fixture);
  fixture.call("alive", uv_loop_alive(fixture.loop()));
  server.unref();
  fixture.call("alive", uv_loop_alive(fixture.loop()));
  fixture.run();
}

SCENARIO(a_bind_to_a_used_address_fails_at_listen, "R40", R"(
  second.bind = 0
  second.getsockname = EADDRINUSE
  second.listen = EADDRINUSE
  second.listen = EADDRINUSE
)") {
  Stream& server = listening(fixture);
  Stream& second = fixture.tcp("second");
  second.bind_loopback(server.port());
  sockaddr_storage address;
  int size = sizeof address;
  second.call("getsockname",
              uv_tcp_getsockname(second.tcp(), reinterpret_cast<sockaddr*>(&address), &size));
  second.listen();
  second.listen();
}

SCENARIO(a_bind_to_a_used_address_fails_at_connect, "R40", R"(
  client.bind = 0
  client.connect = 0
)") {
  Stream& server = listening(fixture);
  Stream& client = fixture.tcp("client");
  client.bind_loopback(server.port());
  client.connect(server);
  fixture.run_until([&] { return false || uv_is_active(client.handle()) == 0; });
}

SCENARIO(a_port_is_free_again_once_its_listener_is_closed, "R40", R"(
  first.close
  second.bind = 0
  second.listen = 0
  > first closed
  run(nowait) = 1
)") {
  Stream& first = listening(fixture, "first");
  const int port = first.port();
  first.close();
  Stream& second = fixture.tcp("second");
  second.bind_loopback(port);
  second.listen();
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(a_port_with_an_old_connection_may_be_listened_on_again, "R40", R"(
  client.connect = 0
  > server connection 0
  server.accept(peer) = 0
  server.close
  > client connect 0
  > server closed
  run(default) = 0
  next.bind = 0
  next.listen = 0
)") {
  Stream& server = listening(fixture);
  const int port = server.port();
  Stream& client = fixture.tcp("client");
  Stream& peer = fixture.tcp("peer");
  server.on_connection = [&] {
    server.accept(peer);
    server.close();
  };
  client.connect(server);
  fixture.run();
  Stream& next = fixture.tcp("next");
  next.bind_loopback(port);
  next.listen();
}

SCENARIO(a_client_may_bind_before_it_connects, "-", R"(
  client.bind = 0
  has a port = 1
  client.connect = 0
  > server connection 0
  server.accept(peer) = 0
  server.close
  > client connect 0
  > server closed
  run(default) = 0
  keeps it = 1
)") {
  Stream& server = listening(fixture);
  Stream& client = fixture.tcp("client");
  Stream& peer = fixture.tcp("peer");
  server.on_connection = [&] {
    server.accept(peer);
    server.close();
  };
  client.bind_loopback();
  const int port = client.port();
  fixture.call("has a port", port != 0);
  client.connect(server);
  fixture.run();
  fixture.call("keeps it", client.port() == port);
}

SCENARIO(binding_twice_and_binding_nonsense, "R40", R"(
  server.bind = 0
  server.bind = EINVAL
  other.bind to another family = EINVAL
  other.bind IPv4 with IPV6ONLY = EINVAL
  other.bind to a foreign address = EADDRNOTAVAIL
)") {
  Stream& server = fixture.tcp("server");
  server.bind_loopback();
  server.bind_loopback();
  sockaddr_in address;
  uv_ip4_addr("127.0.0.1", 0, &address);
  Stream& other = fixture.tcp("other");
  address.sin_family = AF_UNIX;
  other.call("bind to another family",
             uv_tcp_bind(other.tcp(), reinterpret_cast<sockaddr*>(&address), 0));
  address.sin_family = AF_INET;
  other.call("bind IPv4 with IPV6ONLY",
             uv_tcp_bind(other.tcp(), reinterpret_cast<sockaddr*>(&address), UV_TCP_IPV6ONLY));
  uv_ip4_addr("192.0.2.1", 0, &address);
  other.call("bind to a foreign address",
             uv_tcp_bind(other.tcp(), reinterpret_cast<sockaddr*>(&address), 0));
}

SCENARIO(calls_on_a_closing_tcp_handle, "R15 R14 R22 R9", R"(
  client.close
  client.write(1) = EBADF
  client.try_write(1) = EBADF
  client.read_start = EINVAL
  client.read_stop = 0
  client.shutdown = ENOTCONN
  client: readable=0 writable=0
  client.write_queue_size = 0
  client.bind = EINVAL
  port = 0
  client.fileno = EBADF
  > client closed
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.client.close();
  pair.client.write("x");
  pair.client.try_write("x");
  pair.client.read_start();
  pair.client.read_stop();
  pair.client.shutdown();
  pair.client.trace_direction();
  pair.client.trace_queue();
  pair.client.bind_loopback();
  fixture.call("port", pair.client.port());
  uv_os_fd_t fd;
  pair.client.call("fileno", uv_fileno(pair.client.handle(), &fd));
  fixture.run();
}

SCENARIO(addresses_of_both_ends_agree, "-", R"(
  client.getsockname = 0
  size = 1
  peer.getpeername = 0
  same port = 1
  127.0.0.1
)") {
  Pair pair(fixture);
  sockaddr_in local{};
  sockaddr_in remote{};
  int size = sizeof local;
  pair.client.call("getsockname", uv_tcp_getsockname(pair.client.tcp(),
                                                     reinterpret_cast<sockaddr*>(&local), &size));
  fixture.call("size", size == sizeof local);
  size = sizeof remote;
  pair.peer.call("getpeername",
                 uv_tcp_getpeername(pair.peer.tcp(), reinterpret_cast<sockaddr*>(&remote), &size));
  fixture.call("same port", local.sin_port == remote.sin_port);
  char name[INET6_ADDRSTRLEN];
  uv_ip4_name(&remote, name, sizeof name);
  fixture.log("%s", name);
}

SCENARIO(addresses_of_handles_that_have_none, "-", R"(
  fresh.getsockname = EBADF
  fresh.getpeername = EBADF
  server.getsockname = 0
  server.getpeername = ENOTCONN
)") {
  Stream& fresh = fixture.tcp("fresh");
  sockaddr_storage address{};
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  int size = sizeof address;
  fresh.call("getsockname", uv_tcp_getsockname(fresh.tcp(), generic, &size));
  fresh.call("getpeername", uv_tcp_getpeername(fresh.tcp(), generic, &size));
  Stream& server = listening(fixture);
  server.call("getsockname", uv_tcp_getsockname(server.tcp(), generic, &size));
  server.call("getpeername", uv_tcp_getpeername(server.tcp(), generic, &size));
}

IPV6_SCENARIO(connections_over_ipv6, "-", R"(
  server.bind6 = 0
  server.listen = 0
  client.connect6 = 0
  > server connection 0
  server.accept(peer) = 0
  server.close
  peer.read_start = 0
  peer.getpeername = 0
  family6=1 ::1
  > client connect 0
  client.write(8) = 0
  client.shutdown = 0
  > client write 0
  > client shutdown 0
  > server closed
  > peer read 8 "over six"
  > peer read EOF
  run(default) = 0
)") {
  Stream& server = fixture.tcp("server");
  Stream& client = fixture.tcp("client");
  Stream& peer = fixture.tcp("peer");
  server.on_connection = [&] {
    server.accept(peer);
    server.close();
    peer.read_start();
    sockaddr_in6 remote{};
    int size = sizeof remote;
    peer.call("getpeername",
              uv_tcp_getpeername(peer.tcp(), reinterpret_cast<sockaddr*>(&remote), &size));
    char name[INET6_ADDRSTRLEN];
    uv_ip6_name(&remote, name, sizeof name);
    fixture.log("family6=%d %s", remote.sin6_family == AF_INET6, name);
  };
  server.bind_loopback6();
  server.listen();
  sockaddr_in6 address;
  uv_ip6_addr("::1", server.port(), &address);
  uv_connect_t request;
  request.data = &client;
  client.call("connect6",
              uv_tcp_connect(&request, client.tcp(), reinterpret_cast<sockaddr*>(&address),
                             [](uv_connect_t* done, int status) {
                               auto& self = *static_cast<Stream*>(done->data);
                               self.traced("connect " + result_name(status));
                               self.write("over six");
                               self.shutdown();
                             }));
  fixture.run();
}

SCENARIO(connecting_to_a_family_that_is_none, "-", R"(
  client.connect = EINVAL
  run(default) = 0
)") {
  Stream& client = fixture.tcp("client");
  sockaddr_in address;
  uv_ip4_addr("127.0.0.1", 1, &address);
  address.sin_family = AF_UNIX;
  uv_connect_t request;
  client.call("connect", uv_tcp_connect(&request, client.tcp(),
                                        reinterpret_cast<sockaddr*>(&address), nullptr));
  fixture.run();
}

SCENARIO(connecting_to_the_wildcard_address_reaches_this_host, "-", R"(
  client.connect = 0
  > server connection 0
  server.accept(peer) = 0
  server.close
  > client connect 0
  > server closed
  run(default) = 0
)") {
  Stream& server = listening(fixture);
  Stream& client = fixture.tcp("client");
  Stream& peer = fixture.tcp("peer");
  server.on_connection = [&] {
    server.accept(peer);
    server.close();
  };
  sockaddr_in address;
  uv_ip4_addr("0.0.0.0", server.port(), &address);
  uv_connect_t request;
  request.data = &client;
  client.call(
      "connect",
      uv_tcp_connect(&request, client.tcp(), reinterpret_cast<sockaddr*>(&address),
                     [](uv_connect_t* done, int status) {
                       static_cast<Stream*>(done->data)->traced("connect " + result_name(status));
                     }));
  fixture.run();
}

SCENARIO(tcp_init_ex_takes_families_and_refuses_flags, "R29", R"(
  AF_INET = 0
  fileno = 0
  has a descriptor = 1
  run(default) = 0
  a family that is none = EINVAL
  a flag that is none = EINVAL
  alive = 0
)") {
  uv_tcp_t tcp;
  fixture.call("AF_INET", uv_tcp_init_ex(fixture.loop(), &tcp, AF_INET));
  uv_os_fd_t fd = -1;
  fixture.call("fileno", uv_fileno(reinterpret_cast<uv_handle_t*>(&tcp), &fd));
  fixture.call("has a descriptor", fd >= 0);
  uv_close(reinterpret_cast<uv_handle_t*>(&tcp), nullptr);
  fixture.run();
  uv_tcp_t refused;
  fixture.call("a family that is none", uv_tcp_init_ex(fixture.loop(), &refused, 47));
  fixture.call("a flag that is none", uv_tcp_init_ex(fixture.loop(), &refused, 1024));
  fixture.call("alive", uv_loop_alive(fixture.loop()));
}

SCENARIO(options_of_a_tcp_handle, "-", R"(
  fresh.nodelay = 0
  fresh.keepalive = 0
  fresh.simultaneous_accepts = 0
  client.nodelay = 0
  client.keepalive = 0
  client.keepalive off = 0
  client.set_blocking = 0
)") {
  Stream& fresh = fixture.tcp("fresh");
  fresh.call("nodelay", uv_tcp_nodelay(fresh.tcp(), 1));
  fresh.call("keepalive", uv_tcp_keepalive(fresh.tcp(), 1, 60));
  fresh.call("simultaneous_accepts", uv_tcp_simultaneous_accepts(fresh.tcp(), 0));
  Pair pair(fixture);
  pair.client.call("nodelay", uv_tcp_nodelay(pair.client.tcp(), 1));
  pair.client.call("keepalive", uv_tcp_keepalive(pair.client.tcp(), 1, 60));
  pair.client.call("keepalive off", uv_tcp_keepalive(pair.client.tcp(), 0, 0));
  pair.client.call("set_blocking", uv_stream_set_blocking(pair.client.stream(), 0));
}

SCENARIO(socket_buffer_sizes_can_be_read_and_set, "-", R"(
  fresh.send_buffer_size = EBADF
  client.send_buffer_size = 0
  positive = 1
  client.send_buffer_size = 0
  client.send_buffer_size = 0
  now = 32768
  client.recv_buffer_size = 0
  positive = 1
)") {
  Stream& fresh = fixture.tcp("fresh");
  int value = 0;
  fresh.call("send_buffer_size", uv_send_buffer_size(fresh.handle(), &value));
  Pair pair(fixture);
  value = 0;
  pair.client.call("send_buffer_size", uv_send_buffer_size(pair.client.handle(), &value));
  fixture.call("positive", value > 0);
  value = 16384;
  pair.client.call("send_buffer_size", uv_send_buffer_size(pair.client.handle(), &value));
  value = 0;
  pair.client.call("send_buffer_size", uv_send_buffer_size(pair.client.handle(), &value));
  fixture.call("now", value);
  value = 0;
  pair.client.call("recv_buffer_size", uv_recv_buffer_size(pair.client.handle(), &value));
  fixture.call("positive", value > 0);
}

SCENARIO(descriptors_have_numbers_and_kinds, "-", R"(
  fresh.fileno = EBADF
  timer.fileno = EINVAL
  client.fileno = 0
  not negative = 1
  guessed as TCP = 1
  nothing guessed for -1 = 1
)") {
  Stream& fresh = fixture.tcp("fresh");
  uv_os_fd_t fd = -1;
  fresh.call("fileno", uv_fileno(fresh.handle(), &fd));
  Timer& timer = fixture.timer("timer");
  timer.call("fileno", uv_fileno(timer.handle(), &fd));
  Pair pair(fixture);
  pair.client.call("fileno", uv_fileno(pair.client.handle(), &fd));
  fixture.call("not negative", fd >= 0);
  fixture.call("guessed as TCP", uv_guess_handle(fd) == UV_TCP);
  fixture.call("nothing guessed for -1", uv_guess_handle(-1) == UV_UNKNOWN_HANDLE);
}

SCENARIO(the_two_ends_of_a_socketpair, "-", R"(
  socketpair = 0
  left.open = 0
  right.open = 0
  right.read_start = 0
  left.write(7) = 0
  left.shutdown = 0
  > left write 0
  > left shutdown 0
  > right read 7 "through"
  > right read EOF
  run(default) = 0
  left: readable=1 writable=0
)") {
  uv_os_sock_t ends[2];
  fixture.call("socketpair",
               uv_socketpair(SOCK_STREAM, 0, ends, UV_NONBLOCK_PIPE, UV_NONBLOCK_PIPE));
  Stream& left = fixture.tcp("left");
  Stream& right = fixture.tcp("right");
  left.call("open", uv_tcp_open(left.tcp(), ends[0]));
  right.call("open", uv_tcp_open(right.tcp(), ends[1]));
  right.read_start();
  left.write("through");
  left.shutdown();
  fixture.run();
  left.trace_direction();
}

SCENARIO(opening_a_descriptor_that_is_none, "-", R"(
  stream.open = EBADF
)") {
  Stream& stream = fixture.tcp("stream");
  stream.call("open", uv_tcp_open(stream.tcp(), 1000000));
}

SCENARIO(opening_a_descriptor_that_another_handle_has, "-", R"(
  client.read_start = 0
  run(nowait) = 1
  second.open = EEXIST
)") {
  Pair pair(fixture);
  pair.client.read_start();
  fixture.run(UV_RUN_NOWAIT);
  uv_os_fd_t fd = -1;
  uv_fileno(pair.client.handle(), &fd);
  Stream& second = fixture.tcp("second");
  second.call("open", uv_tcp_open(second.tcp(), fd));
}

// Newer libuv registers through io_uring, where the kernel has it.
SCENARIO(a_watcher_that_epoll_knows_already_is_registered_last, "-", R"(
  client.read_stop = 0
  client.connect = 0
  fresh.connect = 0
  > server connection 0
  [1.44] > client connect 0
  > fresh connect 0
  [1.45+] > client connect 0
  run(nowait) = 1
)") {
  Stream& server = fixture.tcp("server");
  Stream& client = fixture.tcp("client");
  Stream& fresh = fixture.tcp("fresh");
  server.on_connection = [&] {
    const Muted quiet(fixture);
    server.accept(fixture.tcp("peer"));
  };
  {
    const Muted quiet(fixture);
    bool connected = false;
    server.bind_loopback();
    server.listen();
    client.on_connect = [&] {
      connected = true;
      client.read_start();
    };
    client.connect(server);
    fixture.run_until([&] { return connected; });
    client.on_connect = nullptr;
    fixture.run(UV_RUN_NOWAIT);
  }
  client.read_stop();
  client.connect(server);
  fresh.connect(server);
  fixture.run(UV_RUN_NOWAIT);
}

// ---------------------------------------------------------------------------- descriptors run out

SCENARIO(without_descriptors_nothing_can_be_opened, "R39", R"(
  client.connect = EMFILE
  server.bind = EMFILE
  server.listen = EMFILE
  init_ex = EMFILE
  socketpair = EMFILE
  alive = 0
)") {
  Stream& client = fixture.tcp("client");
  Stream& server = fixture.tcp("server");
  uv_tcp_t refused;
  const NoDescriptorsLeft none;
  client.connect_port(1);
  server.bind_loopback();
  server.listen();
  fixture.call("init_ex", uv_tcp_init_ex(fixture.loop(), &refused, AF_INET));
  uv_os_sock_t ends[2];
  fixture.call("socketpair", uv_socketpair(SOCK_STREAM, 0, ends, 0, 0));
  fixture.call("alive", uv_loop_alive(fixture.loop()));
}

SCENARIO(a_listener_without_descriptors_drops_who_waits_and_recovers, "R39", R"(
  run(nowait) = 1
  dropped.connect = 0
  > dropped connect 0
  dropped.read_start = 0
  run(nowait) = 1
  > dropped read EOF
  run(nowait) = 1
  run(nowait) = 1
  descriptors are back
  served.connect = 0
  > server connection 0
  server.accept(peer) = 0
  > served connect 0
  run(nowait) = 1
  run(nowait) = 1
)") {
  Stream& server = listening(fixture);
  Stream& dropped = fixture.tcp("dropped");
  Stream& peer = fixture.tcp("peer");
  server.on_connection = [&] { server.accept(peer); };
  dropped.on_connect = [&] { dropped.read_start(); };
  fixture.run(UV_RUN_NOWAIT);
  dropped.connect(server);
  {
    const NoDescriptorsLeft none;
    for (int turn = 0; turn < 3; turn++) fixture.run(UV_RUN_NOWAIT);
  }
  fixture.log("descriptors are back");
  Stream& served = fixture.tcp("served");
  served.connect(server);
  for (int turn = 0; turn < 2; turn++) fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(a_full_backlog_leaves_the_next_client_waiting, "-", R"(
  server.bind = 0
  server.listen = 0
  parked.connect = 0
  > server connection 0
  > parked connect 0
  run(nowait) = 1
  run(nowait) = 1
  first.connect = 0
  second.connect = 0
  third.connect = 0
  > first connect 0
  > second connect 0
  run(nowait) = 1
  run(nowait) = 1
  third.close
  > third connect ECANCELED
  > third closed
  run(nowait) = 1
)") {
  Stream& server = fixture.tcp("server");
  server.bind_loopback();
  server.listen(1);
  Stream& parked = fixture.tcp("parked");
  parked.connect(server);
  for (int turn = 0; turn < 2; turn++) fixture.run(UV_RUN_NOWAIT);
  for (const char* name : {"first", "second"}) fixture.tcp(name).connect(server);
  Stream& third = fixture.tcp("third");
  third.connect(server);
  for (int turn = 0; turn < 2; turn++) fixture.run(UV_RUN_NOWAIT);
  third.close();
  fixture.run(UV_RUN_NOWAIT);
}

// Without a spare descriptor the listener of 1.44 reports the want over and over, until it is
// closed or descriptors are back; later versions say nothing. A loop takes its spare when it first
// has a stream, so here the first stream is made when there are none.
SCENARIO(a_listener_without_a_spare_descriptor, "R39", R"(
  server.bind = 0
  server.listen = 0
  client.connect = 0
  [1.44] > server connection EMFILE
  [1.44] > server connection EMFILE
  [1.44] > server connection EMFILE
  [1.44] server.close
  [1.44] > server closed
  [1.44] run(nowait) = 0
  [1.44] run(nowait) = 0
  [1.45+] run(nowait) = 1
  [1.45+] run(nowait) = 1
)") {
  Stream* server = nullptr;
  {
    const NoDescriptorsLeft none;
    server = &fixture.tcp("server");
  }
  server->bind_loopback();
  server->listen();
  Stream& client = fixture.tcp("client", fixture.open_second_loop());
  client.connect(*server);
  int count = 0;
  server->on_connection = [&] {
    if (++count == 3) server->close();
  };
  const NoDescriptorsLeft none;
  for (int turn = 0; turn < 2; turn++) fixture.run(UV_RUN_NOWAIT);
}

// No address on a real network can be relied upon to drop every SYN: a firewall may answer for it.
SIM_SCENARIO(an_address_where_nobody_lives_never_answers, "-", R"(
  client.connect = 0
  run(nowait) = 1
  run(nowait) = 1
  timer.start(1000) = 0
  > timer fires
  client.close
  > client connect ECANCELED
  > client closed
  run(default) = 0
)") {
  Stream& client = fixture.tcp("client");
  sockaddr_in address;
  uv_ip4_addr("192.0.2.1", 80, &address);
  uv_connect_t request;
  request.data = &client;
  client.call(
      "connect",
      uv_tcp_connect(&request, client.tcp(), reinterpret_cast<sockaddr*>(&address),
                     [](uv_connect_t* done, int status) {
                       static_cast<Stream*>(done->data)->traced("connect " + result_name(status));
                     }));
  for (int turn = 0; turn < 2; turn++) fixture.run(UV_RUN_NOWAIT);
  Timer& timer = fixture.timer("timer");
  timer.on_timer = [&] { client.close(); };
  timer.start(1000);
  fixture.run();
}
