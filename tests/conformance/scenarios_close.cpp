// Scenarios of closing streams: from every callback, with reset, in groups; and of pipes.
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "arm.hpp"
#include "fixture.hpp"

using namespace conformance;

namespace {

/// Both ends read, so that what the close does to the other end shows.
void read_both(Pair& pair) {
  pair.client.read_start();
  pair.peer.read_start();
}

}  // namespace

SCENARIO(a_handle_that_was_never_opened_must_be_closed_too, "R29", R"(
  stream: active=0 closing=0 ref=1
  stream.close
  stream: active=0 closing=1 ref=1
  > stream closed
  run(default) = 0
)") {
  Stream& stream = fixture.tcp("stream");
  stream.trace_state();
  stream.close();
  stream.trace_state();
  fixture.run();
}

SCENARIO(close_tells_the_other_end, "R24", R"(
  peer.read_start = 0
  client.close
  client: active=0 closing=1 ref=1
  no callback yet
  > peer read EOF
  > client closed
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.peer.read_start();
  pair.client.close();
  pair.client.trace_state();
  fixture.log("no callback yet");
  fixture.run();
}

SCENARIO(closing_a_stream_from_a_timer, "R25", R"(
  client.read_start = 0
  peer.read_start = 0
  timer.start(1) = 0
  > timer fires
  client.close
  > peer read EOF
  > client closed
  run(default) = 0
)") {
  Pair pair(fixture);
  read_both(pair);
  Timer& timer = fixture.timer("timer");
  timer.on_timer = [&] { pair.client.close(); };
  timer.start(1);
  fixture.run();
}

SCENARIO(closing_a_stream_from_idle_prepare_and_check, "R25 R26", R"(
  client-1.read_start = 0
  client-2.read_start = 0
  idle.start = 0
  prepare.start = 0
  check.start = 0
  > idle runs
  client-1.close
  idle.close
  > prepare runs
  client-2.close
  prepare.close
  > check runs
  peer-2.close
  check.close
  > check closed
  > peer-2 closed
  > prepare closed
  > client-2 closed
  > idle closed
  > client-1 closed
  run(default) = 0
)") {
  Pair one(fixture, "client-1", "peer-1");
  Pair two(fixture, "client-2", "peer-2");
  Idle& idle = fixture.idle("idle");
  Prepare& prepare = fixture.prepare("prepare");
  Check& check = fixture.check("check");
  one.client.read_start();
  two.client.read_start();
  idle.on_run = [&] {
    one.client.close();
    idle.close();
  };
  prepare.on_run = [&] {
    two.client.close();
    prepare.close();
  };
  check.on_run = [&] {
    two.peer.close();
    check.close();
  };
  idle.start();
  prepare.start();
  check.start();
  fixture.run();
}

SCENARIO(closing_a_stream_from_an_async_and_a_signal, "R25", R"(
  peer.read_start = 0
  signal.start = 0
  async.send = 0
  > async async
  client.close
  async.close
  > async closed
  > client closed
  > peer read EOF
  > signal signal 10
  peer.close
  signal.close
  > signal closed
  > peer closed
  run(default) = 0
)") {
  Pair pair(fixture);
  Async& async = fixture.async("async");
  Signal& signal = fixture.signal("signal");
  pair.peer.read_start();
  async.on_async = [&] {
    pair.client.close();
    async.close();
    deliver_signal(SIGUSR1);
  };
  signal.on_signal = [&](int) {
    pair.peer.close();
    signal.close();
  };
  signal.start(SIGUSR1);
  async.send();
  fixture.run();
}

SCENARIO(closing_a_stream_from_the_close_callback_of_its_peer, "R25", R"(
  client.read_start = 0
  peer.read_start = 0
  client.close
  > peer read EOF
  > client closed
  peer.close
  > peer closed
  run(default) = 0
)") {
  Pair pair(fixture);
  read_both(pair);
  pair.client.on_close = [&] { pair.peer.close(); };
  pair.client.close();
  fixture.run();
}

