// Descriptors as programs see them: numbers that stand for simulated sockets, what kind they are,
// their buffers, and pairs of them.
#include <fcntl.h>
#include <sys/socket.h>

#include "internal.hpp"

namespace uvsim {
namespace {

int buffer_size(What what, uv_handle_t* handle, int* value, bool of_sender) {
  if (handle == nullptr || value == nullptr) return UV_EINVAL;
  Call call(what, *value);
  Context& context = call.context;
  const HandleRecord& record = call.live(handle, UV_HANDLE);
  if (record.type != UV_TCP && record.type != UV_NAMED_PIPE) return call.result(UV_ENOTSUP);
  Socket* const socket = socket_of(context, stream_of(handle));
  if (socket == nullptr) return call.result(UV_EBADF);
  if (context.fault(1, 2, ChoicePoint::call_socket_option, socket) == 1)
    return call.result(UV_EINVAL);
  if (*value == 0)
    *value = static_cast<int>(of_sender ? socket->send_shown : socket->receive_shown);
  else if (of_sender)
    context.kernel.set_send_buffer(*socket, *value);
  else
    context.kernel.set_receive_buffer(*socket, *value);
  return call.result(0);
}

int open_pair(Context& context, int* fds, Socket** ends) {
  if (!context.kernel.descriptor_free()) return UV_EMFILE;
  context.kernel.pair(&ends[0], &ends[1], Family::pipe);
  fds[0] = context.kernel.adopt(ends[0]);
  if (!context.kernel.descriptor_free()) {
    context.kernel.close_descriptor(fds[0]);
    context.kernel.close(*ends[1]);
    return UV_EMFILE;
  }
  fds[1] = context.kernel.adopt(ends[1]);
  return 0;
}

}  // namespace

bool is_real_descriptor(int fd) { return fcntl(fd, F_GETFD) >= 0; }

void not_simulated(Context& context, const char* function, int fd) {
  refuse(context, Subject{}, "%s of descriptor %d is not simulated: it is of the real machine",
         function, fd);
}

}  // namespace uvsim

using namespace uvsim;

int uv_fileno(const uv_handle_t* handle, uv_os_fd_t* fd) {
  Call call(What::uv_fileno);
  const HandleRecord& record = call.live(handle, UV_HANDLE);
  if (record.type != UV_TCP && record.type != UV_NAMED_PIPE) return call.result(UV_EINVAL);
  const int number = reinterpret_cast<const uv_stream_t*>(handle)->io_watcher.fd;
  if (is_closing(handle) || number == -1) return call.result(UV_EBADF);
  *fd = number;
  return call.result(0);
}

uv_handle_type uv_guess_handle(uv_file file) {
  const Socket* const socket = look().kernel.socket_at(file);
  if (socket != nullptr) return socket->family == Family::pipe ? UV_NAMED_PIPE : UV_TCP;
  // The three standard streams are files here: there is no terminal in a simulated machine.
  constexpr int standard_streams = 3;
  return file >= 0 && file < standard_streams ? UV_FILE : UV_UNKNOWN_HANDLE;
}

int uv_send_buffer_size(uv_handle_t* handle, int* value) {
  return buffer_size(What::uv_send_buffer_size, handle, value, true);
}

int uv_recv_buffer_size(uv_handle_t* handle, int* value) {
  return buffer_size(What::uv_recv_buffer_size, handle, value, false);
}

int uv_socketpair(int type, int protocol, uv_os_sock_t socket_vector[2], int flags0, int flags1) {
  Call call(What::uv_socketpair, type);
  static_cast<void>(flags0);
  static_cast<void>(flags1);
  if (type != SOCK_STREAM)
    violate(call.context, "", Subject{}, "uv_socketpair of datagram sockets is not simulated");
  if (protocol != 0) return call.result(UV_EPROTONOSUPPORT);
  Socket* ends[2];
  return call.result(open_pair(call.context, socket_vector, ends));
}

int uv_pipe(uv_file fds[2], int read_flags, int write_flags) {
  Call call(What::uv_pipe);
  static_cast<void>(read_flags);
  static_cast<void>(write_flags);
  Socket* ends[2];
  const int error = open_pair(call.context, fds, ends);
  if (error != 0) return call.result(error);
  ends[0]->is_anonymous = ends[1]->is_anonymous = true;
  call.context.kernel.shutdown_write(*ends[0]);
  ends[1]->fin_queued = true;
  ends[0]->fin_queued = false;
  return call.result(0);
}
