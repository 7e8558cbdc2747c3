// Closes a copy of a handle; libuv would follow the copy's links into the original's list.
#include "negative.h"

static uv_timer_t timer;

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_timer_t copy;
  MUST(uv_timer_init(loop, &timer));
  copy = timer;
  uv_close((uv_handle_t*)&copy, NULL);
  uv_run(loop, UV_RUN_DEFAULT);
  return uv_loop_close(loop);
}
