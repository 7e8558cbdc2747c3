// Scenarios of reading: allocation, end of input, errors, stopping and starting again.
#include "fixture.hpp"

using namespace conformance;

SCENARIO(read_start_needs_a_callback_and_an_open_end, "R9", R"(
  client.read_start without callbacks = EINVAL
  client.read_start = 0
  client.read_start = EALREADY
  client: active=1 closing=0 ref=1
  client.read_stop = 0
  client.read_stop = 0
  client: active=0 closing=0 ref=1
  client.close
  client.read_start = EINVAL
  client.read_stop = 0
)") {
  Pair pair(fixture);
  pair.client.call("read_start without callbacks",
                   uv_read_start(pair.client.stream(), nullptr, nullptr));
  pair.client.read_start();
  pair.client.read_start();
  pair.client.trace_state();
  pair.client.read_stop();
  pair.client.read_stop();
  pair.client.trace_state();
  pair.client.close();
  pair.client.read_start();
  pair.client.read_stop();
}

SCENARIO(a_buffer_is_asked_for_right_before_each_read, "R1 R2", R"(
  peer.read_start = 0
  run(nowait) = 1
  nothing came, nothing was asked for
  client.write(3) = 0
  > client write 0
  > peer alloc 65536
  > peer read 3 "one"
  run(nowait) = 1
  client.write(3) = 0
  > client write 0
  > peer alloc 65536
  > peer read 3 "two"
  run(nowait) = 1
  client.close
  > peer alloc 65536
  > peer read EOF
  > client closed
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.peer.traces_alloc = true;
  pair.peer.read_start();
  fixture.run(UV_RUN_NOWAIT);
  fixture.log("nothing came, nothing was asked for");
  pair.client.write("one");
  fixture.run(UV_RUN_NOWAIT);
  pair.client.write("two");
  fixture.run(UV_RUN_NOWAIT);
  pair.client.close();
  fixture.run();
}

SCENARIO(a_filled_buffer_is_followed_by_an_empty_read, "R3 R2", R"(
  peer.read_start = 0
  client.write(5) = 0
  > client write 0
  > peer alloc 65536
  > peer read 5 "12345"
  > peer alloc 65536
  > peer read 0
  run(nowait) = 1
  client.write(7) = 0
  > client write 0
  > peer alloc 65536
  > peer read 5 "12345"
  > peer alloc 65536
  > peer read 2 "67"
  run(nowait) = 1
)") {
  Pair pair(fixture);
  pair.peer.traces_alloc = true;
  pair.peer.on_alloc = [] { return 5; };
  pair.peer.read_start();
  pair.client.write("12345");
  fixture.run(UV_RUN_NOWAIT);
  pair.client.write("1234567");
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(small_messages_arrive_whole, "R5", R"(
  peer.read_start = 0
  client.write(4) = 0
  > client write 0
  > peer read 4 "ping"
  run(nowait) = 1
  client.write(4) = 0
  > client write 0
  > peer read 4 "pong"
  run(nowait) = 1
  client.write(16) = 0
  > client write 0
  > peer read 16 "a longer message"
  run(nowait) = 1
)") {
  Pair pair(fixture);
  pair.peer.read_start();
  for (const char* message : {"ping", "pong", "a longer message"}) {
    pair.client.write(message);
    fixture.run(UV_RUN_NOWAIT);
  }
}

