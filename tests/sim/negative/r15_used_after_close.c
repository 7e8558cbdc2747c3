// R15: a handle is used after its close callback, although its memory is still there.
#include "negative.h"

static void on_timer(uv_timer_t* timer) { (void)timer; }

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_timer_t timer;
  MUST(uv_timer_init(loop, &timer));
  uv_close((uv_handle_t*)&timer, NULL);
  uv_run(loop, UV_RUN_DEFAULT);
  uv_timer_start(&timer, on_timer, 1, 0);
  close_all(loop);
  return 0;
}
