// An echo server in the manner of many: what the programs of this directory have in common. Each of
// them says with ON_CLIENT what it does with a new client, and with ON_STOP how it ends.
#ifndef SERVER_H
#define SERVER_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

typedef struct {
  uv_tcp_t tcp;
  uv_write_t write;
  char bytes[256];
} client_t;

#define AS_HANDLE(pointer) ((uv_handle_t*)(pointer))
#define AS_STREAM(pointer) ((uv_stream_t*)(pointer))

static inline void free_client(uv_handle_t* handle) { free(handle->data); }

static inline void drop(client_t* client) {
  if (!uv_is_closing(AS_HANDLE(&client->tcp))) uv_close(AS_HANDLE(&client->tcp), free_client);
}

static inline void on_alloc(uv_handle_t* handle, size_t size, uv_buf_t* buffer) {
  client_t* client = (client_t*)handle->data;
  (void)size;
  *buffer = uv_buf_init(client->bytes, sizeof client->bytes);
}

static inline void on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer);

static inline void on_written(uv_write_t* write, int status) {
  client_t* client = (client_t*)write->data;
  if (status < 0 || uv_read_start(AS_STREAM(&client->tcp), on_alloc, on_read) != 0) drop(client);
}

static inline void on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
  client_t* client = (client_t*)stream->data;
  if (size == 0) return;
  if (size > 0) {
    uv_buf_t echo = uv_buf_init(buffer->base, (unsigned)size);
    uv_read_stop(stream);
    client->write.data = client;
    if (uv_write(&client->write, stream, &echo, 1, on_written) == 0) return;
  }
  drop(client);
}

// Accepts; the client that it returns is not read from yet. Null: it is closed again.
static inline client_t* accept_client(uv_stream_t* listener) {
  client_t* client = (client_t*)calloc(1, sizeof *client);
  if (client == NULL) abort();
  uv_tcp_init(listener->loop, &client->tcp);
  client->tcp.data = client;
  if (uv_accept(listener, AS_STREAM(&client->tcp)) == 0) return client;
  drop(client);
  return NULL;
}

static inline void serve(client_t* client) {
  if (uv_read_start(AS_STREAM(&client->tcp), on_alloc, on_read) != 0) drop(client);
}

static inline void close_each(uv_handle_t* handle, void* unused) {
  (void)unused;
  if (!uv_is_closing(handle)) uv_close(handle, handle->data != NULL ? free_client : NULL);
}

static inline void close_all(uv_signal_t* signal, int number) {
  (void)number;
  uv_walk(signal->loop, close_each, NULL);
}

// Serves until SIGTERM, and returns main's status.
static inline int run_server(uv_connection_cb on_client, uv_signal_cb on_stop) {
  uv_loop_t* loop = uv_default_loop();
  uv_tcp_t listener;
  uv_signal_t stop;
  struct sockaddr_in address;
  int failed;
  signal(SIGPIPE, SIG_IGN);
  uv_ip4_addr("127.0.0.1", 7000, &address);
  uv_tcp_init(loop, &listener);
  uv_signal_init(loop, &stop);
  listener.data = stop.data = NULL;
  failed = uv_tcp_bind(&listener, (struct sockaddr*)&address, 0) != 0 ||
           uv_listen(AS_STREAM(&listener), 16, on_client) != 0 ||
           uv_signal_start(&stop, on_stop, SIGTERM) != 0;
  if (failed) close_all(&stop, 0);
  uv_run(loop, UV_RUN_DEFAULT);
  return uv_loop_close(loop) != 0 || failed;
}

#endif