SCENARIO(closing_both_ends_in_the_callback_of_one, "R26", R"(
  client.read_start = 0
  peer.read_start = 0
  client.write(2) = 0
  > client write 0
  > peer read 2 "go"
  client.close
  peer.close
  > peer closed
  > client closed
  run(default) = 0
)") {
  Pair pair(fixture);
  read_both(pair);
  pair.peer.on_read = [&](ssize_t) {
    pair.client.close();
    pair.peer.close();
  };
  pair.client.write("go");
  fixture.run();
}

SCENARIO(a_server_with_its_connections_is_closed_by_walking, "R33 R34", R"(
  server.bind = 0
  server.listen = 0
  client-1.read_start = 0
  peer-1.read_start = 0
  client-2.read_start = 0
  peer-2.read_start = 0
  client-1.write(10) = 0
  client-1.close
  peer-1.close
  client-2.close
  peer-2.close
  server.close
  > server closed
  > peer-2 closed
  > client-2 closed
  > peer-1 closed
  > client-1 write 0
  > client-1 closed
  run(default) = 0
)") {
  Pair one(fixture, "client-1", "peer-1");
  Pair two(fixture, "client-2", "peer-2");
  Stream& server = fixture.tcp("server");
  server.bind_loopback();
  server.listen();
  read_both(one);
  read_both(two);
  one.client.write("on its way");
  uv_walk(
      fixture.loop(),
      [](uv_handle_t* handle, void*) {
        if (!uv_is_closing(handle)) static_cast<Named*>(handle->data)->close();
      },
      nullptr);
  fixture.run();
}

SCENARIO(closing_from_the_shutdown_callback_of_the_other_end, "R25", R"(
  client.read_start = 0
  peer.read_start = 0
  client.shutdown = 0
  > client shutdown 0
  client.close
  peer.close
  > peer closed
  > client closed
  run(default) = 0
)") {
  Pair pair(fixture);
  read_both(pair);
  pair.client.on_shutdown = [&] {
    pair.client.close();
    pair.peer.close();
  };
  pair.client.shutdown();
  fixture.run();
}

SCENARIO(close_reset_resets_the_other_end, "R31", R"(
  peer.read_start = 0
  client.close_reset = 0
  client: active=0 closing=1 ref=1
  > peer read ECONNRESET
  > client closed
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.peer.read_start();
  pair.client.close_reset();
  pair.client.trace_state();
  fixture.run();
}

SCENARIO(close_reset_is_refused_after_shutdown, "R31", R"(
  peer.read_start = 0
  client.shutdown = 0
  client.close_reset = EINVAL
  client: active=0 closing=0 ref=1
  client.close
  > peer read EOF
  > client shutdown ECANCELED
  > client closed
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.peer.read_start();
  pair.client.shutdown();
  pair.client.close_reset();
  pair.client.trace_state();
  pair.client.close();
  fixture.run();
}

SCENARIO(close_reset_after_a_finished_shutdown_is_taken, "R31", R"(
  client.shutdown = 0
  > client shutdown 0
  run(nowait) = 0
  client.close_reset = 0
  > client closed
  run(nowait) = 0
  peer.read_start = 0
  > peer read EOF
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.client.shutdown();
  fixture.run(UV_RUN_NOWAIT);
  pair.client.close_reset();
  fixture.run(UV_RUN_NOWAIT);
  pair.peer.read_start();
  fixture.run();
}

SCENARIO(close_reset_of_a_handle_that_was_never_opened, "R31", R"(
  stream.close_reset = EBADF
  stream: active=0 closing=0 ref=1
  run(nowait) = 0
)") {
  Stream& stream = fixture.tcp("stream");
  stream.close_reset();
  stream.trace_state();
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(close_reset_with_writes_under_way, "R31 R24", R"(
  client.write 1(3) = 0
  client.write 2(16777216) = 0
  client.close_reset = 0
  > client write 1 0
  > client write 2 ECANCELED
  > client closed
  run(default) = 0
  peer.write(1) = 0
  > peer write ECONNRESET
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.client.write("one", "1");
  pair.client.write(payload(16 << 20), "2");
  pair.client.close_reset();
  fixture.run();
  pair.peer.write("x");
  fixture.run();
}

