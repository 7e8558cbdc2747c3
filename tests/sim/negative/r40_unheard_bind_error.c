// R40: the address is in use, uv_tcp_bind has said nothing, and uv_listen's answer is not read.
#include "negative.h"

static void on_connection(uv_stream_t* server, int status) {
  (void)server;
  (void)status;
}

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_tcp_t server;
  uv_tcp_t second;
  struct sockaddr_in address;
  open_server(loop, &server, &address, on_connection);
  MUST(uv_tcp_init(loop, &second));
  MUST(uv_tcp_bind(&second, (const struct sockaddr*)&address, 0));
  close_all(loop);
  return 0;
}
