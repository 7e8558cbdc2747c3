// R29: a handle is freed without ever being closed; the loop still knows it.
#include "negative.h"

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_timer_t* timer = malloc(sizeof *timer);
  MUST(uv_timer_init(loop, timer));
  free(timer);
  close_all(loop);
  return 0;
}
