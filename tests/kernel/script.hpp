// Scripts of system calls: what they are made of, how they are written down and how they are found.
#ifndef TESTS_KERNEL_SCRIPT_HPP
#define TESTS_KERNEL_SCRIPT_HPP

#include <cstdint>
#include <string>
#include <vector>

// Each call, and what its numbers are. `fd` is a descriptor: both systems give the same ones.
#define KERNEL_SCRIPT_CALLS(X)                                    \
  X(socket, "family flags")                                       \
  X(bind, "fd what other") /* see Place */                        \
  X(listen, "fd backlog")                                         \
  X(connect, "fd what other")                                     \
  X(accept4, "fd flags")                                          \
  X(read, "fd size")                                              \
  X(write, "fd size")                                             \
  X(readv, "fd size size")                                        \
  X(writev, "fd size size")                                       \
  X(send, "fd size flags")                                        \
  X(recv, "fd size flags")                                        \
  X(sendmsg, "fd size flags")                                     \
  X(recvmsg, "fd size flags")                                     \
  X(shutdown, "fd how")                                           \
  X(close, "fd")                                                  \
  X(dup, "fd")                                                    \
  X(dup2, "fd fd")                                                \
  X(dup3, "fd fd flags")                                          \
  X(fcntl, "fd command argument")                                 \
  X(ioctl, "fd request argument")                                 \
  X(getsockopt, "fd level name")                                  \
  X(setsockopt, "fd level name value")                            \
  X(getsockname, "fd")                                            \
  X(getpeername, "fd")                                            \
  X(socketpair, "flags")                                          \
  X(pipe2, "flags")                                               \
  X(eventfd2, "value flags")                                      \
  X(count, "fd number") /* write(2) of eight bytes */             \
  X(timerfd_create, "flags")                                      \
  X(timerfd_settime, "fd when") /* 0 never, 1 at once, 2 later */ \
  X(timerfd_gettime, "fd")                                        \
  X(epoll_create1, "flags")                                       \
  X(epoll_ctl, "epoll operation fd events")                       \
  X(epoll_wait, "epoll count")                                    \
  X(select, "fd")                                                 \
  X(unlink, "name")                                               \
  X(fill, "fd")  /* writes until there is no room */              \
  X(drain, "fd") /* reads until nothing is left */

enum class Call : uint8_t {
#define X(name, numbers) name,
  KERNEL_SCRIPT_CALLS(X)
#undef X
};

// Where bind and connect go: the second number of such a step.
enum Place : int {
  any_port,   // every address, a free port
  free_port,  // the loopback, a free port
  same_as,    // where the other descriptor is bound
  over_ipv4,  // the same port at 127.0.0.1, which IPv6 writes in its own way
  abstract_name,
  path,
};

struct Step {
  Call call;
  int a = 0;
  int b = 0;
  int c = 0;
  int d = 0;
};

using Script = std::vector<Step>;

std::string text_of(const Step& step);  // as a line of C would have it

// A source of numbers.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed ^ 0x5bf0'3635'dcd1'7b2f) { state_ = next(); }
  int below(int n) { return static_cast<int>(next() % static_cast<uint64_t>(n)); }
  bool one_in(int n) { return below(n) == 0; }
  template <size_t Count>
  int of(const int (&values)[Count]) {
    return values[below(static_cast<int>(Count))];
  }

 private:
  uint64_t next();
  uint64_t state_;
};

// Makes one step after another. It learns what each step did, so that most steps mean something.
class Generator {
 public:
  explicit Generator(uint64_t seed);
  bool fills = true;  // may buffers be filled?
  Step next();
  // The step was made: its result, and for a pair both descriptors.
  void on_done(const Step& step, long result, const int fds[2]);

 private:
  enum class Kind : uint8_t { none, tcp, tcp6, named, reader, writer, event, timer, epoll };

  void plan_connection();
  void plan_crowd();
  void plan_small_messages();
  void plan_scene();
  int free_from(int fd) const;
  void plan(const Step& step) { planned_.push_back(step); }
  int pick(bool (*fits)(Kind));
  int any_fd();
  bool watched() const;
  Step transfer();
  Step naming();
  Step descriptor();
  Step option();
  Step readiness();
  Step making();

  Random random_;
  static constexpr int last_kind = 63;
  Kind kinds_[last_kind + 1] = {};
  int fds_ = 0;  // one behind the highest
  std::vector<Step> planned_;
  bool nonblocking_;  // mostly
};

#endif
