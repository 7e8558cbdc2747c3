// Scenarios of writing and shutting down.
#include "fixture.hpp"

using namespace conformance;

namespace {

/// Queues a write that cannot be taken at once: more than a loopback connection's buffers hold.
constexpr std::size_t more_than_buffers = 16 << 20;

/// Reads everything at END, checking its bytes, and traces how much it was when it ends.
void drain(Fixture& fixture, Stream& end) {
  end.counts_reads = true;
  end.on_read = [&](ssize_t nread) {
    if (nread < 0) fixture.call(end.name + " received", static_cast<long long>(end.received));
  };
  end.read_start();
}

}  // namespace

SCENARIO(a_write_callback_never_runs_inside_the_call, "R13 R14", R"(
  client.write(5) = 0
  client.write_queue_size = 0
  nothing yet
  > client write 0
  run(nowait) = 0
)") {
  Pair pair(fixture);
  pair.client.write("hello");
  pair.client.trace_queue();
  fixture.log("nothing yet");
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(writes_are_reported_in_order, "R13", R"(
  peer.read_start = 0
  client.write 1(1) = 0
  client.write 2(1) = 0
  client.write 3(1) = 0
  > client write 1 0
  > client write 2 0
  > client write 3 0
  > peer read 3 "123"
)") {
  Pair pair(fixture);
  pair.peer.read_start();
  for (const char* tag : {"1", "2", "3"}) pair.client.write(tag, tag);
  fixture.run_until([&] { return pair.peer.received == 3; });
}

SCENARIO(a_write_callback_may_write, "R13", R"(
  client.write 0(5) = 0
  > client write 0 0
  depth = 1
  client.write 1(4) = 0
  > client write 1 0
  depth = 1
  client.write 2(4) = 0
  > client write 2 0
  depth = 1
  client.write 3(4) = 0
  > client write 3 0
  depth = 1
  run(nowait) = 0
  run(nowait) = 0
  run(nowait) = 0
  run(nowait) = 0
)") {
  Pair pair(fixture);
  int depth = 0;
  int count = 0;
  pair.client.on_write = [&](const std::string&, int) {
    fixture.call("depth", ++depth);
    if (++count < 4) pair.client.write("next", std::to_string(count));
    depth--;
  };
  pair.client.write("first", "0");
  for (int turn = 0; turn < 4; turn++) fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(writes_queued_in_a_callback_go_behind_the_others, "R13", R"(
  peer.read_start = 0
  client.write 1(1) = 0
  client.write 2(1) = 0
  > client write 1 0
  client.write 3(1) = 0
  > client write 2 0
  > peer read 3 "abc"
  > client write 3 0
  run(nowait) = 1
)") {
  Pair pair(fixture);
  pair.peer.read_start();
  pair.client.on_write = [&](const std::string& tag, int) {
    if (tag == "1") pair.client.write("c", "3");
  };
  pair.client.write("a", "1");
  pair.client.write("b", "2");
  fixture.run_until([&] { return pair.peer.received == 3; });
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(a_write_of_several_parts_is_one_stream_of_bytes, "R12", R"(
  peer.read_start = 0
  client.write five(7) = 0
  client.write six(6) = 0
  > client write five 0
  > client write six 0
  > peer read 13 "abcdefghijklm"
  run(nowait) = 1
)") {
  Pair pair(fixture);
  pair.peer.read_start();
  pair.client.write_parts({"a", "bc", "", "def", "g"}, "five");
  pair.client.write_parts({"h", "i", "j", "k", "l", "m"}, "six");
  fixture.run_until([&] { return pair.peer.received == 13; });
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(a_write_of_more_parts_than_one_system_call_takes, "R12", R"(
  peer.read_start = 0
  client.write(7500) = 0
  > client write 0
  client.close
  > client closed
  > peer read EOF
  peer received = 7500
  run(default) = 0
)") {
  Pair pair(fixture);
  drain(fixture, pair.peer);
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < 2500; i++) parts.push_back(payload(3, 3 * i));
  pair.client.write_parts(parts);
  pair.client.on_write = [&](const std::string&, int) { pair.client.close(); };
  fixture.run();
}

