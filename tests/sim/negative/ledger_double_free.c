// An allocation that is freed twice.
#include "negative.h"

int program(void) {
  char* volatile memory = malloc(100);
  char* volatile again = memory;
  free(memory);
  free(again);
  return 0;
}
