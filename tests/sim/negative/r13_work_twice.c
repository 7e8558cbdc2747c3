// R13: one request for two jobs; the second is queued before the first is reported.
#include "negative.h"

static uv_work_t request;

static void work(uv_work_t* unused) { (void)unused; }

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  MUST(uv_queue_work(loop, &request, work, NULL));
  MUST(uv_queue_work(loop, &request, work, NULL));
  uv_run(loop, UV_RUN_DEFAULT);
  return uv_loop_close(loop);
}
