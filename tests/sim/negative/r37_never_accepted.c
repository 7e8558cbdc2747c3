// R37: a connection is announced, and never taken with uv_accept.
#include "negative.h"

static void on_connection(uv_stream_t* server, int status) {
  (void)server;
  (void)status;
}

static void on_connect(uv_connect_t* request, int status) {
  (void)request;
  (void)status;
}

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_tcp_t server;
  uv_tcp_t client;
  uv_connect_t request;
  struct sockaddr_in address;
  open_server(loop, &server, &address, on_connection);
  MUST(uv_tcp_init(loop, &client));
  MUST(uv_tcp_connect(&request, &client, (const struct sockaddr*)&address, on_connect));
  uv_run(loop, UV_RUN_NOWAIT);
  uv_run(loop, UV_RUN_NOWAIT);
  close_all(loop);
  return 0;
}
