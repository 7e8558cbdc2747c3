// The system calls of a program, answered by the simulated kernel: the lower floor. The program,
// its libuv included, is linked with `--wrap` for each call (the target uvsim_syscalls says which)
// and is not changed.
#ifndef SYSCALLS_SYSCALLS_HPP
#define SYSCALLS_SYSCALLS_HPP

#include "kernel/process.hpp"

// The calls that are answered.
// clang-format off
#define SYSCALLS_CALLS(X)                                                                        \
  X(read) X(write) X(readv) X(writev) X(sendmsg) X(recvmsg) X(send) X(recv) X(close) X(dup2)      \
  X(dup3) X(bind) X(connect) X(listen) X(accept4) X(shutdown) X(getsockname) X(getpeername)       \
  X(getsockopt) X(setsockopt) X(epoll_ctl) X(socket) X(socketpair) X(pipe2) X(eventfd)            \
  X(epoll_create1) X(clock_gettime) X(fcntl) X(ioctl) X(epoll_wait) X(poll) X(open) X(nanosleep) X(fstat) X(unlink)
// clang-format on

namespace syscalls {

enum class Call : uint8_t {
#define SYSCALLS_ENUMERATOR(name) name,
  SYSCALLS_CALLS(SYSCALLS_ENUMERATOR)
#undef SYSCALLS_ENUMERATOR
};
const char* name_of(Call call);

// Numbers below are the real process's own: calls on them reach the real kernel.
inline constexpr int first_descriptor = 512;

// How a program waits in epoll_wait, poll, or a call on a blocking descriptor.
struct Pause {
  bool ready;       // the call can answer at once
  uint64_t end_ns;  // when it answers in any case; kernel::never: it may wait for ever
};

// The part of the world that acts while the program waits, and sees each call. While it acts, calls
// that name no descriptor are its own, and reach the real kernel.
class World {
 public:
  World() = default;
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  virtual ~World() = default;
  // Does what there is to do; false if there is nothing, whereupon time passes. Whoever waits asks
  // before the first look, and again after each time that passes.
  virtual bool act(const Pause& pause) = 0;
  // A call begins. Returns the errno value with which it fails; 0 lets it happen.
  virtual int on_call(Call, int /*fd*/) { return 0; }
  // It has been answered, as Linux answers in the register.
  virtual void on_answer(Call, int /*fd*/, long /*answer*/) {}
  // epoll_wait has found `count` level triggered events. Returns how many of them it reports, the
  // first ones; they may change places.
  virtual int on_events(epoll_event*, int count) { return count; }
  // The last call raises SIGPIPE.
  virtual void on_broken_pipe();
  // The program waits, and nothing can ever end that.
  virtual void on_deadlock();
};

// From now on the calls of this thread are the process's; null: the real kernel's again. All three
// outlive the use. A call that is not simulated, and by default a wait that nothing can end, end
// the real process with status 69 and a word.
void use(kernel::Process* process, kernel::Machine* machine, World* world);

}  // namespace syscalls

#endif
