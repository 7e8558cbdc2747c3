// For the programs of this directory: each breaks one rule of the contract, and nothing else.
// negative_main.cpp runs program() on uvsim and expects to hear which.
#ifndef NEGATIVE_H
#define NEGATIVE_H

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif
int program(void);
#ifdef __cplusplus
}
#endif

// What a correct program would do with an error here; none is expected.
#define MUST(expression)     \
  do {                       \
    if ((expression) != 0) { \
      abort();               \
    }                        \
  } while (0)

// Two connected ends in one loop.
static inline void open_pair(uv_loop_t* loop, uv_pipe_t* near_end, uv_pipe_t* far_end) {
  uv_os_sock_t ends[2];
  MUST(uv_socketpair(SOCK_STREAM, 0, ends, 0, 0));
  MUST(uv_pipe_init(loop, near_end, 0));
  MUST(uv_pipe_init(loop, far_end, 0));
  MUST(uv_pipe_open(near_end, ends[0]));
  MUST(uv_pipe_open(far_end, ends[1]));
}

// A server on a port of its own choice, and the address to reach it.
static inline void open_server(uv_loop_t* loop, uv_tcp_t* server, struct sockaddr_in* address,
                               uv_connection_cb on_connection) {
  int size = sizeof *address;
  MUST(uv_ip4_addr("127.0.0.1", 0, address));
  MUST(uv_tcp_init(loop, server));
  MUST(uv_tcp_bind(server, (const struct sockaddr*)address, 0));
  MUST(uv_listen((uv_stream_t*)server, 16, on_connection));
  MUST(uv_tcp_getsockname(server, (struct sockaddr*)address, &size));
}

static inline void close_walked(uv_handle_t* handle, void* unused) {
  (void)unused;
  if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

// Closes whatever is open and lets the loop go.
static inline void close_all(uv_loop_t* loop) {
  uv_walk(loop, close_walked, NULL);
  MUST(uv_run(loop, UV_RUN_DEFAULT));
  MUST(uv_loop_close(loop));
}

#endif
