// The two systems that scripts are played on.
#ifndef TESTS_KERNEL_SYSTEMS_HPP
#define TESTS_KERNEL_SYSTEMS_HPP

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <ctime>

#include "kernel/process.hpp"

class Simulated : public kernel::Process {
 public:
  using Process::Process;
  long socket(int family, int type, int protocol) {
    const long fd = Process::socket(family, type, protocol);
    constexpr int on = 1;
    Process::setsockopt(static_cast<int>(fd), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
  }
  void settle() {}  // what happens has happened
};

// This process, with the descriptors from 3 on. The answers are those of kernel::Process; a call
// that waits for longer than a few milliseconds is `blocked`.
class Linux {
 public:
  // Prepares this process: descriptors, limits, the timer, a directory, and a network of its own
  // where that is allowed. It does so once, in a process that does nothing else.
  Linux();
  Linux(const Linux&) = delete;
  Linux& operator=(const Linux&) = delete;
  ~Linux();
  // False, and why, where something is refused that the scripts need.
  bool usable(const char** why) const;
  // Without, the sizes of buffers are the machine's, and acknowledgements come when they come.
  bool has_own_network() const { return has_own_network_; }
  void clear();  // closes everything
  bool raised_sigpipe() const;
  void settle();

  long close(int fd);
  long dup(int fd);
  long dup2(int from, int to);
  long dup3(int from, int to, int flags);
  long fcntl(int fd, int command, long argument);
  long ioctl(int fd, unsigned long request, void* argument);
  long read(int fd, void* to, size_t size);
  long write(int fd, const void* from, size_t size);
  long readv(int fd, const iovec* to, int count);
  long writev(int fd, const iovec* from, int count);
  long send(int fd, const void* from, size_t size, int flags);
  long recv(int fd, void* to, size_t size, int flags);
  long sendmsg(int fd, const msghdr* message, int flags);
  long recvmsg(int fd, msghdr* message, int flags);
  long socket(int family, int type, int protocol);
  long socketpair(int family, int type, int protocol, int fds[2]);
  long bind(int fd, const sockaddr* address, socklen_t size);
  long listen(int fd, int backlog);
  long accept4(int fd, sockaddr* address, socklen_t* size, int flags);
  long connect(int fd, const sockaddr* address, socklen_t size);
  long shutdown(int fd, int how);
  long getsockname(int fd, sockaddr* address, socklen_t* size);
  long getpeername(int fd, sockaddr* address, socklen_t* size);
  long getsockopt(int fd, int level, int name, void* value, socklen_t* size);
  long setsockopt(int fd, int level, int name, const void* value, socklen_t size);
  long unlink(const char* path);
  long pipe2(int fds[2], int flags);
  long eventfd2(unsigned value, int flags);
  long timerfd_create(int clock, int flags);
  long timerfd_settime(int fd, int flags, const itimerspec* value, itimerspec* before);
  long timerfd_gettime(int fd, itimerspec* value);
  long epoll_create1(int flags);
  long epoll_ctl(int epoll, int operation, int fd, epoll_event* event);
  long epoll_wait(int epoll, epoll_event* events, int count, int timeout_ms);
  long poll(pollfd* fds, nfds_t count, int timeout_ms);
  long select(int count, fd_set* to_read, fd_set* to_write, fd_set* special,
              const timeval* timeout);

 private:
  bool has_own_network_ = false;
  const char* refused_ = nullptr;
  char directory_[32] = "/var/tmp/kernel_scripts_XXXXXX";
};

#endif
