// The first three bytes of an input for the whole server: its shape, its machine, and how much a
// run may contain. The rest is a harness::Plan. After the input every choice is the kindest, so
// every run ends.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "fuzz.hpp"
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

}  // namespace fuzz
