// A server that reads its arguments with getopt, as in a process of its own: once.
#include "server.h"

static int port;
static int runs;

static void on_client(uv_stream_t* listener, int status) {
  client_t* client = status < 0 ? NULL : accept_client(listener);
  if (client != NULL) serve(client);
}

int main(int argc, char** argv) {
  int option;
  while ((option = getopt(argc, argv, "p:")) != -1) {
    if (option == 'p') port = atoi(optarg);
  }
  if (port == 0 || ++runs > 1) {
    fprintf(stderr, "usage: server -p PORT\n");
    return 2;
  }
  return run_server(on_client, close_all);
}
