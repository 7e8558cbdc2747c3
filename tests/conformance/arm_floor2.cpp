// The arm of real libuv on the simulated kernel: libuv's own code, virtual time.
#include <uv.h>

#include <csignal>
#include <cstring>

#include "arm.hpp"
#include "fixture.hpp"
#include "floor2.hpp"
#include "kernel/process.hpp"

namespace conformance {

const char* arm_name() { return "floor2"; }

bool has_ipv6() { return true; }

std::vector<Version> arm_versions() {
  return {uv_version() < 0x012d00 ? Version::v1_44 : Version::v1_52};
}

// What the simulated machine does not have.
const char* why_not(const Scenario& scenario) {
  constexpr struct {
    const char* name;
    const char* reason;
  } lacking[] = {
      {"names_of_pipes_meet_the_file_system", "no directory is missing or forbidden there"},
      {"a_pipe_whose_name_was_taken_away", "uv_fs_unlink with a callback needs libuv's threads"},
  };
  for (const auto& [name, reason] : lacking) {
    if (std::strcmp(scenario.name, name) == 0) return reason;
  }
  return nullptr;
}

std::string perform(const Scenario& scenario, Version version) {
  std::signal(SIGPIPE, SIG_IGN);
  std::string trace;
  const std::string left = on_a_fresh_machine([&] {
    Fixture fixture(trace, version);
    scenario.perform(fixture);
    fixture.finish();
  });
  return trace + left;
}

void deliver_signal(int signum) { std::raise(signum); }

struct NoDescriptorsLeft::Hoard {};

NoDescriptorsLeft::NoDescriptorsLeft() {
  kernel::Process& process = playing_process();
  const long lowest_free = process.eventfd2(0, 0);
  process.close(static_cast<int>(lowest_free));
  process.set_limit(static_cast<int>(lowest_free));
}

NoDescriptorsLeft::~NoDescriptorsLeft() {
  playing_process().set_limit(kernel::Options{}.descriptors);
}

}  // namespace conformance
