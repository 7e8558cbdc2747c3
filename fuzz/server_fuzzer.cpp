// Holds the whole server, adapter and core on uvsim, to the eight oracles of harness/verdict.hpp,
// with clients, faults, time and signals as the input says: on libuv 1.44 and on 1.52.
//
// Input: three bytes for the shape of the server and its machine; the rest is a harness::Plan.
// After the input every choice is the kindest, so every run ends.
#include <algorithm>
#include <array>
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
#include "subjects/server_subject.hpp"

namespace {

using echoproof::Time;

struct Case {
  subjects::ServerShape shape;
  harness::Setting setting;
};

// Everything is 0 for the most ordinary case.
Case read_case(fuzz::Input& input, uvsim::Options& options) {
  const unsigned first = input.byte();
  const unsigned second = input.byte();
  const unsigned third = input.byte();
  options.version = first % 2 == 0 ? uvsim::Version::v1_52 : uvsim::Version::v1_44;
  static constexpr std::array<std::size_t, 4> block_sizes{64, 16, 1, 4096};
  static constexpr std::array<std::size_t, 4> large_blocks{4, 0, 1, 2};
  static constexpr std::array<std::uint32_t, 4> clients{2, 1, 3, 5};
  static constexpr std::array<std::size_t, 4> connections{8, 1, 2, 3};
  static constexpr std::array<std::uint32_t, 4> windows{256, 1, 40, 65536};
  const std::size_t block_size = block_sizes[first / 2 % 4];
  const std::size_t small_block = (block_size + 3) / 4;
  const std::size_t connections_max = connections[second / 4 % 4];
  const bool little_memory = second / 64 % 2 == 1;  // in the kernel
  Case result{
      .shape = {.limits = {.connections = connections_max,
                           .buffer_memory =
                               subjects::buffer_memory(connections_max, small_block,
                                                       large_blocks[first / 8 % 4], block_size),
                           .block_size = block_size,
                           .kernel_memory = little_memory
                                                ? connections_max * echoproof::KernelBudget::least
                                                : echoproof::KernelBudget::unlimited,
                           .tuned_socket = 1,
                           .idle = second / 16 % 4 == 1 ? Time::max() : Time(2000),
                           .write = Time(1000),
                           .small_block = small_block,
                           .linger = block_size},
                .drain = third % 4 == 1 ? Time(0) : Time(700),
                .clients = clients[second % 4],
                .backlog = third / 4 % 4 == 1 ? 1 : 16},
      // So many blocks' worth that clients can be owed more than a block, and a run stays short.
      .setting = {.clients = clients[second % 4],
                  .stalled = third / 64 % 4,
                  .send_max = block_size * 8,
                  .said_max = block_size * 16,
                  .rests = 1,
                  .vary = harness::Setting::Vary::nothing()}};
  // No fuller run than those of small blocks.
  const auto window_min = static_cast<std::uint32_t>(block_size / 64);
  options.send_window = std::max(windows[first / 32 % 4], window_min);
  options.receive_window = options.send_window;
  // Descriptors that a loop, signals, a listener and libuv's spare leave over; few, or no limit.
  options.descriptors = third / 16 % 4 == 1 ? 9 : 0;
  return result;
}

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
  constexpr std::size_t header = 3;
  fuzz::Input input(data, size);
  const Case the_case = read_case(input, runner.options());
  const std::size_t used = size < header ? size : header;
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
