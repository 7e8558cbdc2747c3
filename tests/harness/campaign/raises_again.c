// A right server that cleans up when it is told to end, and then dies of the signal, as a shell
// likes it. With RETURNS it ends with the status that a shell would show for that.
#include "server.h"

static void on_client(uv_stream_t* listener, int status) {
  client_t* client = status < 0 ? NULL : accept_client(listener);
  if (client != NULL) serve(client);
}

static int told;

static void on_stop(uv_signal_t* signal, int number) {
  told = number;
  close_all(signal, number);
}

int main(void) {
  int status = run_server(on_client, on_stop);
  if (status != 0 || told == 0) return status;
#ifdef RETURNS
  return 128 + told;
#endif
  raise(told);
  return status;
}