SCENARIO(empty_writes_succeed, "R17", R"(
  peer.read_start = 0
  client.write empty(0) = 0
  client.write three empty(0) = 0
  client.write_queue_size = 0
  client.try_write(0) = 0
  > client write empty 0
  > client write three empty 0
  run(nowait) = 1
  run(nowait) = 1
  run(nowait) = 1
)") {
  Pair pair(fixture);
  pair.peer.read_start();
  pair.client.write("", "empty");
  pair.client.write_parts({"", "", ""}, "three empty");
  pair.client.trace_queue();
  pair.client.try_write("");
  for (int turn = 0; turn < 3; turn++) fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(a_write_without_buffers, "R14", R"(
  [1.44] an assertion stops libuv
  [1.45+] client.write of no buffers = EINVAL
)") {
  if (fixture.version() == Version::v1_44) {
    fixture.log("an assertion stops libuv");
    return;
  }
  Pair pair(fixture);
  uv_write_t request;
  pair.client.call("write of no buffers",
                   uv_write(&request, pair.client.stream(), nullptr, 0, nullptr));
}

SCENARIO(a_write_needs_no_callback, "R13", R"(
  peer.read_start = 0
  client.write = 0
  > peer read 5 "quiet"
)") {
  Pair pair(fixture);
  pair.peer.read_start();
  uv_write_t request;
  char bytes[] = "quiet";
  const uv_buf_t buffer = uv_buf_init(bytes, 5);
  pair.client.call("write", uv_write(&request, pair.client.stream(), &buffer, 1, nullptr));
  fixture.run_until([&] { return pair.peer.received == 5; });
}

SCENARIO(write2_without_a_handle_is_a_write, "R13", R"(
  peer.read_start = 0
  client.write2 = 0
  > peer read 5 "plain"
)") {
  Pair pair(fixture);
  pair.peer.read_start();
  uv_write_t request;
  char bytes[] = "plain";
  const uv_buf_t buffer = uv_buf_init(bytes, 5);
  pair.client.call("write2",
                   uv_write2(&request, pair.client.stream(), &buffer, 1, nullptr, nullptr));
  fixture.run_until([&] { return pair.peer.received == 5; });
}

SCENARIO(try_write_never_queues, "R18", R"(
  peer.read_start = 0
  client.try_write(7) = 7
  client.write_queue_size = 0
  > peer read 7 "at once"
  run(nowait) = 1
)") {
  Pair pair(fixture);
  pair.peer.read_start();
  pair.client.try_write("at once");
  pair.client.trace_queue();
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(try_write_waits_behind_queued_writes, "R18", R"(
  peer.read_start = 0
  client.write(16777216) = 0
  client.try_write(10) = EAGAIN
  > client write 0
  client.write_queue_size = 0
  client.shutdown = 0
  > client shutdown 0
  > peer read EOF
  peer received = 16777216
  run(default) = 0
)") {
  Pair pair(fixture);
  drain(fixture, pair.peer);
  pair.client.write(payload(more_than_buffers));
  pair.client.try_write("overtaking");
  pair.client.on_write = [&](const std::string&, int) {
    pair.client.trace_queue();
    pair.client.shutdown();
  };
  fixture.run();
}

SCENARIO(try_write_after_a_completed_write_that_was_not_reported, "R18", R"(
  peer.read_start = 0
  client.write(3) = 0
  client.try_write(3) = 3
  > client write 0
  > peer read 6 "onetwo"
)") {
  Pair pair(fixture);
  pair.peer.read_start();
  pair.client.write("one");
  pair.client.try_write("two");
  fixture.run_until([&] { return pair.peer.received == 6; });
}

