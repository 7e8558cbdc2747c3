/* A chat server that does not know of echoproof. It sends each line of a client to all others.
 *
 *   chat [--port N] [--motd TEXT]     until SIGINT
 *
 * It has a defect. With -DMENDED it has none; look at leave() after you have seen the page. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { line_max = 256 };

typedef struct guest {
  uv_tcp_t tcp;
  struct guest* next;
  char line[line_max];
  size_t length;
} guest;

/* A line on its way to all other guests. */
typedef struct {
  size_t readers, length;
  char text[line_max];
} message;

typedef struct {
  uv_write_t request;
  message* message;
} delivery;

static uv_tcp_t listener;
static uv_signal_t interrupt;
static guest* guests;
static const char* motd = "welcome\n";

static void on_gone(uv_handle_t* handle) { free(handle->data); }

static void leave(guest* one) {
#ifdef MENDED
  if (uv_is_closing((uv_handle_t*)&one->tcp)) return;
#endif
  for (guest** link = &guests; *link != NULL; link = &(*link)->next) {
    if (*link == one) {
      *link = one->next;
      break;
    }
  }
  uv_close((uv_handle_t*)&one->tcp, on_gone);
}

static void release(message* text) {
  if (--text->readers == 0) free(text);
}

static void on_delivered(uv_write_t* request, int status) {
  delivery* one = (delivery*)request;
  guest* to = request->handle->data;
  release(one->message);
  free(one);
  if (status < 0) leave(to);
}

static void deliver(guest* to, message* text) {
  delivery* one = malloc(sizeof *one);
  uv_buf_t bytes = uv_buf_init(text->text, (unsigned)text->length);
  if (one == NULL) abort();
  one->message = text;
  ++text->readers;
  if (uv_write(&one->request, (uv_stream_t*)&to->tcp, &bytes, 1, on_delivered) != 0) {
    release(text);
    free(one);
  }
}

static void say(guest* from, const char* text, size_t length) {
  message* said = malloc(sizeof *said);
  if (said == NULL) abort();
  memcpy(said->text, text, length);
  said->length = length;
  said->readers = 1; /* until all guests have it */
  for (guest* to = guests; to != NULL; to = to->next) {
    if (to != from) deliver(to, said);
  }
  release(said);
}

static void on_alloc(uv_handle_t* handle, size_t suggested, uv_buf_t* buffer) {
  guest* one = handle->data;
  (void)suggested;
  *buffer = uv_buf_init(one->line + one->length, (unsigned)(line_max - one->length));
}

static void on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
  guest* one = stream->data;
  char* end;
  (void)buffer;
  if (count < 0) {
    leave(one);
    return;
  }
  one->length += (size_t)count;
  while ((end = memchr(one->line, '\n', one->length)) != NULL || one->length == line_max) {
    size_t length = end == NULL ? line_max : (size_t)(end - one->line) + 1;
    say(one, one->line, length);
    one->length -= length;
    memmove(one->line, one->line + length, one->length);
  }
}

static void on_connection(uv_stream_t* stream, int status) {
  guest* one;
  message* greeting;
  if (status < 0) return;
  one = calloc(1, sizeof *one);
  greeting = malloc(sizeof *greeting);
  if (one == NULL || greeting == NULL) abort();
  uv_tcp_init(stream->loop, &one->tcp);
  one->tcp.data = one;
  one->next = guests;
  guests = one;
  greeting->length = (size_t)snprintf(greeting->text, sizeof greeting->text, "%s", motd);
  if (greeting->length >= sizeof greeting->text) greeting->length = sizeof greeting->text - 1;
  greeting->readers = 1;
  if (uv_accept(stream, (uv_stream_t*)&one->tcp) != 0) {
    leave(one);
  } else {
    deliver(one, greeting);
    if (uv_read_start((uv_stream_t*)&one->tcp, on_alloc, on_read) != 0) leave(one);
  }
  release(greeting);
}

static void on_interrupt(uv_signal_t* handle, int number) {
  (void)number;
  uv_close((uv_handle_t*)handle, NULL);
  uv_close((uv_handle_t*)&listener, NULL);
  while (guests != NULL) leave(guests);
}

int main(int argc, char** argv) {
  uv_loop_t* loop = uv_default_loop();
  struct sockaddr_in address;
  int port = 7000;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--port") == 0) port = atoi(argv[i + 1]);
    if (strcmp(argv[i], "--motd") == 0) motd = argv[i + 1];
  }
  signal(SIGPIPE, SIG_IGN);
  uv_ip4_addr("127.0.0.1", port, &address);
  uv_tcp_init(loop, &listener);
  if (uv_tcp_bind(&listener, (const struct sockaddr*)&address, 0) != 0 ||
      uv_listen((uv_stream_t*)&listener, 128, on_connection) != 0) {
    fprintf(stderr, "chat: cannot listen on port %d\n", port);
    return 1;
  }
  uv_signal_init(loop, &interrupt);
  uv_signal_start(&interrupt, on_interrupt, SIGINT);
  printf("listening on port %d\n", port);
  uv_run(loop, UV_RUN_DEFAULT);
  return uv_loop_close(loop) == 0 ? 0 : 1;
}
