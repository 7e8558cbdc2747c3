// R13: a write request is used for another write before its callback.
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
  uv_buf_t hello = uv_buf_init("hello", 5);
  open_pair(loop, &near_end, &far_end);
  MUST(uv_write(&request, (uv_stream_t*)&near_end, &hello, 1, on_write));
  MUST(uv_write(&request, (uv_stream_t*)&near_end, &hello, 1, on_write));
  close_all(loop);
  return 0;
}
