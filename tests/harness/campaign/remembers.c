// A server that works once in a process: the file mode mask, which nobody puts back, tells it that
// it has run before.
#include <sys/stat.h>

#include "server.h"

static void on_client(uv_stream_t* listener, int status) {
  client_t* client = status < 0 ? NULL : accept_client(listener);
  if (client != NULL) serve(client);
}

int main(void) {
  if (umask(0123) == 0123) return 5;
  return run_server(on_client, close_all);
}
