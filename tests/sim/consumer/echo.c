// A libuv program that knows nothing of uvsim: an echo server, and a client that checks it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static uv_tcp_t server;
static uv_tcp_t session;
static uv_tcp_t client;
static uv_write_t echo;
static uv_write_t question;
static uv_connect_t connecting;
static char memory[2][1024];
static int echoed;

static void on_alloc(uv_handle_t* handle, size_t size, uv_buf_t* buffer) {
  (void)size;
  *buffer = uv_buf_init(memory[(uv_tcp_t*)handle == &client], sizeof memory[0]);
}

static void on_echoed(uv_write_t* request, int status) {
  (void)request;
  if (status != 0) abort();
}

static void on_question(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
  uv_buf_t answer = *buffer;
  if (count == UV_EOF) {
    uv_close((uv_handle_t*)stream, NULL);
    uv_close((uv_handle_t*)&server, NULL);
    return;
  }
  if (count <= 0) return;
  answer.len = (size_t)count;
  if (uv_write(&echo, stream, &answer, 1, on_echoed) != 0) abort();
}

static void on_connection(uv_stream_t* listener, int status) {
  if (status != 0 || uv_tcp_init(listener->loop, &session) != 0) abort();
  if (uv_accept(listener, (uv_stream_t*)&session) != 0) abort();
  if (uv_read_start((uv_stream_t*)&session, on_alloc, on_question) != 0) abort();
}

static void on_answer(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
  echoed = count == 5 && memcmp(buffer->base, "hello", 5) == 0;
  uv_close((uv_handle_t*)stream, NULL);
}

static void on_connect(uv_connect_t* request, int status) {
  uv_buf_t hello = uv_buf_init("hello", 5);
  if (status != 0) abort();
  if (uv_read_start(request->handle, on_alloc, on_answer) != 0) abort();
  if (uv_write(&question, request->handle, &hello, 1, on_echoed) != 0) abort();
}

int main(void) {
  uv_loop_t* loop = uv_default_loop();
  struct sockaddr_in address;
  void* something = malloc(10);
  if (uv_ip4_addr("127.0.0.1", 7, &address) != 0) return 1;
  if (uv_tcp_init(loop, &server) != 0 || uv_tcp_init(loop, &client) != 0) return 1;
  if (uv_tcp_bind(&server, (const struct sockaddr*)&address, 0) != 0) return 1;
  if (uv_listen((uv_stream_t*)&server, 5, on_connection) != 0) return 1;
  if (uv_tcp_connect(&connecting, &client, (const struct sockaddr*)&address, on_connect) != 0) {
    return 1;
  }
  if (uv_run(loop, UV_RUN_DEFAULT) != 0 || uv_loop_close(loop) != 0) return 1;
  free(something);
  puts(echoed ? "echoed" : "lost");
  return echoed ? 0 : 1;
}
