// R38: a late uv_accept fails, because the handle it is given is in use; the listener stays deaf.
#include "negative.h"

static uv_tcp_t used;

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
  struct sockaddr_in any;
  open_server(loop, &server, &address, on_connection);
  MUST(uv_tcp_init(loop, &used));
  MUST(uv_ip4_addr("127.0.0.1", 0, &any));
  MUST(uv_tcp_bind(&used, (const struct sockaddr*)&any, 0));
  MUST(uv_tcp_init(loop, &client));
  MUST(uv_tcp_connect(&request, &client, (const struct sockaddr*)&address, on_connect));
  uv_run(loop, UV_RUN_NOWAIT);
  uv_run(loop, UV_RUN_NOWAIT);
  uv_accept((uv_stream_t*)&server, (uv_stream_t*)&used);
  close_all(loop);
  return 0;
}
