// What clients say. Each byte is a function of its client and its offset. So the byte itself tells
// which client it belongs to and where, and no copy is kept.
#pragma once

#include <cstddef>
#include <cstdint>

namespace harness::payload {

// The most bytes that bytes() returns in one piece.
inline constexpr std::size_t piece_max = std::size_t{64} << 10;

// The `size` bytes, at most piece_max, that client number `client` says after `offset` others.
const std::uint8_t* bytes(std::uint32_t client, std::uint64_t offset);

}  // namespace harness::payload
