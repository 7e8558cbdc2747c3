// A server that works once in a process: it sees by the C library's random numbers, which are not
// restored, that it has run before.
#include "server.h"

static void on_client(uv_stream_t* listener, int status) {
  client_t* client = status < 0 ? NULL : accept_client(listener);
  if (client != NULL) serve(client);
}

int main(void) {
  if (lrand48() != 0) return 5;  // the first of a process is
  return run_server(on_client, close_all);
}
