/* A server of the shape that libuv tutorials show, written for comparison: what it does to its
 * clients is measured by ci/tutorial-demo and by the tests of the testers. It is wrong on purpose;
 * take src/ for anything else. On EOF it closes at once, whatever is still queued; it reads on
 * while a client does not; it ignores return values, and SIGPIPE ends it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

typedef struct {
  uv_write_t request;
  char* bytes;
} echo_t;

static void on_close(uv_handle_t* client) { free(client); }

static void on_write(uv_write_t* request, int status) {
  echo_t* echo = (echo_t*)request;
  (void)status;
  free(echo->bytes);
  free(echo);
}

static void on_alloc(uv_handle_t* client, size_t suggested, uv_buf_t* buffer) {
  (void)client;
  buffer->base = malloc(suggested);
  buffer->len = suggested;
}

static void on_read(uv_stream_t* client, ssize_t nread, const uv_buf_t* buffer) {
  if (nread > 0) {
    echo_t* echo = malloc(sizeof *echo);
    uv_buf_t bytes = uv_buf_init(buffer->base, (unsigned int)nread);
    echo->bytes = buffer->base;
    uv_write(&echo->request, client, &bytes, 1, on_write);
    return;
  }
  free(buffer->base);
  if (nread < 0) uv_close((uv_handle_t*)client, on_close);
}

static void on_connection(uv_stream_t* listener, int status) {
  if (status < 0) return;
  uv_tcp_t* client = malloc(sizeof *client);
  uv_tcp_init(listener->loop, client);
  uv_accept(listener, (uv_stream_t*)client);
  uv_read_start((uv_stream_t*)client, on_alloc, on_read);
}

int main(void) {
  uv_tcp_t listener;
  struct sockaddr_in address;
  int size = sizeof address;
  uv_tcp_init(uv_default_loop(), &listener);
  uv_ip4_addr("127.0.0.1", 0, &address);
  uv_tcp_bind(&listener, (const struct sockaddr*)&address, 0);
  uv_listen((uv_stream_t*)&listener, 128, on_connection);
  uv_tcp_getsockname(&listener, (struct sockaddr*)&address, &size);
  printf("{\"event\":\"listening\",\"address\":\"127.0.0.1\",\"port\":%d}\n",
         ntohs(address.sin_port));
  fflush(stdout);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
