/* See interpreter.h. Handles live in one static cast, so that nothing of a play survives it. */
#include "interpreter.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum life { ABSENT, OPEN, CLOSING, GONE };

/* A play that would send more than this in one direction leaves the write out: a small play must
   fit into every buffer on the way, or the kernel decides how its bytes are split. */
enum { SMALL_LIMIT = 12000, LARGE_LIMIT = 64 << 20 };

struct member {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_idle_t idle;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_async_t async;
  } uv;
  enum life life;
  unsigned occurrences[MOMENTS];
  unsigned buffer_size;
  size_t sent;
  size_t received;
};

static struct member cast[ACTORS];
static uv_loop_t loop;
static int port;
static int refused_port;
static int accepts_by_itself;
static int is_large;
static int is_ending;
static unsigned happened;

/* ---- tracing ------------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) static void trace(const char* format, ...) {
  char line[200];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  interpreter_line(line);
}

static const char* result_text(long long result) {
  static char number[32];
  if (result < 0) return uv_err_name((int)result);
  snprintf(number, sizeof number, "%lld", result);
  return number;
}

static enum actor actor_of(const void* handle) {
  const struct member* member = (const struct member*)handle;
  return (enum actor)(member - cast);
}

static void react(enum moment moment, enum actor actor) {
  happened++;
  unsigned occurrence = cast[actor].occurrences[moment]++;
  if (!is_ending) interpreter_reaction(moment, actor, occurrence);
}

static void result(enum actor actor, const char* call, long long value) {
  trace("%s.%s = %s", actor_names[actor], call, result_text(value));
}

/* ---- bytes --------------------------------------------------------------------------------- */

/* Every byte is a function of its place in the stream, so a reader can check it by itself. */
static char byte_at(size_t place) { return (char)(place * 31 % 251); }

static int bytes_are_right(const char* bytes, size_t size, size_t place) {
  for (size_t i = 0; i < size; i++) {
    if (bytes[i] != byte_at(place + i)) return 0;
  }
  return 1;
}

static char* make_bytes(size_t size, size_t place) {
  char* bytes = malloc(size + 1);
  if (bytes == NULL) abort();
  for (size_t i = 0; i < size; i++) bytes[i] = byte_at(place + i);
  return bytes;
}

/* ---- callbacks ----------------------------------------------------------------------------- */

static void on_close(uv_handle_t* handle) {
  enum actor actor = actor_of(handle);
  cast[actor].life = GONE;
  trace("> %s closed", actor_names[actor]);
  react(ON_CLOSE, actor);
}

static void on_alloc(uv_handle_t* handle, size_t suggested, uv_buf_t* buffer) {
  (void)suggested;
  unsigned size = cast[actor_of(handle)].buffer_size;
  *buffer = uv_buf_init(size == 0 ? NULL : malloc(size), size);
}

static void on_read(uv_stream_t* stream, ssize_t nread, const uv_buf_t* buffer) {
  enum actor actor = actor_of(stream);
  struct member* self = &cast[actor];
  const char* judgement = buffer->base == NULL ? " without a buffer" : "";
  if (nread > 0) {
    if (!bytes_are_right(buffer->base, (size_t)nread, self->received)) judgement = " WRONG BYTES";
    self->received += (size_t)nread;
  }
  free(buffer->base);
  trace("> %s read %s%s", actor_names[actor], result_text(nread), judgement);
  react(nread >= 0 || nread == UV_ENOBUFS ? ON_READ : ON_END, actor);
}

struct write {
  uv_write_t request;
  char* bytes;
  size_t size;
};

static void on_write(uv_write_t* request, int status) {
  enum actor actor = actor_of(request->handle);
  struct write* done = (struct write*)request;
  trace("> %s write(%zu) %s", actor_names[actor], done->size, result_text(status));
  memset(done->bytes, '!', done->size);
  free(done->bytes);
  free(done);
  react(ON_WRITE, actor);
}

static void on_shutdown(uv_shutdown_t* request, int status) {
  enum actor actor = actor_of(request->handle);
  free(request);
  trace("> %s shutdown %s", actor_names[actor], result_text(status));
  react(ON_SHUTDOWN, actor);
}

static void on_connect(uv_connect_t* request, int status) {
  enum actor actor = actor_of(request->handle);
  free(request);
  trace("> %s connect %s", actor_names[actor], result_text(status));
  react(ON_CONNECT, actor);
}

