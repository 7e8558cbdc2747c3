// Scenarios of the system calls that programs make on what uv_fileno gives them: how much is
// unacknowledged, options and what accepted sockets have of them, and shutdown(2), of which libuv
// knows nothing.
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>

#include "fixture.hpp"

using namespace conformance;

namespace {

int fd_of(Stream& stream) {
  uv_os_fd_t fd = -1;
  uv_fileno(stream.handle(), &fd);
  return fd;
}

int outcome(int result) { return result < 0 ? -errno : result; }

int set(Stream& stream, int level, int name, int value) {
  return outcome(setsockopt(fd_of(stream), level, name, &value, sizeof value));
}

// The value, or -errno.
int get(Stream& stream, int level, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  const int result = outcome(getsockopt(fd_of(stream), level, name, &value, &size));
  return result < 0 ? result : value;
}

int bytes(Stream& stream, unsigned long request) {
  int value = 0;
  const int result = outcome(ioctl(fd_of(stream), request, &value));
  return result < 0 ? result : value;
}

int set_linger(Stream& stream, bool on, int seconds) {
  const linger value{on, seconds};
  return outcome(setsockopt(fd_of(stream), SOL_SOCKET, SO_LINGER, &value, sizeof value));
}

void shut(Stream& stream, int how, const char* what) {
  stream.call(what, outcome(shutdown(fd_of(stream), how)));
}

void pending_error(Stream& stream) {
  // An error is named where it is negative.
  stream.call("SO_ERROR", -get(stream, SOL_SOCKET, SO_ERROR));
}

// An acknowledgement may be late on a real machine.
bool comes_true(const std::function<bool()>& condition) {
  for (int i = 0; i < 5000; i++) {
    if (condition()) return true;
    uv_sleep(1);
  }
  return false;
}

// Writes until nothing fits and all that the other end has room for is acknowledged there.
int fill(Fixture& fixture, Stream& from, Stream& to) {
  const Muted muted(fixture);
  std::size_t written = 0;
  comes_true([&] {
    for (int taken = 1; taken > 0;) {
      taken = from.try_write(payload(65536, written));
      if (taken > 0) written += static_cast<std::size_t>(taken);
    }
    const int known = bytes(from, SIOCOUTQ) + bytes(to, FIONREAD);
    return written == static_cast<std::size_t>(known);
  });
  return static_cast<int>(written);
}

}  // namespace

SCENARIO(what_the_peer_does_not_read_is_unacknowledged, "-", R"(
  written is unacknowledged or readable = 1
  both are some = 1
  client.shutdown(2) = 0
  FIN is one more = 1
  client.again = 0
  client.try_write(1) = EPIPE
  peer.close_reset = 0
  a reset leaves the figure = 1
  client.SO_ERROR = ECONNRESET
  client.SO_ERROR = 0
  client.FIONREAD = 0
  client.after the reset = ENOTCONN
)") {
  Pair pair(fixture);
  const int written = fill(fixture, pair.client, pair.peer);
  const int left = bytes(pair.client, SIOCOUTQ);
  const int readable = bytes(pair.peer, FIONREAD);
  fixture.call("written is unacknowledged or readable", written == left + readable);
  fixture.call("both are some", left > 0 && readable > 0);
  shut(pair.client, SHUT_WR, "shutdown(2)");
  fixture.call("FIN is one more", bytes(pair.client, SIOCOUTQ) == left + 1);
  shut(pair.client, SHUT_WR, "again");
  pair.client.try_write("x");
  pair.peer.close_reset();
  fixture.call("a reset leaves the figure", bytes(pair.client, SIOCOUTQ) == left + 1);
  pending_error(pair.client);
  pending_error(pair.client);
  pair.client.call("FIONREAD", bytes(pair.client, FIONREAD));
  shut(pair.client, SHUT_WR, "after the reset");
}

