/* Somebody's server, as it is: it knows nothing of echoproof. It sends back in capitals what it
 * receives, until SIGINT. */
#include <ctype.h>
#include <signal.h>
#include <stdlib.h>
#include <uv.h>

typedef struct {
  uv_write_t request;
  char* text;
} reply_t;

static void on_close(uv_handle_t* client) { free(client); }

static void on_written(uv_write_t* request, int status) {
  reply_t* reply = (reply_t*)request;
  uv_handle_t* client = (uv_handle_t*)request->handle;
  free(reply->text);
  free(reply);
  if (status < 0 && !uv_is_closing(client)) uv_close(client, on_close);
}

static void on_alloc(uv_handle_t* client, size_t suggested, uv_buf_t* buffer) {
  (void)client;
  buffer->base = malloc(suggested);
  buffer->len = buffer->base == NULL ? 0 : suggested;
}

static void on_read(uv_stream_t* client, ssize_t nread, const uv_buf_t* buffer) {
  if (nread > 0) {
    reply_t* reply = malloc(sizeof *reply);
    uv_buf_t text = uv_buf_init(buffer->base, (unsigned int)nread);
    if (reply != NULL) {
      for (ssize_t i = 0; i < nread; ++i) {
        buffer->base[i] = (char)toupper((unsigned char)buffer->base[i]);
      }
      reply->text = buffer->base;
      if (uv_write(&reply->request, client, &text, 1, on_written) == 0) return;
      free(reply);
    }
    nread = UV_EOF;
  }
  if (nread < 0) {
    free(buffer->base);
    if (!uv_is_closing((uv_handle_t*)client)) uv_close((uv_handle_t*)client, on_close);
  }
}

static void on_connection(uv_stream_t* listener, int status) {
  uv_tcp_t* client;
  if (status < 0) return;
  client = malloc(sizeof *client);
  if (client == NULL) abort();
  uv_tcp_init(listener->loop, client);
  if (uv_accept(listener, (uv_stream_t*)client) != 0 ||
      uv_read_start((uv_stream_t*)client, on_alloc, on_read) != 0) {
    uv_close((uv_handle_t*)client, on_close);
  }
}

static void close_all(uv_handle_t* handle, void* listener) {
  if (uv_is_closing(handle)) return;
  uv_close(handle, handle->type == UV_TCP && handle != listener ? on_close : NULL);
}

static void on_interrupt(uv_signal_t* interrupt, int number) {
  (void)number;
  uv_walk(interrupt->loop, close_all, interrupt->data);
}

int main(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_tcp_t listener;
  uv_signal_t interrupt;
  struct sockaddr_in address;
  int failed = 0;
  signal(SIGPIPE, SIG_IGN);
  if (uv_ip4_addr("127.0.0.1", 7001, &address) != 0) return 1;
  uv_tcp_init(loop, &listener);
  uv_signal_init(loop, &interrupt);
  interrupt.data = &listener;
  if (uv_tcp_bind(&listener, (const struct sockaddr*)&address, 0) != 0 ||
      uv_listen((uv_stream_t*)&listener, 64, on_connection) != 0 ||
      uv_signal_start(&interrupt, on_interrupt, SIGINT) != 0) {
    failed = 1;
    uv_walk(loop, close_all, &listener);
  }
  uv_run(loop, UV_RUN_DEFAULT);
  return uv_loop_close(loop) == 0 ? failed : 1;
}
