// The arm of real libuv: the kernel's loopback, real time, real signals, real descriptors.
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include <csignal>
#include <cstdlib>

#include "../ipv6.hpp"
#include "arm.hpp"
#include "fixture.hpp"

namespace conformance {

const char* arm_name() { return "loopback"; }

bool has_ipv6() { return tests::has_ipv6(); }

std::vector<Version> arm_versions() {
  return {uv_version() < 0x012d00 ? Version::v1_44 : Version::v1_52};
}

const char* why_not(const Scenario&) { return nullptr; }

std::string perform(const Scenario& scenario, Version version) {
  std::string trace;
  Fixture fixture(trace, version);
  std::signal(SIGPIPE, SIG_IGN);
  scenario.perform(fixture);
  fixture.finish();
  return trace;
}

void deliver_signal(int signum) { std::raise(signum); }

struct NoDescriptorsLeft::Hoard {
  rlimit limit_before;
};

NoDescriptorsLeft::NoDescriptorsLeft() : hoard_(std::make_unique<Hoard>()) {
  if (getrlimit(RLIMIT_NOFILE, &hoard_->limit_before) != 0) std::abort();
  const int lowest_free = dup(STDERR_FILENO);
  ::close(lowest_free);
  rlimit none = hoard_->limit_before;
  none.rlim_cur = static_cast<rlim_t>(lowest_free);
  if (setrlimit(RLIMIT_NOFILE, &none) != 0) std::abort();
}

NoDescriptorsLeft::~NoDescriptorsLeft() {
  if (setrlimit(RLIMIT_NOFILE, &hoard_->limit_before) != 0) std::abort();
}

}  // namespace conformance
