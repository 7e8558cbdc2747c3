// An allocation that is never freed.
#include "negative.h"

static void* volatile forgotten;

int program(void) {
  forgotten = malloc(100);
  forgotten = NULL;
  return 0;
}
