// The system calls of a program, answered by the simulated kernel: the lower floor. The program,
// its libuv included, is linked with `--wrap` for each call (the target uvsim_syscalls says which)
// and is not changed.
#ifndef SYSCALLS_SYSCALLS_HPP
#define SYSCALLS_SYSCALLS_HPP

#include "kernel/process.hpp"

namespace syscalls {

// Numbers below are the real process's own: calls on them reach the real kernel.
inline constexpr int first_descriptor = 512;

// The part of the world that acts while the program waits.
class World {
 public:
  World() = default;
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  virtual ~World() = default;
  // Does what there is to do; false if there is nothing, whereupon time passes.
  virtual bool act() = 0;
};

// From now on the calls of this thread are the process's; null: the real kernel's again. All three
// outlive the use. A call that is not simulated, and a wait that nothing can end, end the real
// process with status 69 and a word.
void use(kernel::Process* process, kernel::Machine* machine, World* world);

}  // namespace syscalls

#endif
