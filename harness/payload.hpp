// What clients say: each byte is a function of who says it and how much was said before. So whose
// byte it is and where it belongs can be told from the byte, and nothing needs to be remembered.
#pragma once

#include <cstddef>
#include <cstdint>

namespace harness::payload {

// The most bytes that can be looked at in one piece.
inline constexpr std::size_t piece_max = std::size_t{64} << 10;

// The `size` bytes, at most piece_max, that client number `client` says after `offset` others.
const std::uint8_t* bytes(std::uint32_t client, std::uint64_t offset);

}  // namespace harness::payload
