// The whole server as a fuzz target, on uvsim (server_fuzzer.cpp) and on libuv's own code
// (libuv_fuzzer.cpp).
//
// The first three bytes of an input are the server's shape, its machine, and how much a run may
// contain. The rest is a harness::Plan. After the input every choice is the kindest, so every run
// ends.
#pragma once

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
#include "harness/world.hpp"
#include "subjects/server_subject.hpp"

namespace fuzz {

inline constexpr std::size_t case_size = 3;

struct Case {
  subjects::ServerShape shape;
  harness::Setting setting;
};

// Everything is 0 for the most ordinary case.
inline Case read_case(Input& input, uvsim::Options& options) {
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
                           .idle = second / 16 % 4 == 1 ? echoproof::Time::max()
                                                        : echoproof::Time(2000),
                           .write = echoproof::Time(1000),
                           .small_block = small_block,
                           .linger = block_size},
                .drain = third % 4 == 1 ? echoproof::Time(0) : echoproof::Time(700),
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

// What a search came by. `faults`: those that may be chosen.
inline void report_on(const harness::Trial& trial, uvsim::ChoiceSet faults) {
  const std::vector<std::string> missing = harness::Marks::unreached(faults, true);
  std::fprintf(stderr, "%.1f events in a run; %zu coverage marks reached, %zu not\n",
               static_cast<double>(trial.steps()) / static_cast<double>(trial.runs()),
               harness::Marks::reached(), missing.size());
  for (const std::string& mark : missing) std::fprintf(stderr, "  not reached: %s\n", mark.c_str());
}

// Makes the run that the input says, and ends the process if an oracle is broken. Libuv may have
// `libuv_bytes` for itself when the server begins to listen. With FUZZ_REPORT in the environment,
// `report` is called at the end of the process.
inline void try_server(harness::Trial& trial, std::uint64_t libuv_bytes, void (*report)(),
                       const std::uint8_t* data, std::size_t size) {
  static const int asked = std::getenv("FUZZ_REPORT") == nullptr ? 0 : std::atexit(report);
  static_cast<void>(asked);
  Input input(data, size);
  const Case the_case = read_case(input, trial.options());
  const std::size_t used = std::min(size, case_size);
  harness::Plan plan(data + used, size - used, trial.options().asked);
  harness::Subject subject = subjects::server_subject(the_case.shape);
  subject.start_bytes_max += libuv_bytes;
  // libuv itself turns clients away when descriptors are short (R39).
  if (trial.options().descriptors != 0) {
    subject.may_reject = true;
    subject.reopens_ms = harness::Subject::unlimited;  // nor is there always one for the listener
  }
  const harness::Verdict& verdict = trial.run(subject, the_case.setting, plan);
  oracle(!verdict.left_over, "the same choices do the same");
  if (verdict.ok()) return;
  std::fprintf(stderr, "%s%s", trial.trace_text().c_str(), trial.summary().c_str());
  std::abort();
}

}  // namespace fuzz
