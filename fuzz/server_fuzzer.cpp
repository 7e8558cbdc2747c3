// Holds the whole server, adapter and core on uvsim, to the eight oracles of harness/verdict.hpp,
// with clients, faults, time and signals as the input says: on libuv 1.44 and on 1.52.
//
// Input: server_case.hpp.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "fuzz.hpp"
#include "harness/marks.hpp"
#include "harness/plan.hpp"
#include "harness/trial.hpp"
#include "server_case.hpp"
#include "subjects/server_subject.hpp"

namespace {

harness::Trial& trial() {
  static harness::Trial instance = [] {
    uvsim::Options options = harness::Trial::default_options();
    options.asked = subjects::server_faults();
    options.impossible = uvsim::ChoiceSet::all();
    options.fail_allocations = true;
    options.strict = true;
    options.strict_ledger = true;
    return harness::Trial(options);
  }();
  return instance;
}

}  // namespace

extern "C" void fuzz_target_report() {
  const std::vector<std::string> missing =
      harness::Marks::unreached(subjects::server_faults(), true);
  std::fprintf(stderr, "%.1f events in a run; %zu coverage marks reached, %zu not\n",
               static_cast<double>(trial().steps()) / static_cast<double>(trial().runs()),
               harness::Marks::reached(), missing.size());
  for (const std::string& mark : missing) std::fprintf(stderr, "  not reached: %s\n", mark.c_str());
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  harness::Trial& runner = trial();
  // For figures: what a search came by, said at its end.
  static const int asked =
      std::getenv("FUZZ_REPORT") == nullptr ? 0 : std::atexit(fuzz_target_report);
  static_cast<void>(asked);
  fuzz::Input input(data, size);
  const fuzz::Case the_case = fuzz::read_case(input, runner.options());
  const std::size_t used = std::min(size, fuzz::case_size);
  harness::Plan plan(data + used, size - used, runner.options().asked);
  harness::Subject subject = subjects::server_subject(the_case.shape);
  // libuv itself turns clients away when descriptors are short (R39).
  if (runner.options().descriptors != 0) {
    subject.may_reject = true;
    subject.reopens_ms = harness::Subject::unlimited;  // nor is there always one for the listener
  }
  const harness::Verdict& verdict = runner.run(subject, the_case.setting, plan);
  fuzz::oracle(!verdict.left_over, "the same choices do the same");
  if (!verdict.ok()) {
    std::fprintf(stderr, "%s%s", runner.trace_text().c_str(), runner.summary().c_str());
    std::abort();
  }
  return 0;
}
