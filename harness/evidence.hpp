// What can be shown of bytes that a client got wrong or never got: the offset, eight bytes that
// were expected there and the eight that came, and where else those stand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "harness/client.hpp"

namespace harness {

// `size` bytes came to `client`, in place of `expected`, from its byte number client.received on;
// the first wrong one is shown. Of what clients said only the last 64 KiB are looked at.
std::string wrong_bytes(const Client& client, const void* expected, const std::uint8_t* bytes,
                        std::size_t size, std::span<const Client> clients);

// The end came to `client` in place of `expected`, its byte number client.received; by RST, or FIN.
std::string missing_bytes(const Client& client, const void* expected, bool by_reset);

}  // namespace harness
