// A server that is of no use: every client is closed as soon as it has come.
#include "server.h"

static void on_client(uv_stream_t* listener, int status) {
  client_t* client = status < 0 ? NULL : accept_client(listener);
  if (client != NULL) drop(client);
}

int main(void) { return run_server(on_client, close_all); }
