// Holds the whole server, adapter and core on uvsim, to the eight oracles of harness/verdict.hpp,
// with clients, faults, time and signals as the input says: on libuv 1.44 and on 1.52.
//
// Input: server_case.hpp.
#include <cstddef>
#include <cstdint>

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

extern "C" void fuzz_target_report() { fuzz::report_on(trial(), subjects::server_faults()); }

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::try_server(trial(), 0, fuzz_target_report, data, size);
  return 0;
}