static void runs(const void* handle) {
  enum actor actor = actor_of(handle);
  trace("> %s runs", actor_names[actor]);
  react(ON_RUN, actor);
}

static void on_timer(uv_timer_t* timer) { runs(timer); }
static void on_idle(uv_idle_t* idle) { runs(idle); }
static void on_prepare(uv_prepare_t* prepare) { runs(prepare); }
static void on_check(uv_check_t* check) { runs(check); }
static void on_async(uv_async_t* async) { runs(async); }

static void do_accept(void);

static void on_connection(uv_stream_t* server, int status) {
  (void)server;
  trace("> s connection %s", result_text(status));
  if (accepts_by_itself && status == 0 && !is_ending) do_accept();
  react(ON_CONNECTION, S);
}

/* Without Nagle's algorithm, which holds back a small write until the one before it is
   acknowledged, and so makes the kernel's acknowledgement timers decide what is read together. */
static void open_tcp(struct member* self) {
  if (uv_tcp_init(&loop, &self->uv.tcp) != 0) abort();
  if (uv_tcp_nodelay(&self->uv.tcp, 1) != 0) abort();
  self->life = OPEN;
}

/* ---- operations ---------------------------------------------------------------------------------
 */

static void do_accept(void) {
  for (enum actor peer = P0; peer <= P2; peer++) {
    struct member* self = &cast[peer];
    if (self->life != ABSENT) continue;
    open_tcp(self);
    int status = uv_accept(&cast[S].uv.stream, &self->uv.stream);
    trace("s.accept(%s) = %s", actor_names[peer], result_text(status));
    if (status == 0 && accepts_by_itself) {
      result(peer, "read_start", uv_read_start(&self->uv.stream, on_alloc, on_read));
    }
    return;
  }
}

static void do_connect(enum actor client, int to_port) {
  struct member* self = &cast[client];
  struct sockaddr_in address;
  uv_ip4_addr("127.0.0.1", to_port, &address);
  if (self->life == ABSENT) open_tcp(self);
  uv_connect_t* request = malloc(sizeof *request);
  int status = uv_tcp_connect(request, &self->uv.tcp, (const struct sockaddr*)&address, on_connect);
  if (status != 0) free(request);
  result(client, "connect", status);
}

static void do_write(enum actor actor, size_t size, size_t parts) {
  struct member* self = &cast[actor];
  if (self->sent + size > (is_large ? LARGE_LIMIT : SMALL_LIMIT)) return;
  struct write* write = malloc(sizeof *write);
  uv_buf_t* buffers = calloc(parts, sizeof *buffers);
  if (write == NULL || buffers == NULL) abort();
  write->bytes = make_bytes(size, self->sent);
  write->size = size;
  for (size_t i = 0; i < parts; i++) {
    size_t start = size * i / parts;
    size_t end = size * (i + 1) / parts;
    buffers[i] = uv_buf_init(write->bytes + start, (unsigned)(end - start));
  }
  int status = uv_write(&write->request, &self->uv.stream, buffers, (unsigned)parts, on_write);
  free(buffers);
  if (status == 0) {
    self->sent += size;
  } else {
    free(write->bytes);
    free(write);
  }
  trace("%s.write(%zu in %zu) = %s", actor_names[actor], size, parts, result_text(status));
}

static void do_try_write(enum actor actor, size_t size) {
  struct member* self = &cast[actor];
  if (self->sent + size > (is_large ? LARGE_LIMIT : SMALL_LIMIT)) return;
  char* bytes = make_bytes(size, self->sent);
  uv_buf_t buffer = uv_buf_init(bytes, (unsigned)size);
  int status = uv_try_write(&self->uv.stream, &buffer, 1);
  free(bytes);
  if (status > 0) self->sent += (size_t)status;
  trace("%s.try_write(%zu) = %s", actor_names[actor], size, result_text(status));
}

static void do_shutdown(enum actor actor) {
  uv_shutdown_t* request = malloc(sizeof *request);
  int status = uv_shutdown(request, &cast[actor].uv.stream, on_shutdown);
  if (status != 0) free(request);
  result(actor, "shutdown", status);
}

static void do_close(enum actor actor) {
  cast[actor].life = CLOSING;
  trace("%s.close", actor_names[actor]);
  uv_close(&cast[actor].uv.handle, on_close);
}

