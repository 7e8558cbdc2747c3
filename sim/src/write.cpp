// Writing and shutting down.
//
// Theory. A request goes into the write queue, is tried at once if the queue was empty, and moves
// to the completed queue when the kernel has all of it, or refuses. Its callback runs later, from
// the pending phase or after the next event: never inside uv_write (R19). 1.44 finishes one request
// per pass, 1.52 about 32. What uvsim adds: it remembers what the waiting bytes were, and complains
// if they have changed when their turn comes (R12).
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "internal.hpp"

namespace uvsim {
namespace {

size_t total(const uv_buf_t* buffers, unsigned count) {
  size_t bytes = 0;
  for (unsigned i = 0; i < count; ++i) bytes += buffers[i].len;
  return bytes;
}

size_t left_of(const uv_write_t* request) {
  return total(request->bufs + request->write_index, request->nbufs - request->write_index);
}

// What the next `count` bytes of the request add to its sum. Every byte counts by its position, so
// that the sum can be taken piece by piece, as the pieces are written.
uint64_t sum_of(const uv_write_t* request, uint64_t position, size_t count) {
  uint64_t sum = 0;
  for (unsigned i = request->write_index; count > 0; ++i) {
    const char* const bytes = request->bufs[i].base;
    const size_t part = count < request->bufs[i].len ? count : request->bufs[i].len;
    for (size_t at = 0; at < part; ++at)
      sum += (uint64_t{static_cast<unsigned char>(bytes[at])} + 1) *
             ((position + at + 1) * 0x9e3779b97f4a7c15u);
    position += part;
    count -= part;
  }
  return sum;
}

// Linux ends a program that writes to a dead connection, unless it said otherwise.
void sigpipe(Context& context, HandleRecord& record) {
  if (!context.options.check_sigpipe || !context.options.checks) return;
  struct sigaction now;
  sigaction(SIGPIPE, nullptr, &now);
  if (now.sa_handler != SIG_DFL) return;
  violate(context, "R21", record.subject(),
          "this write raises SIGPIPE, and the program does not ignore it: it would die here");
}

// The system call, with the world's say in it.
ssize_t write_socket(Context& context, HandleRecord& record, Socket& socket,
                     const uv_buf_t* buffers, unsigned count) {
  constexpr int faults[] = {0, ECONNRESET, EPIPE, ENOBUFS};
  constexpr unsigned most_at_once = 1024;  // IOV_MAX
  count = std::min(count, most_at_once);
  size_t limit = SIZE_MAX;
  if (context.asks && socket.state == SocketState::established) {
    const int fault = faults[context.fault(3, 4, ChoicePoint::write_error, &socket)];
    if (fault != 0) {
      if (fault != ENOBUFS) context.kernel.fail_connection(socket);
      if (fault == EPIPE) sigpipe(context, record);
      return -fault;
    }
    size_t fits = total(buffers, count);
    if (fits > context.kernel.room(socket)) fits = context.kernel.room(socket);
    if (fits > 0) {
      if (context.pick(2, ChoicePoint::write_again, &socket) == 1) return -EAGAIN;
      limit = choose_size(context, socket, fits, ChoicePoint::write_size);
    }
  }
  for (unsigned i = 0; i < count; ++i)
    touch(context, "R12", record.subject(), buffers[i].base, buffers[i].len, "the buffer to write");
  const ssize_t result = context.kernel.write(socket, buffers, count, limit);
  if (result == -EPIPE) sigpipe(context, record);
  return result;
}

// Takes `count` written bytes off the request. True when nothing is left. An empty buffer at the
// front is taken by each pass, so that a request of empty buffers ends too (R17).
bool advance(uv_stream_t* stream, uv_write_t* request, size_t count) {
  stream->write_queue_size -= count;
  do {
    uv_buf_t& buffer = request->bufs[request->write_index];
    const size_t part = count < buffer.len ? count : buffer.len;
    buffer.base += part;
    buffer.len -= part;
    if (buffer.len == 0) ++request->write_index;
    count -= part;
  } while (count > 0);
  return request->write_index == request->nbufs;
}

void finish(uv_stream_t* stream, uv_write_t* request) {
  remove(link_of(request->queue));
  // The size of a failed request is taken off just before its callback.
  if (request->error == 0) request->bufs = nullptr;
  push_back(link_of(stream->write_completed_queue), link_of(request->queue));
  io_feed(stream);
}

// The bytes that have to wait are remembered, R12.
void remember(Context& context, RequestRecord& record, const uv_write_t* request) {
  if (!context.options.checks || record.summed) return;
  record.summed = true;
  record.position = 0;
  record.sum = sum_of(request, 0, left_of(request));
}

void account(RequestRecord& record, const uv_write_t* request, size_t count) {
  if (!record.summed) return;
  record.sum -= sum_of(request, record.position, count);
  record.position += count;
}

void check_unchanged(Context& context, const RequestRecord& record) {
  if (!record.summed || record.sum == 0) return;
  violate(context, "R12", record.handle->subject(),
          "bytes given to uv_write at step %llu were changed before they were written",
          static_cast<unsigned long long>(record.step));
}

}  // namespace

void write_some(Context& context, uv_stream_t* stream) {
  Link* const queue = link_of(stream->write_queue);
  // 1.52 ends a pass after so many requests, for fairness; 1.44 after the first that is done.
  int requests_left = context.v1_44() ? 1 : 33;
  while (!empty(queue)) {
    auto* const request = UVSIM_OWNER(queue->next, uv_write_t, queue);
    RequestRecord& record = request_record(context, request);
    Socket& socket = *socket_of(context, stream);
    const ssize_t count =
        write_socket(context, *record.handle, socket, request->bufs + request->write_index,
                     request->nbufs - request->write_index);
    if (count >= 0) {
      account(record, request, static_cast<size_t>(count));
      if (advance(stream, request, static_cast<size_t>(count))) {
        check_unchanged(context, record);
        finish(stream, request);
        if (--requests_left > 0) continue;
        return;
      }
    } else if (count != -EAGAIN) {
      request->error = static_cast<int>(count);
      finish(stream, request);
      io_stop(stream, POLLOUT);
      return;
    }
    remember(context, record, request);
    io_start(stream, POLLOUT);
    return;
  }
}

void write_callbacks(Context& context, uv_stream_t* stream) {
  Link batch;
  move_all(link_of(stream->write_completed_queue), &batch);
  while (!empty(&batch)) {
    auto* const request = UVSIM_OWNER(batch.next, uv_write_t, queue);
    remove(link_of(request->queue));
    HandleRecord& record = *request_record(context, request).handle;
    if (request->bufs != nullptr) {
      stream->write_queue_size -= left_of(request);
      request->bufs = nullptr;
    }
    request_end(context, stream->loop, request);
    if (request->cb != nullptr)
      call_back(context, What::write_cb, record.subject(), stream, request->error, request->cb,
                request, request->error);
  }
}

void flush_writes(Context& context, uv_stream_t* stream, int error) {
  static_cast<void>(context);
  Link* const queue = link_of(stream->write_queue);
  while (!empty(queue)) {
    auto* const request = UVSIM_OWNER(queue->next, uv_write_t, queue);
    remove(link_of(request->queue));
    request->error = error;
    push_back(link_of(stream->write_completed_queue), link_of(request->queue));
  }
}

void drain(Context& context, uv_stream_t* stream) {
  if ((stream->flags & flag_closing) == 0) io_stop(stream, POLLOUT);
  if ((stream->flags & flag_shutting) == 0) return;
  uv_shutdown_t* const request = stream->shutdown_req;
  HandleRecord& record = record_of(context, stream);
  stream->shutdown_req = nullptr;
  stream->flags &= ~unsigned{flag_shutting};
  int error = 0;
  if ((stream->flags & flag_closing) != 0) {
    error = UV_ECANCELED;
  } else {
    Socket& socket = *socket_of(context, stream);
    if (socket.family != Family::pipe && context.pick(2, ChoicePoint::shutdown_error, &socket) == 1)
      context.kernel.lose_connection(socket);
    error = context.kernel.shutdown_write(socket);
    if (error == 0) stream->flags |= flag_shut;
  }
  request_end(context, stream->loop, request);
  if (request->cb != nullptr)
    call_back(context, What::shutdown_cb, record.subject(), stream, error, request->cb, request,
              error);
}

namespace {

int check_before_write(Context& context, const uv_stream_t* stream, HandleRecord& record,
                       unsigned nbufs, const uv_buf_t* bufs) {
  constexpr unsigned most = 1024 * 1024;
  if (nbufs > most && !context.v1_44()) return UV_EINVAL;
  if (bufs == nullptr || nbufs == 0) {
    if (!context.v1_44()) return UV_EINVAL;
    violate(context, "R14", record.subject(), "a write of no buffers: libuv 1.44 asserts");
  }
  if (stream->io_watcher.fd < 0) return UV_EBADF;
  if ((stream->flags & flag_writable) == 0) return UV_EPIPE;
  return 0;
}

void lend_buffers(Context& context, RequestRecord& record, const uv_buf_t* bufs, unsigned nbufs) {
  if (!context.ledger_running) return;
  for (unsigned i = 0; i < nbufs; ++i)
    record.buffer_loans.push_back(ledger::lend(bufs[i].base, bufs[i].len, ledger::LoanKind::buffer,
                                               record.handle->handle, 12));
}

// A program may try again and again inside one callback: the peers played from outside must get
// their turn then too, or nothing would ever change.
void let_the_wire_move(Context& context) {
  constexpr uint32_t patience = 64;
  if (++context.refusals % patience == 0) ask_hook(context, true, 0);
}

int write_request(Call& call, uv_write_t* request, uv_stream_t* stream, const uv_buf_t* bufs,
                  unsigned nbufs, uv_write_cb callback) {
  Context& context = call.context;
  HandleRecord& record = call.live(stream, UV_STREAM);
  const int error = check_before_write(context, stream, record, nbufs, bufs);
  if (error != 0) return error;
  constexpr unsigned buffers_inside = sizeof request->bufsml / sizeof request->bufsml[0];
  // Only where libuv has to allocate can it run out of memory; and then it leaves the request
  // counted, so that the loop never ends.
  // So many that 1.44 has no memory for the list of them.
  if (nbufs > INT_MAX) {
    ++stream->loop->active_reqs.count;
    return UV_ENOMEM;
  }
  const uint32_t real = nbufs > buffers_inside ? 2 : 1;
  const uint32_t fault =
      context.fault(real, real + 1, ChoicePoint::call_write, socket_of(context, stream));
  if (fault == real) return UV_EBADF;
  if (fault != 0) {
    ++stream->loop->active_reqs.count;
    return UV_ENOMEM;
  }
  const bool idle = stream->write_queue_size == 0;
  RequestRecord& pending = request_begin(context, stream->loop, request, UV_WRITE, &record);
  request->cb = callback;
  request->handle = stream;
  request->send_handle = nullptr;
  request->error = 0;
  request->write_index = 0;
  request->nbufs = nbufs;
  request->bufs = request->bufsml;
  if (nbufs > buffers_inside) {
    pending.buffers.assign(bufs, bufs + nbufs);
    request->bufs = pending.buffers.data();
  } else {
    std::memcpy(request->bufsml, bufs, nbufs * sizeof bufs[0]);
  }
  pending.bytes = total(bufs, nbufs);
  lend_buffers(context, pending, bufs, nbufs);
  stream->write_queue_size += pending.bytes;
  push_back(link_of(stream->write_queue), link_of(request->queue));
  // Connecting: the connect callback's time will come. Otherwise at once, if nothing is before it.
  if (stream->connect_req == nullptr) {
    if (idle) {
      write_some(context, stream);
      return 0;
    }
    io_start(stream, POLLOUT);
  }
  remember(context, pending, request);
  return 0;
}

}  // namespace
}  // namespace uvsim

