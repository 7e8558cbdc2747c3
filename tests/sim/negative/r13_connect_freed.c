// R13: a connect request is freed before its callback.
#include "negative.h"

static void on_connect(uv_connect_t* request, int status) {
  (void)request;
  (void)status;
}

static void on_connection(uv_stream_t* server, int status) {
  (void)server;
  (void)status;
}

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_tcp_t server;
  uv_tcp_t client;
  struct sockaddr_in address;
  uv_connect_t* request = malloc(sizeof *request);
  open_server(loop, &server, &address, on_connection);
  MUST(uv_tcp_init(loop, &client));
  MUST(uv_tcp_connect(request, &client, (const struct sockaddr*)&address, on_connect));
  free(request);
  close_all(loop);
  return 0;
}
