// A server with an assertion that does not hold: that what it reads is short.
#include <assert.h>

#include "server.h"

static void on_read_short(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
  assert(size < 3);
  on_read(stream, size, buffer);
}

static void on_client(uv_stream_t* listener, int status) {
  client_t* client = status < 0 ? NULL : accept_client(listener);
  if (client != NULL) uv_read_start(AS_STREAM(&client->tcp), on_alloc, on_read_short);
}

int main(void) { return run_server(on_client, close_all); }