SCENARIO(close_reset_of_the_listener, "R31", R"(
  server.bind = 0
  server.listen = 0
  server.close_reset = 0
  > server closed
  run(default) = 0
)") {
  Stream& server = fixture.tcp("server");
  server.bind_loopback();
  server.listen();
  server.close_reset();
  fixture.run();
}

SCENARIO(a_close_in_one_write_callback_of_another_stream, "R24 R26", R"(
  client-2.write 2(3) = 0
  client-1.write 1(3) = 0
  > client-2 write 2 0
  > client-1 write 1 0
  client-2.close
  > client-2 closed
  run(nowait) = 0
  run(nowait) = 0
)") {
  Pair one(fixture, "client-1", "peer-1");
  Pair two(fixture, "client-2", "peer-2");
  one.client.on_write = [&](const std::string&, int) { two.client.close(); };
  two.client.write("two", "2");
  one.client.write("one", "1");
  fixture.run(UV_RUN_NOWAIT);
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(a_connection_is_closed_at_both_ends_in_one_turn, "R26", R"(
  client.read_start = 0
  peer.read_start = 0
  run(nowait) = 1
  client.close
  peer.close
  > peer closed
  > client closed
  run(default) = 0
)") {
  Pair pair(fixture);
  read_both(pair);
  fixture.run(UV_RUN_NOWAIT);
  pair.client.close();
  pair.peer.close();
  fixture.run();
}

SCENARIO(requests_keep_the_loop_alive_and_are_counted, "R32 R34", R"(
  requests = 0
  client.write(1) = 0
  client.write(1) = 0
  client.shutdown = 0
  requests = 3
  alive = 1
  > client write 0
  > client write 0
  > client shutdown 0
  run(default) = 0
  requests = 0
)") {
  Pair pair(fixture);
  fixture.call("requests", static_cast<long long>(fixture.loop()->active_reqs.count));
  pair.client.write("x");
  pair.client.write("y");
  pair.client.shutdown();
  fixture.call("requests", static_cast<long long>(fixture.loop()->active_reqs.count));
  fixture.call("alive", uv_loop_alive(fixture.loop()));
  fixture.run();
  fixture.call("requests", static_cast<long long>(fixture.loop()->active_reqs.count));
}

SCENARIO(an_unreferenced_stream_with_a_request_keeps_the_loop, "R34", R"(
  client.unref
  client.write(1) = 0
  alive = 1
  > client write 0
  run(default) = 0
  alive = 0
)") {
  Pair pair(fixture);
  pair.client.unref();
  pair.client.write("x");
  fixture.call("alive", uv_loop_alive(fixture.loop()));
  fixture.run();
  fixture.call("alive", uv_loop_alive(fixture.loop()));
}

SCENARIO(an_unreferenced_reader_does_not_keep_the_loop, "R34", R"(
  client.read_start = 0
  alive = 1
  client.unref
  alive = 0
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.client.read_start();
  fixture.call("alive", uv_loop_alive(fixture.loop()));
  pair.client.unref();
  fixture.call("alive", uv_loop_alive(fixture.loop()));
  fixture.run();
}

// ------------------------------------------------------------------------------------------ pipes

SCENARIO(a_pipe_server_serves_by_name, "-", R"(
  server.bind = 0
  server.listen = 0
  client.connect
  nothing yet
  > server connection 0
  server.accept(peer) = 0
  server.close
  peer.read_start = 0
  > client connect 0
  client.read_start = 0
  client.write(4) = 0
  > client write 0
  > server closed
  > peer read 4 "ping"
  peer.write(4) = 0
  > peer write 0
  > client read 4 "pong"
  client.close
  > client closed
  > peer read EOF
  peer.close
  > peer closed
  run(default) = 0
)") {
  Stream& server = fixture.pipe("server");
  Stream& client = fixture.pipe("client");
  Stream& peer = fixture.pipe("peer");
  server.on_connection = [&] {
    server.accept(peer);
    server.close();
    peer.read_start();
  };
  peer.on_read = [&](ssize_t nread) {
    if (nread > 0) peer.write("pong");
    if (nread == UV_EOF) peer.close();
  };
  client.on_connect = [&] {
    client.read_start();
    client.write("ping");
  };
  client.on_read = [&](ssize_t) { client.close(); };
  const std::string path = fresh_pipe_name();
  server.bind_name(path);
  server.listen();
  client.connect_name(path);
  fixture.log("nothing yet");
  fixture.run();
}

