// R34: the memory of a loop is freed without uv_loop_close.
#include "negative.h"

int program(void) {
  uv_loop_t* loop = malloc(sizeof *loop);
  MUST(uv_loop_init(loop));
  free(loop);
  return 0;
}
