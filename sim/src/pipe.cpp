// Pipe handles: Unix sockets by name, and one-way pipes. Names live in the simulated machine, not
// in the file system; the handle that bound one takes it away again when it is closed.
#include <poll.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "internal.hpp"

namespace uvsim {
namespace {

constexpr unsigned no_truncate = 1;

// What the caller's name becomes, cut to what fits into a sockaddr_un: with its terminator in 1.44.
int name_from(const Context& context, const char* name, size_t size, unsigned flags,
              std::string* out) {
  const size_t most = sizeof(sockaddr_un::sun_path) - (context.v1_44() ? 1 : 0);
  if ((flags & ~no_truncate) != 0 || name == nullptr) return UV_EINVAL;
  // Only an abstract name, which begins with one, may have a NUL in it.
  if (size > 0 && name[0] != '\0' && std::memchr(name, '\0', size) != nullptr) return UV_EINVAL;
  if (size > most && (flags & no_truncate) != 0) return UV_EINVAL;
  out->assign(name, size < most ? size : most);
  // To 1.44 an empty name is an abstract one, of nothing but NULs.
  if (size == 0 && context.v1_44()) out->assign(sizeof(sockaddr_un::sun_path), '\0');
  return 0;
}

}  // namespace

int pipe_listen(Context& context, uv_pipe_t* pipe, int backlog, uv_connection_cb callback) {
  if (pipe->io_watcher.fd == -1 || pipe->ipc != 0) return UV_EINVAL;
  return start_listening(context, stream_of(pipe), backlog, callback);
}

void pipe_close(Context& context, uv_pipe_t* pipe) {
  pipe->pipe_fname = nullptr;
  stream_close(context, stream_of(pipe));
}

namespace {

int bind_pipe(Call& call, HandleRecord& record, uv_pipe_t* pipe, const char* name, size_t size,
              unsigned flags) {
  Context& context = call.context;
  std::string path;
  int error = name_from(context, name, size, flags, &path);
  if (error != 0) return error;
  if (is_closing(record.handle) || pipe->io_watcher.fd >= 0) return UV_EINVAL;
  constexpr int faults[] = {0, -EADDRINUSE, -EACCES, -EADDRNOTAVAIL};
  Socket* socket = nullptr;
  const int fd = context.kernel.open_socket(Family::pipe, &socket);
  if (fd < 0) return fd;
  error = faults[context.fault(3, 4, ChoicePoint::call_bind)];
  if (error == 0) error = context.kernel.bind_name(*socket, std::move(path));
  if (error != 0) {
    context.kernel.close_descriptor(fd);
    return error == -ENOENT ? UV_EACCES : error;  // as libuv says it, for the sake of Windows
  }
  pipe->flags |= flag_bound;
  pipe->pipe_fname = socket->path.c_str();
  pipe->io_watcher.fd = fd;
  socket->owner = stream_of(pipe);
  return 0;
}

int open_and_connect(Context& context, uv_pipe_t* pipe, const std::string& name) {
  Socket* socket = socket_of(context, stream_of(pipe));
  const bool is_new = socket == nullptr;
  if (is_new) {
    const int fd = context.kernel.open_socket(Family::pipe, &socket);
    if (fd < 0) return fd;
    // It stays, whatever comes of it.
    pipe->io_watcher.fd = fd;
    socket->owner = stream_of(pipe);
  }
  int error = context.pick(2, ChoicePoint::call_connect) == 1
                  ? -EACCES
                  : context.kernel.connect_name(*socket, name);
  if (error == 0 && is_new)
    error = stream_open(context, stream_of(pipe), socket->fd, flag_readable | flag_writable);
  if (error != 0) return error;
  io_start(stream_of(pipe), POLLOUT);
  return 0;
}

int connect_pipe(Call& call, HandleRecord& record, uv_connect_t* req, uv_pipe_t* pipe,
                 const char* name, size_t size, unsigned flags, bool told_late, uv_connect_cb cb) {
  Context& context = call.context;
  call.must_be_open(record);
  std::string path;
  int error = name_from(context, name, size, flags, &path);
  if (path.empty()) error = UV_EINVAL;
  // uv_pipe_connect has no result, so that everything is told in the callback.
  if (error != 0 && !told_late) return error;
  request_begin(context, pipe->loop, req, UV_CONNECT, &record);
  if (error == 0) error = open_and_connect(context, pipe, path);
  pipe->delayed_error = error;
  pipe->connect_req = req;
  req->handle = stream_of(pipe);
  req->cb = cb;
  init(link_of(req->queue));
  if (error != 0) io_feed(stream_of(pipe));
  return 0;
}

int pipe_name(What what, const uv_pipe_t* pipe, char* buffer, size_t* size, bool of_peer) {
  Call call(what);
  call.live(pipe, UV_NAMED_PIPE);
  if (buffer == nullptr || size == nullptr || *size == 0) return call.result(UV_EINVAL);
  const Socket* const socket = socket_of(call.context, reinterpret_cast<const uv_stream_t*>(pipe));
  const size_t room = *size;
  *size = 0;
  if (socket == nullptr) return call.result(UV_EBADF);
  if (of_peer && socket->peer == nullptr) return call.result(UV_ENOTCONN);
  const std::string& name = of_peer ? socket->remote_path : socket->path;
  const bool is_abstract = !name.empty() && name[0] == '\0';
  // 1.44 wants to see the terminator that an abstract name does not get.
  const size_t needed = name.size() + (is_abstract && !call.context.v1_44() ? 0 : 1);
  if (room < needed) {
    *size = needed;
    return call.result(UV_ENOBUFS);
  }
  std::memcpy(buffer, name.data(), name.size());
  *size = name.size();
  if (!is_abstract) buffer[name.size()] = '\0';
  return call.result(0);
}

}  // namespace
}  // namespace uvsim

