/* A loop with a listener in each of two threads; the main thread waits for SIGINT and tells them.
 * The threads are the first thing that the program makes. */
#include <signal.h>
#include <stdlib.h>
#include <uv.h>

enum { count = 2 };

static struct {
  uv_thread_t thread;
  uv_loop_t loop;
  uv_tcp_t listener;
  uv_async_t stop;
} servers[count];
static uv_signal_t interrupt;

static void on_closed(uv_handle_t* handle) { free(handle); }

static void leave(uv_stream_t* stream) {
  if (!uv_is_closing((uv_handle_t*)stream)) uv_close((uv_handle_t*)stream, on_closed);
}

static void on_written(uv_write_t* request, int status) {
  (void)status;
  leave(request->handle);
  free(request);
}

static void on_connection(uv_stream_t* from, int status) {
  static char greeting[] = "hello\n";
  uv_buf_t buffer = uv_buf_init(greeting, sizeof greeting - 1);
  uv_write_t* request;
  uv_tcp_t* client;
  if (status != 0) return;
  client = malloc(sizeof *client);
  request = malloc(sizeof *request);
  if (client == NULL || request == NULL) abort();
  uv_tcp_init(from->loop, client);
  client->data = client;
  if (uv_accept(from, (uv_stream_t*)client) != 0 ||
      uv_write(request, (uv_stream_t*)client, &buffer, 1, on_written) != 0) {
    free(request);
    leave((uv_stream_t*)client);
  }
}

static void close_one(uv_handle_t* handle, void* none) {
  (void)none;
  if (!uv_is_closing(handle)) uv_close(handle, handle->data != NULL ? on_closed : NULL);
}

static void on_stop(uv_async_t* stop) { uv_walk(stop->loop, close_one, NULL); }

static void serve(void* loop) { uv_run(loop, UV_RUN_DEFAULT); }

static void on_interrupt(uv_signal_t* signal, int number) {
  (void)number;
  for (int i = 0; i < count; ++i) uv_async_send(&servers[i].stop);
  uv_close((uv_handle_t*)signal, NULL);
}

int main(void) {
  struct sockaddr_in address;
  int failed = 0;
  signal(SIGPIPE, SIG_IGN);
  for (int i = 0; i < count; ++i) {
    uv_ip4_addr("127.0.0.1", 7000 + i, &address);
    uv_loop_init(&servers[i].loop);
    uv_async_init(&servers[i].loop, &servers[i].stop, on_stop);
    uv_tcp_init(&servers[i].loop, &servers[i].listener);
    uv_tcp_bind(&servers[i].listener, (const struct sockaddr*)&address, 0);
    if (uv_listen((uv_stream_t*)&servers[i].listener, 8, on_connection) != 0) exit(1);
    if (uv_thread_create(&servers[i].thread, serve, &servers[i].loop) != 0) exit(1);
  }
  uv_signal_init(uv_default_loop(), &interrupt);
  uv_signal_start(&interrupt, on_interrupt, SIGINT);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  for (int i = 0; i < count; ++i) {
    uv_thread_join(&servers[i].thread);
    failed |= uv_loop_close(&servers[i].loop);
  }
  return failed | uv_loop_close(uv_default_loop());
}
