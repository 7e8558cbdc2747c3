// TCP handles: sockets made when they are needed, addresses, options, connecting, and the reset.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>

#include <cerrno>
#include <cstring>

#include "internal.hpp"

namespace uvsim {

int address_from(const sockaddr* from, Address* to) {
  *to = Address{};
  if (from->sa_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, from, sizeof in);
    to->family = Family::ipv4;
    to->port = ntohs(in.sin_port);
    std::memcpy(to->bytes, &in.sin_addr, 4);
    return 0;
  }
  if (from->sa_family == AF_INET6) {
    sockaddr_in6 in;
    std::memcpy(&in, from, sizeof in);
    to->family = Family::ipv6;
    to->port = ntohs(in.sin6_port);
    to->scope = in.sin6_scope_id;
    std::memcpy(to->bytes, &in.sin6_addr, 16);
    return 0;
  }
  return UV_EINVAL;
}

void address_to(const Address& from, sockaddr* to, int* size) {
  sockaddr_in in = {};
  sockaddr_in6 in6 = {};
  const void* bytes = &in;
  size_t length = sizeof in;
  if (from.family == Family::ipv4) {
    in.sin_family = AF_INET;
    in.sin_port = htons(from.port);
    std::memcpy(&in.sin_addr, from.bytes, 4);
  } else {
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(from.port);
    in6.sin6_scope_id = from.scope;
    std::memcpy(&in6.sin6_addr, from.bytes, 16);
    bytes = &in6;
    length = sizeof in6;
  }
  const auto space = static_cast<size_t>(*size);
  std::memcpy(to, bytes, length < space ? length : space);
  *size = static_cast<int>(length);
}

std::string text_of(const Address& address) {
  char text[64] = "";
  inet_ntop(address.family == Family::ipv4 ? AF_INET : AF_INET6, address.bytes, text, sizeof text);
  return text;
}

namespace {

// One option after the other, as libuv sets them: up to the one that the kernel refuses.
int keep_alive(Socket& socket, bool on, unsigned idle, unsigned interval, unsigned count) {
  constexpr unsigned seconds_max = 32'767;
  constexpr unsigned count_max = 127;
  socket.options.keepalive = on;
  if (!on) return 0;
  if (idle < 1 || idle > seconds_max) return UV_EINVAL;
  socket.options.keep_idle = static_cast<int>(idle);
  if (interval < 1 || interval > seconds_max) return UV_EINVAL;
  socket.options.keep_interval = static_cast<int>(interval);
  if (count < 1 || count > count_max) return UV_EINVAL;
  socket.options.keep_count = static_cast<int>(count);
  return 0;
}

}  // namespace

int tcp_apply_options(uv_stream_t* stream, Socket& socket) {
  // A Unix socket knows neither option.
  const bool wanted = (stream->flags & (flag_nodelay | flag_keepalive)) != 0;
  if (wanted && socket.family == Family::pipe) return -EOPNOTSUPP;
  if ((stream->flags & flag_nodelay) != 0) socket.options.no_delay = true;
  if ((stream->flags & flag_keepalive) != 0) keep_alive(socket, true, 60, 1, 10);
  return 0;
}

int tcp_new_socket(Context& context, uv_tcp_t* tcp, Family family, unsigned flags) {
  uv_stream_t* const stream = stream_of(tcp);
  if (stream->io_watcher.fd != -1) {
    stream->flags |= flags;
    return 0;
  }
  Socket* socket = nullptr;
  const int fd = context.kernel.open_socket(family, &socket);
  if (fd < 0) return fd;
  return stream_open(context, stream, fd, flags);
}

int tcp_listen(Context& context, uv_tcp_t* tcp, int backlog, uv_connection_cb callback) {
  if (tcp->delayed_error != 0) return tcp->delayed_error;
  const int error = tcp_new_socket(context, tcp, Family::ipv4, 0);
  if (error != 0) return error;
  return start_listening(context, stream_of(tcp), backlog, callback);
}

