// A server that reads what clients say, and keeps it to itself.
#include "server.h"

static void on_read_in_silence(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
  (void)buffer;
  if (size < 0) drop(stream->data);
}

static void on_client(uv_stream_t* listener, int status) {
  client_t* client = status < 0 ? NULL : accept_client(listener);
  if (client == NULL) return;
  if (uv_read_start(AS_STREAM(&client->tcp), on_alloc, on_read_in_silence) != 0) drop(client);
}

int main(void) { return run_server(on_client, close_all); }
