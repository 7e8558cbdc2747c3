// A right server that ends two things in an order that differs from run to run, as one does that
// goes through a set of pointers. The C library's random numbers stand for the addresses.
#include "server.h"

static uv_idle_t things[2];

static void on_client(uv_stream_t* listener, int status) {
  client_t* client = status < 0 ? NULL : accept_client(listener);
  if (client != NULL) serve(client);
}

static void on_stop(uv_signal_t* signal, int number) {
  int first = lrand48() % 8 < 4 ? 0 : 1;
  uv_close(AS_HANDLE(&things[first]), NULL);
  uv_close(AS_HANDLE(&things[1 - first]), NULL);
  close_all(signal, number);
}

int main(void) {
  uv_idle_init(uv_default_loop(), &things[0]);
  uv_idle_init(uv_default_loop(), &things[1]);
  return run_server(on_client, on_stop);
}
