// What libuv 1.44.2 does and should not, each as a small program on the simulated kernel. It prints
// the trace; docs/libuv-findings.md says what is wrong with it.
//
//   conformance_findings refused_write | listen_again
#include <uv.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "floor2.hpp"

namespace {

bool has_memory = true;

void* malloc_or_not(std::size_t size) { return has_memory ? std::malloc(size) : nullptr; }

void trace(const char* call, int result) {
  std::printf("%s = %s\n", call, result < 0 ? uv_err_name(result) : result == 0 ? "0" : "1");
}

// More than four buffers: libuv needs memory for the list of them.
int write_five_bytes(uv_write_t* request, uv_stream_t* stream) {
  char byte = 'x';
  uv_buf_t buffers[5];
  for (uv_buf_t& buffer : buffers) buffer = uv_buf_init(&byte, 1);
  return uv_write(request, stream, buffers, 5,
                  [](uv_write_t*, int status) { trace("> written", status); });
}

void a_write_that_was_refused_for_memory_keeps_the_loop_alive() {
  uv_loop_t loop;
  uv_pipe_t pipe;
  uv_write_t request;
  uv_os_sock_t ends[2];
  trace("uv_loop_init", uv_loop_init(&loop));
  trace("uv_socketpair", uv_socketpair(SOCK_STREAM, 0, ends, 0, 0));
  trace("uv_pipe_init", uv_pipe_init(&loop, &pipe, 0));
  trace("uv_pipe_open", uv_pipe_open(&pipe, ends[0]));
  has_memory = false;
  trace("uv_write", write_five_bytes(&request, reinterpret_cast<uv_stream_t*>(&pipe)));
  has_memory = true;
  uv_close(reinterpret_cast<uv_handle_t*>(&pipe), [](uv_handle_t*) { std::printf("> closed\n"); });
  for (int turn = 0; turn < 3; ++turn) trace("uv_run(NOWAIT)", uv_run(&loop, UV_RUN_NOWAIT));
  trace("uv_loop_close", uv_loop_close(&loop));
}

// The connection callback takes no connection, and the program listens again before it does.
void listening_again_with_a_connection_waiting_is_an_assertion() {
  uv_loop_t loop;
  uv_tcp_t server;
  uv_tcp_t clients[2];
  uv_connect_t requests[2];
  sockaddr_in address;
  uv_ip4_addr("127.0.0.1", 7000, &address);
  const auto* const where = reinterpret_cast<const sockaddr*>(&address);
  const uv_connection_cb take_nothing = [](uv_stream_t*, int status) {
    trace("> connection", status);
  };
  auto* const listener = reinterpret_cast<uv_stream_t*>(&server);
  trace("uv_loop_init", uv_loop_init(&loop));
  trace("uv_tcp_init", uv_tcp_init(&loop, &server));
  trace("uv_tcp_bind", uv_tcp_bind(&server, where, 0));
  trace("uv_listen", uv_listen(listener, 8, take_nothing));
  for (int i = 0; i < 2; ++i) {
    trace("uv_tcp_init", uv_tcp_init(&loop, &clients[i]));
    trace("uv_tcp_connect", uv_tcp_connect(&requests[i], &clients[i], where, nullptr));
  }
  trace("uv_run(NOWAIT)", uv_run(&loop, UV_RUN_NOWAIT));
  trace("uv_listen", uv_listen(listener, 8, take_nothing));
  trace("uv_run(NOWAIT)", uv_run(&loop, UV_RUN_NOWAIT));
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  uv_replace_allocator(malloc_or_not, std::realloc, std::calloc, std::free);
  const bool listens = argc > 1 && std::strcmp(argv[1], "listen_again") == 0;
  conformance::on_a_fresh_machine(listens
                                      ? listening_again_with_a_connection_waiting_is_an_assertion
                                      : a_write_that_was_refused_for_memory_keeps_the_loop_alive);
  return 0;
}
