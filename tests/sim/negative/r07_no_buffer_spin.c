// R7: there is never a buffer, and reading is not stopped: the loop spins.
#include "negative.h"

static void on_alloc(uv_handle_t* handle, size_t size, uv_buf_t* buffer) {
  (void)handle;
  (void)size;
  *buffer = uv_buf_init(NULL, 0);
}

static void on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
  (void)stream;
  (void)count;
  (void)buffer;
}

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_pipe_t near_end;
  uv_pipe_t far_end;
  uv_buf_t hello = uv_buf_init("hello", 5);
  open_pair(loop, &near_end, &far_end);
  MUST(uv_read_start((uv_stream_t*)&near_end, on_alloc, on_read));
  uv_try_write((uv_stream_t*)&far_end, &hello, 1);
  uv_run(loop, UV_RUN_DEFAULT);
  return 0;
}