SCENARIO(connecting_to_a_pipe_that_is_not_there, "-", R"(
  client.connect
  > client connect ENOENT
  run(default) = 0
  client: readable=0 writable=0
)") {
  Stream& client = fixture.pipe("client");
  client.connect_name(fresh_pipe_name());
  fixture.run();
  client.trace_direction();
}

SCENARIO(connecting_to_a_pipe_that_nobody_listens_on, "-", R"(
  server.bind = 0
  client.connect
  > client connect ECONNREFUSED
  run(default) = 0
)") {
  Stream& server = fixture.pipe("server");
  Stream& client = fixture.pipe("client");
  const std::string path = fresh_pipe_name();
  server.bind_name(path);
  client.connect_name(path);
  fixture.run();
}

SCENARIO(binding_a_pipe_name_that_is_taken, "R40", R"(
  server.bind = 0
  second.bind = EADDRINUSE
  server.bind = EINVAL
  server.close
  > server closed
  run(default) = 0
  second.bind = 0
)") {
  Stream& server = fixture.pipe("server");
  Stream& second = fixture.pipe("second");
  const std::string path = fresh_pipe_name();
  server.bind_name(path);
  second.bind_name(path);
  server.bind_name(path);
  server.close();
  fixture.run();
  second.bind_name(path);
}

SCENARIO(pipe_names_can_be_asked_for, "-", R"(
  server.getsockname = EBADF
  server.bind = 0
  server.getsockname with no room = ENOBUFS
  server.getsockname = 0
  the same = 1
  pending = 0
)") {
  Stream& server = fixture.pipe("server");
  char name[256];
  std::size_t size = sizeof name;
  server.call("getsockname", uv_pipe_getsockname(server.pipe(), name, &size));
  const std::string path = fresh_pipe_name();
  server.bind_name(path);
  size = 4;
  server.call("getsockname with no room", uv_pipe_getsockname(server.pipe(), name, &size));
  size = sizeof name;
  server.call("getsockname", uv_pipe_getsockname(server.pipe(), name, &size));
  fixture.call("the same", std::string(name, size) == path);
  fixture.call("pending", uv_pipe_pending_count(server.pipe()));
}

SCENARIO(names_of_both_ends_of_a_pipe, "-", R"(
  client.getpeername = 0
  has a name = 1
  client.getsockname = 0
  has no name = 1
)") {
  PipePair pair(fixture);
  char name[256];
  std::size_t size = sizeof name;
  pair.client.call("getpeername", uv_pipe_getpeername(pair.client.pipe(), name, &size));
  fixture.call("has a name", size > 0);
  size = sizeof name;
  pair.client.call("getsockname", uv_pipe_getsockname(pair.client.pipe(), name, &size));
  fixture.call("has no name", size == 0);
}

SCENARIO(a_pipe_name_that_is_too_long_is_cut, "-", R"(
  client.connect
  > client connect ENOENT
  run(default) = 0
)") {
  Stream& client = fixture.pipe("client");
  client.connect_name(fresh_pipe_name() + std::string(300, 'x'));
  fixture.run();
}

