// A pointer is freed that no allocator returned.
#include "negative.h"

int program(void) {
  char* volatile memory = malloc(100);
  char* volatile inside = memory + 16;
  free(inside);
  free(memory);
  return 0;
}
