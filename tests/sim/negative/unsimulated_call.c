// No rule: a function that uvsim does not simulate.
#include "negative.h"

int program(void) {
  uv_udp_t udp;
  return uv_udp_init(uv_default_loop(), &udp);
}