SCENARIO(try_write_in_a_loop_ends_when_the_buffers_are_full, "R18", R"(
  ended with = EAGAIN
  some were taken = 1
)") {
  Pair pair(fixture);
  const Muted muted(fixture);
  std::size_t taken = 0;
  int result = 0;
  for (int i = 0; i < 100000; i++) {
    result = pair.client.try_write(payload(1024));
    if (result < 0) break;
    taken += static_cast<std::size_t>(result);
  }
  fixture.muted = false;
  fixture.call("ended with", result);
  fixture.call("some were taken", taken > 100000);
}

SCENARIO(try_write_in_a_loop_meets_the_reset_of_its_peer, "R18 R10", R"(
  peer.close_reset = 0
  reset seen = 1
  client: readable=1 writable=1
)") {
  Pair pair(fixture);
  pair.peer.close_reset();
  int result = 0;
  {
    const Muted muted(fixture);
    for (int i = 0; i < 100000 && result >= 0; i++) result = pair.client.try_write("x");
  }
  fixture.call("reset seen",
               result == UV_EPIPE || result == UV_ECONNRESET || result == UV_ECONNABORTED);
  pair.client.trace_direction();
}

SCENARIO(a_large_write_counts_down_its_queue, "R20", R"(
  client.write(16777216) = 0
  some is queued = 1
  peer.read_start = 0
  > client write 0
  only falls = 1
  client.write_queue_size = 0
)") {
  Pair pair(fixture);
  pair.client.write(payload(more_than_buffers));
  const std::size_t queued = uv_stream_get_write_queue_size(pair.client.stream());
  fixture.call("some is queued", queued > 0 && queued < more_than_buffers);
  drain(fixture, pair.peer);
  bool only_falls = true;
  std::size_t last = queued;
  bool is_done = false;
  pair.client.on_write = [&](const std::string&, int) { is_done = true; };
  fixture.run_until([&] {
    const std::size_t now = uv_stream_get_write_queue_size(pair.client.stream());
    if (now > last) only_falls = false;
    last = now;
    return is_done;
  });
  fixture.call("only falls", only_falls);
  pair.client.trace_queue();
}

SCENARIO(after_a_partial_write_the_rest_follows_at_its_place, "R12 R20", R"(
  peer.read_start = 0
  client.write large(6474592) = 0
  client.write small(1000) = 0
  client.shutdown = 0
  > client write large 0
  > client write small 0
  > client shutdown 0
  client.close
  > client closed
  > peer read EOF
  peer received = 6475592
  run(default) = 0
)") {
  Pair pair(fixture);
  drain(fixture, pair.peer);
  std::vector<std::string> parts;
  std::size_t offset = 0;
  for (std::size_t i = 0; i < 64; i++) {
    const std::size_t size = 100000 + 37 * i;
    parts.push_back(payload(size, offset));
    offset += size;
  }
  pair.client.write_parts(parts, "large");
  pair.client.write(payload(1000, offset), "small");
  pair.client.shutdown();
  pair.client.on_shutdown = [&] { pair.client.close(); };
  fixture.run();
}

SCENARIO(a_writer_waits_for_a_reader_that_has_stopped, "R20 R24", R"(
  client.write(16777216) = 0
  timer.start(5) = 0
  > timer fires
  peer.read_start = 0
  > client write 0
  client.close
  > client closed
  > peer read EOF
  peer received = 16777216
  run(default) = 0
)") {
  Pair pair(fixture);
  Timer& timer = fixture.timer("timer");
  pair.client.write(payload(more_than_buffers));
  timer.on_timer = [&] { drain(fixture, pair.peer); };
  timer.start(5);
  pair.client.on_write = [&](const std::string&, int) { pair.client.close(); };
  fixture.run();
}

