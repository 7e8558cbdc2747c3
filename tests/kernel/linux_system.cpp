// The real calls.
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "../ipv6.hpp"
#include "player.hpp"
#include "systems.hpp"

namespace {

volatile sig_atomic_t pipe_signals = 0;

void on_pipe(int) { pipe_signals = 1; }
void on_alarm(int) {}

// The result of a call; EINTR comes from the timer alone.
long result(long value) {
  if (value >= 0) return value;
  return errno == EINTR ? kernel::blocked : -errno;
}

// Each call begins with no signal seen.
void begin() { pipe_signals = 0; }

void write_file(const char* name, const char* text) {
  if (std::FILE* const file = std::fopen(name, "w")) {
    std::fputs(text, file);
    std::fclose(file);
  }
}

void set_handler(int signal, void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;
  sigaction(signal, &action, nullptr);
}

// Every segment is acknowledged at once: the metric quickack of the routes to this machine. What a
// sender may forget would depend on the clock otherwise, by 40 ms.
void acknowledge_at_once(unsigned char family, const void* host, unsigned short size) {
  struct {
    nlmsghdr head;
    rtmsg route;
    char attributes[128];
  } request{};
  request.head.nlmsg_type = RTM_NEWROUTE;
  request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_REPLACE | NLM_F_CREATE;
  request.head.nlmsg_len = NLMSG_LENGTH(sizeof(rtmsg));
  request.route.rtm_family = family;
  request.route.rtm_dst_len = static_cast<unsigned char>(size * 8);
  request.route.rtm_table = RT_TABLE_LOCAL;
  request.route.rtm_protocol = RTPROT_KERNEL;
  request.route.rtm_scope = family == AF_INET ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
  request.route.rtm_type = RTN_LOCAL;
  const auto add = [&](unsigned short type, const void* data, unsigned short length) {
    char* const at = reinterpret_cast<char*>(&request) + NLMSG_ALIGN(request.head.nlmsg_len);
    const rtattr attribute{static_cast<unsigned short>(RTA_LENGTH(length)), type};
    std::memcpy(at, &attribute, sizeof attribute);
    std::memcpy(at + RTA_LENGTH(0), data, length);
    request.head.nlmsg_len = NLMSG_ALIGN(request.head.nlmsg_len) + RTA_ALIGN(attribute.rta_len);
  };
  struct {
    rtattr head;
    uint32_t value;
  } const metric{{sizeof metric, RTAX_QUICKACK}, 1};
  const unsigned loopback = if_nametoindex("lo");
  add(RTA_DST, host, size);
  add(RTA_OIF, &loopback, sizeof loopback);
  add(RTA_METRICS, &metric, sizeof metric);
  const int socket = ::socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  ::send(socket, &request, request.head.nlmsg_len, 0);
  ::close(socket);
}

// A network of its own keeps the ports of the machine free, and the buffers small.
bool own_network() {
  // Who is not root may have one in a user namespace.
  if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  ioctl(socket, SIOCSIFFLAGS, &request);
  ::close(socket);
  const in_addr host{htonl(INADDR_LOOPBACK)};
  acknowledge_at_once(AF_INET, &host, sizeof host);
  acknowledge_at_once(AF_INET6, &in6addr_loopback, sizeof in6addr_loopback);
  write_file("/proc/sys/net/ipv4/tcp_wmem", "4096 16384 65536");
  write_file("/proc/sys/net/ipv4/tcp_rmem", "4096 65536 65536");
  return true;
}

}  // namespace

Linux::Linux() {
  has_own_network_ = own_network();
  if (mkdtemp(directory_) == nullptr || chdir(directory_) != 0) refused_ = "no directory";
  close_range(first_fd, ~0u, 0);
  const rlimit limit{last_fd + 1, last_fd + 1};
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) refused_ = "setrlimit";
  set_handler(SIGPIPE, on_pipe);
  set_handler(SIGALRM, on_alarm);
  const itimerval often{{0, 4000}, {0, 4000}};
  setitimer(ITIMER_REAL, &often, nullptr);
  if (!tests::has_ipv6()) refused_ = "no IPv6 on the loopback";
}

Linux::~Linux() {
  clear();
  rmdir(directory_);
}

bool Linux::usable(const char** why) const {
  *why = refused_;
  return refused_ == nullptr;
}

