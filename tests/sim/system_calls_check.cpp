// The functions of the C library that uvsim stands in front of, in a program without a driver and
// without GoogleTest, so that every sanitizer has its say: before the first uv_* call, on
// descriptors of the system, and on a simulated one.
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <initializer_list>

#include "check.hpp"

namespace {

// Before main, and before anything of uvsim was needed.
const int type_of_a_new_socket = [] {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  int value = 0;
  socklen_t size = sizeof value;
  const int result = getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &size);
  close(fd);
  return result == 0 ? value : -1;
}();

int option(int fd, int level, int name) {
  int value;  // not initialised: that the call writes it must be known to MemorySanitizer
  socklen_t size = sizeof value;
  return getsockopt(fd, level, name, &value, &size) == 0 ? value : -1;
}

int bytes(int fd, unsigned long request) {
  int value;
  return ioctl(fd, request, &value) == 0 ? value : -1;
}

void on_the_system() {
  int ends[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  const int on = 1;
  CHECK(setsockopt(ends[0], SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == 0);
  CHECK(option(ends[0], SOL_SOCKET, SO_KEEPALIVE) == 1);
  CHECK(write(ends[0], "abc", 3) == 3);
  CHECK(bytes(ends[1], FIONREAD) == 3);
  CHECK(shutdown(ends[0], SHUT_WR) == 0);
  close(ends[0]);
  close(ends[1]);
  CHECK(option(ends[0], SOL_SOCKET, SO_TYPE) == -1);
}

uv_tcp_t server;
uv_tcp_t client;
uv_tcp_t accepted;
uv_connect_t connect_request;
int calls = 0;

int number_of(uv_tcp_t* tcp) {
  uv_os_fd_t fd = -1;
  uv_fileno(reinterpret_cast<uv_handle_t*>(tcp), &fd);
  return fd;
}

void on_connection(uv_stream_t* stream, int) {
  ++calls;
  uv_tcp_init(stream->loop, &accepted);
  uv_accept(stream, reinterpret_cast<uv_stream_t*>(&accepted));
  const int fd = number_of(&accepted);
  CHECK(option(fd, SOL_SOCKET, SO_OOBINLINE) == 1);
  char text[] = "abc";
  const uv_buf_t buffer = uv_buf_init(text, 3);
  CHECK(uv_try_write(reinterpret_cast<uv_stream_t*>(&accepted), &buffer, 1) == 3);
  CHECK(bytes(fd, SIOCOUTQ) == 0);
  CHECK(bytes(number_of(&client), FIONREAD) == 3);
  CHECK(shutdown(fd, SHUT_WR) == 0);
  CHECK(shutdown(number_of(&client), SHUT_WR) == 0);
  CHECK(shutdown(fd, SHUT_WR) == -1);
  for (uv_tcp_t* const tcp : {&server, &client, &accepted})
    uv_close(reinterpret_cast<uv_handle_t*>(tcp), nullptr);
}

}  // namespace

int main() {
  CHECK(type_of_a_new_socket == SOCK_STREAM);
  on_the_system();
  uv_loop_t* const loop = uv_default_loop();
  sockaddr_in address;
  uv_ip4_addr("127.0.0.1", 7000, &address);
  const auto* const name = reinterpret_cast<const sockaddr*>(&address);
  uv_tcp_init(loop, &server);
  uv_tcp_init(loop, &client);
  CHECK(uv_tcp_bind(&server, name, 0) == 0);
  const int on = 1;
  CHECK(setsockopt(number_of(&server), SOL_SOCKET, SO_OOBINLINE, &on, sizeof on) == 0);
  CHECK(uv_listen(reinterpret_cast<uv_stream_t*>(&server), 8, on_connection) == 0);
  CHECK(uv_tcp_connect(&connect_request, &client, name, [](uv_connect_t*, int) {}) == 0);
  on_the_system();
  uv_run(loop, UV_RUN_DEFAULT);
  CHECK(calls == 1);
  CHECK(uv_loop_close(loop) == 0);
  return failures == 0 ? 0 : 1;
}
