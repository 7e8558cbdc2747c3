// R27: uv_close is called a second time.
#include "negative.h"

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_timer_t timer;
  MUST(uv_timer_init(loop, &timer));
  uv_close((uv_handle_t*)&timer, NULL);
  uv_close((uv_handle_t*)&timer, NULL);
  close_all(loop);
  return 0;
}
