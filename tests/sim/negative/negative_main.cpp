// Runs the program of one file of this directory on uvsim, every check on, and prints what uvsim
// found: one line, "rule <R27, or ->: <message>". Succeeds if it found nothing, so that a test
// which expects a rule fails then.
#include <cstdio>
#include <cstring>
#include <uvsim/ledger.hpp>
#include <uvsim/uvsim.hpp>

#include "negative.h"

int main(int argc, char** argv) {
  uvsim::Options options;
  options.strict = true;
  options.warnings_fatal = true;
  options.max_calls_in_callback = 100'000;
  options.max_turns = 100'000;
  if (argc > 1 && std::strcmp(argv[1], "1.44") == 0) options.version = uvsim::Version::v1_44;
  uvsim::Simulation simulation(options);
  const uvsim::Report& report = simulation.run(program);
  if (report.ok()) {
    std::fputs("nothing found\n", stderr);
    return 0;
  }
  if (report.violations.empty()) {
    std::fprintf(stderr, "rule -: %s\n", report.summary().c_str());
    return 1;
  }
  const uvsim::Finding& finding = report.violations.front();
  std::fprintf(stderr, "rule %s: %s: %s\n", finding.rule.empty() ? "-" : finding.rule.c_str(),
               finding.handle.c_str(), finding.message.c_str());
  return 1;
}
