/* The pooled shape: a fixed number of clients and of blocks, nothing is allocated while it serves.
 *
 * A client is read from into a block, which is written back as far as the kernel takes it at once;
 * the rest is queued, and the client is not read from until that is written. Clients that find no
 * block wait in a line; connections that find no place wait in the listener (R37).
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "zoo.h"

enum { clients_max = 3, places = 16, blocks_max = 2, block_size = 64, backlog = 16 };

typedef struct block_t {
  struct block_t* next;
  char bytes[block_size];
} block_t;

typedef struct client_t {
  uv_tcp_t tcp; /* its data is the client; other handles have none */
  uv_write_t write;
  struct server_t* server;
  block_t* block;        /* lent: being read into, or being written */
  struct client_t* next; /* in the line for a block */
  bool taken;            /* by a connection */
  bool waiting;          /* in the line */
} client_t;

typedef struct server_t {
  uv_loop_t loop;
  uv_signal_t signal;
  uv_tcp_t listener;
  client_t clients[places];
  block_t blocks[blocks_max];
  block_t* free_blocks;
  client_t* line; /* the clients that wait for a block, in order */
  bool parked;    /* a connection waits for a place */
  uv_write_t one_write;
  char slab[block_size];
} server_t;

static uv_stream_t* stream_of(client_t* client) { return (uv_stream_t*)&client->tcp; }

static void accept_client(server_t* server);
static void read_on(client_t* client);

/* --- Blocks. ---------------------------------------------------------------------------------- */

static void wait_in_line(client_t* client) {
  client_t** end = &client->server->line;
  while (*end != NULL) end = &(*end)->next;
  client->next = NULL;
  client->waiting = true;
  *end = client;
}

static void leave_line(client_t* client) {
  client_t** place = &client->server->line;
  if (!client->waiting) return;
  while (*place != client) place = &(*place)->next;
  *place = client->next;
  client->waiting = false;
}

/* The block comes back, and the first in line goes on. */
static void give_back(client_t* client) {
  server_t* server = client->server;
  client_t* first = server->line;
  if (client->block == NULL) return;
  client->block->next = server->free_blocks;
  server->free_blocks = client->block;
  client->block = NULL;
  if (first == NULL) return;
  leave_line(first);
  read_on(first);
}

/* --- Clients. --------------------------------------------------------------------------------- */

static void on_close(uv_handle_t* tcp) {
  client_t* client = tcp->data;
  server_t* server = client->server;
  client->taken = false;
  if (!bug(D1_parked_connection_forgotten)) {
    if (server->parked && !uv_is_closing((uv_handle_t*)&server->listener)) accept_client(server);
  }
}

/* A pending write keeps its block until its callback. */
static void close_client(client_t* client) {
  if (uv_is_closing((uv_handle_t*)&client->tcp)) return;
  leave_line(client);
  uv_close((uv_handle_t*)&client->tcp, on_close);
}

static void on_alloc(uv_handle_t* tcp, size_t suggested, uv_buf_t* buffer) {
  client_t* client = tcp->data;
  server_t* server = client->server;
  (void)suggested;
  client->block = server->free_blocks;
  if (client->block == NULL) {
    *buffer = uv_buf_init(NULL, 0); /* UV_ENOBUFS comes next: there it can be acted on */
    if (bug(A6_closed_in_alloc_callback)) {
      close_client(client);
    }
    if (bug(A6_stopped_in_alloc_callback)) {
      uv_read_stop(stream_of(client));
      wait_in_line(client);
    }
    return;
  }
  server->free_blocks = client->block->next;
  if (bug(A15_one_slab_for_all_reads)) {
    *buffer = uv_buf_init(server->slab, block_size);
  } else {
    *buffer = uv_buf_init(client->block->bytes, block_size);
  }
}

static void on_write(uv_write_t* request, int status) {
  client_t* client = request->handle->data;
  give_back(client);
  /* A write that had completed reports success even after uv_close. */
  if (bug(C5_only_canceled_is_closed)) {
    if (status == UV_ECANCELED) return;
  } else {
    if (uv_is_closing((uv_handle_t*)request->handle)) return;
  }
  if (status < 0) {
    close_client(client);
    return;
  }
  read_on(client);
}

