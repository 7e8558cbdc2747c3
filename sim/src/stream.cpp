// Streams: opening, reading, what an event on a descriptor leads to, and the end of a stream.
//
// Happy path of reading: alloc_cb, read, read_cb, up to 32 times per wake-up, until a read comes
// back short. Failure modes: no buffer (ENOBUFS, reading stays armed, R7), nothing there (0, R3),
// end of file (reading stops by itself, R8), any other error (the stream is good for closing only,
// R10). Every buffer that alloc_cb hands out comes back through exactly one read_cb (R2).
#include <poll.h>

#include <cerrno>

#include "internal.hpp"

namespace uvsim {

Socket* socket_of(Context& context, const uv_stream_t* stream) {
  return context.kernel.socket_at(stream->io_watcher.fd);
}

void stream_init(Call& call, HandleRecord& record, uv_stream_t* stream) {
  static_cast<void>(record);
  stream->read_cb = nullptr;
  stream->alloc_cb = nullptr;
  stream->connection_cb = nullptr;
  stream->connect_req = nullptr;
  stream->shutdown_req = nullptr;
  stream->accepted_fd = -1;
  stream->queued_fds = nullptr;
  stream->delayed_error = 0;
  stream->write_queue_size = 0;
  init(link_of(stream->write_queue));
  init(link_of(stream->write_completed_queue));
  auto& watcher = stream->io_watcher;
  init(link_of(watcher.pending_queue));
  init(link_of(watcher.watcher_queue));
  watcher.fd = -1;
  watcher.events = 0;
  watcher.pevents = 0;
  // One descriptor per loop is kept in reserve for the day when there are no others (R39).
  LoopState& state = loop_state(call.context, stream->loop);
  if (state.emfile_fd < 0) state.emfile_fd = call.context.kernel.open_machinery();
}

int stream_open(Context& context, uv_stream_t* stream, int fd, unsigned flags) {
  auto& watcher = stream->io_watcher;
  if (watcher.fd != -1 && watcher.fd != fd) return UV_EBUSY;
  stream->flags |= flags;
  Socket& socket = *context.kernel.socket_at(fd);
  if (stream->type == UV_TCP) {
    const int error = tcp_apply_options(stream, socket);
    if (error != 0) return error;
  }
  watcher.fd = fd;
  socket.owner = stream;
  return 0;
}

namespace {

void stop_reading(uv_stream_t* stream) {
  stream->flags &= ~unsigned{flag_reading};
  io_stop(stream, POLLIN);
  handle_stop(base(stream));
}

void call_back_read(Context& context, HandleRecord& record, uv_stream_t* stream, ssize_t nread,
                    const uv_buf_t* buffer) {
  call_back(context, What::read_cb, record.subject(), stream, nread, stream->read_cb, stream, nread,
            buffer);
}

void read_eof(Context& context, HandleRecord& record, uv_stream_t* stream, const uv_buf_t* buffer) {
  stream->flags |= flag_read_eof;
  stop_reading(stream);
  call_back_read(context, record, stream, UV_EOF, buffer);
}

void read_failed(Context& context, HandleRecord& record, uv_stream_t* stream, int error,
                 const uv_buf_t* buffer) {
  stream->flags &= ~(flag_readable | flag_writable);
  call_back_read(context, record, stream, error, buffer);
  // After the callback, which may have stopped or closed the stream itself.
  if ((stream->flags & flag_reading) != 0) stop_reading(stream);
}

// The system call, with the world's say in it. Count, 0 at the end, or -errno.
ssize_t read_socket(Context& context, Socket& socket, const uv_buf_t& buffer) {
  constexpr int faults[] = {0, ECONNRESET, ETIMEDOUT, ENOMEM};
  size_t size = buffer.len;
  const size_t there = socket.readable() < size ? socket.readable() : size;
  if (context.asks) {
    const uint32_t real = socket.family == Family::pipe ? 2 : 3;
    const int fault = faults[context.fault(real, 4, ChoicePoint::read_error, &socket)];
    if (fault != 0) {
      if (fault != ENOMEM) context.kernel.fail_connection(socket);
      return -fault;
    }
    if (there > 0 && context.pick(2, ChoicePoint::read_again, &socket) == 1) return -EAGAIN;
    size = choose_size(context, socket, there, ChoicePoint::read_size);
    if (there == 0) size = buffer.len;
  }
  return context.kernel.read(socket, buffer.base, size);
}

bool ask_for_buffer(Context& context, HandleRecord& record, uv_stream_t* stream, uv_buf_t* buffer) {
  constexpr size_t suggested = 65536;
  *buffer = uv_buf_t{};
  record.in_alloc = true;
  call_back(context, What::alloc_cb, record.subject(), stream, 0, stream->alloc_cb, base(stream),
            suggested, buffer);
  record.in_alloc = false;
  if (buffer->base == nullptr || buffer->len == 0) return false;
  touch(context, "R2", record.subject(), buffer->base, buffer->len, "the buffer from alloc_cb");
  return true;
}

void no_buffer(Context& context, HandleRecord& record, uv_stream_t* stream,
               const uv_buf_t* buffer) {
  constexpr uint32_t many = 1000;
  if (++record.no_buffer_turns == many)
    warn(context, "R7", record.subject(),
         "%u times in a row there was no buffer; reading stays armed and the loop spins", many);
  call_back_read(context, record, stream, UV_ENOBUFS, buffer);
}

void read_some(Context& context, HandleRecord& record, uv_stream_t* stream) {
  constexpr int reads_per_wakeup = 32;
  stream->flags &= ~unsigned{flag_read_partial};
  for (int i = 0; i < reads_per_wakeup && (stream->flags & flag_reading) != 0; ++i) {
    uv_buf_t buffer;
    if (!ask_for_buffer(context, record, stream, &buffer)) {
      no_buffer(context, record, stream, &buffer);
      return;
    }
    record.no_buffer_turns = 0;
    const ssize_t count = read_socket(context, *socket_of(context, stream), buffer);
    if (count == -EAGAIN) {
      io_start(stream, POLLIN);
      call_back_read(context, record, stream, 0, &buffer);
      return;
    }
    if (count < 0) {
      read_failed(context, record, stream, static_cast<int>(count), &buffer);
      return;
    }
    if (count == 0) {
      read_eof(context, record, stream, &buffer);
      return;
    }
    const auto capacity = static_cast<ssize_t>(buffer.len);
    call_back_read(context, record, stream, count, &buffer);
    if (count < capacity) {
      stream->flags |= flag_read_partial;
      return;
    }
  }
}

void connect_done(Context& context, HandleRecord& record, uv_stream_t* stream) {
  uv_connect_t* const request = stream->connect_req;
  int error = stream->delayed_error;
  stream->delayed_error = 0;
  if (error == 0) {
    Socket& socket = *socket_of(context, stream);
    error = -socket.error;
    socket.error = 0;
  }
  stream->connect_req = nullptr;
  request_end(context, stream->loop, request);
  if (error < 0 || empty(link_of(stream->write_queue))) io_stop(stream, POLLOUT);
  if (request->cb != nullptr)
    call_back(context, What::connect_cb, record.subject(), stream, error, request->cb, request,
              error);
  if (stream->io_watcher.fd == -1) return;
  if (error < 0) {
    flush_writes(context, stream, UV_ECANCELED);
    write_callbacks(context, stream);
  }
}

// What makes libuv read.
uint32_t reasons_to_read(const Context& context) {
  return context.v1_44() ? POLLIN | POLLERR | POLLHUP : POLLIN | POLLERR;
}

// A hang-up is the end of the file, without a buffer, where libuv knows that there is nothing left
// to read: 1.44 concludes it from a read that came back short, 1.52 from a hang-up with no input.
bool hangup_is_eof(const Context& context, const uv_stream_t* stream, uint32_t events) {
  const unsigned flags = stream->flags;
  if ((events & POLLHUP) == 0 || (flags & flag_reading) == 0) return false;
  return context.v1_44() ? (flags & flag_read_partial) != 0 : (events & POLLIN) == 0;
}

}  // namespace

size_t choose_size(Context& context, const Socket& socket, size_t most, ChoicePoint point) {
  // Different answers only: 1, half and all but one coincide for small counts.
  switch (context.pick(most < 4 ? static_cast<uint32_t>(most) : 4, point, &socket)) {
    case 0: return most;
    case 1: return 1;
    case 2: return most == 3 ? 2 : most / 2;
    default: return most - 1;
  }
}

void stream_io(Context& context, uv_stream_t* stream, uint32_t events) {
  HandleRecord& record = record_of(context, stream);
  if ((stream->flags & flag_listening) != 0) {
    server_io(context, stream);
    return;
  }
  if (stream->connect_req != nullptr) {
    connect_done(context, record, stream);
    return;
  }
  if ((events & reasons_to_read(context)) != 0) read_some(context, record, stream);
  if (stream->io_watcher.fd == -1) return;
  if (hangup_is_eof(context, stream, events)) {
    const uv_buf_t nothing = uv_buf_t{};
    read_eof(context, record, stream, &nothing);
  }
  if (stream->io_watcher.fd == -1) return;
  if ((events & (POLLOUT | POLLERR | POLLHUP)) == 0) return;
  write_some(context, stream);
  write_callbacks(context, stream);
  if (empty(link_of(stream->write_queue))) drain(context, stream);
}

uint32_t peer_of(Context& context, const HandleRecord& record) {
  if (record.life != Life::open) return record.peer_id;
  if (record.type != UV_TCP && record.type != UV_NAMED_PIPE) return 0;
  const Socket* const socket = socket_of(context, stream_of(record.handle));
  return socket == nullptr || socket->peer == nullptr ? 0 : socket->peer->peer_id;
}

void stream_close(Context& context, uv_stream_t* stream) {
  io_close(stream);
  stop_reading(stream);
  stream->flags &= ~(flag_readable | flag_writable);
  if (stream->io_watcher.fd != -1) {
    context.kernel.close_descriptor(stream->io_watcher.fd);
    stream->io_watcher.fd = -1;
  }
  if (stream->accepted_fd != -1) {
    warn(context, "R37", record_of(context, stream).subject(),
         "closed with a connection that was never taken with uv_accept");
    context.kernel.close_descriptor(stream->accepted_fd);
    stream->accepted_fd = -1;
  }
}

void stream_destroy(Context& context, uv_stream_t* stream) {
  HandleRecord& record = record_of(context, stream);
  if (uv_connect_t* const request = stream->connect_req) {
    request_end(context, stream->loop, request);
    if (request->cb != nullptr)
      call_back(context, What::connect_cb, record.subject(), stream, UV_ECANCELED, request->cb,
                request, UV_ECANCELED);
    // Only now: a write tried in the callback is told to come again.
    stream->connect_req = nullptr;
  }
  flush_writes(context, stream, UV_ECANCELED);
  write_callbacks(context, stream);
  drain(context, stream);
}

}  // namespace uvsim

