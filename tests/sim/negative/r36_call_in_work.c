// R36: a worker of the thread pool writes to a stream of a loop that runs meanwhile.
#include "negative.h"

static uv_pipe_t near_end;
static uv_pipe_t far_end;
static uv_write_t request;

static void on_write(uv_write_t* written, int status) {
  (void)written;
  (void)status;
}

static void work(uv_work_t* unused) {
  static char bytes[] = "from the pool";
  uv_buf_t buffer = uv_buf_init(bytes, sizeof bytes);
  (void)unused;
  MUST(uv_write(&request, (uv_stream_t*)&near_end, &buffer, 1, on_write));
}

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_work_t wish;
  open_pair(loop, &near_end, &far_end);
  MUST(uv_queue_work(loop, &wish, work, NULL));
  uv_run(loop, UV_RUN_DEFAULT);
  close_all(loop);
  return 0;
}
