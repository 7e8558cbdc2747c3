// A program without a driver that leaks, and ends with 0: uvsim is to say so, and to end it with
// another status. What is leaked was made by the C library, which keeps some things for itself; not
// these.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static void lose(const char* what) {
  char* volatile made = NULL;
  char* text = NULL;
  size_t size = 0;
  if (strcmp(what, "malloc") == 0) made = malloc(100);
  if (strcmp(what, "strdup") == 0) made = strdup("lost");
  if (strcmp(what, "asprintf") == 0 && asprintf(&text, "%d", 4711) < 0) abort();
  if (strcmp(what, "realpath") == 0) made = realpath("/", NULL);
  if (strcmp(what, "fopen") == 0) made = (char*)fopen("/dev/null", "r");
  if (strcmp(what, "open_memstream") == 0) fclose(open_memstream(&text, &size));
  if (strcmp(what, "exit") == 0) {
    made = malloc(200);
    made = NULL;
    exit(0);
  }
  // Nothing of it stays on the stack.
  made = NULL;
  text = NULL;
}

int main(int argc, char** argv) {
  uv_loop_t* loop = uv_default_loop();
  if (argc > 1) lose(argv[1]);
  return uv_loop_close(loop);
}
