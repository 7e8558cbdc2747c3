// What a simulated machine is made of, and the questions that its kernel asks the world.
#ifndef KERNEL_OPTIONS_HPP
#define KERNEL_OPTIONS_HPP

#include <cstddef>
#include <cstdint>

namespace kernel {

// The number of a call's answer is what Linux gives back in the register: a result of zero or more,
// or an errno value with a minus sign. Two answers are the kernel's own; both are below every
// errno.
inline constexpr long blocked = -512;  // the call would wait; nothing has been done
inline constexpr long unsimulated =
    -513;  // this kernel does not know the call, or not this use of it

struct Options {
  int descriptors = 1024;  // of a process: RLIMIT_NOFILE
  int files = 0;           // of the machine: fs.file-max; 0 for no limit
  int backlog = 4096;      // the longest listen queue: net.core.somaxconn
  int first_port = 32768;  // of those that the kernel gives out
  int last_port = 60999;
  size_t tcp_send_buffer = 64 * 1024;             // bytes
  size_t tcp_receive_buffer = 128 * 1024;         // bytes
  size_t unix_send_buffer = 212992;               // bytes
  uint64_t start_ns = 1'000'000'000;              // of the monotonic clock
  uint64_t epoch_ns = 1'700'000'000'000'000'000;  // real time when the monotonic clock was zero
};

// What the world decides. The first answer, 0, is always the kindest.
enum class Question : uint8_t {
  file,      // is there room for another file: yes, ENFILE
  memory,    // is there memory for a socket: yes, ENOBUFS, ENOMEM
  accept,    // does accept succeed: yes, ENFILE, ENOBUFS, ENOMEM
  received,  // how much of what is there a read gets: all, 1 byte, half, all but one byte
  sent,      // how much of what fits a write hands over: all, 1 byte, half, all but one byte
  listener,  // which of n listeners that share a port a connection goes to: the oldest, or another
};

// The source of answers. It outlives the machine.
class Chooser {
 public:
  Chooser() = default;
  Chooser(const Chooser&) = delete;
  Chooser& operator=(const Chooser&) = delete;
  virtual ~Chooser() = default;
  // One of 0 .. n - 1.
  virtual unsigned pick(unsigned n, Question question) = 0;
};

}  // namespace kernel

#endif
