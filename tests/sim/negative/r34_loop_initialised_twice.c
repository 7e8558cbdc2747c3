// R34: a loop is initialised again while it is open.
#include "negative.h"

int program(void) {
  uv_loop_t loop;
  MUST(uv_loop_init(&loop));
  MUST(uv_loop_init(&loop));
  close_all(&loop);
  return 0;
}