SCENARIO(what_the_peer_has_is_acknowledged_read_or_not, "-", R"(
  client.try_write(10) = 10
  peer.FIONREAD = 10
  acknowledged = 1
  client.shutdown(2) = 0
  client: readable=1 writable=1
  peer.read_start = 0
  > peer read 10 "abcdefghij"
  > peer read EOF
  with FIN = 1
  peer.FIONREAD = 0
)") {
  Pair pair(fixture);
  pair.client.try_write("abcdefghij");
  comes_true([&] { return bytes(pair.peer, FIONREAD) == 10; });
  pair.peer.call("FIONREAD", bytes(pair.peer, FIONREAD));
  fixture.call("acknowledged", comes_true([&] { return bytes(pair.client, SIOCOUTQ) == 0; }));
  shut(pair.client, SHUT_WR, "shutdown(2)");
  pair.client.trace_direction();
  bool ended = false;
  pair.peer.on_read = [&](ssize_t nread) { ended = nread == UV_EOF; };
  pair.peer.read_start();
  fixture.run_until([&] { return ended; });
  fixture.call("with FIN", comes_true([&] { return bytes(pair.client, SIOCOUTQ) == 0; }));
  pair.peer.call("FIONREAD", bytes(pair.peer, FIONREAD));
}

SCENARIO(a_write_after_shutdown_2_fails_in_its_callback, "-", R"(
  client.shutdown(2) = 0
  client.write(1) = 0
  > client write EPIPE
)") {
  Pair pair(fixture);
  shut(pair.client, SHUT_WR, "shutdown(2)");
  bool done = false;
  pair.client.on_write = [&](const std::string&, int) { done = true; };
  pair.client.write("x");
  fixture.run_until([&] { return done; });
}

SCENARIO(close_reset_after_shutdown_2_takes_the_unsent_bytes_back, "-", R"(
  client.shutdown(2) = 0
  client.close_reset = 0
  peer.read_start = 0
  [1.44] > peer read EOF without a buffer
  > client closed
  [1.45+] > peer read ECONNRESET
  all that was readable came = 1
  and not all that was written = 1
)") {
  Pair pair(fixture);
  const int written = fill(fixture, pair.client, pair.peer);
  const int readable = bytes(pair.peer, FIONREAD);
  shut(pair.client, SHUT_WR, "shutdown(2)");
  pair.client.close_reset();
  pair.peer.counts_reads = true;
  bool ended = false;
  std::size_t received = 0;
  pair.peer.on_read = [&](ssize_t nread) {
    if (nread < 0) ended = true;
    if (nread > 0) received += static_cast<std::size_t>(nread);
  };
  pair.peer.read_start();
  fixture.run_until([&] { return ended; });
  fixture.call("all that was readable came", received == static_cast<std::size_t>(readable));
  fixture.call("and not all that was written", received < static_cast<std::size_t>(written));
}

SCENARIO(close_reset_in_last_ack_resets_while_something_is_unsent, "-", R"(
  peer.shutdown(2) = 0
  client.shutdown(2) = 0
  client.close_reset = 0
  peer.SO_ERROR = ECONNRESET
  peer.SO_ERROR = 0
)") {
  Pair pair(fixture);
  fill(fixture, pair.client, pair.peer);
  shut(pair.peer, SHUT_WR, "shutdown(2)");
  shut(pair.client, SHUT_WR, "shutdown(2)");
  pair.client.close_reset();
  pending_error(pair.peer);
  pending_error(pair.peer);
}

SCENARIO(close_reset_of_what_both_ends_have_ended_is_not_told, "-", R"(
  peer.shutdown(2) = 0
  client.shutdown(2) = 0
  client.again = ENOTCONN
  peer.again = ENOTCONN
  client.close_reset = 0
  peer.SO_ERROR = 0
  peer.read_start = 0
  > peer read EOF
  > client closed
)") {
  Pair pair(fixture);
  shut(pair.peer, SHUT_WR, "shutdown(2)");
  shut(pair.client, SHUT_WR, "shutdown(2)");
  shut(pair.client, SHUT_WR, "again");
  shut(pair.peer, SHUT_WR, "again");
  pair.client.close_reset();
  pending_error(pair.peer);
  bool ended = false;
  pair.peer.on_read = [&](ssize_t nread) { ended = nread < 0; };
  pair.peer.read_start();
  fixture.run_until([&] { return ended; });
}

SCENARIO(close_reset_after_a_fin_that_was_read_is_a_broken_pipe, "-", R"(
  client.shutdown(2) = 0
  client.close_reset = 0
  peer.SO_ERROR = EPIPE
)") {
  Pair pair(fixture);
  shut(pair.client, SHUT_WR, "shutdown(2)");
  pair.client.close_reset();
  pending_error(pair.peer);
}

