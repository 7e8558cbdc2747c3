// Moves the last of an array of handles into the first's place, and walks over the rest.
#include "negative.h"

static uv_timer_t timers[3];

static void see(uv_handle_t* handle, void* unused) {
  (void)handle;
  (void)unused;
}

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  for (int i = 0; i < 3; ++i) MUST(uv_timer_init(loop, &timers[i]));
  timers[0] = timers[2];
  uv_walk(loop, see, NULL);
  return 0;
}
