// The arm of uvsim: no kernel, virtual time, both versions in one program.
//
// The healthy loopback that the scenarios are written for is what uvsim's kindest answers give.
// Only the want of descriptors has to be asked for, by answering its choice points.
#include <uv.h>

#include <uvsim/uvsim.hpp>

#include "arm.hpp"
#include "lab.hpp"

namespace conformance {

namespace {

bool has_descriptors = true;

class Healthy final : public uvsim::Choices {
 public:
  std::uint32_t pick(std::uint32_t, uvsim::ChoicePoint point) override {
    const bool needs_descriptor =
        point == uvsim::ChoicePoint::socket_error || point == uvsim::ChoicePoint::accept_error;
    return needs_descriptor && !has_descriptors ? 1 : 0;
  }
};

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

const char* arm_name() {
  return "sim";
}

std::vector<Version> arm_versions() {
  return {Version::v1_44, Version::v1_52};
}

std::string perform(const Scenario& scenario, Version version) {
  uvsim::Options options;
  options.version = version == Version::v1_44 ? uvsim::Version::v1_44 : uvsim::Version::v1_52;
  // Scenarios also show what libuv answers to calls that a careful program would not make.
  options.check_sigpipe = false;
  options.ledger = false;
  uvsim::Simulation simulation(options);
  Healthy choices;
  std::string trace;
  const uvsim::Report& report = simulation.run(choices, [&] {
    Lab lab(trace, version);
    scenario.perform(lab);
    lab.finish();
    return 0;
  });
  return trace + findings_of(report);
}

void deliver_signal(int signum) {
  uvsim::Simulation::current()->network().signal(signum);
}

NoDescriptorsLeft::NoDescriptorsLeft() {
  has_descriptors = false;
}
NoDescriptorsLeft::~NoDescriptorsLeft() {
  has_descriptors = true;
}

}  // namespace conformance
