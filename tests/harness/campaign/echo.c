// A right server: nothing is to be said of it.
#include "server.h"

static void on_client(uv_stream_t* listener, int status) {
  client_t* client = status < 0 ? NULL : accept_client(listener);
  if (client != NULL) serve(client);
}

int main(void) { return run_server(on_client, close_all); }
