/* The tutorials' shape: a buffer for each read, which is written back and freed when it has been.
 *
 * What the tutorials leave out is here: a client is read from only while few of its echoes are
 * pending; at its EOF the echoes are flushed before the connection is closed; each call's result is
 * looked at; whoever cannot be served is turned away. It sets no deadlines: timed.c does.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "zoo.h"

enum { clients_max = 3, echoes_max = 2, backlog = 16 };

typedef struct server_t {
  uv_loop_t loop;
  uv_signal_t signal;
  uv_tcp_t listener;
  door_t door;
  unsigned clients;
} server_t;

typedef struct client_t {
  uv_tcp_t tcp; /* its data is the client; other handles have none */
  uv_shutdown_t shutdown;
  server_t* server;
  unsigned echoes; /* pending */
  bool paused;     /* not read from, because of them */
} client_t;

typedef struct echo_t {
  uv_write_t request;
  char* bytes;
} echo_t;

static uv_stream_t* stream_of(client_t* client) { return (uv_stream_t*)&client->tcp; }

static void on_close(uv_handle_t* tcp) {
  client_t* client = tcp->data;
  --client->server->clients;
  if (!bug(D3_client_never_freed)) free(client);
}

/* May be called for several reasons in one turn. */
static void close_client(client_t* client) {
  uv_handle_t* tcp = (uv_handle_t*)&client->tcp;
  if (!bug(C1_closed_for_two_reasons)) {
    if (uv_is_closing(tcp)) return;
  }
  if (bug(C2_freed_before_close_callback)) {
    uv_close(tcp, NULL);
    --client->server->clients;
    free(client);
  } else {
    uv_close(tcp, on_close);
  }
}

static void on_alloc(uv_handle_t* tcp, size_t suggested, uv_buf_t* buffer) {
  (void)tcp;
  buffer->base = malloc(suggested);
  buffer->len = buffer->base == NULL ? 0 : suggested; /* 0: UV_ENOBUFS comes next */
}

static void on_shutdown(uv_shutdown_t* request, int status) {
  if (bug(C15_shutdown_status_asserted)) {
    insist(status == 0);
  }
  (void)status; /* whatever it is, the connection has to be closed */
  close_client(request->handle->data);
}

static void on_read(uv_stream_t* stream, ssize_t nread, const uv_buf_t* buffer);

static void on_write(uv_write_t* request, int status) {
  echo_t* echo = (echo_t*)request;
  client_t* client = request->handle->data;
  free(echo->bytes);
  free(echo);
  if (bug(B13_write_status_asserted)) {
    insist(status == 0 || status == UV_ECANCELED);
  }
  if (bug(B6_freed_in_write_callback)) {
    if (status < 0) {
      free(client);
      return;
    }
  }
  if (!bug(B14_write_error_ignored)) {
    if (status < 0) {
      close_client(client);
      return;
    }
  }
  --client->echoes;
  /* A write that had completed reports success even after uv_close. */
  if (!client->paused || uv_is_closing((uv_handle_t*)&client->tcp)) return;
  client->paused = false;
  if (uv_read_start(stream_of(client), on_alloc, on_read) != 0) close_client(client);
}

/* Takes over `bytes`. */
static void echo_back(client_t* client, char* bytes, size_t size) {
  echo_t* echo = malloc(sizeof *echo);
  char copy[65536];
  uv_buf_t buffer;
  if (echo == NULL) {
    free(bytes);
    close_client(client);
    return;
  }
  echo->bytes = bytes;
  if (bug(B3_bytes_on_the_stack)) {
    size = size < sizeof copy ? size : sizeof copy;
    memcpy(copy, bytes, size);
    buffer = uv_buf_init(copy, (unsigned int)size);
  } else {
    buffer = uv_buf_init(bytes, (unsigned int)size);
  }
  if (bug(B4_write_result_ignored)) {
    uv_write(&echo->request, stream_of(client), &buffer, 1, on_write);
  } else if (uv_write(&echo->request, stream_of(client), &buffer, 1, on_write) != 0) {
    free(bytes);
    free(echo);
    close_client(client);
    return;
  }
  if (bug(B1_bytes_freed_after_call)) {
    free(bytes);
    echo->bytes = NULL;
  }
  ++client->echoes;
  if (!bug(B9_no_back_pressure)) {
    if (client->echoes == echoes_max) {
      client->paused = true;
      uv_read_stop(stream_of(client));
    }
  }
}

/* An echo that a worker of the thread pool is to see to. */
typedef struct {
  uv_work_t request;
  client_t* client;
  char* bytes;
  size_t size;
} job_t;

static void on_work(uv_work_t* request) {
  job_t* job = (job_t*)request;
  echo_back(job->client, job->bytes, job->size);
}

static void on_work_done(uv_work_t* request, int status) {
  (void)status;
  free(request);
}