namespace {

int bind_tcp(Call& call, HandleRecord& record, uv_tcp_t* tcp, const sockaddr* addr,
             unsigned flags) {
  Context& context = call.context;
  Address address;
  if (is_closing(record.handle)) return UV_EINVAL;
  if (address_from(addr, &address) != 0) return UV_EINVAL;
  const bool only_v6 = (flags & UV_TCP_IPV6ONLY) != 0;
  if (only_v6 && address.family != Family::ipv6) return UV_EINVAL;
  int error = tcp_new_socket(context, tcp, address.family, 0);
  if (error != 0) return error;
  Socket& socket = *socket_of(context, stream_of(tcp));
  if (address.family == Family::ipv6 && socket.family == Family::ipv4) return -ENOPROTOOPT;
  socket.only_v6 = only_v6;
  constexpr unsigned reuse_port = 2;  // by number: not in every uv.h
  socket.options.reuse_address = true;
  if ((flags & reuse_port) != 0 && !context.v1_44()) socket.options.reuse_port = true;
  constexpr int faults[] = {0, -EADDRINUSE, -EACCES, -EADDRNOTAVAIL};
  const bool privileged = address.port > 0 && address.port < 1024;
  error = faults[context.fault(privileged ? 3 : 2, 4, ChoicePoint::call_bind)];
  if (error == 0) error = context.kernel.bind(socket, address);
  if (error != 0 && error != -EADDRINUSE) return error;
  // Told later, by listen, connect or getsockname (R40).
  tcp->delayed_error = error;
  record.bind_error_told = error == 0;
  tcp->flags |= flag_bound;
  if (address.family == Family::ipv6) tcp->flags |= flag_ipv6;
  return 0;
}

int connect_tcp(Call& call, HandleRecord& record, uv_connect_t* req, uv_tcp_t* tcp,
                const sockaddr* addr, uv_connect_cb cb) {
  Context& context = call.context;
  Address address;
  if (address_from(addr, &address) != 0) return UV_EINVAL;
  if (context.v1_44()) call.must_be_open(record);
  if (is_closing(record.handle)) return UV_EINVAL;
  if (tcp->connect_req != nullptr) return UV_EALREADY;
  if (tcp->delayed_error == 0) {
    int error = tcp_new_socket(context, tcp, address.family, flag_readable | flag_writable);
    if (error != 0) return error;
    // The socket that it was tried with stays.
    if (context.pick(2, ChoicePoint::call_connect) == 1) return UV_EADDRNOTAVAIL;
    error = context.kernel.connect(*socket_of(context, stream_of(tcp)), address);
    if (error != 0 && error != -EINPROGRESS) return error;
  }
  record.bind_error_told = true;
  request_begin(context, tcp->loop, req, UV_CONNECT, &record);
  req->cb = cb;
  req->handle = stream_of(tcp);
  init(link_of(req->queue));
  tcp->connect_req = req;
  io_start(stream_of(tcp), POLLOUT);
  if (tcp->delayed_error != 0) io_feed(stream_of(tcp));
  return 0;
}

int get_name(What what, const uv_tcp_t* tcp, sockaddr* name, int* namelen, bool of_peer) {
  Call call(what);
  Context& context = call.context;
  HandleRecord& record = call.live(tcp, UV_TCP);
  record.bind_error_told = true;
  if (tcp->delayed_error != 0) return call.result(tcp->delayed_error);
  Socket* const socket = socket_of(context, reinterpret_cast<const uv_stream_t*>(tcp));
  if (socket == nullptr) return call.result(UV_EBADF);
  const auto is_connected = [socket] {
    return socket->was_connected && socket->state != SocketState::dead && socket->peer != nullptr;
  };
  const bool may_be_lost = of_peer && is_connected();
  switch (
      context.fault(may_be_lost ? 2 : 1, may_be_lost ? 3 : 2, ChoicePoint::call_address, socket)) {
    case 0: break;
    case 1:
      if (!may_be_lost) return call.result(UV_ENOBUFS);
      context.kernel.lose_connection(*socket);
      break;
    default: return call.result(UV_ENOBUFS);
  }
  const bool connected = is_connected();
  if (of_peer && !connected) return call.result(UV_ENOTCONN);
  address_to(of_peer ? socket->remote : socket->local, name, namelen);
  return call.result(0);
}

// For the calls that set an option, where there is no descriptor yet the flag is kept.
int option_refused(Context& context, const uv_tcp_t* tcp) {
  const Socket* const socket = socket_of(context, reinterpret_cast<const uv_stream_t*>(tcp));
  if (socket == nullptr) return 0;
  if (context.fault(1, 2, ChoicePoint::call_socket_option, socket) == 1) return UV_EINVAL;
  return socket->family == Family::pipe ? -EOPNOTSUPP : 0;
}

void set_flag(uv_tcp_t* tcp, unsigned flag, bool on) {
  if (on)
    tcp->flags |= flag;
  else
    tcp->flags &= ~flag;
}

int keepalive(uv_tcp_t* handle, int on, unsigned idle, unsigned interval, unsigned count) {
  Call call(What::uv_tcp_keepalive, on);
  call.live(handle, UV_TCP);
  const bool has_socket = handle->io_watcher.fd != -1;
  if (!call.context.v1_44() && on != 0 && has_socket && (idle < 1 || interval < 1 || count < 1))
    return call.result(UV_EINVAL);
  int error = option_refused(call.context, handle);
  if (error == 0 && has_socket)
    error = keep_alive(*socket_of(call.context, stream_of(handle)), on != 0, idle, interval, count);
  if (error != 0) return call.result(error);
  set_flag(handle, flag_keepalive, on != 0);
  return call.result(0);
}

}  // namespace
}  // namespace uvsim

using namespace uvsim;

