// R28: a handle is freed after uv_close, before its close callback.
#include "negative.h"

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_timer_t* timer = malloc(sizeof *timer);
  MUST(uv_timer_init(loop, timer));
  uv_close((uv_handle_t*)timer, NULL);
  free(timer);
  close_all(loop);
  return 0;
}
