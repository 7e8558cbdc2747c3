// One simulated machine: its clock, its files, its ports and names, and what answers its questions.
//
// Theory. The machine has no thread and never waits. A call is answered from the state that is
// there; what happens between two sockets of the machine has happened when the call returns, as on
// a loopback. Time passes only by advance().
#ifndef KERNEL_MACHINE_HPP
#define KERNEL_MACHINE_HPP

#include <cstdint>
#include <vector>

#include "file.hpp"
#include "names.hpp"
#include "options.hpp"
#include "ports.hpp"

namespace kernel {

inline constexpr uint64_t never = ~uint64_t{0};

// Something that happens at a time.
class Timed {
 public:
  virtual void on_deadline() = 0;
  uint64_t deadline = never;  // ns of the monotonic clock

 protected:
  ~Timed() = default;
};

class Machine {
 public:
  explicit Machine(const Options& options = {}, Chooser* chooser = nullptr);
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine();

  // The caller's part: the clock, and how long nothing will happen by itself.
  void advance(uint64_t ns);
  uint64_t now() const { return now_; }
  uint64_t next_deadline() const;  // `never` if there is none

  // The parts of the kernel use the rest.
  unsigned pick(unsigned n, Question question);
  void arm(Timed& timed, uint64_t deadline);
  void disarm(Timed& timed);
  void adopt(File& file);
  void bury(File& file);  // it is deleted when the next call begins
  void tidy();
  int open_files() const { return static_cast<int>(files_.size() - dead_.size()); }

  const Options options;
  Ports ports;
  Names names;
  bool broken_pipe = false;  // the last call raised SIGPIPE

 private:
  Chooser* chooser_;
  uint64_t now_;
  std::vector<File*> files_;
  std::vector<File*> dead_;
  std::vector<Timed*> timed_;
};

}  // namespace kernel

#endif
