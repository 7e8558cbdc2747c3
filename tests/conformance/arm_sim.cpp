// The arm of uvsim: no kernel, virtual time, both versions in one program.
//
// The healthy loopback that the scenarios are written for is what uvsim's kindest answers give.
#include <uv.h>

#include <cstdlib>
#include <deque>
#include <memory>
#include <uvsim/uvsim.hpp>

#include "arm.hpp"
#include "fixture.hpp"

namespace conformance {

namespace {

// Enough for every scenario, few enough to be used up in no time.
constexpr std::uint32_t descriptors = 200;

std::string findings_of(const uvsim::Report& report) {
  std::string lines;
  for (const uvsim::Finding& violation : report.violations) {
    lines +=
        "violation " + violation.rule + " " + violation.handle + ": " + violation.message + '\n';
  }
  if (!report.finished) lines += "the scenario was left: " + report.summary() + '\n';
  return lines;
}

}  // namespace

const char* arm_name() { return "sim"; }

bool has_ipv6() { return true; }

std::vector<Version> arm_versions() { return {Version::v1_44, Version::v1_52}; }

const char* why_not(const Scenario&) { return nullptr; }

std::string perform(const Scenario& scenario, Version version) {
  uvsim::Options options;
  options.version = version == Version::v1_44 ? uvsim::Version::v1_44 : uvsim::Version::v1_52;
  // Scenarios also show what libuv answers to calls that a careful program would not make.
  options.check_sigpipe = false;
  options.ledger = false;
  options.descriptors = descriptors;
  uvsim::Simulation simulation(options);
  std::string trace;
  const uvsim::Report& report = simulation.run([&] {
    Fixture fixture(trace, version);
    scenario.perform(fixture);
    fixture.finish();
    return 0;
  });
  return trace + findings_of(report);
}

void deliver_signal(int signum) { uvsim::Simulation::current()->network().signal(signum); }

// Only a simulated handle can take a simulated descriptor. Handles of another loop disturb no test.
struct NoDescriptorsLeft::Hoard {
  uv_loop_t loop;
  std::deque<uv_tcp_t> handles;
};

NoDescriptorsLeft::NoDescriptorsLeft() : hoard_(std::make_unique<Hoard>()) {
  if (uv_loop_init(&hoard_->loop) != 0) std::abort();
  while (uv_tcp_init_ex(&hoard_->loop, &hoard_->handles.emplace_back(), AF_INET) == 0) {
  }
  hoard_->handles.pop_back();
}

NoDescriptorsLeft::~NoDescriptorsLeft() {
  for (uv_tcp_t& handle : hoard_->handles) {
    uv_close(reinterpret_cast<uv_handle_t*>(&handle), nullptr);
  }
  uv_run(&hoard_->loop, UV_RUN_DEFAULT);
  if (uv_loop_close(&hoard_->loop) != 0) std::abort();
}

}  // namespace conformance
