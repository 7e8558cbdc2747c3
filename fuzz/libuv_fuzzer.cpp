// Holds the whole server to the oracles of harness/verdict.hpp, with libuv's own code under it, on
// the simulated kernel (floor 2). Only what Linux can answer is answered.
//
// Input: server_case.hpp.
#include <cstddef>
#include <cstdint>

#include "harness/trial.hpp"
#include "server_case.hpp"
#include "subjects/server_subject.hpp"

namespace {

constexpr std::uint64_t bytes_of_libuv = 16'384;  // its table of descriptors, mostly

// A loop that cannot be made leaves its epoll open: libuv 1.44.2, known
// (tests/harness/floor2_test.cpp).
uvsim::ChoiceSet faults() {
  return subjects::server_faults().without(uvsim::ChoicePoint::call_loop_init);
}

harness::Trial& trial() {
  static harness::Trial instance = [] {
    uvsim::Options options = harness::Trial::default_options();
    options.asked = faults();
    options.fail_allocations = true;
    options.strict_ledger = true;
    return harness::Trial(options);
  }();
  return instance;
}

}  // namespace

extern "C" void fuzz_target_report() { fuzz::report_on(trial(), faults()); }

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::try_server(trial(), bytes_of_libuv, fuzz_target_report, data, size);
  return 0;
}