using namespace uvsim;

int uv_read_start(uv_stream_t* stream, uv_alloc_cb alloc_cb, uv_read_cb read_cb) {
  Call call(What::uv_read_start);
  if (stream == nullptr || alloc_cb == nullptr || read_cb == nullptr) return call.result(UV_EINVAL);
  HandleRecord& record = call.live(stream, UV_STREAM);
  if ((stream->flags & flag_closing) != 0) return call.result(UV_EINVAL);
  if ((stream->flags & flag_reading) != 0) return call.result(UV_EALREADY);
  if ((stream->flags & flag_readable) == 0) return call.result(UV_ENOTCONN);
  if (call.context.fault(1, 2, ChoicePoint::call_read_start, socket_of(call.context, stream)) == 1)
    return call.result(UV_ENOMEM);
  stream->flags |= flag_reading;
  stream->flags &= ~unsigned{flag_read_eof};
  stream->alloc_cb = alloc_cb;
  stream->read_cb = read_cb;
  io_start(stream, POLLIN);
  handle_start(record.handle);
  return call.result(0);
}

int uv_read_stop(uv_stream_t* stream) {
  Call call(What::uv_read_stop);
  HandleRecord& record = call.live(stream, UV_STREAM);
  if (record.in_alloc)
    violate(call.context, "R6", record.subject(), "uv_read_stop was called from its alloc_cb");
  if ((stream->flags & flag_reading) == 0) return call.result(0);
  stop_reading(stream);
  stream->read_cb = nullptr;
  stream->alloc_cb = nullptr;
  return call.result(0);
}

int uv_is_readable(const uv_stream_t* stream) {
  look();
  return (stream->flags & flag_readable) != 0 ? 1 : 0;
}

int uv_is_writable(const uv_stream_t* stream) {
  look();
  return (stream->flags & flag_writable) != 0 ? 1 : 0;
}

int uv_stream_set_blocking(uv_stream_t* stream, int blocking) {
  Call call(What::uv_stream_set_blocking, blocking);
  call.live(stream, UV_STREAM);
  Socket* const socket = socket_of(call.context, stream);
  if (socket == nullptr) return call.result(UV_EBADF);
  socket->blocking = blocking != 0;
  return call.result(0);
}