void Linux::clear() {
  for (int fd = first_fd; fd <= last_fd; ++fd) {
    const linger now{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    ::close(fd);
  }
  for (int i = 0; i < 3; ++i) ::unlink(socket_name(i).c_str());
}

bool Linux::raised_sigpipe() const { return pipe_signals > 0; }

// Acknowledgements that are put off are sent, and what they set off happens.
void Linux::settle() {
  const int on = 1;
  for (int fd = first_fd; fd <= last_fd; ++fd)
    ::setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
  const timespec moment{0, 500'000};
  nanosleep(&moment, nullptr);
}

#define REAL(declaration, call) \
  long Linux::declaration {     \
    begin();                    \
    return result(::call);      \
  }

REAL(close(int fd), close(fd))
REAL(dup(int fd), dup(fd))
REAL(dup2(int from, int to), dup2(from, to))
REAL(dup3(int from, int to, int flags), dup3(from, to, flags))
REAL(fcntl(int fd, int command, long argument), fcntl(fd, command, argument))
REAL(ioctl(int fd, unsigned long request, void* argument), ioctl(fd, request, argument))
REAL(read(int fd, void* to, size_t size), read(fd, to, size))
REAL(write(int fd, const void* from, size_t size), write(fd, from, size))
REAL(readv(int fd, const iovec* to, int count), readv(fd, to, count))
REAL(writev(int fd, const iovec* from, int count), writev(fd, from, count))
REAL(send(int fd, const void* from, size_t size, int flags), send(fd, from, size, flags))
REAL(recv(int fd, void* to, size_t size, int flags), recv(fd, to, size, flags))
REAL(sendmsg(int fd, const msghdr* message, int flags), sendmsg(fd, message, flags))
REAL(recvmsg(int fd, msghdr* message, int flags), recvmsg(fd, message, flags))
REAL(socketpair(int family, int type, int protocol, int fds[2]),
     socketpair(family, type, protocol, fds))
REAL(bind(int fd, const sockaddr* address, socklen_t size), bind(fd, address, size))
REAL(listen(int fd, int backlog), listen(fd, backlog))
REAL(accept4(int fd, sockaddr* address, socklen_t* size, int flags),
     accept4(fd, address, size, flags))
REAL(shutdown(int fd, int how), shutdown(fd, how))
REAL(getsockname(int fd, sockaddr* address, socklen_t* size), getsockname(fd, address, size))
REAL(getpeername(int fd, sockaddr* address, socklen_t* size), getpeername(fd, address, size))
REAL(getsockopt(int fd, int level, int name, void* value, socklen_t* size),
     getsockopt(fd, level, name, value, size))
REAL(setsockopt(int fd, int level, int name, const void* value, socklen_t size),
     setsockopt(fd, level, name, value, size))
REAL(unlink(const char* path), unlink(path))
REAL(pipe2(int fds[2], int flags), pipe2(fds, flags))
REAL(eventfd2(unsigned value, int flags), eventfd(value, flags))
REAL(timerfd_create(int clock, int flags), timerfd_create(clock, flags))
REAL(timerfd_settime(int fd, int flags, const itimerspec* value, itimerspec* before),
     timerfd_settime(fd, flags, value, before))
REAL(timerfd_gettime(int fd, itimerspec* value), timerfd_gettime(fd, value))
REAL(epoll_create1(int flags), epoll_create1(flags))
REAL(epoll_ctl(int epoll, int operation, int fd, epoll_event* event),
     epoll_ctl(epoll, operation, fd, event))
REAL(epoll_wait(int epoll, epoll_event* events, int count, int timeout_ms),
     epoll_wait(epoll, events, count, timeout_ms))
REAL(poll(pollfd* fds, nfds_t count, int timeout_ms), poll(fds, count, timeout_ms))

long Linux::select(int count, fd_set* to_read, fd_set* to_write, fd_set* special,
                   const timeval* timeout) {
  begin();
  timeval changed = *timeout;
  return result(::select(count, to_read, to_write, special, &changed));
}

// A sender that waits for an acknowledgement before it sends a little more would be slower than a
// script; see TCP_NODELAY.
long Linux::socket(int family, int type, int protocol) {
  begin();
  const long fd = result(::socket(family, type, protocol));
  constexpr int on = 1;
  if (fd >= 0) ::setsockopt(static_cast<int>(fd), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

// A connection may be there although the timer was faster than the end of the call: asked again,
// the call tells.
long Linux::connect(int fd, const sockaddr* address, socklen_t size) {
  begin();
  const long answer = result(::connect(fd, address, size));
  return answer == kernel::blocked ? result(::connect(fd, address, size)) : answer;
}
