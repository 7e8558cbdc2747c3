// The signals of the operator: SIGTERM, SIGINT, SIGHUP and SIGUSR1, at any rate, from the first
// instruction to the last.
//
// They are blocked in every thread but one, the absorber, which does nothing but be interrupted by
// them. So no storm of signals holds up a thread that serves or one that ends; and what comes
// before there is an absorber, or when it has gone, waits in the kernel and ends nothing.
#pragma once

#include <thread>

#include "program.hpp"

namespace echoproof {

class Signals {
 public:
  // In the calling thread and in those that it starts from now on.
  static void block() noexcept;

  // From here to the destructor `program` hears the signals. Throws std::system_error when there is
  // no thread to be had. REQUIRES: block() was called; there is no other.
  explicit Signals(Program& program);
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals();

 private:
  std::thread absorber_;
};

}  // namespace echoproof
