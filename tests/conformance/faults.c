/* Deliberately wrong variants of libuv, to test the testers: each perturbs one behaviour, and the
 * suite must notice. Linked into the loopback arms with -Wl,--wrap; the environment variable
 * CONFORMANCE_FAULT says which fault it is to be. The first six are the ones that suites of
 * callback tests are known to miss.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

static int fault_is(const char* name) {
  const char* fault = getenv("CONFORMANCE_FAULT");
  return fault != NULL && strcmp(fault, name) == 0;
}

/* The write callbacks that a shim stands in for. */
struct original {
  const uv_write_t* request;
  uv_write_cb callback;
  struct original* next;
};

static struct original* originals;

static void remember(const uv_write_t* request, uv_write_cb callback) {
  struct original* original = malloc(sizeof *original);
  if (original == NULL) abort();
  original->request = request;
  original->callback = callback;
  original->next = originals;
  originals = original;
}

static uv_write_cb forget(const uv_write_t* request) {
  struct original** place = &originals;
  while ((*place)->request != request) place = &(*place)->next;
  struct original* original = *place;
  uv_write_cb callback = original->callback;
  *place = original->next;
  free(original);
  return callback;
}

/* ---- writing ------------------------------------------------------------------------------- */

int __real_uv_write(uv_write_t* request, uv_stream_t* stream, const uv_buf_t buffers[],
                    unsigned count, uv_write_cb callback);
int __wrap_uv_write(uv_write_t* request, uv_stream_t* stream, const uv_buf_t buffers[],
                    unsigned count, uv_write_cb callback);

static void on_write(uv_write_t* request, int status) {
  uv_write_cb callback = forget(request);
  if (fault_is("failed_write_succeeds") && status != UV_ECANCELED) status = 0;
  if (fault_is("completed_write_is_cancelled") &&
      uv_is_closing((const uv_handle_t*)request->handle)) {
    status = UV_ECANCELED;
  }
  if (callback != NULL) callback(request, status);
}

/* As if the address of a later attempt had not moved on: the right count, the wrong bytes. */
static void repeat_the_start(const uv_buf_t* buffers, unsigned count) {
  const size_t first_attempt = 1 << 20;
  for (unsigned i = 0; i < count; i++) {
    if (buffers[i].len <= first_attempt) continue;
    size_t rest = buffers[i].len - first_attempt;
    memmove(buffers[i].base + first_attempt, buffers[i].base, rest);
  }
}

int __wrap_uv_write(uv_write_t* request, uv_stream_t* stream, const uv_buf_t buffers[],
                    unsigned count, uv_write_cb callback) {
  if (fault_is("partial_write_starts_again")) repeat_the_start(buffers, count);
  int status = __real_uv_write(request, stream, buffers, count, on_write);
  if (status == 0) remember(request, callback);
  return status;
}

int __real_uv_try_write(uv_stream_t* stream, const uv_buf_t buffers[], unsigned count);
int __wrap_uv_try_write(uv_stream_t* stream, const uv_buf_t buffers[], unsigned count);

int __wrap_uv_try_write(uv_stream_t* stream, const uv_buf_t buffers[], unsigned count) {
  int status = __real_uv_try_write(stream, buffers, count);
  if (status == UV_EAGAIN && fault_is("try_write_overtakes")) return (int)buffers[0].len;
  return status;
}

size_t __real_uv_stream_get_write_queue_size(const uv_stream_t* stream);
size_t __wrap_uv_stream_get_write_queue_size(const uv_stream_t* stream);

size_t __wrap_uv_stream_get_write_queue_size(const uv_stream_t* stream) {
  if (fault_is("queue_size_is_never_told")) return 0;
  return __real_uv_stream_get_write_queue_size(stream);
}

int __real_uv_shutdown(uv_shutdown_t* request, uv_stream_t* stream, uv_shutdown_cb callback);
int __wrap_uv_shutdown(uv_shutdown_t* request, uv_stream_t* stream, uv_shutdown_cb callback);

