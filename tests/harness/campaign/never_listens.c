// A program that is called in the wrong way, and says so.
#include <stdio.h>

int main(void) {
  fprintf(stderr, "usage: server -p PORT\n");
  return 2;
}
