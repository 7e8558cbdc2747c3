// What uv_tcp_keepalive answers to delays that the kernel takes and refuses.
#include <stdio.h>
#include <uv.h>

static uv_tcp_t listener, client, server;
static uv_connect_t request;

static void try_delays(const char* what, uv_tcp_t* tcp) {
  static const unsigned delays[] = {1, 60, 32767, 32768, 60000, 0};
  for (unsigned i = 0; i < sizeof delays / sizeof *delays; ++i) {
    const int result = uv_tcp_keepalive(tcp, 1, delays[i]);
    printf("%s, %u s: %s\n", what, delays[i], result == 0 ? "0" : uv_err_name(result));
  }
  printf("%s, off: %d\n", what, uv_tcp_keepalive(tcp, 0, 0));
}

static void on_connect(uv_connect_t* unused, int status) {
  (void)unused;
  printf("connected: %d\n", status);
  try_delays("connected", &client);
  uv_close((uv_handle_t*)&client, NULL);
}

static void on_client(uv_stream_t* stream, int status) {
  uv_tcp_init(stream->loop, &server);
  printf("accepted: %d, %d\n", status, uv_accept(stream, (uv_stream_t*)&server));
  uv_close((uv_handle_t*)&server, NULL);
  uv_close((uv_handle_t*)stream, NULL);
}

int main(void) {
  uv_loop_t* loop = uv_default_loop();
  struct sockaddr_storage address;
  int size = sizeof address;
  uv_ip4_addr("127.0.0.1", 0, (struct sockaddr_in*)&address);
  uv_tcp_init(loop, &listener);
  uv_tcp_init(loop, &client);
  try_delays("no socket", &client);
  uv_tcp_bind(&listener, (struct sockaddr*)&address, 0);
  uv_listen((uv_stream_t*)&listener, 8, on_client);
  uv_tcp_getsockname(&listener, (struct sockaddr*)&address, &size);
  uv_tcp_connect(&request, &client, (struct sockaddr*)&address, on_connect);
  uv_run(loop, UV_RUN_DEFAULT);
  return uv_loop_close(loop);
}
