// The third arm's machine: real libuv's own code, its system calls answered by the simulated
// kernel.
#pragma once

#include <functional>
#include <string>

namespace kernel {
class Process;
}

namespace conformance {

/// Performs PLAY on a machine that nobody has used. What libuv makes once for a process and keeps
/// is made on the real kernel before the first play. The string is empty, or says what the play
/// left behind.
std::string on_a_fresh_machine(const std::function<void()>& play);

struct Script;

/// Performs SCRIPT there. The string is empty, or says what it left behind.
std::string play_on_floor2(const Script& script);

/// The process that is playing; it is there only within on_a_fresh_machine.
kernel::Process& playing_process();

}  // namespace conformance
