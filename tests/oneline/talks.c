/* Servers that bytes of no meaning do not get far with: each waits for messages of its kind.
 *
 *   -DLINES     sends back whole lines
 *   -DFRAMES    sends back whole frames, of two bytes of length and so many others
 *   -DREQUESTS  answers what begins with "GET " and ends with an empty line
 *   -DPAGES     the same, with a long page that names the time, and then ends
 *   -DCOMMANDS  answers the line "frobnicate"
 *   -DSWALLOWS  has a defect: of what follows a message, a single byte is lost
 *   -DCUTS      has a defect: does not wait until the page is written
 *   -DLENDS_ITS_STACK, -DFORGETS  has another one, when it answers */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

typedef struct {
  uv_tcp_t tcp;
  uv_shutdown_t shutdown;
  char* said;
  size_t size, room;
  int ends;
} peer;

static uv_tcp_t listener;
static uv_signal_t ear;

static void on_closed(uv_handle_t* handle) {
  free(((peer*)handle)->said);
  free(handle);
}

static void leave(void* one) {
  if (!uv_is_closing(one)) uv_close(one, on_closed);
}

static void on_shut(uv_shutdown_t* request, int status) {
  (void)status;
  leave(request->handle);
}

static void on_written(uv_write_t* request, int status) {
  if (status != 0) leave(request->handle);
  free(request->data);
  free(request);
}

static void answer(peer* to, const char* bytes, size_t size) {
  uv_write_t* request = malloc(sizeof *request);
  uv_buf_t buffer = uv_buf_init(malloc(size), (unsigned)size);
  if (request == NULL || buffer.base == NULL) abort();
  memcpy(buffer.base, bytes, size);
  request->data = buffer.base;
#ifdef FORGETS
  request->data = NULL;
#endif
#ifdef LENDS_ITS_STACK
  char text[64];
  memcpy(text, bytes, size);
  buffer.base = text;
#endif
  if (uv_write(request, (uv_stream_t*)to, &buffer, 1, on_written) != 0) {
    free(request->data);
    free(request);
    leave(to);
  }
}

/* How long the first message is, with `size` bytes there; 0: it is not whole. */
static size_t first_message(const char* said, size_t size) {
#ifdef FRAMES
  if (size < 2) return 0;
  const size_t body = (size_t)(unsigned char)said[0] << 8 | (unsigned char)said[1];
  return size < 2 + body ? 0 : 2 + body;
#elif defined REQUESTS || defined PAGES
  for (size_t end = 4; end <= size; ++end) {
    if (memcmp(said + end - 4, "\r\n\r\n", 4) == 0) return end;
  }
  return 0;
#else
  const char* const end = memchr(said, '\n', size);
  return end == NULL ? 0 : (size_t)(end + 1 - said);
#endif
}

static void show_page(peer* to) {
  char page[30000];
  if (to->ends++ > 0) return;
  time_t now = time(NULL);
  memset(page, 'x', sizeof page);
  strftime(page, 100, "HTTP/1.1 200 OK\r\nDate: %a, %d %b %Y %H:%M:%S GMT\r\n\r\n", gmtime(&now));
  answer(to, page, sizeof page);
#ifdef CUTS
  leave(to);
#else
  uv_read_stop((uv_stream_t*)to);
  if (uv_shutdown(&to->shutdown, (uv_stream_t*)to, on_shut) != 0) leave(to);
#endif
}

static void hear(peer* from, const char* message, size_t size) {
#ifdef PAGES
  if (size > 4 && memcmp(message, "GET ", 4) == 0) show_page(from);
#elif defined REQUESTS
  if (size > 4 && memcmp(message, "GET ", 4) == 0) answer(from, "200\r\n\r\n", 7);
#elif defined COMMANDS
  if (size > 10 && memcmp(message, "frobnicate", 10) == 0) answer(from, "yes\n", 4);
#else
  answer(from, message, size);
#endif
}

static void on_alloc(uv_handle_t* handle, size_t suggested, uv_buf_t* buffer) {
  peer* const one = (peer*)handle;
  (void)suggested;
  if (one->room - one->size < 256) {
    one->room = one->room * 2 + 512;
    one->said = realloc(one->said, one->room);
    if (one->said == NULL) abort();
  }
  *buffer = uv_buf_init(one->said + one->size, (unsigned)(one->room - one->size));
}

static void on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
  peer* const one = (peer*)stream;
  size_t length;
  (void)buffer;
  if (count == UV_EOF && uv_shutdown(&one->shutdown, stream, on_shut) == 0) {
    uv_read_stop(stream);
    return;
  }
  if (count < 0) {
    leave(one);
    return;
  }
  one->size += (size_t)count;
  while ((length = first_message(one->said, one->size)) > 0) {
    hear(one, one->said, length);
#ifdef SWALLOWS
    if (one->size - length == 1) ++length;
#endif
    one->size -= length;
    memmove(one->said, one->said + length, one->size);
  }
}

static void on_connection(uv_stream_t* from, int status) {
  peer* const one = calloc(1, sizeof *one);
  if (one == NULL) abort();
  if (status != 0) {
    free(one);
    return;
  }
  uv_tcp_init(from->loop, &one->tcp);
  if (uv_accept(from, (uv_stream_t*)one) != 0 ||
      uv_read_start((uv_stream_t*)one, on_alloc, on_read) != 0) {
    leave(one);
  }
}

static void close_one(uv_handle_t* handle, void* none) {
  (void)none;
  if (uv_is_closing(handle)) return;
  if (handle == (uv_handle_t*)&listener || handle == (uv_handle_t*)&ear) {
    uv_close(handle, NULL);
  } else {
    leave(handle);
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
