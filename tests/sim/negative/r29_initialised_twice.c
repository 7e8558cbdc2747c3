// R29: a handle is initialised again before its close callback.
#include "negative.h"

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_timer_t timer;
  MUST(uv_timer_init(loop, &timer));
  MUST(uv_timer_init(loop, &timer));
  close_all(loop);
  return 0;
}
