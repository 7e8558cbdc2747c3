// See sim_play.hpp.
#include "sim_play.hpp"

namespace conformance {

namespace {

std::string findings_of(const uvsim::Report& report) {
  std::string lines;
  for (const uvsim::Finding& violation : report.violations) {
    lines +=
        "violation " + violation.rule + " " + violation.handle + ": " + violation.message + '\n';
  }
  if (!report.finished) lines += "the play was left: " + report.summary() + '\n';
  return lines;
}

uvsim::Options options_of(uvsim::Version version) {
  uvsim::Options options;
  options.version = version;
  options.check_sigpipe = false;
  options.ledger = false;
  options.trace = false;
  return options;
}

}  // namespace

std::string play_on_sim(const Script& script, uvsim::Version version) {
  static uvsim::Simulation simulation(options_of(version));
  return findings_of(simulation.run([&] {
    perform(script);
    return 0;
  }));
}

}  // namespace conformance