SCENARIO(forty_writes_queued_behind_a_connect, "-", R"(
  turn ends.start = 0
  > server connection 0
  server.accept(peer) = 0
  > client connect 0
  > turn ends runs
  run(nowait) = 1
  > client write 0 0
  > client write 1 0
  > client write 2 0
  > client write 3 0
  > client write 4 0
  > client write 5 0
  > client write 6 0
  > client write 7 0
  > client write 8 0
  [1.44] > turn ends runs
  [1.44] run(nowait) = 1
  > client write 9 0
  > client write 10 0
  > client write 11 0
  > client write 12 0
  > client write 13 0
  > client write 14 0
  > client write 15 0
  > client write 16 0
  > client write 17 0
  > client write 18 0
  [1.44] > turn ends runs
  [1.44] run(nowait) = 1
  > client write 19 0
  > client write 20 0
  > client write 21 0
  > client write 22 0
  > client write 23 0
  > client write 24 0
  > client write 25 0
  > client write 26 0
  > client write 27 0
  > client write 28 0
  [1.44] > turn ends runs
  [1.44] run(nowait) = 1
  > client write 29 0
  > client write 30 0
  > client write 31 0
  > client write 32 0
  > client write 33 0
  > client write 34 0
  > client write 35 0
  > client write 36 0
  > client write 37 0
  > client write 38 0
  [1.44] > turn ends runs
  [1.44] run(nowait) = 1
  > client write 39 0
  > turn ends runs
  run(nowait) = 1
)") {
  Stream& server = fixture.tcp("server");
  Stream& client = fixture.tcp("client");
  Stream& peer = fixture.tcp("peer");
  Check& check = fixture.check("turn ends");
  {
    const Muted muted(fixture);
    server.on_connection = [&] { server.accept(peer); };
    server.bind_loopback();
    server.listen();
    client.connect(server);
    for (int i = 0; i < 40; i++) client.write("x", std::to_string(i));
  }
  check.start();
  int count = 0;
  client.on_write = [&](const std::string&, int) { count++; };
  for (int turn = 0; turn < 200 && count < 40; turn++) fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(many_small_writes_to_a_peer_that_never_reads, "R20 R24", R"(
  client.send_buffer_size = 0
  some completed = 1
  some cancelled = 1
  all reported = 10000
  other results = 0
)") {
  Pair pair(fixture);
  int size = 16384;
  pair.client.call("send_buffer_size", uv_send_buffer_size(pair.client.handle(), &size));
  int completed = 0;
  int cancelled = 0;
  int other = 0;
  pair.client.on_write = [&](const std::string&, int result) {
    (result == 0 ? completed : result == UV_ECANCELED ? cancelled : other)++;
  };
  {
    const Muted muted(fixture);
    for (int i = 0; i < 10000; i++) pair.client.write(payload(1024));
    for (int turn = 0; turn < 100; turn++) fixture.run(UV_RUN_NOWAIT);
    pair.client.close();
    fixture.run(UV_RUN_NOWAIT);
  }
  fixture.call("some completed", completed > 0);
  fixture.call("some cancelled", cancelled > 0);
  fixture.call("all reported", completed + cancelled);
  fixture.call("other results", other);
}

SCENARIO(a_write_to_a_closed_peer_fails_at_the_second_attempt, "R14 R16", R"(
  peer.close
  > peer closed
  run(nowait) = 0
  client.write 1(3) = 0
  > client write 1 0
  run(nowait) = 0
  client.write 2(3) = 0
  > client write 2 EPIPE
  run(nowait) = 0
  client: readable=1 writable=1
  client.write 3(5) = 0
  client.try_write(4) = EAGAIN
  > client write 3 EPIPE
  run(nowait) = 0
)") {
  Pair pair(fixture);
  pair.peer.close();
  fixture.run(UV_RUN_NOWAIT);
  pair.client.write("one", "1");
  fixture.run(UV_RUN_NOWAIT);
  pair.client.write("two", "2");
  fixture.run(UV_RUN_NOWAIT);
  pair.client.trace_direction();
  pair.client.write("three", "3");
  pair.client.try_write("four");
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(a_write_to_a_reset_connection_fails_through_its_callback, "R14 R16", R"(
  peer.close_reset = 0
  > peer closed
  run(nowait) = 0
  client.write 1(3) = 0
  client.write 2(3) = 0
  client.write_queue_size = 6
  > client write 1 ECONNRESET
  > client write 2 EPIPE
  run(nowait) = 0
  client.write_queue_size = 0
  client.write 3(5) = 0
  > client write 3 EPIPE
  run(nowait) = 0
  run(nowait) = 0
  run(nowait) = 0
  client: readable=1 writable=1
  client.write_queue_size = 0
)") {
  Pair pair(fixture);
  pair.peer.close_reset();
  fixture.run(UV_RUN_NOWAIT);
  pair.client.write("one", "1");
  pair.client.write("two", "2");
  pair.client.trace_queue();
  fixture.run(UV_RUN_NOWAIT);
  pair.client.trace_queue();
  pair.client.write("three", "3");
  for (int turn = 0; turn < 3; turn++) fixture.run(UV_RUN_NOWAIT);
  pair.client.trace_direction();
  pair.client.trace_queue();
}

