// Pipes by name, pairs of sockets, one-way pipes, and descriptors as programs see them.
#include <sys/socket.h>

#include "../../sim/src/internal.hpp"  // uv_pipe_bind2 and uv_pipe_connect2 of any version
#include "scenario.hpp"

namespace uvsim::test {
namespace {

class Pipes : public Scenario {};

uv_loop_t loop;
uv_pipe_t server;
uv_pipe_t client;
uv_pipe_t conn;
uv_connect_t connect;
uv_write_t writes[4];
char big[1 << 20];

int send(int index, const char* text, uv_pipe_t* to, const char* bytes, size_t size) {
  writes[index].data = const_cast<char*>(text);
  const uv_buf_t buf = uv_buf_init(const_cast<char*>(bytes), static_cast<unsigned>(size));
  return uv_write(&writes[index], stream(to), &buf, 1, on_write);
}

void init_pipes() {
  uv_loop_init(&loop);
  uv_pipe_init(&loop, &server, 0);
  uv_pipe_init(&loop, &client, 0);
  uv_pipe_init(&loop, &conn, 0);
  call(server, "server");
  call(client, "client");
  call(conn, "conn");
}

void serve(void (*accepted)()) {
  static void (*then)();
  then = accepted;
  say(code(uv_pipe_bind(&server, "/run/echo")));
  say(code(uv_listen(stream(&server), 8, [](uv_stream_t* s, int status) {
    say("connection:" + code(status) + ":" + code(uv_accept(s, stream(&conn))));
    if (then != nullptr) then();
  })));
}

int turns(int count) {
  for (int i = 0; i < count; ++i) uv_run(&loop, UV_RUN_NOWAIT);
  return close_all(&loop);
}

TEST_F(Pipes, connect_by_name_and_talk) {
  run([] {
    init_pipes();
    serve([] {
      uv_read_start(stream(&conn), on_alloc, on_read_close);
      send(0, "answer", &conn, "hello", 5);
    });
    uv_pipe_connect(&connect, &client, "/run/echo", [](uv_connect_t* req, int status) {
      on_connect(req, status);
      uv_read_start(req->handle, on_alloc, [](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
        on_read(s, n, b);
        uv_close(handle(s), nullptr);
      });
    });
    return turns(6);
  });
  EXPECT_EQ(log(),
            "0 0 connection:0:0 client:connected:0 answer:0 client:read:5 conn:read:EOF "
            "conn:closed");
}

TEST_F(Pipes, fail_in_the_connect_callback) {
  run([] {
    init_pipes();
    uv_pipe_connect(&connect, &client, "/nobody", on_connect);
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_pipe_bind(&server, "/run/echo");
    uv_pipe_connect(&connect, &client, "/run/echo", on_connect);
    return turns(2);
  });
  EXPECT_EQ(log(), "client:connected:ENOENT client:connected:ECONNREFUSED");
}

TEST_F(Pipes, tell_a_full_queue_and_a_second_connect) {
  run([] {
    init_pipes();
    uv_pipe_bind(&server, "/run/echo");
    uv_listen(stream(&server), 0, [](uv_stream_t*, int) {});
    uv_pipe_connect(&connect, &client, "/run/echo", on_connect);
    static uv_connect_t second;
    uv_pipe_connect(&second, &conn, "/run/echo", on_connect);
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_pipe_connect(&connect, &client, "/run/echo", on_connect);
    return turns(2);
  });
  EXPECT_NE(log().find("conn:connected:EAGAIN"), std::string::npos) << log();
  EXPECT_NE(log().find("client:connected:EISCONN"), std::string::npos) << log();
}

TEST_F(Pipes, bind_answers_as_libuv_does) {
  run([] {
    init_pipes();
    say(code(uv_listen(stream(&server), 1, nullptr)));
    say(code(uv_pipe_bind(&server, "/run/echo")));
    say(code(uv_pipe_bind(&server, "/run/echo")));
    say(code(uv_pipe_bind(&client, "/run/echo")));
    say(code(uv_pipe_bind(&client, nullptr)));
    say(code(uv_pipe_bind(&client, "/no/such/directory/echo")));
    uv_close(handle(&conn), nullptr);
    say(code(uv_pipe_bind(&conn, "/other")));
    uv_close(handle(&server), nullptr);
    // Closing takes the name away.
    say(code(uv_pipe_bind(&client, "/run/echo")));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "EINVAL 0 EINVAL EADDRINUSE EINVAL EACCES EINVAL 0");
}

TEST_F(Pipes, long_names_are_cut) {
  run([] {
    init_pipes();
    const std::string name(200, 'x');
    say(code(uv_pipe_bind(&server, name.c_str())));
    char text[256];
    size_t size = sizeof text;
    uv_pipe_getsockname(&server, text, &size);
    say(std::to_string(size));
    uv_pipe_connect(&connect, &client, name.c_str(), on_connect);
    return turns(1);
  });
  EXPECT_EQ(log(), "0 108 client:connected:ECONNREFUSED");
}

std::string nameless_pipes() {
  log().clear();
  init_pipes();
  say(code(uv_pipe_bind(&server, "")));
  uv_listen(stream(&server), 1, [](uv_stream_t*, int) {});
  size_t size = sizeof buffer;
  say(code(uv_pipe_getsockname(&server, buffer, &size)));
  say(std::to_string(size) + (buffer[0] == '\0' ? "@" : ""));
  uv_pipe_connect2(&connect, &client, buffer, size, 0, on_connect);
  size = 3;
  say(code(uv_pipe_getsockname(&server, buffer, &size)));
  say(std::to_string(size));
  say(code(uv_pipe_bind(&conn, "")));
  turns(2);
  return log();
}

TEST_F(Pipes, an_empty_name_is_a_number_to_linux_and_nothing_but_nuls_to_older_libuv) {
  run([] { return nameless_pipes() == "0 0 6@ ENOBUFS 6 0 client:connected:0" ? 0 : 1; });
  EXPECT_EQ(simulation.report().result, 0) << log();
  options().version = Version::v1_44;
  run([] { return nameless_pipes().rfind("0 0 108@ ENOBUFS 109 EADDRINUSE", 0) == 0 ? 0 : 1; });
  EXPECT_EQ(simulation.report().result, 0) << log();
}

TEST_F(Pipes, names_by_length_must_fit_and_hold_no_nul_unless_they_are_abstract) {
  run([] {
    constexpr unsigned no_truncate = 1;
    init_pipes();
    const std::string name(109, 'x');
    say(code(uv_pipe_bind2(&server, name.data(), 109, no_truncate)));
    say(code(uv_pipe_bind2(&server, "bad\0name", 8, 0)));
    say(code(uv_pipe_bind2(&server, "\0a\0b", 4, 0)));
    say(code(uv_pipe_connect2(&connect, &client, "bad\0name", 8, 0, on_connect)));
    say(code(uv_pipe_connect2(&connect, &client, "", 0, 0, on_connect)));
    say(code(uv_pipe_connect2(&connect, &client, "\0c", 2, 0, on_connect)));
    return turns(1);
  });
  EXPECT_EQ(log(), "EINVAL EINVAL 0 EINVAL EINVAL 0 client:connected:ECONNREFUSED");
}

TEST_F(Pipes, a_file_that_is_no_socket_refuses) {
  run([] {
    init_pipes();
    uv_pipe_connect(&connect, &client, "/dev/null", on_connect);
    return turns(1);
  });
  EXPECT_EQ(log(), "client:connected:ECONNREFUSED");
}

TEST_F(Pipes, may_fail_to_come_into_being) {
  Only init_fault(ChoicePoint::call_pipe_init, 1);
  run(init_fault, [] {
    uv_loop_init(&loop);
    say(code(uv_pipe_init(&loop, &client, 0)));
    return uv_loop_close(&loop);
  });
  Only bind_socket(ChoicePoint::socket_error, 1);
  run(bind_socket, [] {
    init_pipes();
    say(code(uv_pipe_bind(&server, "/run/echo")));
    return close_all(&loop);
  });
  Only bind_fault(ChoicePoint::call_bind, 2);
  run(bind_fault, [] {
    init_pipes();
    say(code(uv_pipe_bind(&server, "/run/echo")));
    return close_all(&loop);
  });
  Only connect_socket(ChoicePoint::socket_error, 1);
  run(connect_socket, [] {
    init_pipes();
    uv_pipe_connect(&connect, &client, "/nobody", on_connect);
    return turns(1);
  });
  Only connect_fault(ChoicePoint::call_connect, 1);
  run(connect_fault, [] {
    init_pipes();
    uv_pipe_connect(&connect, &client, "/nobody", on_connect);
    return turns(1);
  });
  Only refusal(ChoicePoint::connect_result, 1);
  run(refusal, [] {
    init_pipes();
    uv_pipe_bind(&server, "/run/echo");
    uv_listen(stream(&server), 1, nullptr);
    uv_pipe_connect(&connect, &client, "/run/echo", on_connect);
    return turns(1);
  });
  EXPECT_EQ(log(),
            "ENOMEM EMFILE EACCES client:connected:EMFILE client:connected:EACCES "
            "client:connected:ECONNREFUSED");
}

std::string name_of_pipe(uv_pipe_t* pipe, bool of_peer, size_t space = 64) {
  char text[64];
  size_t size = space;
  const int error =
      of_peer ? uv_pipe_getpeername(pipe, text, &size) : uv_pipe_getsockname(pipe, text, &size);
  return error != 0 ? code(error) + std::to_string(size) : "'" + std::string(text, size) + "'";
}

TEST_F(Pipes, know_their_names) {
  run([] {
    init_pipes();
    say(name_of_pipe(&client, false));
    uv_pipe_bind(&server, "/run/echo");
    uv_listen(stream(&server), 1, [](uv_stream_t* s, int) { uv_accept(s, stream(&conn)); });
    uv_pipe_connect(&connect, &client, "/run/echo", nullptr);
    uv_run(&loop, UV_RUN_NOWAIT);
    say(name_of_pipe(&server, false));
    say(name_of_pipe(&server, false, 3));
    say(name_of_pipe(&server, true));
    say(name_of_pipe(&client, true));
    say(name_of_pipe(&client, false));
    say(name_of_pipe(&conn, false));
    size_t none = 0;
    say(code(uv_pipe_getsockname(&server, buffer, &none)));
    say(code(uv_pipe_getsockname(&server, nullptr, &none)));
    say(code(uv_pipe_getsockname(&server, buffer, nullptr)));
    return close_all(&loop);
  });
  EXPECT_EQ(log(),
            "EBADF0 '/run/echo' ENOBUFS10 ENOTCONN0 '/run/echo' '' '/run/echo' EINVAL EINVAL "
            "EINVAL");
}

TEST_F(Pipes, have_rights_and_nothing_pending) {
  run([] {
    init_pipes();
    say(code(uv_pipe_chmod(&server, UV_READABLE)));
    uv_pipe_bind(&server, "/run/echo");
    say(code(uv_pipe_chmod(&server, UV_READABLE)));
    say(code(uv_pipe_chmod(&server, UV_WRITABLE)));
    say(code(uv_pipe_chmod(&server, UV_READABLE | UV_WRITABLE)));
    say(code(uv_pipe_chmod(&server, 77)));
    uv_pipe_pending_instances(&server, 4);
    say(code(uv_pipe_pending_count(&server)));
    EXPECT_EQ(uv_pipe_pending_type(&server), UV_UNKNOWN_HANDLE);
    uv_pipe_t ipc;
    uv_pipe_init(&loop, &ipc, 1);
    uv_pipe_bind(&ipc, "/ipc");
    say(code(uv_listen(stream(&ipc), 1, nullptr)));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "EBADF 0 0 0 EINVAL 0 EINVAL");
}

// ---- Pairs and one-way pipes -------------------------------------------------------------------

TEST_F(Pipes, a_socket_pair_is_two_open_ends) {
  run([] {
    uv_os_sock_t fds[2];
    init_pipes();
    say(code(uv_socketpair(SOCK_STREAM, 0, fds, 0, 0)));
    say(code(uv_socketpair(SOCK_STREAM, 6, fds, 0, 0)));
    say(code(uv_guess_handle(fds[0]) == UV_NAMED_PIPE));
    say(code(uv_pipe_open(&client, fds[0])));
    uv_read_start(stream(&client), on_alloc, on_read_close);
    uv_os_fd_t fd = -1;
    EXPECT_EQ(uv_fileno(handle(&client), &fd), 0);
    EXPECT_EQ(fd, fds[0]);
    say(code(uv_pipe_open(&conn, fds[0])));
    static uv_tcp_t tcp;
    uv_tcp_init(&loop, &tcp);
    say(code(uv_tcp_open(&tcp, fds[0])));
    say(code(uv_tcp_open(&tcp, 1'000'000)));
    say(code(uv_pipe_open(&conn, 1'000'000)));
    say(code(uv_tcp_open(&tcp, fds[1])));
    say(code(uv_tcp_nodelay(&tcp, 1)));
    write(0, "w", &tcp, "abc", 3);
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_close(handle(&tcp), nullptr);
    return turns(3);
  });
  EXPECT_EQ(log(),
            "0 EPROTONOSUPPORT 1 0 EEXIST EEXIST EBADF EBADF 0 ENOTSUP w:0 client:read:3 "
            "client:read:EOF client:closed");
}

TEST_F(Pipes, a_flag_that_a_pair_cannot_take_fails_the_opening) {
  run([] {
    uv_os_sock_t fds[2];
    uv_loop_init(&loop);
    static uv_tcp_t tcp;
    uv_tcp_init(&loop, &tcp);
    uv_tcp_nodelay(&tcp, 1);
    uv_socketpair(SOCK_STREAM, 0, fds, 0, 0);
    say(code(uv_tcp_open(&tcp, fds[0])));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "ENOTSUP");
}

TEST_F(Pipes, writing_to_a_closed_pipe_is_epipe_at_once) {
  run([] {
    uv_os_sock_t fds[2];
    init_pipes();
    uv_socketpair(SOCK_STREAM, 0, fds, 0, 0);
    uv_pipe_open(&client, fds[0]);
    uv_pipe_open(&conn, fds[1]);
    uv_close(handle(&conn), nullptr);
    send(0, "w", &client, "x", 1);
    return turns(2);
  });
  EXPECT_EQ(log(), "w:EPIPE");
}

TEST_F(Pipes, closing_with_unread_bytes_resets) {
  run([] {
    uv_os_sock_t fds[2];
    init_pipes();
    uv_socketpair(SOCK_STREAM, 0, fds, 0, 0);
    uv_pipe_open(&client, fds[0]);
    uv_pipe_open(&conn, fds[1]);
    send(0, "w", &client, "x", 1);
    uv_close(handle(&conn), nullptr);
    uv_read_start(stream(&client), on_alloc, on_read);
    return turns(2);
  });
  EXPECT_EQ(log(), "w:0 client:read:ECONNRESET");
}

TEST_F(Pipes, hold_what_their_buffer_holds_and_go_on_when_there_is_room) {
  run([] {
    uv_os_sock_t fds[2];
    init_pipes();
    uv_socketpair(SOCK_STREAM, 0, fds, 0, 0);
    uv_pipe_open(&client, fds[0]);
    uv_pipe_open(&conn, fds[1]);
    send(0, "w", &client, big, sizeof big);
    say(client.write_queue_size == sizeof big - 212'992 ? "full" : "?");
    uv_read_start(stream(&conn), on_alloc, [](uv_stream_t*, ssize_t, const uv_buf_t*) {});
    static uv_shutdown_t req;
    uv_shutdown(&req, stream(&client), on_shutdown);
    return turns(40);
  });
  EXPECT_EQ(log(), "full w:0 client:shutdown:0");
}

TEST_F(Pipes, a_one_way_pipe_has_a_readable_and_a_writable_end) {
  run([] {
    uv_file fds[2];
    init_pipes();
    say(code(uv_pipe(fds, 0, 0)));
    uv_pipe_open(&client, fds[0]);
    uv_pipe_open(&conn, fds[1]);
    for (uv_pipe_t* const pipe : {&client, &conn})
      say(code(uv_is_readable(stream(pipe))) + code(uv_is_writable(stream(pipe))));
    uv_read_start(stream(&client), on_alloc, on_read_close);
    say(code(send(0, "no", &client, "x", 1)));
    say(code(send(0, "yes", &conn, "xy", 2)));
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_close(handle(&conn), nullptr);
    return turns(3);
  });
  EXPECT_EQ(log(), "0 10 01 EPIPE 0 yes:0 client:read:2 client:read:EOF client:closed");
}

TEST_F(Pipes, pairs_need_two_descriptors) {
  for (const uint32_t descriptors : {4u, 5u}) {
    options().descriptors = descriptors;
    run([] {
      uv_file fds[2];
      uv_loop_init(&loop);
      say(code(uv_pipe(fds, 0, 0)));
      say(code(uv_socketpair(SOCK_STREAM, 0, fds, 0, 0)));
      return uv_loop_close(&loop);
    });
    EXPECT_EQ(simulation.report().open_descriptors, 0u);
  }
  EXPECT_EQ(log(), "EMFILE EMFILE EMFILE EMFILE");
}

TEST_F(Pipes, datagram_pairs_are_not_simulated) {
  EXPECT_EQ(complaint([] {
              uv_os_sock_t fds[2];
              return uv_socketpair(SOCK_DGRAM, 0, fds, 0, 0);
            }),
            "uv_socketpair of datagram sockets is not simulated");
}

// ---- Descriptors -------------------------------------------------------------------------------

TEST_F(Pipes, descriptors_have_numbers_and_kinds) {
  run([] {
    init_pipes();
    static uv_tcp_t tcp;
    static uv_timer_t timer;
    uv_os_fd_t fd = 0;
    uv_tcp_init_ex(&loop, &tcp, AF_INET);
    uv_timer_init(&loop, &timer);
    say(code(uv_fileno(handle(&timer), &fd)));
    say(code(uv_fileno(handle(&client), &fd)));
    say(code(uv_fileno(handle(&tcp), &fd)));
    say(code(uv_guess_handle(fd) == UV_TCP));
    say(code(uv_guess_handle(0) == UV_FILE));
    say(code(uv_guess_handle(17) == UV_UNKNOWN_HANDLE));
    say(code(uv_guess_handle(-1) == UV_UNKNOWN_HANDLE));
    say(code(uv_guess_handle(999'999'999) == UV_UNKNOWN_HANDLE));
    say(code(uv_stream_set_blocking(stream(&client), 1)));
    uv_close(handle(&tcp), nullptr);
    say(code(uv_fileno(handle(&tcp), &fd)));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "EINVAL EBADF 0 1 1 1 1 1 EBADF EBADF");
}

TEST_F(Pipes, buffer_sizes_are_doubled_and_bounded) {
  run([] {
    init_pipes();
    static uv_tcp_t tcp;
    static uv_timer_t timer;
    uv_tcp_init_ex(&loop, &tcp, AF_INET);
    uv_timer_init(&loop, &timer);
    int value = 0;
    say(code(uv_send_buffer_size(handle(&timer), &value)));
    say(code(uv_send_buffer_size(handle(&client), &value)));
    say(code(uv_send_buffer_size(handle(&tcp), nullptr)));
    say(code(uv_recv_buffer_size(nullptr, &value)));
    for (const int wanted : {0, 16384, 1, 10'000'000}) {
      value = wanted;
      EXPECT_EQ(uv_send_buffer_size(handle(&tcp), &value), 0);
      value = 0;
      uv_send_buffer_size(handle(&tcp), &value);
      const int sending = value;
      value = wanted;
      EXPECT_EQ(uv_recv_buffer_size(handle(&tcp), &value), 0);
      value = 0;
      uv_recv_buffer_size(handle(&tcp), &value);
      say(std::to_string(sending) + "/" + std::to_string(value));
    }
    uv_pipe_bind(&server, "/run/echo");
    value = 5000;
    say(code(uv_recv_buffer_size(handle(&server), &value)));
    return close_all(&loop);
  });
  EXPECT_EQ(log(),
            "ENOTSUP EBADF EINVAL EINVAL 2626560/131072 32768/32768 4608/2304 425984/425984 0");
  Only fault(ChoicePoint::call_socket_option, 1);
  log().clear();
  run(fault, [] {
    uv_loop_init(&loop);
    static uv_tcp_t tcp;
    uv_tcp_init_ex(&loop, &tcp, AF_INET);
    int value = 0;
    say(code(uv_send_buffer_size(handle(&tcp), &value)));
    return close_all(&loop);
  });
  EXPECT_EQ(log(), "EINVAL");
}

TEST_F(Pipes, small_buffers_make_a_peer_that_does_not_read_felt) {
  run([] {
    return with_pair(
        [] {
          static uv_write_t many[10'000];
          static int done;
          static int cancelled;
          done = cancelled = 0;
          int value = 16'384;
          uv_send_buffer_size(handle(&pair().client), &value);
          for (uv_write_t& each : many) {
            const uv_buf_t buf = uv_buf_init(big, 1000);
            uv_write(&each, stream(&pair().client), &buf, 1,
                     [](uv_write_t*, int status) { ++(status == 0 ? done : cancelled); });
          }
          static uv_timer_t timer;
          uv_timer_init(&pair().loop, &timer);
          uv_timer_start(
              &timer,
              [](uv_timer_t* t) {
                uv_close(handle(&pair().client), [](uv_handle_t*) {
                  say(done > 0 ? "some" : "none");
                  say(cancelled > 9'000 ? "many" : "few");
                  say(std::to_string(done + cancelled));
                });
                uv_close(handle(t), nullptr);
              },
              1, 0);
        },
        200);
  });
  EXPECT_EQ(log(), "some many 10000");
}

}  // namespace
}  // namespace uvsim::test