int uv_tcp_init_ex(uv_loop_t* loop, uv_tcp_t* tcp, unsigned int flags) {
  Call call(What::uv_tcp_init, flags);
  Context& context = call.context;
  const unsigned domain = flags & 0xff;
  if (domain != AF_INET && domain != AF_INET6 && domain != AF_UNSPEC) return call.result(UV_EINVAL);
  if ((flags & ~0xffu) != 0) return call.result(UV_EINVAL);
  if (context.fault(1, 2, ChoicePoint::call_tcp_init) == 1) return call.result(UV_ENOMEM);
  HandleRecord& record = handle_init(call, loop, base(tcp), UV_TCP);
  stream_init(call, record, stream_of(tcp));
  if (domain == AF_UNSPEC) return call.result(0);
  const int error =
      tcp_new_socket(context, tcp, domain == AF_INET ? Family::ipv4 : Family::ipv6, 0);
  if (error != 0) handle_drop(context, record);
  return call.result(error);
}

int uv_tcp_init(uv_loop_t* loop, uv_tcp_t* tcp) { return uv_tcp_init_ex(loop, tcp, AF_UNSPEC); }

int uv_tcp_open(uv_tcp_t* handle, uv_os_sock_t sock) {
  Call call(What::uv_tcp_open);
  call.must_be_open(call.live(handle, UV_TCP));
  Kernel& kernel = call.context.kernel;
  Socket* socket = kernel.socket_at(sock);
  if (socket == nullptr) {
    if (!is_real_descriptor(sock)) return call.result(UV_EBADF);
    if (handle->io_watcher.fd != -1) return call.result(UV_EBUSY);
    socket = kernel.take_over(sock);
    if (socket == nullptr) not_simulated(call.context, "uv_tcp_open", sock);
  }
  if (socket->stream != nullptr) return call.result(UV_EEXIST);
  return call.result(
      stream_open(call.context, stream_of(handle), sock, flag_readable | flag_writable));
}

int uv_tcp_bind(uv_tcp_t* handle, const struct sockaddr* addr, unsigned int flags) {
  Call call(What::uv_tcp_bind, flags);
  HandleRecord& record = call.live(handle, UV_TCP);
  return call.result(bind_tcp(call, record, handle, addr, flags));
}

int uv_tcp_connect(uv_connect_t* req, uv_tcp_t* handle, const struct sockaddr* addr,
                   uv_connect_cb cb) {
  Address to;
  const bool known = addr != nullptr && address_from(addr, &to) == 0;
  Call call(What::uv_tcp_connect, known ? to.port : 0);
  HandleRecord& record = call.live(handle, UV_TCP);
  return call.result(connect_tcp(call, record, req, handle, addr, cb));
}

int uv_tcp_getsockname(const uv_tcp_t* handle, struct sockaddr* name, int* namelen) {
  return get_name(What::uv_tcp_getsockname, handle, name, namelen, false);
}

int uv_tcp_getpeername(const uv_tcp_t* handle, struct sockaddr* name, int* namelen) {
  return get_name(What::uv_tcp_getpeername, handle, name, namelen, true);
}

int uv_tcp_close_reset(uv_tcp_t* handle, uv_close_cb close_cb) {
  Call call(What::uv_tcp_close_reset);
  Context& context = call.context;
  HandleRecord& record = call.live(handle, UV_TCP);
  if ((handle->flags & flag_shutting) != 0) return call.result(UV_EINVAL);
  if (record.life == Life::closing)
    violate(context, "R27", record.subject(), "uv_tcp_close_reset on a handle that is closing");
  Socket* const socket = socket_of(context, stream_of(handle));
  if (socket == nullptr) return call.result(UV_EBADF);
  socket->reset_at_close();
  begin_close(context, record, close_cb);
  return call.result(0);
}

int uv_tcp_nodelay(uv_tcp_t* handle, int enable) {
  Call call(What::uv_tcp_nodelay, enable);
  call.live(handle, UV_TCP);
  const int error = option_refused(call.context, handle);
  if (error != 0) return call.result(error);
  if (Socket* const socket = socket_of(call.context, stream_of(handle)))
    socket->options.no_delay = enable != 0;
  set_flag(handle, flag_nodelay, enable != 0);
  return call.result(0);
}

int uv_tcp_keepalive(uv_tcp_t* handle, int enable, unsigned int delay) {
  return keepalive(handle, enable, delay, 1, 10);
}

int uv_tcp_keepalive_ex(uv_tcp_t* handle, int on, unsigned int idle, unsigned int intvl,
                        unsigned int cnt) {
  return keepalive(handle, on, idle, intvl, cnt);
}

int uv_tcp_simultaneous_accepts(uv_tcp_t* handle, int enable) {
  Call call(What::uv_tcp_simultaneous_accepts, enable);
  call.live(handle, UV_TCP);
  return call.result(0);
}
