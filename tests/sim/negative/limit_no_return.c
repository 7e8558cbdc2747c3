// No rule: a callback that never returns.
#include "negative.h"

static void on_timer(uv_timer_t* timer) {
  while (uv_now(timer->loop) != 1) {
  }
}

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_timer_t timer;
  MUST(uv_timer_init(loop, &timer));
  MUST(uv_timer_start(&timer, on_timer, 1, 0));
  uv_run(loop, UV_RUN_DEFAULT);
  return 0;
}