SCENARIO(messages_written_together_are_read_together, "R5", R"(
  peer.read_start = 0
  client.write(4) = 0
  client.write(4) = 0
  client.write(5) = 0
  > client write 0
  > client write 0
  > client write 0
  > peer read 13 "one,two,three"
  run(nowait) = 1
  run(nowait) = 1
  run(nowait) = 1
)") {
  Pair pair(fixture);
  pair.peer.read_start();
  pair.client.write("one,");
  pair.client.write("two,");
  pair.client.write("three");
  for (int turn = 0; turn < 3; turn++) fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(at_most_thirty_two_reads_in_one_turn, "-", R"(
  peer.read_start = 0
  turn ends:.start = 0
  client.write(70) = 0
  > client write 0
  > turn ends: runs
  received 32
  run(nowait) = 1
  > turn ends: runs
  received 64
  run(nowait) = 1
  nothing more
  > turn ends: runs
  received 70
  run(nowait) = 1
  > turn ends: runs
  received 70
  run(nowait) = 1
)") {
  Pair pair(fixture);
  Check& check = fixture.check("turn ends:");
  pair.peer.on_alloc = [] { return 1; };
  pair.peer.counts_reads = true;
  pair.peer.on_read = [&](ssize_t nread) {
    if (nread == 0) fixture.log("nothing more");
  };
  pair.peer.read_start();
  check.on_run = [&] { fixture.log("received %zu", pair.peer.received); };
  check.start();
  pair.client.write(payload(70));
  for (int turn = 0; turn < 4; turn++) fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(without_memory_reading_stays_armed_and_loses_nothing, "R7", R"(
  peer.read_start = 0
  client.write(8) = 0
  > client write 0
  > peer alloc 65536
  > peer read ENOBUFS without a buffer
  run(nowait) = 1
  > peer alloc 65536
  > peer read ENOBUFS without a buffer
  run(nowait) = 1
  peer: active=1 closing=0 ref=1
  > peer alloc 65536
  > peer read 8 "precious"
  run(nowait) = 1
)") {
  Pair pair(fixture);
  bool has_memory = false;
  pair.peer.traces_alloc = true;
  pair.peer.on_alloc = [&]() -> std::size_t { return has_memory ? 100 : 0; };
  pair.peer.read_start();
  pair.client.write("precious");
  fixture.run(UV_RUN_NOWAIT);
  fixture.run(UV_RUN_NOWAIT);
  pair.peer.trace_state();
  has_memory = true;
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(without_memory_reading_may_be_stopped, "R7 R6", R"(
  peer.read_start = 0
  client.write(8) = 0
  > client write 0
  > peer read ENOBUFS without a buffer
  peer.read_stop = 0
  run(nowait) = 0
  run(nowait) = 0
  peer.read_start = 0
  > peer read 8 "precious"
  run(nowait) = 1
)") {
  Pair pair(fixture);
  bool has_memory = false;
  pair.peer.on_alloc = [&]() -> std::size_t { return has_memory ? 100 : 0; };
  pair.peer.on_read = [&](ssize_t nread) {
    if (nread == UV_ENOBUFS) pair.peer.read_stop();
  };
  pair.peer.read_start();
  pair.client.write("precious");
  fixture.run(UV_RUN_NOWAIT);
  fixture.run(UV_RUN_NOWAIT);
  has_memory = true;
  pair.peer.read_start();
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(without_memory_the_stream_may_be_closed, "R7 R6", R"(
  peer.read_start = 0
  client.read_start = 0
  client.write(10) = 0
  > client write 0
  > peer read ENOBUFS without a buffer
  peer.close
  > peer closed
  > client read ECONNRESET
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.peer.on_alloc = [] { return 0; };
  pair.peer.on_read = [&](ssize_t) { pair.peer.close(); };
  pair.peer.read_start();
  pair.client.read_start();
  pair.client.write("never read");
  fixture.run();
}

SCENARIO(without_memory_the_end_is_not_seen, "R7", R"(
  peer.read_start = 0
  client.close
  > peer read ENOBUFS without a buffer
  > client closed
  run(nowait) = 1
  > peer read ENOBUFS without a buffer
  run(nowait) = 1
  > peer read EOF
  run(default) = 0
)") {
  Pair pair(fixture);
  bool has_memory = false;
  pair.peer.on_alloc = [&]() -> std::size_t { return has_memory ? 100 : 0; };
  pair.peer.read_start();
  pair.client.close();
  fixture.run(UV_RUN_NOWAIT);
  fixture.run(UV_RUN_NOWAIT);
  has_memory = true;
  fixture.run();
}

