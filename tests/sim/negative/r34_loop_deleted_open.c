// R34: a loop is deleted while a handle is still open.
#include "negative.h"

int program(void) {
  uv_loop_t* loop = uv_loop_new();
  uv_timer_t timer;
  MUST(uv_timer_init(loop, &timer));
  uv_loop_delete(loop);
  return 0;
}