static void do_reset(enum actor actor) {
  int status = uv_tcp_close_reset(&cast[actor].uv.tcp, on_close);
  if (status == 0) cast[actor].life = CLOSING;
  result(actor, "reset", status);
}

static void do_query(enum actor actor) {
  struct member* self = &cast[actor];
  trace("%s: active=%d closing=%d ref=%d", actor_names[actor], uv_is_active(&self->uv.handle),
        uv_is_closing(&self->uv.handle), uv_has_ref(&self->uv.handle));
  if (actor > P2) return;
  trace("%s: readable=%d writable=%d queue=%zu", actor_names[actor],
        uv_is_readable(&self->uv.stream), uv_is_writable(&self->uv.stream),
        uv_stream_get_write_queue_size(&self->uv.stream));
}

static void do_start(enum actor actor, unsigned a, unsigned b) {
  struct member* self = &cast[actor];
  int status = 0;
  if (actor == T0 || actor == T1) {
    status = uv_timer_start(&self->uv.timer, on_timer, a, b);
  } else if (actor == IDLE) {
    status = uv_idle_start(&self->uv.idle, on_idle);
  } else if (actor == PREP) {
    status = uv_prepare_start(&self->uv.prepare, on_prepare);
  } else if (actor == CHECK) {
    status = uv_check_start(&self->uv.check, on_check);
  } else {
    return;
  }
  result(actor, "start", status);
}

static void do_stop(enum actor actor) {
  struct member* self = &cast[actor];
  int status = 0;
  if (actor == T0 || actor == T1) {
    status = uv_timer_stop(&self->uv.timer);
  } else if (actor == IDLE) {
    status = uv_idle_stop(&self->uv.idle);
  } else if (actor == PREP) {
    status = uv_prepare_stop(&self->uv.prepare);
  } else if (actor == CHECK) {
    status = uv_check_stop(&self->uv.check);
  } else {
    return;
  }
  result(actor, "stop", status);
}

static void do_turn(void) { trace("turn = %d", uv_run(&loop, UV_RUN_NOWAIT)); }

/* Quiet for so many turns in a row is quiet for good: nothing here waits longer for the kernel. A
   reader without memory and an idle handle are never quiet, so there is a limit too. */
static void do_settle(void) {
  const unsigned turns = is_large ? 20000 : 50;
  unsigned quiet = 0;
  for (unsigned turn = 0; quiet < 10 && turn < turns; turn++) {
    unsigned before = happened;
    uv_run(&loop, UV_RUN_NOWAIT);
    quiet = before == happened ? quiet + 1 : 0;
  }
  trace("settled");
}

/* In the meantime timers of the kernel acknowledge what was sent, and so put sockets on epoll's
   list that have nothing to report. The turn takes them off again, or they would go first later on.
 */
static void do_sleep(void) {
  uv_sleep(SLEEP_MS);
  do_turn();
}

static int is_stream(enum actor actor) { return actor <= P2; }
static int is_end(enum actor actor) { return actor >= C0 && actor <= P2; }
static int is_timer(enum actor actor) { return actor == T0 || actor == T1; }

static void do_to_stream(enum operation operation, enum actor actor, unsigned a, unsigned b) {
  uv_stream_t* stream = &cast[actor].uv.stream;
  if (operation == V_READ_START)
    result(actor, "read_start", uv_read_start(stream, on_alloc, on_read));
  if (operation == V_READ_STOP) result(actor, "read_stop", uv_read_stop(stream));
  if (operation == V_WRITE) do_write(actor, a, b == 0 ? 1 : b);
  if (operation == V_TRY_WRITE) do_try_write(actor, a);
  if (operation == V_SHUTDOWN) do_shutdown(actor);
  if (operation == V_RESET && cast[actor].life == OPEN) do_reset(actor);
  if (operation == V_BUFFER) cast[actor].buffer_size = a;
}

static void do_to_handle(enum operation operation, enum actor actor, unsigned a, unsigned b) {
  struct member* self = &cast[actor];
  int is_open = self->life == OPEN;
  if (operation == V_CLOSE && is_open) do_close(actor);
  if (operation == V_START && is_open) do_start(actor, a, b);
  if (operation == V_STOP && is_open) do_stop(actor);
  if (operation == V_AGAIN && is_open && is_timer(actor))
    result(actor, "again", uv_timer_again(&self->uv.timer));
  if (operation == V_SEND && actor == ASYNC) result(actor, "send", uv_async_send(&self->uv.async));
  if (operation == V_REF && is_open) uv_ref(&self->uv.handle);
  if (operation == V_UNREF && is_open) uv_unref(&self->uv.handle);
  if (operation == V_QUERY) do_query(actor);
  if (is_end(actor) || (is_stream(actor) && operation == V_RESET))
    do_to_stream(operation, actor, a, b);
}