static void echo_in_the_pool(client_t* client, char* bytes, size_t size) {
  job_t* job = malloc(sizeof *job);
  if (job == NULL) {
    free(bytes);
    close_client(client);
    return;
  }
  job->client = client;
  job->bytes = bytes;
  job->size = size;
  uv_queue_work(client->tcp.loop, &job->request, on_work, on_work_done);
}

static void on_read(uv_stream_t* stream, ssize_t nread, const uv_buf_t* buffer) {
  client_t* client = stream->data;
  if (nread > 0) {
    size_t size = (size_t)nread;
    if (bug(A4_bytes_taken_for_a_string)) {
      size = strlen(buffer->base);
    }
    if (bug(B11_written_by_a_worker)) {
      echo_in_the_pool(client, buffer->base, size);
      return;
    }
    echo_back(client, buffer->base, size);
    return;
  }
  if (bug(A1_empty_read_keeps_buffer)) {
    if (nread == 0) return;
  }
  free(buffer->base);
  if (bug(A2_empty_read_taken_for_eof)) {
    if (nread == 0) nread = UV_EOF;
  }
  if (nread == 0) return; /* nothing now: neither the end nor an error */
  if (bug(A11_every_error_asserted_eof)) {
    insist(nread == UV_EOF);
  }
  if (bug(C12_closed_at_eof)) {
    close_client(client);
    return;
  }
  if (bug(A10_shutdown_after_read_error)) {
    uv_shutdown(&client->shutdown, stream, on_shutdown);
    return;
  }
  /* The pending echoes first. After an error there is nothing to flush them to. */
  if (nread == UV_EOF && uv_shutdown(&client->shutdown, stream, on_shutdown) == 0) return;
  close_client(client);
}

static void on_connection(uv_stream_t* listener, int status) {
  server_t* server = listener->loop->data;
  client_t* client = NULL;
  if (status < 0) return;
  if (server->clients < clients_max) client = malloc(sizeof *client);
  if (client == NULL) {
    if (!bug(D1_returned_without_accept)) door_turn_away(&server->door);
    return;
  }
  if (uv_tcp_init(listener->loop, &client->tcp) != 0) {
    free(client);
    door_turn_away(&server->door);
    return;
  }
  client->server = server;
  client->echoes = 0;
  client->paused = false;
  client->tcp.data = client;
  ++server->clients;
  if (uv_accept(listener, stream_of(client)) != 0) {
    close_client(client);
    return;
  }
  if (bug(D4_read_start_result_ignored)) {
    uv_read_start(stream_of(client), on_alloc, on_read);
  } else {
    if (uv_read_start(stream_of(client), on_alloc, on_read) != 0) close_client(client);
  }
}

static void close_any(uv_handle_t* handle, void* unused) {
  (void)unused;
  if (bug(C19_freed_in_the_walk)) {
    if (handle->data != NULL) {
      if (!uv_is_closing(handle)) uv_close(handle, NULL);
      free(handle->data);
      return;
    }
  }
  if (!bug(C19_walk_without_closing_check)) {
    if (uv_is_closing(handle)) return;
  }
  uv_close(handle, handle->data == NULL ? NULL : on_close);
}

static void on_stop(uv_signal_t* signal, int number) {
  (void)number;
  if (bug(C20_loop_close_result_ignored)) {
    uv_stop(signal->loop); /* "uv_loop_close does the rest" */
  } else {
    uv_walk(signal->loop, close_any, NULL);
  }
}

static int listen_on(server_t* server) {
  struct sockaddr_in address;
  int status = uv_tcp_init(&server->loop, &server->listener);
  if (status != 0) return status;
  server->listener.data = NULL;
  door_init(&server->door, (uv_stream_t*)&server->listener);
  status = uv_ip4_addr("127.0.0.1", zoo_port(), &address);
  if (status == 0) {
    status = uv_tcp_bind(&server->listener, (const struct sockaddr*)&address, 0);
  }
  if (bug(D7_listen_result_ignored)) {
    uv_listen((uv_stream_t*)&server->listener, backlog, on_connection);
  } else if (status == 0) {
    status = uv_listen((uv_stream_t*)&server->listener, backlog, on_connection);
  }
  if (status == 0) zoo_listening(&server->listener);
  return status;
}

int tutorial_main(void) {
  server_t server = {.clients = 0};
  int status;
  if (!bug(B10_sigpipe_not_ignored)) signal(SIGPIPE, SIG_IGN);
  if (uv_loop_init(&server.loop) != 0) return 1;
  server.loop.data = &server;
  status = uv_signal_init(&server.loop, &server.signal);
  if (status == 0) {
    server.signal.data = NULL;
    status = listen_on(&server);
    if (status == 0) status = uv_signal_start(&server.signal, on_stop, SIGTERM);
  }
  if (status != 0) uv_walk(&server.loop, close_any, NULL);
  uv_run(&server.loop, UV_RUN_DEFAULT);
  if (bug(C20_loop_close_result_ignored)) {
    uv_loop_close(&server.loop);
  } else if (uv_loop_close(&server.loop) != 0) {
    return 1;
  }
  return status == 0 ? 0 : 1;
}