SCENARIO(the_end_of_input_stops_reading_and_leaves_writing, "R8", R"(
  peer.read_start = 0
  client.read_start = 0
  client.shutdown = 0
  > client shutdown 0
  > peer read EOF
  peer: active=0 closing=0 ref=1
  peer: readable=1 writable=1
  peer.write(10) = 0
  > peer write 0
  > client read 10 "still here"
  client.close
  > client closed
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.peer.on_read = [&](ssize_t nread) {
    if (nread != UV_EOF) return;
    pair.peer.trace_state();
    pair.peer.trace_direction();
    pair.peer.write("still here");
  };
  pair.client.on_read = [&](ssize_t nread) {
    if (nread > 0) pair.client.close();
  };
  pair.peer.read_start();
  pair.client.read_start();
  pair.client.shutdown();
  fixture.run();
}

SCENARIO(the_end_of_input_may_be_read_again, "R9", R"(
  peer.read_start = 0
  client.close
  > peer read EOF
  > client closed
  run(default) = 0
  peer.read_start = 0
  > peer read EOF
  run(default) = 0
  peer.read_stop = 0
  peer.read_start = 0
  > peer read EOF
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.peer.read_start();
  pair.client.close();
  fixture.run();
  pair.peer.read_start();
  fixture.run();
  pair.peer.read_stop();
  pair.peer.read_start();
  fixture.run();
}

SCENARIO(bytes_and_the_end_in_one_turn, "R8 R3", R"(
  client.write(10) = 0
  client.shutdown = 0
  > client write 0
  > client shutdown 0
  run(nowait) = 0
  peer.read_start = 0
  check.start = 0
  check.unref
  > peer read 10 "last words"
  > check runs
  > peer read EOF
  > check runs
  run(default) = 0
)") {
  Pair pair(fixture);
  Check& check = fixture.check("check");
  pair.client.write("last words");
  pair.client.shutdown();
  fixture.run(UV_RUN_NOWAIT);
  pair.peer.read_start();
  check.start();
  check.unref();
  fixture.run();
}

SCENARIO(bytes_that_fill_the_buffer_and_the_end_in_one_turn, "R8 R3", R"(
  client.write(10) = 0
  client.shutdown = 0
  > client write 0
  > client shutdown 0
  run(nowait) = 0
  peer.read_start = 0
  check.start = 0
  check.unref
  > peer read 10 "last words"
  > peer read EOF
  > check runs
  run(default) = 0
)") {
  Pair pair(fixture);
  Check& check = fixture.check("check");
  pair.peer.on_alloc = [] { return 10; };
  pair.client.write("last words");
  pair.client.shutdown();
  fixture.run(UV_RUN_NOWAIT);
  pair.peer.read_start();
  check.start();
  check.unref();
  fixture.run();
}

SCENARIO(an_end_found_without_a_read_has_no_buffer, "R4", R"(
  peer.shutdown = 0
  > peer shutdown 0
  run(nowait) = 0
  client.write(10) = 0
  client.close
  peer.read_start = 0
  > peer alloc 65536
  > peer read 10 "last words"
  [1.44] > peer read EOF without a buffer
  > client write 0
  > client closed
  [1.45+] > peer alloc 65536
  [1.45+] > peer read EOF
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.peer.traces_alloc = true;
  pair.peer.shutdown();
  fixture.run(UV_RUN_NOWAIT);
  pair.client.write("last words");
  pair.client.close();
  pair.peer.read_start();
  fixture.run();
}

SCENARIO(a_hang_up_after_both_ends_have_shut_down, "R4", R"(
  peer.read_start = 0
  peer.shutdown = 0
  > peer shutdown 0
  run(nowait) = 1
  client.close
  > peer alloc 65536
  > peer read EOF
  > client closed
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.peer.traces_alloc = true;
  pair.peer.read_start();
  pair.peer.shutdown();
  fixture.run(UV_RUN_NOWAIT);
  pair.client.close();
  fixture.run();
}

