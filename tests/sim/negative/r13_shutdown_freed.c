// R13: a shutdown request is freed before its callback.
#include "negative.h"

static void on_shutdown(uv_shutdown_t* request, int status) {
  (void)request;
  (void)status;
}

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_pipe_t near_end;
  uv_pipe_t far_end;
  uv_shutdown_t* request = malloc(sizeof *request);
  open_pair(loop, &near_end, &far_end);
  MUST(uv_shutdown(request, (uv_stream_t*)&near_end, on_shutdown));
  free(request);
  close_all(loop);
  return 0;
}
