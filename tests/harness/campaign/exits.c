// A server that ends by a call of exit, deep in a callback. By -DEXIT it is another function; by
// -DSTATUS another status. What its main still holds then is no leak.
#include "server.h"

#ifndef EXIT
#define EXIT exit
#endif
#ifndef STATUS
#define STATUS 0
#endif

static int open_handles;

static void on_client(uv_stream_t* listener, int status) {
  client_t* client = status < 0 ? NULL : accept_client(listener);
  if (client != NULL) serve(client);
}

static void on_closed(uv_handle_t* handle) {
  if (handle->data != NULL) free(handle->data);
  if (--open_handles > 0) return;
  EXIT(STATUS);
}

static void close_counted(uv_handle_t* handle, void* unused) {
  (void)unused;
  ++open_handles;
  if (!uv_is_closing(handle)) uv_close(handle, on_closed);
}

static void end(uv_signal_t* signal, int number) {
  (void)number;
  uv_walk(signal->loop, close_counted, NULL);
}

int main(void) {
  char* volatile held = strdup("for as long as the program runs");
  int status = run_server(on_client, end);
  free(held);
  return status;
}