/* A operation that cannot be done, because its handle is not there yet or no more, is left out: the
   interpreter never breaks a rule of libuv's contract. */
void interpreter_do(enum operation operation, enum actor actor, unsigned a, unsigned b) {
  struct member* self = &cast[actor];
  int is_client = actor >= C0 && actor <= C2;
  if (operation == V_TURN) do_turn();
  if (operation == V_SETTLE) do_settle();
  if (operation == V_SLEEP) do_sleep();
  if (operation == V_STOP_LOOP) uv_stop(&loop);
  if (operation == V_MANUAL) accepts_by_itself = 0;
  if (operation == V_ACCEPT && cast[S].life == OPEN) do_accept();
  /* To listen again with a connection waiting to be accepted makes libuv 1.44 fail an assertion. */
  if (operation == V_LISTEN && (cast[S].life == OPEN || cast[S].life == CLOSING) &&
      cast[S].uv.stream.accepted_fd == -1) {
    result(S, "listen", uv_listen(&cast[S].uv.stream, 16, on_connection));
  }
  if (operation == V_CONNECT && is_client && self->life <= OPEN) do_connect(actor, port);
  if (operation == V_REFUSED && is_client && self->life <= OPEN) do_connect(actor, refused_port);
  if (self->life == OPEN || self->life == CLOSING) do_to_handle(operation, actor, a, b);
}

/* ---- a play -------------------------------------------------------------------------------- */

static int port_of(uv_tcp_t* tcp) {
  struct sockaddr_in address;
  int size = sizeof address;
  if (uv_tcp_getsockname(tcp, (struct sockaddr*)&address, &size) != 0) abort();
  return ntohs(address.sin_port);
}

static void bind_loopback(uv_tcp_t* tcp) {
  struct sockaddr_in address;
  uv_ip4_addr("127.0.0.1", 0, &address);
  if (uv_tcp_init(&loop, tcp) != 0) abort();
  if (uv_tcp_bind(tcp, (const struct sockaddr*)&address, 0) != 0) abort();
}

/* A port without a listener, bound so that no other program can take it. */
static uv_tcp_t nobody;

void interpreter_begin(int large) {
  memset(cast, 0, sizeof cast);
  is_large = large;
  is_ending = 0;
  happened = 0;
  accepts_by_itself = 1;
  if (uv_loop_init(&loop) != 0) abort();
  bind_loopback(&nobody);
  refused_port = port_of(&nobody);
  for (enum actor actor = S; actor < ACTORS; actor++) cast[actor].buffer_size = 65536;
  bind_loopback(&cast[S].uv.tcp);
  if (uv_listen(&cast[S].uv.stream, 16, on_connection) != 0) abort();
  port = port_of(&cast[S].uv.tcp);
  uv_timer_init(&loop, &cast[T0].uv.timer);
  uv_timer_init(&loop, &cast[T1].uv.timer);
  uv_idle_init(&loop, &cast[IDLE].uv.idle);
  uv_prepare_init(&loop, &cast[PREP].uv.prepare);
  uv_check_init(&loop, &cast[CHECK].uv.check);
  if (uv_async_init(&loop, &cast[ASYNC].uv.async, on_async) != 0) abort();
  cast[S].life = OPEN;
  for (enum actor actor = T0; actor < ACTORS; actor++) cast[actor].life = OPEN;
}

static void close_if_open(uv_handle_t* handle, void* argument) {
  (void)argument;
  if (uv_is_closing(handle)) return;
  if (handle == (uv_handle_t*)&nobody) {
    uv_close(handle, NULL);
  } else {
    do_close(actor_of(handle));
  }
}

void interpreter_end(void) {
  is_ending = 1;
  trace("the end");
  uv_walk(&loop, close_if_open, NULL);
  while (uv_run(&loop, UV_RUN_DEFAULT) != 0) {
  }
  trace("loop_close = %s", result_text(uv_loop_close(&loop)));
}
