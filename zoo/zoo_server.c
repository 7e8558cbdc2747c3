/* A specimen, or a fixed version, as a program of its own on libuv: `zoo_server NAME`. It prints
 * its port on stdout, and serves until SIGTERM. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zoo.h"

bool zoo_bugs[zoo_count];
int zoo_port(void) { return 0; }

void zoo_listening(const uv_tcp_t* listener) {
  struct sockaddr_in address;
  int size = sizeof address;
  if (uv_tcp_getsockname(listener, (struct sockaddr*)&address, &size) != 0) return;
  printf("{\"event\":\"listening\",\"address\":\"127.0.0.1\",\"port\":%d}\n",
         ntohs(address.sin_port));
  fflush(stdout);
}

typedef struct specimen_t {
  const char* name;
  int (*start)(void);
  enum zoo_specimen bugs[zoo_set_max];
} specimen_t;

static const specimen_t specimens[] = {
#define ZOO_ROW(name, shape, ...) {#name, shape##_main, {__VA_ARGS__}},
    ZOO_SPECIMENS(ZOO_ROW)
#undef ZOO_ROW
        {"tutorial", tutorial_main, {zoo_none}},
    {"pooled", pooled_main, {zoo_none}},
    {"timed", timed_main, {zoo_none}},
    {"owners", owners_main, {zoo_none}},
};

int main(int argc, char** argv) {
  for (size_t i = 0; argc == 2 && i < sizeof specimens / sizeof *specimens; ++i) {
    if (strcmp(argv[1], specimens[i].name) != 0) continue;
    for (int j = 0; j < zoo_set_max; ++j) {
      if (specimens[i].bugs[j] != zoo_none) zoo_bugs[specimens[i].bugs[j]] = true;
    }
    return specimens[i].start();
  }
  fprintf(stderr, "usage: zoo_server NAME; the names are in specimens.json\n");
  return 2;
}