SCENARIO(stopping_in_the_read_callback_keeps_the_rest, "R11", R"(
  peer.read_start = 0
  client.write(8) = 0
  > client write 0
  > peer read 4 "1234"
  peer.read_stop = 0
  run(nowait) = 0
  run(nowait) = 0
  start again
  peer.read_start = 0
  > peer read 4 "5678"
  peer.read_stop = 0
  run(nowait) = 0
)") {
  Pair pair(fixture);
  pair.peer.on_alloc = [] { return 4; };
  pair.peer.on_read = [&](ssize_t) { pair.peer.read_stop(); };
  pair.peer.read_start();
  pair.client.write("12345678");
  fixture.run(UV_RUN_NOWAIT);
  fixture.run(UV_RUN_NOWAIT);
  fixture.log("start again");
  pair.peer.read_start();
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(stopping_and_starting_in_the_read_callback_goes_on, "R11", R"(
  peer.read_start = 0
  client.write(10) = 0
  > client write 0
  > peer read 4 "1234"
  peer.read_stop = 0
  peer.read_start = 0
  > peer read 4 "5678"
  peer.read_stop = 0
  peer.read_start = 0
  > peer read 2 "ab"
  peer.read_stop = 0
  peer.read_start = 0
  run(nowait) = 1
  run(nowait) = 1
)") {
  Pair pair(fixture);
  pair.peer.on_alloc = [] { return 4; };
  pair.peer.on_read = [&](ssize_t nread) {
    if (nread <= 0) return;
    pair.peer.read_stop();
    pair.peer.read_start();
  };
  pair.peer.read_start();
  pair.client.write("12345678ab");
  fixture.run(UV_RUN_NOWAIT);
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(closing_in_the_read_callback_ends_reading, "R11 R25", R"(
  peer.read_start = 0
  client.read_start = 0
  client.write(8) = 0
  > client write 0
  > peer read 4 "1234"
  peer.close
  > peer closed
  > client read ECONNRESET
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.peer.on_alloc = [] { return 4; };
  pair.peer.on_read = [&](ssize_t) { pair.peer.close(); };
  pair.peer.read_start();
  pair.client.read_start();
  pair.client.write("12345678");
  fixture.run();
}

SCENARIO(shutting_down_in_the_read_callback, "R11", R"(
  peer.read_start = 0
  client.read_start = 0
  client.write(2) = 0
  > client write 0
  > peer read 2 "go"
  peer.shutdown = 0
  > peer shutdown 0
  > client read EOF
  client.close
  > client closed
  > peer read EOF
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.peer.on_read = [&](ssize_t nread) {
    if (nread > 0) pair.peer.shutdown();
  };
  pair.client.on_read = [&](ssize_t) { pair.client.close(); };
  pair.peer.read_start();
  pair.client.read_start();
  pair.client.write("go");
  fixture.run();
}

SCENARIO(an_echo_and_its_graceful_end, "R11 R23", R"(
  peer.read_start = 0
  client.read_start = 0
  client.write(5) = 0
  > client write 0
  > peer read 5 "hello"
  peer.write(5) = 0
  > peer write 0
  > client read 5 "hello"
  client.shutdown = 0
  > client shutdown 0
  > peer read EOF
  peer.shutdown = 0
  > peer shutdown 0
  peer.close
  > peer closed
  > client read EOF
  client.close
  > client closed
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.peer.on_read = [&](ssize_t nread) {
    if (nread > 0) pair.peer.write(pair.peer.last_read);
    if (nread == UV_EOF) pair.peer.shutdown();
  };
  pair.peer.on_shutdown = [&] { pair.peer.close(); };
  pair.client.on_read = [&](ssize_t nread) {
    if (nread > 0) pair.client.shutdown();
    if (nread == UV_EOF) pair.client.close();
  };
  pair.peer.read_start();
  pair.client.read_start();
  pair.client.write("hello");
  fixture.run();
}

