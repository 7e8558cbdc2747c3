// R13: a second name is looked up with the request that the first still has.
#include "negative.h"

static uv_getaddrinfo_t request;

static void on_found(uv_getaddrinfo_t* unused, int status, struct addrinfo* found) {
  (void)unused;
  (void)status;
  uv_freeaddrinfo(found);
}

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  MUST(uv_getaddrinfo(loop, &request, on_found, "localhost", NULL, NULL));
  MUST(uv_getaddrinfo(loop, &request, on_found, "127.0.0.1", NULL, NULL));
  uv_run(loop, UV_RUN_DEFAULT);
  return uv_loop_close(loop);
}