SCENARIO(an_empty_name_for_a_pipe, "-", R"(
  server.bind = 0
  server.getsockname = 0
  [1.44] length = 108
  [1.45+] length = 6
  abstract = 1
  server.getsockname with no room = ENOBUFS
  [1.44] length = 109
  [1.45+] length = 6
  client.getsockname = EBADF
  length = 0
  client.connect
  [1.44] > client connect ECONNREFUSED
  [1.45+] > client connect EINVAL
  run(default) = 0
)") {
  Stream& server = fixture.pipe("server");
  Stream& client = fixture.pipe("client");
  char name[256];
  std::size_t size = sizeof name;
  server.bind_name("");
  server.call("getsockname", uv_pipe_getsockname(server.pipe(), name, &size));
  fixture.call("length", static_cast<long long>(size));
  fixture.call("abstract", name[0] == '\0');
  size = 3;
  server.call("getsockname with no room", uv_pipe_getsockname(server.pipe(), name, &size));
  fixture.call("length", static_cast<long long>(size));
  client.call("getsockname", uv_pipe_getsockname(client.pipe(), name, &size));
  fixture.call("length", static_cast<long long>(size));
  client.connect_name("");
  fixture.run();
}

SCENARIO(names_of_pipes_meet_the_file_system, "-", R"(
  server.bind = EACCES
  client.connect
  > client connect ECONNREFUSED
  run(default) = 0
)") {
  fixture.pipe("server").bind_name("/no/such/directory/pipe");
  fixture.pipe("client").connect_name("/dev/null");
  fixture.run();
}

SCENARIO(a_pipe_whose_name_was_taken_away, "-", R"(
  server.bind = 0
  unlink = 0
  result = 0
  unlink again = ENOENT
  client.connect
  > client connect ENOENT
  run(default) = 0
  successor.bind = 0
  unlink later = 0
  nothing yet
  unlinked 0
  run(default) = 0
)") {
  Stream& server = fixture.pipe("server");
  Stream& client = fixture.pipe("client");
  const std::string path = fresh_pipe_name();
  server.bind_name(path);
  uv_fs_t request;
  fixture.call("unlink", uv_fs_unlink(fixture.loop(), &request, path.c_str(), nullptr));
  fixture.call("result", uv_fs_get_result(&request));
  uv_fs_req_cleanup(&request);
  fixture.call("unlink again", uv_fs_unlink(nullptr, &request, path.c_str(), nullptr));
  uv_fs_req_cleanup(&request);
  client.connect_name(path);
  fixture.run();
  fixture.pipe("successor").bind_name(path);
  request.data = &fixture;
  fixture.call(
      "unlink later", uv_fs_unlink(fixture.loop(), &request, path.c_str(), [](uv_fs_t* done) {
        static_cast<Fixture*>(done->data)->log("unlinked %d", static_cast<int>(done->result));
        uv_fs_req_cleanup(done);
      }));
  fixture.log("nothing yet");
  fixture.run();
}

SCENARIO(listening_on_a_pipe_without_a_name, "-", R"(
  server.listen = EINVAL
)") {
  Stream& server = fixture.pipe("server");
  server.listen();
}

SCENARIO(a_closed_pipe_server_takes_its_name_away, "-", R"(
  server.bind = 0
  server.listen = 0
  server.close
  > server closed
  run(default) = 0
  client.connect
  > client connect ENOENT
  run(default) = 0
)") {
  Stream& server = fixture.pipe("server");
  Stream& client = fixture.pipe("client");
  const std::string path = fresh_pipe_name();
  server.bind_name(path);
  server.listen();
  server.close();
  fixture.run();
  client.connect_name(path);
  fixture.run();
}

SCENARIO(the_end_of_a_pipe, "R8", R"(
  peer.read_start = 0
  client.write(10) = 0
  client.close
  > peer read 10 "last words"
  [1.44] > peer read EOF without a buffer
  > client write 0
  > client closed
  [1.45+] > peer read EOF
  run(default) = 0
  peer: readable=1 writable=1
)") {
  PipePair pair(fixture);
  pair.peer.read_start();
  pair.client.write("last words");
  pair.client.close();
  fixture.run();
  pair.peer.trace_direction();
}

