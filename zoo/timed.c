/* A timer for each connection: two handles in one object, which goes when the last of them has.
 *
 * A client that is silent, or does not read, for the length of the timer is reset. When the server
 * is told to end it ends its half of every connection and waits for the clients, as long as their
 * timers allow. Requests are allocated one by one, so an object counts its requests, too (R32).
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "zoo.h"

enum { clients_max = 4, read_size = 128, timeout_ms = 1000, backlog = 16 };

typedef struct client_t {
  uv_tcp_t tcp;
  uv_timer_t timer;
  struct server_t* server;
  struct client_t *next, *previous;
  struct echo_t* echo; /* pending */
  unsigned holders;    /* open handles and pending requests */
  bool ended;          /* EOF came */
  bool half_closed;    /* uv_shutdown was called */
  bool closing;
  char bytes[read_size];
} client_t;

typedef struct echo_t {
  uv_write_t request;
  client_t* client;
  char bytes[read_size];
} echo_t;

typedef struct server_t {
  uv_loop_t loop;
  uv_signal_t signal;
  uv_tcp_t listener;
  door_t door;
  client_t* clients;
  unsigned count;
} server_t;

static uv_stream_t* stream_of(client_t* client) { return (uv_stream_t*)&client->tcp; }

/* --- The end of a client. --------------------------------------------------------------------- */

static void let_go(client_t* client) {
  if (bug(C10_two_believe_they_are_last)) {
    if (client->holders > 2) --client->holders;
    if (client->holders > 2) return;
  } else {
    if (--client->holders > 0) return;
  }
  --client->server->count;
  free(client);
}

static void on_close(uv_handle_t* handle) {
  client_t* client = handle->data;
  if (bug(C7_freed_in_the_wrong_close_callback)) {
    /* "The timer was closed last, so its callback comes last." */
    if (handle->type != UV_TIMER) return;
    --client->server->count;
    free(client);
    return;
  }
  let_go(client);
}

/* May be called for several reasons in one turn. */
static void close_client(client_t* client, bool reset) {
  if (!bug(C1_closed_by_timer_and_error)) {
    if (client->closing) return;
  }
  client->closing = true;
  if (client->next != NULL) client->next->previous = client->previous;
  if (client->previous != NULL) client->previous->next = client->next;
  if (client->server->clients == client) client->server->clients = client->next;
  if (bug(C6_request_freed_at_close)) {
    free(client->echo);
    client->echo = NULL;
  }
  if (bug(C17_close_reset_result_ignored)) {
    if (reset) {
      uv_tcp_close_reset(&client->tcp, on_close);
    } else {
      uv_close((uv_handle_t*)&client->tcp, on_close);
    }
  } else {
    /* Refused after uv_shutdown, and then nothing was closed (R31). */
    if (!reset || uv_tcp_close_reset(&client->tcp, on_close) != 0) {
      uv_close((uv_handle_t*)&client->tcp, on_close);
    }
  }
  if (bug(C4_timer_forgotten)) {
    --client->holders;
  } else if (bug(C4_timer_only_stopped)) {
    uv_timer_stop(&client->timer);
    --client->holders;
  } else {
    uv_close((uv_handle_t*)&client->timer, on_close);
  }
}

static void on_timer(uv_timer_t* timer) { close_client(timer->data, true); }

static void restart_timer(client_t* client) {
  if (uv_timer_start(&client->timer, on_timer, timeout_ms, 0) != 0) close_client(client, false);
}

/* --- Half-close. ------------------------------------------------------------------------------ */

static void on_shutdown(uv_shutdown_t* request, int status) {
  client_t* client = request->handle->data;
  if (!bug(C16_shutdown_request_freed_after_call)) free(request);
  if (status < 0 || client->ended) close_client(client, false);
  let_go(client);
}

/* What is pending goes out first. The timer goes on: the client may never take it. */
static void half_close(client_t* client) {
  uv_shutdown_t* request = malloc(sizeof *request);
  if (request == NULL) {
    close_client(client, false);
    return;
  }
  client->half_closed = true;
  if (bug(C13_no_deadline_for_shutdown)) {
    uv_timer_stop(&client->timer);
  }
  if (bug(C14_shut_down_twice)) {
    uv_shutdown(request, stream_of(client), on_shutdown);
  } else if (uv_shutdown(request, stream_of(client), on_shutdown) != 0) {
    free(request);
    close_client(client, false);
    return;
  }
  ++client->holders;
  if (bug(C16_shutdown_request_freed_after_call)) {
    free(request);
  }
}

/* --- Echo. ------------------------------------------------------------------------------------ */

static void on_alloc(uv_handle_t* tcp, size_t suggested, uv_buf_t* buffer) {
  client_t* client = tcp->data;
  (void)suggested;
  *buffer = uv_buf_init(client->bytes, read_size);
}

static void on_read(uv_stream_t* stream, ssize_t nread, const uv_buf_t* buffer);

static void on_write(uv_write_t* request, int status) {
  echo_t* echo = (echo_t*)request;
  client_t* client = echo->client;
  client->echo = NULL;
  free(echo);
  if (status < 0) {
    close_client(client, false);
  } else if (bug(C22_timer_started_on_closing_handle)) {
    restart_timer(client);
    if (!client->closing) uv_read_start(stream_of(client), on_alloc, on_read);
  } else if (!client->closing) {
    restart_timer(client);
    if (!client->closing && uv_read_start(stream_of(client), on_alloc, on_read) != 0) {
      close_client(client, false);
    }
  }
  let_go(client);
}