SCENARIO(every_queued_write_gets_its_own_error, "R16 R14", R"(
  client.write 1(16777216) = 0
  client.write 2(3) = 0
  client.write 3(5) = 0
  run(nowait) = 1
  peer.close
  > client write 1 ECONNRESET
  > client write 2 EPIPE
  > client write 3 EPIPE
  > peer closed
  client: readable=1 writable=1
  client.write_queue_size = 0
)") {
  Pair pair(fixture);
  pair.client.write(payload(more_than_buffers), "1");
  pair.client.write("two", "2");
  pair.client.write("three", "3");
  fixture.run(UV_RUN_NOWAIT);
  pair.peer.close();
  bool is_done = false;
  pair.client.on_write = [&](const std::string& tag, int) {
    if (tag == "3") is_done = true;
  };
  fixture.run_until([&] { return is_done; });
  pair.client.trace_direction();
  pair.client.trace_queue();
}

SCENARIO(a_reset_is_read_while_writes_are_queued, "R10 R16", R"(
  client.read_start = 0
  client.write 1(16777216) = 0
  client.write 2(3) = 0
  run(nowait) = 1
  peer.close_reset = 0
  > client read ECONNRESET
  > client write 1 EPIPE
  > client write 2 EPIPE
  > peer closed
  run(nowait) = 0
  run(nowait) = 0
  run(nowait) = 0
  run(nowait) = 0
  client: readable=0 writable=0
)") {
  Pair pair(fixture);
  pair.client.read_start();
  pair.client.write(payload(more_than_buffers), "1");
  pair.client.write("two", "2");
  fixture.run(UV_RUN_NOWAIT);
  pair.peer.close_reset();
  for (int turn = 0; turn < 4; turn++) fixture.run(UV_RUN_NOWAIT);
  pair.client.trace_direction();
}

SCENARIO(a_write_callback_that_closes_gets_the_others_at_once, "R24 R25", R"(
  client.write 1(1) = 0
  client.write 2(1) = 0
  client.write 3(1) = 0
  client.shutdown = 0
  > client write 1 0
  client.close
  back in the callback
  > client write 2 0
  > client write 3 0
  > client shutdown ECANCELED
  > client closed
  run(nowait) = 0
)") {
  Pair pair(fixture);
  pair.client.on_write = [&](const std::string& tag, int) {
    if (tag == "1") {
      pair.client.close();
      fixture.log("back in the callback");
    }
  };
  for (const char* tag : {"1", "2", "3"}) pair.client.write(tag, tag);
  pair.client.shutdown();
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(closing_reports_completed_writes_as_successful, "R24", R"(
  client.write 1(3) = 0
  client.write 2(3) = 0
  client.close
  > client write 1 0
  > client write 2 0
  > client closed
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.client.write("one", "1");
  pair.client.write("two", "2");
  pair.client.close();
  fixture.run();
}

