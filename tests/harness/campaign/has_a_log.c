// A right server with a log, which the end of the process closes. With FOR_EACH_CLIENT it opens one
// for each client, and closes none.
#include "server.h"

static void on_client(uv_stream_t* listener, int status) {
  client_t* client = status < 0 ? NULL : accept_client(listener);
#ifdef FOR_EACH_CLIENT
  FILE* one = fopen("/dev/null", "w");
  if (one != NULL) fprintf(one, "a client\n");
#endif
  if (client != NULL) serve(client);
}

int main(void) {
  FILE* log = fopen("/dev/null", "w");
  if (log == NULL) return 1;
  fprintf(log, "here I am\n");
  return run_server(on_client, close_all);
}