SCENARIO(shutdown_2_of_the_input_is_the_end_and_still_lets_bytes_in, "-", R"(
  peer.try_write(2) = 2
  client.no such way = EINVAL
  client.input = 0
  client.read_start = 0
  > client read 2 "ab"
  > client read EOF
  peer.try_write(2) = 2
  client.FIONREAD = 2
  client.output = 0
  client.all = ENOTCONN
)") {
  Pair pair(fixture);
  pair.peer.try_write("ab");
  shut(pair.client, 3, "no such way");
  shut(pair.client, SHUT_RD, "input");
  bool ended = false;
  pair.client.on_read = [&](ssize_t nread) { ended = nread < 0; };
  pair.client.read_start();
  fixture.run_until([&] { return ended; });
  pair.peer.try_write("cd");
  comes_true([&] { return bytes(pair.client, FIONREAD) == 2; });
  pair.client.call("FIONREAD", bytes(pair.client, FIONREAD));
  shut(pair.client, SHUT_WR, "output");
  {
    const Muted muted(fixture);
    pair.peer.close_reset();
  }
  shut(pair.client, SHUT_RDWR, "all");
}

SCENARIO(lingering_for_no_time_makes_close_a_reset, "-", R"(
  client.SO_LINGER = 0
  client.close
  peer.SO_ERROR = ECONNRESET
)") {
  Pair pair(fixture);
  pair.client.call("SO_LINGER", set_linger(pair.client, true, 0));
  pair.client.close();
  pending_error(pair.peer);
}