SCENARIO(closing_cancels_writes_that_wait, "R24", R"(
  client.write 1(4) = 0
  client.write 2(16777216) = 0
  client.write 3(5) = 0
  client.shutdown = 0
  client.close
  > client write 1 0
  > client write 2 ECANCELED
  > client write 3 ECANCELED
  > client shutdown ECANCELED
  > client closed
  run(default) = 0
  client.write_queue_size = 0
)") {
  Pair pair(fixture);
  pair.client.write("done", "1");
  pair.client.write(payload(more_than_buffers), "2");
  pair.client.write("waits", "3");
  pair.client.shutdown();
  pair.client.close();
  fixture.run();
  pair.client.trace_queue();
}

SCENARIO(closing_reports_failed_writes_with_their_error, "R24", R"(
  peer.close_reset = 0
  > peer closed
  run(nowait) = 0
  client.write 1(5) = 0
  client.write 2(5) = 0
  client.close
  > client write 1 ECONNRESET
  > client write 2 ECANCELED
  > client closed
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.peer.close_reset();
  fixture.run(UV_RUN_NOWAIT);
  pair.client.write("fails", "1");
  pair.client.write("waits", "2");
  pair.client.close();
  fixture.run();
}

SCENARIO(a_peer_may_read_what_a_closed_writer_has_sent, "R24", R"(
  client.write(8) = 0
  client.close
  > client write 0
  > client closed
  run(default) = 0
  peer.read_start = 0
  > peer read 8 "farewell"
  > peer read EOF
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.client.write("farewell");
  pair.client.close();
  fixture.run();
  pair.peer.read_start();
  fixture.run();
}

// --------------------------------------------------------------------------------------- shutdown

SCENARIO(shutdown_ends_the_output_and_leaves_the_input, "R22", R"(
  client.read_start = 0
  peer.read_start = 0
  client.shutdown = 0
  client: readable=1 writable=0
  client.write(1) = EPIPE
  client.try_write(1) = EPIPE
  client.shutdown = ENOTCONN
  > client shutdown 0
  > peer read EOF
  peer.write(6) = 0
  > peer write 0
  > client read 6 "answer"
  client: readable=1 writable=0
  client.shutdown = ENOTCONN
)") {
  Pair pair(fixture);
  pair.client.read_start();
  pair.peer.read_start();
  pair.client.shutdown();
  pair.client.trace_direction();
  pair.client.write("x");
  pair.client.try_write("x");
  pair.client.shutdown();
  pair.peer.on_read = [&](ssize_t nread) {
    if (nread == UV_EOF) pair.peer.write("answer");
  };
  fixture.run_until([&] { return pair.client.received == 6; });
  pair.client.trace_direction();
  pair.client.shutdown();
}

SCENARIO(shutdown_with_nothing_queued_is_reported_in_the_same_turn, "R22", R"(
  prepare.start = 0
  check.start = 0
  client.shutdown = 0
  nothing yet
  > client shutdown 0
  > prepare runs
  > check runs
  run(nowait) = 1
)") {
  Pair pair(fixture);
  Prepare& prepare = fixture.prepare("prepare");
  Check& check = fixture.check("check");
  prepare.start();
  check.start();
  pair.client.shutdown();
  fixture.log("nothing yet");
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(shutdown_waits_for_the_writes_before_it, "R22 R23", R"(
  peer.read_start = 0
  client.write large(16777216) = 0
  client.write small(10) = 0
  client.shutdown = 0
  > client write large 0
  > client write small 0
  > client shutdown 0
  client.write_queue_size = 0
  > peer read EOF
  peer received = 16777226
  run(default) = 0
)") {
  Pair pair(fixture);
  drain(fixture, pair.peer);
  pair.client.write(payload(more_than_buffers), "large");
  pair.client.write(payload(10, more_than_buffers), "small");
  pair.client.shutdown();
  pair.client.on_shutdown = [&] { pair.client.trace_queue(); };
  fixture.run();
}

