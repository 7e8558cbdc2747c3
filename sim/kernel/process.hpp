// The descriptors of one process, and the system calls on them.
//
// Every call has the name, the arguments and the answer of its namesake in section 2 of the manual;
// see options.hpp for how an answer is given. No call waits: where the real one would, the answer
// is `blocked` and nothing has been done, except that a connection that connect(2) waits for is
// under way. The caller then lets something else happen and makes the call again. A write to a
// blocking descriptor that can take a part takes it, and its answer is that part.
//
// Pointers are taken as valid, apart from null where the manual speaks of it.
#ifndef KERNEL_PROCESS_HPP
#define KERNEL_PROCESS_HPP

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <ctime>
#include <vector>

#include "machine.hpp"

namespace kernel {

class Process {
 public:
  // Numbers below `first` are descriptors of other code: here they are none. The machine outlives
  // the process.
  explicit Process(Machine& machine, int first = 0);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();  // closes what is open

  // Did the last call raise SIGPIPE? The caller delivers it.
  bool raised_sigpipe() const { return machine_.broken_pipe; }
  bool is_open(int fd) const { return file_of(fd) != nullptr; }
  int open_descriptors() const { return open_; }
  void set_limit(int descriptors) { limit_ = descriptors; }  // RLIMIT_NOFILE
  // What the descriptor stands for, or null: for who looks at the machine from outside.
  File* file_of(int fd) const;

  // Descriptors.
  long close(int fd);
  long dup(int fd);
  long dup2(int from, int to);
  long dup3(int from, int to, int flags);
  long fcntl(int fd, int command, long argument = 0);
  long ioctl(int fd, unsigned long request, void* argument);
  long fstat_kind(int fd, unsigned* kind);  // of fstat(2) the kind of file only

  // Bytes.
  long read(int fd, void* to, size_t size);
  long write(int fd, const void* from, size_t size);
  long readv(int fd, const iovec* to, int count);
  long writev(int fd, const iovec* from, int count);
  long send(int fd, const void* from, size_t size, int flags);
  long recv(int fd, void* to, size_t size, int flags);
  long sendmsg(int fd, const msghdr* message, int flags);  // without control data
  long recvmsg(int fd, msghdr* message, int flags);

  // Sockets.
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
  long unlink(const char* path);  // of a Unix socket

  // Others.
  long pipe2(int fds[2], int flags);
  long eventfd2(unsigned value, int flags);
  long timerfd_create(int clock, int flags);
  long timerfd_settime(int fd, int flags, const itimerspec* value, itimerspec* before);
  long timerfd_gettime(int fd, itimerspec* value);
  long clock_gettime(clockid_t clock, timespec* time);

  // Readiness. A timeout of 0 asks; with another one, `blocked` says that nothing is ready, and the
  // caller knows how long to wait.
  long epoll_create1(int flags);
  long epoll_ctl(int epoll, int operation, int fd, const epoll_event* event);
  long epoll_wait(int epoll, epoll_event* events, int count, int timeout_ms);
  long poll(pollfd* fds, nfds_t count, int timeout_ms);
  long select(int count, fd_set* to_read, fd_set* to_write, fd_set* special,
              const timeval* timeout);

 private:
  struct Slot {
    File* file;
    bool close_on_exec;
  };

  void begin();  // of each call
  Socket* socket_of(int fd, long* error) const;
  int free_number(int from) const;  // negative: EMFILE
  long room_for(int files) const;
  void put(int fd, File& file, bool close_on_exec);
  long add(File& file, int flags, bool close_on_exec);
  long read_into(int fd, const Buffers& to);
  long write_from(int fd, const Buffers& from);
  long may_make_socket(int family, int type, int protocol) const;
  Socket* make_socket(int family) const;
  long set_non_blocking(File& file, bool on);
  uint32_t ready_of(int fd) const;

  Machine& machine_;
  int first_;
  int limit_;
  int open_ = 0;
  std::vector<Slot> slots_;
};

}  // namespace kernel

#endif
