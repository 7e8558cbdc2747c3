// R35: uv_run is called from a callback of the same loop.
#include "negative.h"

static void on_timer(uv_timer_t* timer) { uv_run(timer->loop, UV_RUN_NOWAIT); }

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_timer_t timer;
  MUST(uv_timer_init(loop, &timer));
  MUST(uv_timer_start(&timer, on_timer, 1, 0));
  uv_run(loop, UV_RUN_DEFAULT);
  close_all(loop);
  return 0;
}