static void echo_back(client_t* client, char* bytes, size_t size) {
  uv_buf_t buffer = uv_buf_init(bytes, (unsigned int)size);
  uv_write_t* request = &client->write;
  int written = uv_try_write(stream_of(client), &buffer, 1);
  if (bug(B8_would_block_taken_for_an_error)) {
    if (written < 0) {
      give_back(client);
      close_client(client);
      return;
    }
  }
  if (bug(B8_count_taken_for_an_error)) {
    if (written != 0) {
      give_back(client);
      close_client(client);
      return;
    }
  }
  if (bug(B8_short_count_taken_for_all)) {
    if (written > 0) written = (int)size;
  }
  if (written == UV_EAGAIN) written = 0;
  if (written < 0) {
    give_back(client);
    close_client(client);
    if (!bug(B7_written_after_close)) return;
    written = 0;
  }
  if ((size_t)written == size) {
    give_back(client);
    return;
  }
  uv_read_stop(stream_of(client));
  if (bug(B2_one_request_for_all)) {
    request = &client->server->one_write;
  }
  buffer = uv_buf_init(bytes + written, (unsigned int)(size - (size_t)written));
  if (uv_write(request, stream_of(client), &buffer, 1, on_write) != 0) {
    give_back(client);
    close_client(client);
  }
}

static void on_read(uv_stream_t* stream, ssize_t nread, const uv_buf_t* buffer) {
  client_t* client = stream->data;
  if (nread > 0) {
    echo_back(client, buffer->base, (size_t)nread);
    return;
  }
  give_back(client);
  if (nread == 0) return;
  if (bug(A7_no_buffer_ignored)) {
    if (nread == UV_ENOBUFS) return; /* "the next read will find one" */
  }
  if (bug(A7_no_buffer_taken_for_the_end)) {
    if (nread == UV_ENOBUFS) nread = UV_EOF;
  }
  if (nread == UV_ENOBUFS) {
    uv_read_stop(stream);
    wait_in_line(client);
    return;
  }
  close_client(client); /* at EOF everything before it was written */
}

static void read_on(client_t* client) {
  if (uv_read_start(stream_of(client), on_alloc, on_read) != 0) close_client(client);
}

/* --- Connections. ----------------------------------------------------------------------------- */

static client_t* free_place(server_t* server) {
  int count = clients_max; /* no more than there are descriptors for (R39) */
  if (bug(D5_more_clients_than_descriptors)) {
    count = places;
  }
  for (int i = 0; i < count; ++i) {
    if (!server->clients[i].taken) return &server->clients[i];
  }
  return NULL;
}

/* Where it cannot be taken the connection stays in the listener until a client leaves. */
static void accept_client(server_t* server) {
  client_t* client = free_place(server);
  server->parked = true;
  if (client == NULL || uv_tcp_init(&server->loop, &client->tcp) != 0) return;
  server->parked = false;
  client->server = server;
  client->block = NULL;
  client->taken = true;
  client->waiting = false;
  client->tcp.data = client;
  if (uv_accept((uv_stream_t*)&server->listener, stream_of(client)) != 0) {
    close_client(client);
    return;
  }
  read_on(client);
}

static void on_connection(uv_stream_t* listener, int status) {
  if (status == 0) accept_client(listener->loop->data);
}

static void close_any(uv_handle_t* handle, void* unused) {
  (void)unused;
  if (uv_is_closing(handle)) return;
  if (handle->data == NULL) {
    uv_close(handle, NULL);
  } else {
    close_client(handle->data);
  }
}

static void on_stop(uv_signal_t* signal, int number) {
  (void)number;
  uv_walk(signal->loop, close_any, NULL);
}

static int listen_on(server_t* server) {
  struct sockaddr_in address;
  int status = uv_tcp_init(&server->loop, &server->listener);
  if (status != 0) return status;
  status = uv_ip4_addr("127.0.0.1", zoo_port(), &address);
  if (status == 0) {
    status = uv_tcp_bind(&server->listener, (const struct sockaddr*)&address, 0);
  }
  if (status == 0) {
    status = uv_listen((uv_stream_t*)&server->listener, backlog, on_connection);
  }
  if (status == 0) zoo_listening(&server->listener);
  return status;
}

int pooled_main(void) {
  server_t server;
  int status;
  memset(&server, 0, sizeof server);
  for (int i = 0; i < blocks_max; ++i) {
    server.blocks[i].next = server.free_blocks;
    server.free_blocks = &server.blocks[i];
  }
  signal(SIGPIPE, SIG_IGN);
  if (uv_loop_init(&server.loop) != 0) return 1;
  server.loop.data = &server;
  status = uv_signal_init(&server.loop, &server.signal);
  if (status == 0) {
    status = listen_on(&server);
    if (status == 0) status = uv_signal_start(&server.signal, on_stop, SIGTERM);
  }
  if (status != 0) uv_walk(&server.loop, close_any, NULL);
  uv_run(&server.loop, UV_RUN_DEFAULT);
  return uv_loop_close(&server.loop) == 0 && status == 0 ? 0 : 1;
}
