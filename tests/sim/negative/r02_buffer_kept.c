// R2: the buffer that alloc_cb handed out is freed before read_cb gave it back.
#include "negative.h"

static char* lent;

static void on_alloc(uv_handle_t* handle, size_t size, uv_buf_t* buffer) {
  (void)handle;
  lent = malloc(size);
  *buffer = uv_buf_init(lent, (unsigned)size);
  free(lent);
}

static void on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
  (void)count;
  (void)buffer;
  uv_read_stop(stream);
}

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_pipe_t near_end;
  uv_pipe_t far_end;
  uv_buf_t hello = uv_buf_init("hello", 5);
  open_pair(loop, &near_end, &far_end);
  MUST(uv_read_start((uv_stream_t*)&near_end, on_alloc, on_read));
  uv_try_write((uv_stream_t*)&far_end, &hello, 1);
  uv_run(loop, UV_RUN_ONCE);
  close_all(loop);
  return 0;
}
