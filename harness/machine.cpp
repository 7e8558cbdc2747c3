#include "harness/machine.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace harness {
namespace {

// Takes the choice of one of `table`'s entries off an answer. The first entry is the most ordinary.
template <class Value, std::size_t n>
Value take(std::uint32_t& answer, const std::array<Value, n>& table) {
  const Value value = table[answer % n];
  answer /= n;
  return value;
}

constexpr std::uint32_t as_it_is = 0;

void set_windows(Setting& setting, uvsim::Options& options, std::uint32_t window) {
  if (window == as_it_is) return;
  options.send_window = options.receive_window = window;
  setting.send_max = std::min(setting.send_max, window * windowfuls);
  setting.said_max = std::min(setting.said_max, setting.send_max * 4);
}

}  // namespace

void vary(Setting& setting, uvsim::Options& options, uvsim::Choices& choices) {
  const Setting::Vary& vary = setting.vary;
  if (!vary.anything()) return;
  constexpr std::uint32_t answers = 64;
  std::uint32_t first = choices.pick(answers, uvsim::ChoicePoint::detail) % answers;
  std::uint32_t second = choices.pick(answers, uvsim::ChoicePoint::detail) % answers;
  const std::uint32_t window = take(first, std::array<std::uint32_t, 4>{as_it_is, 1, 40, 700});
  const bool other_version = take(first, std::array{false, true});
  const std::uint32_t clients = take(first, std::array<std::uint32_t, 4>{as_it_is, 1, 3, 5});
  const bool no_memory = take(first, std::array{false, true});
  const std::uint32_t stalled = take(second, std::array<std::uint32_t, 4>{0, 1, 0, 2});
  const std::uint32_t descriptors = take(second, std::array<std::uint32_t, 4>{as_it_is, 3, 1, 6});
  const std::uint32_t rests = take(second, std::array<std::uint32_t, 4>{as_it_is, 20, as_it_is, 1});
  if (vary.windows) set_windows(setting, options, window);
  if (vary.version && other_version) {
    using enum uvsim::Version;
    options.version = options.version == v1_52 ? v1_44 : v1_52;
  }
  if (vary.crowd && clients != as_it_is) setting.clients = clients;
  if (vary.crowd) setting.stalled = std::max(setting.stalled, stalled);
  if (vary.descriptors && descriptors != as_it_is) setting.descriptors = descriptors;
  if (vary.rests && rests != as_it_is) setting.rests = rests;
  if (vary.memory && no_memory) {
    options.fail_allocations = true;
    options.asked = options.asked.with(uvsim::ChoicePoint::allocation);
  }
}

}  // namespace harness
