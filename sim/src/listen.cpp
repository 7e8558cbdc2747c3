// Listening and accepting.
//
// Theory. libuv accepts first and asks afterwards: when connection_cb runs, the descriptor is
// already parked in the server's handle, and nothing more is accepted until uv_accept takes it
// (R37). When descriptors run out, one kept in reserve is given up so that what waits can be
// accepted and closed (R39).
#include <poll.h>

#include "internal.hpp"

namespace uvsim {
namespace {

// A descriptor, or an error.
int accept_one(Context& context, Socket& listener) {
  Socket* socket = nullptr;
  const int error = context.kernel.accept(listener, &socket);
  return error != 0 ? error : context.kernel.adopt(socket);
}

int shed_load(Context& context, LoopState& state, Socket& listener) {
  if (state.emfile_fd < 0) return UV_EMFILE;
  context.kernel.close_descriptor(state.emfile_fd);
  state.emfile_fd = -1;
  int fd;
  while ((fd = accept_one(context, listener)) >= 0) context.kernel.close_descriptor(fd);
  state.emfile_fd = context.kernel.open_machinery();
  return fd;
}

void call_back_connection(Context& context, uv_stream_t* stream, int status) {
  call_back(context, What::connection_cb, record_of(context, stream).subject(), stream, status,
            stream->connection_cb, stream, status);
}

// Accepts until no client is left. The program sees an error.
void accept_all_1_44(Context& context, LoopState& state, uv_stream_t* stream) {
  io_start(stream, POLLIN);
  while (stream->io_watcher.fd != -1) {
    Socket& listener = *socket_of(context, stream);
    int fd = accept_one(context, listener);
    if (fd == UV_EAGAIN) return;
    if (fd == UV_ECONNABORTED) continue;
    if (fd == UV_EMFILE) {
      fd = shed_load(context, state, listener);
      if (fd == UV_EAGAIN) return;
    }
    if (fd < 0) {
      call_back_connection(context, stream, fd);
      continue;
    }
    stream->accepted_fd = fd;
    call_back_connection(context, stream, 0);
    if (stream->accepted_fd != -1) {
      io_stop(stream, POLLIN);
      return;
    }
  }
}

// Accepts one client per wake-up. The program sees no error.
void accept_one_1_52(Context& context, LoopState& state, uv_stream_t* stream) {
  Socket& listener = *socket_of(context, stream);
  int fd = accept_one(context, listener);
  if (fd == UV_EMFILE) fd = shed_load(context, state, listener);
  if (fd < 0) return;
  stream->accepted_fd = fd;
  call_back_connection(context, stream, 0);
  if (stream->accepted_fd != -1) io_stop(stream, POLLIN);
}

}  // namespace

void server_io(Context& context, uv_stream_t* stream) {
  LoopState& state = loop_state(context, stream->loop);
  if (context.v1_44())
    accept_all_1_44(context, state, stream);
  else
    accept_one_1_52(context, state, stream);
}

int start_listening(Context& context, uv_stream_t* stream, int backlog, uv_connection_cb callback) {
  constexpr int faults[] = {0, UV_EADDRINUSE, UV_EMFILE};
  Socket& socket = *socket_of(context, stream);
  const uint32_t real = socket.family == Family::pipe ? 1 : 2;
  int error = faults[context.fault(real, 3, ChoicePoint::call_listen)];
  if (error == 0) error = context.kernel.listen(socket, backlog);
  if (error != 0) return error;
  stream->connection_cb = callback;
  stream->flags |= flag_bound | flag_listening;
  io_start(stream, POLLIN);
  return 0;
}

}  // namespace uvsim

using namespace uvsim;

int uv_listen(uv_stream_t* stream, int backlog, uv_connection_cb cb) {
  Call call(What::uv_listen, backlog);
  Context& context = call.context;
  HandleRecord& record = call.live(stream, UV_STREAM);
  record.bind_error_told = true;
  if (is_closing(record.handle)) return call.result(UV_EINVAL);
  const int error = record.type == UV_TCP
                        ? tcp_listen(context, reinterpret_cast<uv_tcp_t*>(stream), backlog, cb)
                        : pipe_listen(context, reinterpret_cast<uv_pipe_t*>(stream), backlog, cb);
  if (error == 0) handle_start(record.handle);
  return call.result(error);
}

int uv_accept(uv_stream_t* server, uv_stream_t* client) {
  Call call(What::uv_accept);
  Context& context = call.context;
  call.must_be_open(call.live(client, UV_STREAM));
  HandleRecord& record = call.live(server, UV_STREAM);
  if (server->loop != client->loop)
    violate(context, "R37", record.subject(), "uv_accept between two loops: libuv asserts");
  if (server->accepted_fd == -1) return call.result(UV_EAGAIN);
  const Socket* const parked = context.kernel.socket_at(server->accepted_fd);
  const int error =
      context.fault(1, 2, ChoicePoint::call_accept, parked) == 1
          ? UV_EBUSY
          : stream_open(context, client, server->accepted_fd, flag_readable | flag_writable);
  if (error != 0)
    context.kernel.close_descriptor(server->accepted_fd);
  else
    client->flags |= flag_bound;
  server->accepted_fd = -1;
  if (error == 0) {
    io_start(server, POLLIN);
  } else if ((server->io_watcher.pevents & POLLIN) == 0) {
    // Too late: while the connection was parked, listening had been given up.
    warn(context, "R38", record.subject(),
         "a late uv_accept failed: from now on this listener accepts no client");
  }
  return call.result(error);
}
