// Milliseconds of a Subject as nanoseconds of uvsim.
#pragma once

#include <cstdint>
#include <limits>

namespace harness {

inline constexpr std::uint64_t ms = 1'000'000;
// How far the loop's clock may be wrong, plus the length of a turn.
inline constexpr std::uint64_t slack_ms = 60;

// Saturating.
constexpr std::uint64_t times_ms(std::uint64_t n) {
  return n > std::numeric_limits<std::uint64_t>::max() / ms ? n : n * ms;
}

}  // namespace harness
