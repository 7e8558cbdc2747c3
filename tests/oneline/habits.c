/* Echo servers with a habit of their own. A client that does not know it would think itself
 * wronged.
 *
 *   -DGREETS   says a word to each client first
 *   -DLIMITS   hangs up on a client that has said more than 600 bytes
 *   -DASCII    hangs up on a byte above 127, and on a line of more than 256 bytes
 *   -DBEATS    says PING to each client every five seconds
 *   -DMINUTE   serves a client for one minute
 *   -DIDLES    closes a client that says nothing for two seconds
 *   -DENDLESS  sends without end, and hears nothing
 *   -DFILES    opens a file for each client, which uvsim cannot do
 *   -DCUTS     has a defect: closes at the client's end with the echo still pending
 *   -DSTICKS   has another one: reads no more of a client when it has read 4,096 bytes */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

typedef struct {
  uv_tcp_t tcp;
  uv_timer_t timer;
  int handles, pending, ended, said, line;
  char bytes[1500];
} peer;

static uv_tcp_t listener;
static uv_signal_t ear;

static void on_closed(uv_handle_t* handle) {
  peer* const one = handle->data;
  if (--one->handles == 0) free(one);
}

static void leave(peer* one) {
  if (uv_is_closing((uv_handle_t*)&one->tcp)) return;
  uv_close((uv_handle_t*)&one->tcp, on_closed);
  uv_close((uv_handle_t*)&one->timer, on_closed);
}

static void say(peer* one, const char* bytes, size_t size);

static void on_written(uv_write_t* request, int status) {
  peer* const one = request->handle->data;
  free(request);
  --one->pending;
#ifdef ENDLESS
  static const char line[74] = "all work and no play makes one a dull server";
  if (status == 0 && !one->ended && !uv_is_closing((uv_handle_t*)&one->tcp))
    say(one, line, sizeof line);
#endif
  if (status != 0 || (one->ended && one->pending == 0)) leave(one);
}

static void say(peer* one, const char* bytes, size_t size) {
  uv_write_t* const request = malloc(sizeof *request + size);
  uv_buf_t buffer;
  if (request == NULL) abort();
  memcpy(request + 1, bytes, size);
  buffer = uv_buf_init((char*)(request + 1), (unsigned)size);
  ++one->pending;
  if (uv_write(request, (uv_stream_t*)&one->tcp, &buffer, 1, on_written) == 0) return;
  --one->pending;
  free(request);
  leave(one);
}

static void on_alloc(uv_handle_t* handle, size_t suggested, uv_buf_t* buffer) {
  peer* const one = handle->data;
  (void)suggested;
  *buffer = uv_buf_init(one->bytes, sizeof one->bytes);
}

/* How many of these bytes it still accepts. */
static size_t accepted(peer* one, const char* bytes, size_t size) {
  size_t i = 0;
#ifdef LIMITS
  for (; i < size && one->said < 600; ++i) ++one->said;
#elif defined ENDLESS
  (void)one;
  (void)bytes;
#elif defined ASCII
  for (; i < size && (unsigned char)bytes[i] < 128 && one->line < 256; ++i) {
    one->line = bytes[i] == '\n' ? 0 : one->line + 1;
  }
#else
  (void)one;
  (void)bytes;
  i = size;
#endif
  return i;
}

static void on_timer(uv_timer_t* timer);

static void on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
  peer* const one = stream->data;
#ifdef ENDLESS
  if (count >= 0) return;
#endif
#ifdef IDLES
  if (count > 0) uv_timer_start(&one->timer, on_timer, 2000, 0);
#endif
#ifdef STICKS
  if (count > 0 && (one->said += (int)count) > 4096) uv_read_stop(stream);
#endif
  if (count > 0) {
    const size_t size = accepted(one, buffer->base, (size_t)count);
    if (size > 0) say(one, buffer->base, size);
    if (size == (size_t)count) return;
  } else if (count == 0) {
    return;
  }
  one->ended = 1;
  uv_read_stop(stream);
#ifdef CUTS
  leave(one);
#else
  if (one->pending == 0 || (count < 0 && count != UV_EOF)) leave(one);
#endif
}

static void on_timer(uv_timer_t* timer) {
#ifdef BEATS
  say(timer->data, "PING\n", 5);
#else
  leave(timer->data);
#endif
}

static void on_connection(uv_stream_t* from, int status) {
  peer* const one = calloc(1, sizeof *one);
  if (one == NULL) abort();
  if (status != 0) {
    free(one);
    return;
  }
  one->handles = 2;
  uv_tcp_init(from->loop, &one->tcp);
  uv_timer_init(from->loop, &one->timer);
  one->tcp.data = one->timer.data = one;
  if (uv_accept(from, (uv_stream_t*)&one->tcp) != 0 ||
      uv_read_start((uv_stream_t*)&one->tcp, on_alloc, on_read) != 0) {
    leave(one);
    return;
  }
#ifdef BEATS
  uv_timer_start(&one->timer, on_timer, 5000, 5000);
#elif defined IDLES
  uv_timer_start(&one->timer, on_timer, 2000, 0);
#elif defined MINUTE
  uv_timer_start(&one->timer, on_timer, 60000, 0);
#else
  (void)on_timer;
#endif
#ifdef FILES
  uv_fs_t request;
  uv_fs_open(from->loop, &request, "/etc/hostname", 0, 0, NULL);
  uv_fs_req_cleanup(&request);
#endif
#ifdef ENDLESS
  say(one, "and so on", 9);
#endif
#ifdef GREETS
  say(one, "welcome\r\n", 9);
#endif
}

static void close_one(uv_handle_t* handle, void* none) {
  (void)none;
  if (uv_is_closing(handle)) return;
  if (handle->data == NULL) {
    uv_close(handle, NULL);
  } else {
    leave(handle->data);
  }
}

static void on_signal(uv_signal_t* signal, int number) {
  (void)number;
  uv_walk(signal->loop, close_one, NULL);
}

int main(void) {
  uv_loop_t* const loop = uv_default_loop();
  struct sockaddr_in address;
  signal(SIGPIPE, SIG_IGN);
  uv_ip4_addr("127.0.0.1", 7000, &address);
  uv_tcp_init(loop, &listener);
  uv_tcp_bind(&listener, (const struct sockaddr*)&address, 0);
  if (uv_listen((uv_stream_t*)&listener, 16, on_connection) != 0) return 1;
  uv_signal_init(loop, &ear);
  uv_signal_start(&ear, on_signal, SIGTERM);
  uv_run(loop, UV_RUN_DEFAULT);
  return uv_loop_close(loop);
}
