// Evidence about bytes that a client got wrong or did not get: the offset, the eight expected
// bytes, the eight received bytes, and where else the received bytes occur.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "harness/client.hpp"

namespace harness {

// `client` received `size` bytes in place of `expected`, from its byte number client.received on.
// Shows the first wrong byte. Only the last 64 KiB of what each client said are searched.
std::string wrong_bytes(const Client& client, const void* expected, const std::uint8_t* bytes,
                        std::size_t size, std::span<const Client> clients);

// `client` saw the end in place of `expected`, its byte number client.received: by RST, or by FIN.
std::string missing_bytes(const Client& client, const void* expected, bool by_reset);

}  // namespace harness