using namespace uvsim;

int uv_pipe_init(uv_loop_t* loop, uv_pipe_t* handle, int ipc) {
  Call call(What::uv_pipe_init, ipc);
  if (call.context.fault(1, 2, ChoicePoint::call_pipe_init) == 1) return call.result(UV_ENOMEM);
  HandleRecord& record = handle_init(call, loop, base(handle), UV_NAMED_PIPE);
  stream_init(call, record, stream_of(handle));
  handle->pipe_fname = nullptr;
  handle->ipc = ipc;
  return call.result(0);
}

int uv_pipe_open(uv_pipe_t* handle, uv_file file) {
  Call call(What::uv_pipe_open);
  call.must_be_open(call.live(handle, UV_NAMED_PIPE));
  Socket* const socket = call.context.kernel.socket_at(file);
  if (socket == nullptr && is_real_descriptor(file))
    not_simulated(call.context, "uv_pipe_open", file);
  if (socket == nullptr) return call.result(UV_EBADF);
  if (socket->stream != nullptr) return call.result(UV_EEXIST);
  unsigned flags = 0;
  if (!socket->is_anonymous || !socket->write_shut) flags |= flag_writable;
  if (!socket->is_anonymous || socket->write_shut) flags |= flag_readable;
  return call.result(stream_open(call.context, stream_of(handle), file, flags));
}

int uv_pipe_bind(uv_pipe_t* handle, const char* name) {
  Call call(What::uv_pipe_bind);
  HandleRecord& record = call.live(handle, UV_NAMED_PIPE);
  return call.result(
      bind_pipe(call, record, handle, name, name == nullptr ? 0 : std::strlen(name), 0));
}

void uv_pipe_connect(uv_connect_t* req, uv_pipe_t* handle, const char* name, uv_connect_cb cb) {
  Call call(What::uv_pipe_connect);
  HandleRecord& record = call.live(handle, UV_NAMED_PIPE);
  call.result(connect_pipe(call, record, req, handle, name, std::strlen(name), 0, true, cb));
}

int uv_pipe_bind2(uv_pipe_t* handle, const char* name, size_t namelen, unsigned int flags) {
  Call call(What::uv_pipe_bind);
  HandleRecord& record = call.live(handle, UV_NAMED_PIPE);
  return call.result(bind_pipe(call, record, handle, name, namelen, flags));
}

int uv_pipe_connect2(uv_connect_t* req, uv_pipe_t* handle, const char* name, size_t namelen,
                     unsigned int flags, uv_connect_cb cb) {
  Call call(What::uv_pipe_connect);
  HandleRecord& record = call.live(handle, UV_NAMED_PIPE);
  return call.result(connect_pipe(call, record, req, handle, name, namelen, flags, false, cb));
}

int uv_pipe_getsockname(const uv_pipe_t* handle, char* buffer, size_t* size) {
  return pipe_name(What::uv_pipe_getsockname, handle, buffer, size, false);
}

int uv_pipe_getpeername(const uv_pipe_t* handle, char* buffer, size_t* size) {
  return pipe_name(What::uv_pipe_getpeername, handle, buffer, size, true);
}

void uv_pipe_pending_instances(uv_pipe_t* handle, int count) {
  Call call(What::uv_pipe_pending, count);
  call.live(handle, UV_NAMED_PIPE);
}

int uv_pipe_pending_count(uv_pipe_t* handle) {
  Call call(What::uv_pipe_pending);
  call.live(handle, UV_NAMED_PIPE);
  return call.result(0);
}

uv_handle_type uv_pipe_pending_type(uv_pipe_t* handle) {
  Call call(What::uv_pipe_pending);
  call.live(handle, UV_NAMED_PIPE);
  return UV_UNKNOWN_HANDLE;
}

int uv_pipe_chmod(uv_pipe_t* handle, int mode) {
  Call call(What::uv_pipe_chmod, mode);
  call.live(handle, UV_NAMED_PIPE);
  if (handle->io_watcher.fd == -1) return call.result(UV_EBADF);
  if (mode != UV_READABLE && mode != UV_WRITABLE && mode != (UV_READABLE | UV_WRITABLE))
    return call.result(UV_EINVAL);
  return call.result(0);
}
