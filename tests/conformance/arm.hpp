// What a scenario needs that <uv.h> does not give, done by each arm in its own way.
//
// arm_loopback.cpp does it with the kernel, arm_sim.cpp with uvsim, arm_floor2.cpp with the
// simulated kernel. A program is linked with one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "scenario.hpp"

namespace conformance {

/// "loopback", "sim" or "floor2".
const char* arm_name();

/// Whether a client can reach ::1.
bool has_ipv6();

/// The versions that this arm can play: the one it is linked with, or both.
std::vector<Version> arm_versions();

/// Why this arm cannot play SCENARIO, or null.
const char* why_not(const Scenario& scenario);

/// Performs SCENARIO from a clean start and returns its trace.
std::string perform(const Scenario& scenario, Version version);

/// Sends a signal to this program, as `kill` from another terminal would.
void deliver_signal(int signum);

/// Makes every further request for a file descriptor fail with EMFILE, until the object dies.
class NoDescriptorsLeft {
 public:
  NoDescriptorsLeft();
  ~NoDescriptorsLeft();
  NoDescriptorsLeft(const NoDescriptorsLeft&) = delete;
  NoDescriptorsLeft& operator=(const NoDescriptorsLeft&) = delete;

 private:
  struct Hoard;
  std::unique_ptr<Hoard> hoard_;
};

}  // namespace conformance
