// R12: the bytes are changed while their write is pending.
#include "negative.h"

static char bytes[16u << 20];

static char sink[65536];

static void on_alloc(uv_handle_t* handle, size_t size, uv_buf_t* buffer) {
  (void)handle;
  (void)size;
  *buffer = uv_buf_init(sink, sizeof sink);
}

static void on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
  (void)stream;
  (void)count;
  (void)buffer;
}

static void on_write(uv_write_t* request, int status) {
  (void)request;
  (void)status;
}

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_pipe_t near_end;
  uv_pipe_t far_end;
  uv_write_t request;
  uv_buf_t buffer = uv_buf_init(bytes, sizeof bytes);
  open_pair(loop, &near_end, &far_end);
  memset(bytes, 'a', sizeof bytes);
  MUST(uv_write(&request, (uv_stream_t*)&near_end, &buffer, 1, on_write));
  memset(bytes, 'b', sizeof bytes);
  MUST(uv_read_start((uv_stream_t*)&far_end, on_alloc, on_read));
  uv_run(loop, UV_RUN_DEFAULT);
  close_all(loop);
  return 0;
}