SCENARIO(a_stream_that_does_not_read_does_not_see_the_end, "-", R"(
  peer.read_start = 0
  run(nowait) = 1
  peer.read_stop = 0
  client.write(6) = 0
  client.close
  > client write 0
  > client closed
  run(nowait) = 0
  run(nowait) = 0
  run(nowait) = 0
  start again
  peer.read_start = 0
  > peer read 6 "unseen"
  > peer read EOF
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.peer.read_start();
  fixture.run(UV_RUN_NOWAIT);
  pair.peer.read_stop();
  pair.client.write("unseen");
  pair.client.close();
  for (int turn = 0; turn < 3; turn++) fixture.run(UV_RUN_NOWAIT);
  fixture.log("start again");
  pair.peer.read_start();
  fixture.run();
}

SCENARIO(a_reset_ends_both_directions, "R10", R"(
  peer.read_start = 0
  client.close_reset = 0
  > peer read ECONNRESET
  peer: readable=0 writable=0
  peer: active=1 closing=0 ref=1
  peer.write(1) = EPIPE
  peer.try_write(1) = EPIPE
  peer.shutdown = ENOTCONN
  peer.read_start = EALREADY
  > client closed
  run(default) = 0
  peer: active=0 closing=0 ref=1
  peer.read_start = ENOTCONN
  peer.shutdown = ENOTCONN
)") {
  Pair pair(fixture);
  pair.peer.on_read = [&](ssize_t nread) {
    if (nread >= 0) return;
    pair.peer.trace_direction();
    pair.peer.trace_state();
    pair.peer.write("x");
    pair.peer.try_write("x");
    pair.peer.shutdown();
    pair.peer.read_start();
  };
  pair.peer.read_start();
  pair.client.close_reset();
  fixture.run();
  pair.peer.trace_state();
  pair.peer.read_start();
  pair.peer.shutdown();
}

SCENARIO(a_reset_while_not_reading_shows_at_the_next_start, "R10", R"(
  client.close_reset = 0
  > client closed
  run(nowait) = 0
  run(nowait) = 0
  peer: readable=1 writable=1
  peer.read_start = 0
  > peer read ECONNRESET
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.client.close_reset();
  for (int turn = 0; turn < 2; turn++) fixture.run(UV_RUN_NOWAIT);
  pair.peer.trace_direction();
  pair.peer.read_start();
  fixture.run();
}

SCENARIO(bytes_before_a_reset_are_lost, "R10", R"(
  client.write(4) = 0
  > client write 0
  run(nowait) = 0
  client.close_reset = 0
  peer.read_start = 0
  > peer read 4 "lost"
  [1.44] > peer read EOF without a buffer
  > client closed
  [1.45+] > peer read ECONNRESET
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.client.write("lost");
  fixture.run(UV_RUN_NOWAIT);
  pair.client.close_reset();
  pair.peer.read_start();
  fixture.run();
}

SCENARIO(closing_with_unread_bytes_is_a_reset, "R10 R23", R"(
  client.read_start = 0
  client.write(6) = 0
  > client write 0
  run(nowait) = 1
  peer.close
  > client read ECONNRESET
  > peer closed
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.client.read_start();
  pair.client.write("unread");
  fixture.run(UV_RUN_NOWAIT);
  pair.peer.close();
  fixture.run();
}

SCENARIO(closing_after_reading_everything_is_an_end, "-", R"(
  client.read_start = 0
  peer.read_start = 0
  client.write(4) = 0
  > client write 0
  > peer read 4 "read"
  peer.close
  > peer closed
  > client read EOF
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.client.read_start();
  pair.peer.read_start();
  pair.client.write("read");
  pair.peer.on_read = [&](ssize_t) { pair.peer.close(); };
  fixture.run();
}