/* One echo at a time: nothing is read while it is pending. */
static void echo_back(client_t* client, size_t size) {
  echo_t* echo = malloc(sizeof *echo);
  uv_buf_t buffer;
  if (echo == NULL) {
    close_client(client, false);
    return;
  }
  echo->client = client;
  memcpy(echo->bytes, client->bytes, size);
  buffer = uv_buf_init(echo->bytes, (unsigned int)size);
  ++client->holders;
  if (uv_write(&echo->request, stream_of(client), &buffer, 1, on_write) != 0) {
    if (!bug(B4_count_kept_when_write_refused)) --client->holders;
    free(echo);
    close_client(client, false);
    return;
  }
  client->echo = echo;
  uv_read_stop(stream_of(client));
}

static void on_read(uv_stream_t* stream, ssize_t nread, const uv_buf_t* buffer) {
  client_t* client = stream->data;
  if (bug(A3_buffer_asserted_at_eof)) {
    insist(buffer->base == client->bytes);
  }
  (void)buffer; /* there may be none (R4) */
  if (nread == 0) return;
  if (nread > 0) {
    if (client->half_closed) return; /* too late to be answered */
    restart_timer(client);
    if (!client->closing) echo_back(client, (size_t)nread);
    return;
  }
  client->ended = true;
  if (nread != UV_EOF) {
    close_client(client, false);
    return;
  }
  if (!bug(C14_shut_down_twice)) {
    if (client->half_closed) {
      close_client(client, false);
      return;
    }
  }
  half_close(client);
}

/* --- Connections. ----------------------------------------------------------------------------- */

static client_t* new_client(server_t* server) {
  client_t* client = server->count < clients_max ? malloc(sizeof *client) : NULL;
  if (client == NULL) return NULL;
  memset(client, 0, sizeof *client);
  if (uv_timer_init(&server->loop, &client->timer) != 0) {
    if (!bug(D4_init_failure_leaks)) free(client);
    return NULL;
  }
  client->timer.data = client;
  client->server = server;
  client->holders = 1;
  ++server->count;
  if (uv_tcp_init(&server->loop, &client->tcp) != 0) {
    uv_close((uv_handle_t*)&client->timer, on_close);
    return NULL;
  }
  client->tcp.data = client;
  ++client->holders;
  return client;
}

static void on_connection(uv_stream_t* listener, int status) {
  server_t* server = listener->loop->data;
  client_t* client;
  if (status < 0) return;
  client = new_client(server);
  if (client == NULL) {
    door_turn_away(&server->door);
    return;
  }
  if (uv_accept(listener, stream_of(client)) != 0) {
    if (bug(C3_freed_after_failed_step)) {
      --server->count;
      free(client);
    } else if (!bug(D2_accept_failure_leaks)) {
      close_client(client, false);
    }
    return;
  }
  client->next = server->clients;
  if (client->next != NULL) client->next->previous = client;
  server->clients = client;
  restart_timer(client);
  if (!client->closing && uv_read_start(stream_of(client), on_alloc, on_read) != 0) {
    close_client(client, false);
  }
}

static void on_stop(uv_signal_t* signal, int number) {
  server_t* server = signal->loop->data;
  client_t* next;
  (void)number;
  uv_close((uv_handle_t*)signal, NULL);
  uv_close((uv_handle_t*)&server->listener, NULL);
  for (client_t* client = server->clients; client != NULL; client = next) {
    next = client->next;
    if (client->half_closed) continue;
    half_close(client);
  }
}

static int listen_on(server_t* server) {
  struct sockaddr_in address;
  int status = uv_ip4_addr("127.0.0.1", zoo_port(), &address);
  if (status == 0) {
    status = uv_tcp_bind(&server->listener, (const struct sockaddr*)&address, 0);
  }
  if (status == 0) {
    status = uv_listen((uv_stream_t*)&server->listener, backlog, on_connection);
  }
  if (status == 0) status = uv_signal_start(&server->signal, on_stop, SIGTERM);
  if (status == 0) {
    zoo_listening(&server->listener);
  } else {
    uv_close((uv_handle_t*)&server->listener, NULL);
    uv_close((uv_handle_t*)&server->signal, NULL);
  }
  return status;
}

int timed_main(void) {
  server_t server = {.clients = NULL};
  int status;
  signal(SIGPIPE, SIG_IGN);
  if (uv_loop_init(&server.loop) != 0) return 1;
  server.loop.data = &server;
  status = uv_signal_init(&server.loop, &server.signal);
  if (status == 0) {
    status = uv_tcp_init(&server.loop, &server.listener);
    if (status == 0) {
      door_init(&server.door, (uv_stream_t*)&server.listener);
      status = listen_on(&server);
    } else {
      uv_close((uv_handle_t*)&server.signal, NULL);
    }
  }
  uv_run(&server.loop, UV_RUN_DEFAULT);
  return uv_loop_close(&server.loop) == 0 && status == 0 ? 0 : 1;
}