SCENARIO(half_closing_a_pipe, "R22", R"(
  client.read_start = 0
  peer.read_start = 0
  client.shutdown = 0
  > client shutdown 0
  > peer read EOF
  peer.write(6) = 0
  peer.shutdown = 0
  > peer write 0
  > peer shutdown 0
  > client read 6 "answer"
  [1.44] > client read EOF without a buffer
  [1.45+] > client read EOF
  run(default) = 0
)") {
  PipePair pair(fixture);
  pair.client.read_start();
  pair.peer.read_start();
  pair.peer.on_read = [&](ssize_t nread) {
    if (nread == UV_EOF) {
      pair.peer.write("answer");
      pair.peer.shutdown();
    }
  };
  pair.client.shutdown();
  fixture.run();
}

SCENARIO(writing_to_a_closed_pipe_fails_at_once_through_the_callback, "R14 R16", R"(
  peer.close
  > peer closed
  run(nowait) = 0
  client.write 1(1) = 0
  client.write 2(1) = 0
  client.try_write(1) = EAGAIN
  > client write 1 EPIPE
  > client write 2 EPIPE
  run(nowait) = 0
  run(nowait) = 0
  run(nowait) = 0
  client: readable=1 writable=1
)") {
  PipePair pair(fixture);
  pair.peer.close();
  fixture.run(UV_RUN_NOWAIT);
  pair.client.write("x", "1");
  pair.client.write("y", "2");
  pair.client.try_write("z");
  for (int turn = 0; turn < 3; turn++) fixture.run(UV_RUN_NOWAIT);
  pair.client.trace_direction();
}

SCENARIO(closing_a_pipe_with_unread_bytes, "R10", R"(
  client.read_start = 0
  client.write(6) = 0
  > client write 0
  run(nowait) = 1
  peer.close
  > client read ECONNRESET
  > peer closed
  run(default) = 0
)") {
  PipePair pair(fixture);
  pair.client.read_start();
  pair.client.write("unread");
  fixture.run(UV_RUN_NOWAIT);
  pair.peer.close();
  fixture.run();
}

SCENARIO(a_large_transfer_through_a_pipe, "R12", R"(
  peer.read_start = 0
  client.write(4194304) = 0
  client.shutdown = 0
  > client write 0
  > client shutdown 0
  client.close
  > client closed
  [1.44] > peer read EOF without a buffer
  [1.45+] > peer read EOF
  received = 4194304
  run(default) = 0
)") {
  PipePair pair(fixture);
  pair.peer.counts_reads = true;
  pair.peer.on_read = [&](ssize_t nread) {
    if (nread < 0) fixture.call("received", static_cast<long long>(pair.peer.received));
  };
  pair.client.on_shutdown = [&] { pair.client.close(); };
  pair.peer.read_start();
  pair.client.write(payload(4 << 20));
  pair.client.shutdown();
  fixture.run();
}

SCENARIO(the_two_ends_of_a_socketpair_as_pipes, "-", R"(
  socketpair = 0
  left.open = 0
  right.open = 0
  guessed as pipe = 1
  right.read_start = 0
  left.write(7) = 0
  left.close
  > right read 7 "through"
  [1.44] > right read EOF without a buffer
  > left write 0
  > left closed
  [1.45+] > right read EOF
  run(default) = 0
)") {
  uv_os_sock_t ends[2];
  fixture.call("socketpair", uv_socketpair(SOCK_STREAM, 0, ends, 0, 0));
  Stream& left = fixture.pipe("left");
  Stream& right = fixture.pipe("right");
  left.call("open", uv_pipe_open(left.pipe(), ends[0]));
  right.call("open", uv_pipe_open(right.pipe(), ends[1]));
  fixture.call("guessed as pipe", uv_guess_handle(ends[0]) == UV_NAMED_PIPE);
  right.read_start();
  left.write("through");
  left.close();
  fixture.run();
}

SCENARIO(cancelling_what_waits_on_a_pipe, "R24", R"(
  client.write 1(3) = 0
  client.write 2(8388608) = 0
  client.shutdown = 0
  client.close
  > client write 1 0
  > client write 2 ECANCELED
  > client shutdown ECANCELED
  > client closed
  run(default) = 0
)") {
  PipePair pair(fixture);
  pair.client.write("one", "1");
  pair.client.write(payload(8 << 20), "2");
  pair.client.shutdown();
  pair.client.close();
  fixture.run();
}
