// R14: uv_write refuses, so that no callback comes; the program, which waits for one, leaks.
#include "negative.h"

static void on_write(uv_write_t* request, int status) {
  (void)status;
  free(request);
}

static void on_shutdown(uv_shutdown_t* request, int status) {
  (void)request;
  (void)status;
}

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_pipe_t near_end;
  uv_pipe_t far_end;
  uv_shutdown_t shutdown;
  uv_write_t* request = malloc(sizeof *request);
  uv_buf_t hello = uv_buf_init("hello", 5);
  open_pair(loop, &near_end, &far_end);
  MUST(uv_shutdown(&shutdown, (uv_stream_t*)&near_end, on_shutdown));
  uv_write(request, (uv_stream_t*)&near_end, &hello, 1, on_write);
  close_all(loop);
  return 0;
}