using namespace uvsim;

int uv_write2(uv_write_t* req, uv_stream_t* handle, const uv_buf_t bufs[], unsigned int nbufs,
              uv_stream_t* send_handle, uv_write_cb cb) {
  Call call(What::uv_write, nbufs);
  if (send_handle != nullptr)
    refuse(call.context, call.live(handle, UV_STREAM).subject(),
           "uv_write2 with a handle to send is not simulated by uvsim");
  return call.result(write_request(call, req, handle, bufs, nbufs, cb));
}

int uv_write(uv_write_t* req, uv_stream_t* handle, const uv_buf_t bufs[], unsigned int nbufs,
             uv_write_cb cb) {
  return uv_write2(req, handle, bufs, nbufs, nullptr, cb);
}

int uv_try_write2(uv_stream_t* handle, const uv_buf_t bufs[], unsigned int nbufs,
                  uv_stream_t* send_handle) {
  Call call(What::uv_try_write, nbufs);
  Context& context = call.context;
  HandleRecord& record = call.live(handle, UV_STREAM);
  if (send_handle != nullptr)
    refuse(context, record.subject(), "uv_try_write2 with a handle is not simulated by uvsim");
  if (handle->connect_req != nullptr || handle->write_queue_size != 0)
    return call.result(UV_EAGAIN);
  const int error = check_before_write(context, handle, record, nbufs, bufs);
  if (error != 0) return call.result(error);
  // What writev(2) thinks of a negative count.
  if (nbufs > INT_MAX) return call.result(UV_EINVAL);
  Socket& socket = *socket_of(context, handle);
  if (context.fault(1, 2, ChoicePoint::call_try_write, &socket) == 1) return call.result(UV_EBADF);
  const ssize_t count = write_socket(context, record, socket, bufs, nbufs);
  if (count == -EAGAIN) let_the_wire_move(context);
  return call.result(count);
}

int uv_try_write(uv_stream_t* handle, const uv_buf_t bufs[], unsigned int nbufs) {
  return uv_try_write2(handle, bufs, nbufs, nullptr);
}

int uv_shutdown(uv_shutdown_t* req, uv_stream_t* handle, uv_shutdown_cb cb) {
  Call call(What::uv_shutdown);
  HandleRecord& record = call.live(handle, UV_STREAM);
  // A closing stream is not writable either.
  if ((handle->flags & flag_writable) == 0 || (handle->flags & (flag_shut | flag_shutting)) != 0)
    return call.result(UV_ENOTCONN);
  if (call.context.fault(1, 2, ChoicePoint::call_shutdown, socket_of(call.context, handle)) == 1)
    return call.result(UV_ENOTCONN);
  request_begin(call.context, handle->loop, req, UV_SHUTDOWN, &record);
  req->handle = handle;
  req->cb = cb;
  handle->shutdown_req = req;
  handle->flags |= flag_shutting;
  handle->flags &= ~unsigned{flag_writable};
  if (empty(link_of(handle->write_queue))) io_feed(handle);
  return call.result(0);
}

size_t uv_stream_get_write_queue_size(const uv_stream_t* stream) {
  look();
  return stream->write_queue_size;
}
