// R12: the bytes are freed while their write is pending.
#include "negative.h"

static void on_write(uv_write_t* request, int status) {
  (void)request;
  (void)status;
}

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_pipe_t near_end;
  uv_pipe_t far_end;
  uv_write_t request;
  const size_t size = 16u << 20;
  char* bytes = calloc(1, size);
  uv_buf_t buffer = uv_buf_init(bytes, (unsigned)size);
  open_pair(loop, &near_end, &far_end);
  MUST(uv_write(&request, (uv_stream_t*)&near_end, &buffer, 1, on_write));
  free(bytes);
  close_all(loop);
  return 0;
}