int __wrap_uv_shutdown(uv_shutdown_t* request, uv_stream_t* stream, uv_shutdown_cb callback) {
  int status = __real_uv_shutdown(request, stream, callback);
  if (status == UV_ENOTCONN && fault_is("shutdown_refused_with_another_code")) return UV_EPIPE;
  return status;
}

/* ---- reading ------------------------------------------------------------------------------- */

int __real_uv_read_start(uv_stream_t* stream, uv_alloc_cb alloc_cb, uv_read_cb callback);
int __wrap_uv_read_start(uv_stream_t* stream, uv_alloc_cb alloc_cb, uv_read_cb callback);

static uv_read_cb read_callback;

static void on_read(uv_stream_t* stream, ssize_t nread, const uv_buf_t* buffer) {
  if (nread == UV_ECONNRESET && fault_is("reset_looks_like_the_end")) nread = UV_EOF;
  if (nread == 0 && fault_is("empty_read_is_swallowed")) {
    free(buffer->base);
    return;
  }
  if (nread == UV_ENOBUFS && fault_is("no_memory_stops_reading")) uv_read_stop(stream);
  read_callback(stream, nread, buffer);
}

int __wrap_uv_read_start(uv_stream_t* stream, uv_alloc_cb alloc_cb, uv_read_cb callback) {
  if (callback != NULL) read_callback = callback;
  int status = __real_uv_read_start(stream, alloc_cb, callback == NULL ? NULL : on_read);
  if (status == UV_EALREADY && fault_is("read_start_twice_is_fine")) return 0;
  return status;
}

/* ---- connecting, closing, time -------------------------------------------------------------- */

int __real_uv_tcp_connect(uv_connect_t* request, uv_tcp_t* tcp, const struct sockaddr* address,
                          uv_connect_cb callback);
int __wrap_uv_tcp_connect(uv_connect_t* request, uv_tcp_t* tcp, const struct sockaddr* address,
                          uv_connect_cb callback);

int __wrap_uv_tcp_connect(uv_connect_t* request, uv_tcp_t* tcp, const struct sockaddr* address,
                          uv_connect_cb callback) {
  int status = __real_uv_tcp_connect(request, tcp, address, callback);
  if (status == UV_EALREADY && fault_is("connect_twice_is_fine")) return 0;
  return status;
}

void __real_uv_close(uv_handle_t* handle, uv_close_cb callback);
void __wrap_uv_close(uv_handle_t* handle, uv_close_cb callback);

void __wrap_uv_close(uv_handle_t* handle, uv_close_cb callback) {
  if (fault_is("close_callback_is_forgotten") && handle->type == UV_TCP && callback != NULL) {
    static int count;
    if (count++ % 3 == 0) callback = NULL;
  }
  __real_uv_close(handle, callback);
}

int __real_uv_timer_start(uv_timer_t* timer, uv_timer_cb callback, uint64_t timeout,
                          uint64_t repeat);
int __wrap_uv_timer_start(uv_timer_t* timer, uv_timer_cb callback, uint64_t timeout,
                          uint64_t repeat);

int __wrap_uv_timer_start(uv_timer_t* timer, uv_timer_cb callback, uint64_t timeout,
                          uint64_t repeat) {
  if (fault_is("timers_are_early") && timeout > 0) timeout--;
  return __real_uv_timer_start(timer, callback, timeout, repeat);
}

int __real_uv_run(uv_loop_t* loop, uv_run_mode mode);
int __wrap_uv_run(uv_loop_t* loop, uv_run_mode mode);

static int descriptors_have_run_out(void) {
  int descriptor = dup(STDERR_FILENO);
  if (descriptor < 0) return errno == EMFILE;
  close(descriptor);
  return 0;
}

int __wrap_uv_run(uv_loop_t* loop, uv_run_mode mode) {
  if (fault_is("listener_waits_for_descriptors") && descriptors_have_run_out()) return 1;
  int status = __real_uv_run(loop, mode);
  if (mode == UV_RUN_NOWAIT && fault_is("nowait_never_says_alive")) return 0;
  return status;
}
