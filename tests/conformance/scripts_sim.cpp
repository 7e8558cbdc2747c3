// Random scripts on uvsim. The argument is the version to play: 1.44 or 1.52.
#include <cstdio>
#include <cstring>
#include <uvsim/uvsim.hpp>

#include "scripts_arm.hpp"

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

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 || (std::strcmp(argv[1], "1.44") != 0 && std::strcmp(argv[1], "1.52") != 0)) {
    std::fputs("usage: conformance_scripts_sim 1.44|1.52\n", stderr);
    return 2;
  }
  uvsim::Options options;
  options.version =
      std::strcmp(argv[1], "1.44") == 0 ? uvsim::Version::v1_44 : uvsim::Version::v1_52;
  options.check_sigpipe = false;
  options.ledger = false;
  options.trace = false;
  uvsim::Simulation simulation(options);
  return conformance::serve_scripts([&](const conformance::Script& script) {
    return findings_of(simulation.run([&] {
      conformance::perform(script);
      return 0;
    }));
  });
}
