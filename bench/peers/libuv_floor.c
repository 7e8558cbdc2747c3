// The least that an echo server on libuv can do, to tell what is libuv's own: one buffer for all
// connections, and uv_try_write from it. What the kernel does not take ends the connection, so this
// measures messages that fit into a socket, and is no server for anything else.
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

static char buffer[65536];

static void on_close(uv_handle_t* client) { free(client); }

static void on_alloc(uv_handle_t* client, size_t suggested, uv_buf_t* lent) {
  (void)client;
  (void)suggested;
  *lent = uv_buf_init(buffer, sizeof buffer);
}

static void on_read(uv_stream_t* client, ssize_t nread, const uv_buf_t* lent) {
  if (nread == 0) return;
  if (nread > 0) {
    const uv_buf_t bytes = uv_buf_init(lent->base, (unsigned)nread);
    if (uv_try_write(client, &bytes, 1) == (int)nread) return;
  }
  uv_close((uv_handle_t*)client, on_close);
}

static void on_connection(uv_stream_t* listener, int status) {
  uv_tcp_t* client = status == 0 ? malloc(sizeof *client) : NULL;
  if (client == NULL) return;
  if (uv_tcp_init(listener->loop, client) != 0) {
    free(client);
    return;
  }
  if (uv_accept(listener, (uv_stream_t*)client) != 0 || uv_tcp_nodelay(client, 1) != 0 ||
      uv_read_start((uv_stream_t*)client, on_alloc, on_read) != 0) {
    uv_close((uv_handle_t*)client, on_close);
  }
}

int main(void) {
  uv_loop_t loop;
  uv_tcp_t listener;
  struct sockaddr_in address;
  int size = sizeof address;
  if (uv_loop_init(&loop) != 0 || uv_tcp_init(&loop, &listener) != 0 ||
      uv_ip4_addr("127.0.0.1", 0, &address) != 0 ||
      uv_tcp_bind(&listener, (const struct sockaddr*)&address, 0) != 0 ||
      uv_listen((uv_stream_t*)&listener, 4096, on_connection) != 0 ||
      uv_tcp_getsockname(&listener, (struct sockaddr*)&address, &size) != 0) {
    fputs("libuv_floor: cannot listen\n", stderr);
    return 1;
  }
  printf("{\"event\":\"listening\",\"address\":\"127.0.0.1\",\"port\":%d}\n",
         ntohs(address.sin_port));
  fflush(stdout);
  return uv_run(&loop, UV_RUN_DEFAULT);
}