SCENARIO(bytes_sent_before_closing_with_unread_bytes_are_lost, "R23", R"(
  client.write(6) = 0
  > client write 0
  run(nowait) = 0
  peer.write(27) = 0
  peer.close
  > peer write 0
  > peer closed
  run(nowait) = 0
  client.read_start = 0
  > client read 27
  [1.44] > client read EOF without a buffer
  [1.45+] > client read ECONNRESET
  run(default) = 0
)") {
  Pair pair(fixture);
  pair.client.write("unread");
  fixture.run(UV_RUN_NOWAIT);
  pair.peer.write("an answer that is overtaken");
  pair.peer.close();
  fixture.run(UV_RUN_NOWAIT);
  pair.client.read_start();
  fixture.run();
}

SCENARIO(two_readers_are_served_in_the_order_in_which_they_became_ready, "-", R"(
  peer-1.read_start = 0
  peer-2.read_start = 0
  run(nowait) = 1
  client-2.write(3) = 0
  client-1.write(3) = 0
  > client-2 write 0
  > client-1 write 0
  > peer-2 read 3 "two"
  > peer-1 read 3 "one"
  run(nowait) = 1
)") {
  Pair one(fixture, "client-1", "peer-1");
  Pair two(fixture, "client-2", "peer-2");
  one.peer.read_start();
  two.peer.read_start();
  fixture.run(UV_RUN_NOWAIT);
  two.client.write("two");
  one.client.write("one");
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(one_reader_may_close_another_that_is_ready, "R11 R25", R"(
  peer-1.read_start = 0
  peer-2.read_start = 0
  run(nowait) = 1
  client-1.write(3) = 0
  client-2.write(3) = 0
  > client-1 write 0
  > client-2 write 0
  > peer-1 read 3 "one"
  peer-2.close
  > peer-2 closed
  run(nowait) = 1
)") {
  Pair one(fixture, "client-1", "peer-1");
  Pair two(fixture, "client-2", "peer-2");
  one.peer.on_read = [&](ssize_t) { two.peer.close(); };
  one.peer.read_start();
  two.peer.read_start();
  fixture.run(UV_RUN_NOWAIT);
  one.client.write("one");
  two.client.write("two");
  fixture.run(UV_RUN_NOWAIT);
}

SCENARIO(a_transfer_of_many_megabytes_keeps_its_bytes, "R12", R"(
  peer.read_start = 0
  client.write(8388608) = 0
  client.shutdown = 0
  > client write 0
  > client shutdown 0
  client.close
  > client closed
  > peer read EOF
  received = 8388608
  peer.close
  > peer closed
  run(default) = 0
)") {
  Pair pair(fixture);
  const std::size_t size = 8 << 20;
  pair.peer.counts_reads = true;
  pair.peer.on_read = [&](ssize_t nread) {
    if (nread == UV_EOF) {
      fixture.call("received", static_cast<long long>(pair.peer.received));
      pair.peer.close();
    }
  };
  pair.client.on_shutdown = [&] { pair.client.close(); };
  pair.peer.read_start();
  pair.client.write(payload(size));
  pair.client.shutdown();
  fixture.run();
}

SCENARIO(both_directions_at_once, "R12", R"(
  client.read_start = 0
  client.write(3145728) = 0
  peer.read_start = 0
  peer.write(3145728) = 0
  > client write 0
  > peer write 0
  client.write_queue_size = 0
  peer.write_queue_size = 0
)") {
  Pair pair(fixture);
  const std::size_t size = 3 << 20;
  for (Stream* end : {&pair.client, &pair.peer}) {
    end->counts_reads = true;
    end->read_start();
    end->write(payload(size));
  }
  {
    fixture.run_until([&] { return pair.client.received == size && pair.peer.received == size; });
  }
  pair.client.trace_queue();
  pair.peer.trace_queue();
}