SCENARIO(shutdown_for_a_peer_that_never_reads_waits_until_it_is_closed, "R23 R24", R"(
  client.write(16777216) = 0
  client.shutdown = 0
  deadline.start(5) = 0
  > deadline fires
  client.close
  > client write ECANCELED
  > client shutdown ECANCELED
  > client closed
  run(default) = 0
)") {
  Pair pair(fixture);
  Timer& deadline = fixture.timer("deadline");
  pair.client.write(payload(more_than_buffers));
  pair.client.shutdown();
  deadline.on_timer = [&] { pair.client.close(); };
  deadline.start(5);
  fixture.run();
}

SCENARIO(shutdown_in_a_write_callback, "R22", R"(
  peer.read_start = 0
  client.write(4) = 0
  > client write 0
  client.shutdown = 0
  > client shutdown 0
  > peer read 4 "last"
  > peer read EOF
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.peer.read_start();
  pair.client.on_write = [&](const std::string&, int) { pair.client.shutdown(); };
  pair.client.write("last");
  fixture.run();
}

SCENARIO(closing_in_the_shutdown_callback, "R22 R25", R"(
  peer.read_start = 0
  client.write(4) = 0
  client.shutdown = 0
  > client write 0
  > client shutdown 0
  client.close
  > peer read 4 "last"
  > client closed
  > peer read EOF
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.peer.read_start();
  pair.client.on_shutdown = [&] { pair.client.close(); };
  pair.client.write("last");
  pair.client.shutdown();
  fixture.run();
}

SCENARIO(closing_before_the_shutdown_is_done_cancels_it, "R22 R24", R"(
  peer.read_start = 0
  client.shutdown = 0
  client.close
  > peer read EOF
  > client shutdown ECANCELED
  > client closed
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.peer.read_start();
  pair.client.shutdown();
  pair.client.close();
  fixture.run();
}

SCENARIO(shutdown_of_a_reset_connection, "R22", R"(
  peer.close_reset = 0
  > peer closed
  run(nowait) = 0
  client.shutdown = 0
  > client shutdown ENOTCONN
  run(nowait) = 0
  client: readable=1 writable=0
)") {
  Pair pair(fixture);
  pair.peer.close_reset();
  fixture.run(UV_RUN_NOWAIT);
  pair.client.shutdown();
  fixture.run(UV_RUN_NOWAIT);
  pair.client.trace_direction();
}

SCENARIO(shutdown_after_the_end_of_input, "R22 R23", R"(
  client.read_start = 0
  peer.read_start = 0
  peer.shutdown = 0
  > peer shutdown 0
  > client read EOF
  client.shutdown = 0
  > client shutdown 0
  > peer read EOF
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.client.on_read = [&](ssize_t nread) {
    if (nread == UV_EOF) pair.client.shutdown();
  };
  pair.client.read_start();
  pair.peer.read_start();
  pair.peer.shutdown();
  fixture.run();
}

SCENARIO(shutdown_of_handles_that_cannot, "R22", R"(
  fresh.shutdown = ENOTCONN
  server.bind = 0
  server.listen = 0
  server.shutdown = ENOTCONN
  client.close
  client.shutdown = ENOTCONN
)") {
  Stream& fresh = fixture.tcp("fresh");
  fresh.shutdown();
  Stream& server = fixture.tcp("server");
  server.bind_loopback();
  server.listen();
  server.shutdown();
  Pair pair(fixture);
  pair.client.close();
  pair.client.shutdown();
}

SCENARIO(writing_to_a_listener, "R14", R"(
  server.bind = 0
  server.listen = 0
  server: readable=0 writable=0
  server.write(1) = EPIPE
  server.read_start = ENOTCONN
)") {
  Stream& server = fixture.tcp("server");
  server.bind_loopback();
  server.listen();
  server.trace_direction();
  server.write("x");
  server.read_start();
}

SCENARIO(shutting_down_needs_no_callback, "R22", R"(
  peer.read_start = 0
  client.shutdown = 0
  > peer read EOF
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.peer.read_start();
  uv_shutdown_t request;
  pair.client.call("shutdown", uv_shutdown(&request, pair.client.stream(), nullptr));
  fixture.run();
}
