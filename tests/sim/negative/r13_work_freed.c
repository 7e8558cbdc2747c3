// R13: a request of the thread pool is freed before its callback.
#include "negative.h"

static void work(uv_work_t* request) { (void)request; }

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_work_t* request = malloc(sizeof *request);
  MUST(uv_queue_work(loop, request, work, NULL));
  free(request);
  close_all(loop);
  return 0;
}