SCENARIO(an_accepted_socket_has_the_options_of_its_listener, "-", R"(
  listener.SO_ACCEPTCONN = 1
  listener.SIOCOUTQ = EINVAL
  listener.FIONREAD = EINVAL
  accepted.SO_ACCEPTCONN = 0
  accepted.SO_OOBINLINE = 1
  accepted.SO_KEEPALIVE = 1
  accepted.SO_REUSEADDR = 1
  accepted.SO_SNDBUF = 20000
  accepted.SO_RCVBUF = 24000
  accepted.SO_BUF_LOCK = 3
  accepted.linger = 1
  accepted.linger seconds = 3
  accepted.TCP_NODELAY = 1
  accepted.TCP_USER_TIMEOUT = 5000
  accepted.TCP_KEEPIDLE = 11
  accepted.TCP_KEEPINTVL = 12
  accepted.TCP_KEEPCNT = 13
  client.SO_OOBINLINE = 0
  client.TCP_KEEPIDLE = 7200
  client.SO_TYPE is a stream = 1
  client.SO_DOMAIN is IPv4 = 1
)") {
  Stream& listener = fixture.tcp("listener");
  Stream& client = fixture.tcp("client");
  Stream& accepted = fixture.tcp("accepted");
  {
    const Muted muted(fixture);
    listener.bind_loopback();
    set(listener, SOL_SOCKET, SO_OOBINLINE, 7);
    set(listener, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(listener, SOL_SOCKET, SO_SNDBUF, 10'000);
    set(listener, SOL_SOCKET, SO_RCVBUF, 12'000);
    set_linger(listener, true, 3);
    set(listener, IPPROTO_TCP, TCP_NODELAY, 1);
    set(listener, IPPROTO_TCP, TCP_USER_TIMEOUT, 5000);
    set(listener, IPPROTO_TCP, TCP_KEEPIDLE, 11);
    set(listener, IPPROTO_TCP, TCP_KEEPINTVL, 12);
    set(listener, IPPROTO_TCP, TCP_KEEPCNT, 13);
    bool there = false;
    listener.on_connection = [&] {
      listener.accept(accepted);
      there = true;
    };
    listener.listen();
    client.connect(listener);
    fixture.run_until([&] { return there; });
  }
  listener.call("SO_ACCEPTCONN", get(listener, SOL_SOCKET, SO_ACCEPTCONN));
  listener.call("SIOCOUTQ", bytes(listener, SIOCOUTQ));
  listener.call("FIONREAD", bytes(listener, FIONREAD));
  accepted.call("SO_ACCEPTCONN", get(accepted, SOL_SOCKET, SO_ACCEPTCONN));
  accepted.call("SO_OOBINLINE", get(accepted, SOL_SOCKET, SO_OOBINLINE));
  accepted.call("SO_KEEPALIVE", get(accepted, SOL_SOCKET, SO_KEEPALIVE));
  accepted.call("SO_REUSEADDR", get(accepted, SOL_SOCKET, SO_REUSEADDR));
  accepted.call("SO_SNDBUF", get(accepted, SOL_SOCKET, SO_SNDBUF));
  accepted.call("SO_RCVBUF", get(accepted, SOL_SOCKET, SO_RCVBUF));
  accepted.call("SO_BUF_LOCK", get(accepted, SOL_SOCKET, SO_BUF_LOCK));
  linger lingering{};
  socklen_t size = sizeof lingering;
  getsockopt(fd_of(accepted), SOL_SOCKET, SO_LINGER, &lingering, &size);
  accepted.call("linger", lingering.l_onoff);
  accepted.call("linger seconds", lingering.l_linger);
  accepted.call("TCP_NODELAY", get(accepted, IPPROTO_TCP, TCP_NODELAY));
  accepted.call("TCP_USER_TIMEOUT", get(accepted, IPPROTO_TCP, TCP_USER_TIMEOUT));
  accepted.call("TCP_KEEPIDLE", get(accepted, IPPROTO_TCP, TCP_KEEPIDLE));
  accepted.call("TCP_KEEPINTVL", get(accepted, IPPROTO_TCP, TCP_KEEPINTVL));
  accepted.call("TCP_KEEPCNT", get(accepted, IPPROTO_TCP, TCP_KEEPCNT));
  client.call("SO_OOBINLINE", get(client, SOL_SOCKET, SO_OOBINLINE));
  client.call("TCP_KEEPIDLE", get(client, IPPROTO_TCP, TCP_KEEPIDLE));
  client.call("SO_TYPE is a stream", get(client, SOL_SOCKET, SO_TYPE) == SOCK_STREAM);
  client.call("SO_DOMAIN is IPv4", get(client, SOL_SOCKET, SO_DOMAIN) == AF_INET);
}

SCENARIO(options_read_back_as_the_kernel_keeps_them, "-", R"(
  client.least SO_SNDBUF = 4608
  client.least SO_RCVBUF = 2304
  client.SO_SNDBUF = 40000
  client.SO_BUF_LOCK = 3
  client.SO_BUF_LOCK = EINVAL
  client.SO_BUF_LOCK = 0
  client.SO_BUF_LOCK = 1
  client.TCP_DEFER_ACCEPT = 7
  client.TCP_DEFER_ACCEPT = 127
  client.TCP_DEFER_ACCEPT = 0
  client.TCP_CORK = 1
  client.TCP_QUICKACK = 0
  client.TCP_KEEPIDLE = EINVAL
  client.TCP_KEEPINTVL = EINVAL
  client.TCP_KEEPCNT = EINVAL
  client.TCP_USER_TIMEOUT = EINVAL
  client.SO_TYPE = ENOPROTOOPT
  client.unknown = ENOPROTOOPT
  client.unknown = ENOPROTOOPT
  client.unknown of TCP = ENOPROTOOPT
  client.too short = EINVAL
  client.linger too short = EINVAL
  client.nowhere = EFAULT
  client.short result = 1
)") {
  Pair pair(fixture);
  Stream& client = pair.client;
  set(client, SOL_SOCKET, SO_SNDBUF, 1);
  client.call("least SO_SNDBUF", get(client, SOL_SOCKET, SO_SNDBUF));
  set(client, SOL_SOCKET, SO_RCVBUF, 1);
  client.call("least SO_RCVBUF", get(client, SOL_SOCKET, SO_RCVBUF));
  set(client, SOL_SOCKET, SO_SNDBUF, 20'000);
  client.call("SO_SNDBUF", get(client, SOL_SOCKET, SO_SNDBUF));
  client.call("SO_BUF_LOCK", get(client, SOL_SOCKET, SO_BUF_LOCK));
  client.call("SO_BUF_LOCK", set(client, SOL_SOCKET, SO_BUF_LOCK, 4));
  set(client, SOL_SOCKET, SO_BUF_LOCK, 0);
  client.call("SO_BUF_LOCK", get(client, SOL_SOCKET, SO_BUF_LOCK));
  set(client, SOL_SOCKET, SO_SNDBUF, 20'000);
  client.call("SO_BUF_LOCK", get(client, SOL_SOCKET, SO_BUF_LOCK));
  for (const int seconds : {5, 120, -1}) {
    set(client, IPPROTO_TCP, TCP_DEFER_ACCEPT, seconds);
    client.call("TCP_DEFER_ACCEPT", get(client, IPPROTO_TCP, TCP_DEFER_ACCEPT));
  }
  set(client, IPPROTO_TCP, TCP_CORK, 9);
  client.call("TCP_CORK", get(client, IPPROTO_TCP, TCP_CORK));
  set(client, IPPROTO_TCP, TCP_QUICKACK, 0);
  client.call("TCP_QUICKACK", get(client, IPPROTO_TCP, TCP_QUICKACK));
  client.call("TCP_KEEPIDLE", set(client, IPPROTO_TCP, TCP_KEEPIDLE, 32'768));
  client.call("TCP_KEEPINTVL", set(client, IPPROTO_TCP, TCP_KEEPINTVL, 0));
  client.call("TCP_KEEPCNT", set(client, IPPROTO_TCP, TCP_KEEPCNT, 128));
  client.call("TCP_USER_TIMEOUT", set(client, IPPROTO_TCP, TCP_USER_TIMEOUT, -1));
  client.call("SO_TYPE", set(client, SOL_SOCKET, SO_TYPE, SOCK_STREAM));
  client.call("unknown", set(client, SOL_SOCKET, 9999, 1));
  client.call("unknown", get(client, SOL_SOCKET, 9999));
  client.call("unknown of TCP", get(client, IPPROTO_TCP, 9999));
  const int fd = fd_of(client);
  const linger lingering{1, 0};
  client.call("too short", outcome(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &lingering, 1)));
  client.call("linger too short",
              outcome(setsockopt(fd, SOL_SOCKET, SO_LINGER, &lingering, sizeof(int))));
  client.call("nowhere", outcome(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, nullptr, sizeof(int))));
  char first = 0;
  socklen_t size = 1;
  getsockopt(fd, SOL_SOCKET, SO_TYPE, &first, &size);
  client.call("short result", first == SOCK_STREAM && size == 1);
}

SCENARIO(options_that_libuv_sets_are_the_kernels, "-", R"(
  client.TCP_NODELAY = 1
  client.SO_KEEPALIVE = 1
  client.TCP_KEEPIDLE = 17
  client.TCP_KEEPINTVL = 1
  client.TCP_KEEPCNT = 10
  client.SO_KEEPALIVE = 0
)") {
  Pair pair(fixture);
  Stream& client = pair.client;
  uv_tcp_nodelay(client.tcp(), 1);
  uv_tcp_keepalive(client.tcp(), 1, 17);
  client.call("TCP_NODELAY", get(client, IPPROTO_TCP, TCP_NODELAY));
  client.call("SO_KEEPALIVE", get(client, SOL_SOCKET, SO_KEEPALIVE));
  client.call("TCP_KEEPIDLE", get(client, IPPROTO_TCP, TCP_KEEPIDLE));
  client.call("TCP_KEEPINTVL", get(client, IPPROTO_TCP, TCP_KEEPINTVL));
  client.call("TCP_KEEPCNT", get(client, IPPROTO_TCP, TCP_KEEPCNT));
  uv_tcp_keepalive(client.tcp(), 0, 0);
  client.call("SO_KEEPALIVE", get(client, SOL_SOCKET, SO_KEEPALIVE));
}

SCENARIO(a_refused_connect_leaves_its_error_and_its_syn, "-", R"(
  client.SIOCOUTQ = 0
  client.shutdown(2) = ENOTCONN
  refused.SIOCOUTQ = 1
  refused.SO_ERROR = ECONNREFUSED
  refused.SO_ERROR = 0
)") {
  Stream& client = fixture.tcp("client");
  Stream& refused = fixture.tcp("refused");
  int port = 0;
  {
    const Muted muted(fixture);
    client.bind_loopback();
    port = client.port();
  }
  client.call("SIOCOUTQ", bytes(client, SIOCOUTQ));
  shut(client, SHUT_WR, "shutdown(2)");
  {
    const Muted muted(fixture);
    refused.connect_port(port);
    comes_true([&] { return bytes(refused, SIOCOUTQ) == 1; });
  }
  refused.call("SIOCOUTQ", bytes(refused, SIOCOUTQ));
  pending_error(refused);
  pending_error(refused);
}

SCENARIO(a_closed_descriptor_is_a_bad_one, "-", R"(
  client.close
  ioctl = EBADF
  setsockopt = EBADF
  getsockopt = EBADF
  shutdown = EBADF
)") {
  Pair pair(fixture);
  const int fd = fd_of(pair.client);
  pair.client.close();
  int value = 0;
  socklen_t size = sizeof value;
  fixture.call("ioctl", outcome(ioctl(fd, SIOCOUTQ, &value)));
  fixture.call("setsockopt", outcome(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, size)));
  fixture.call("getsockopt", outcome(getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &size)));
  fixture.call("shutdown", outcome(shutdown(fd, SHUT_WR)));
}
