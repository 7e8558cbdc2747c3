// R30: a timer is started again after its close callback has freed it.
#include "negative.h"

static void on_close(uv_handle_t* handle) { free(handle); }
static void on_timer(uv_timer_t* unused) { (void)unused; }

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_timer_t* timer = malloc(sizeof *timer);
  MUST(uv_timer_init(loop, timer));
  uv_close((uv_handle_t*)timer, on_close);
  MUST(uv_run(loop, UV_RUN_DEFAULT));
  uv_timer_start(timer, on_timer, 1, 0);
  return 0;
}
