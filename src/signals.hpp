// The operator's signals: SIGTERM, SIGINT, SIGHUP and SIGUSR1, at any rate, from the first
// instruction to the last.
//
// Every thread blocks them, except the absorber: a thread that only waits for signals. So a storm
// of signals slows down no thread that serves and none that ends. A signal that comes before the
// absorber starts, or after it has ended, stays pending in the kernel and has no effect.
#pragma once

#include <thread>

#include "program.hpp"

namespace echoproof {

class Signals {
 public:
  // Blocks the signals in the calling thread, and in threads that it starts from now on.
  static void block() noexcept;

  // `program` hears the signals until the destructor. Throws std::system_error if no thread can be
  // started. REQUIRES: block() was called, and there is no other object.
  explicit Signals(Program& program);
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals();

 private:
  std::thread absorber_;
};

}  // namespace echoproof
