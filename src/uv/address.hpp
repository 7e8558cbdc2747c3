// Numeric IPv4 and IPv6 addresses, from text and to text.
#pragma once

#include <uv.h>

#include <cstdint>
#include <string>

namespace echoproof {

// Sets `address` from a numeric `host` and a `port`. False if `host` is not numeric: no name is
// looked up.
bool parse_address(const std::string& host, std::uint16_t port, sockaddr_storage& address);

// The two halves of an address that listen() has bound, or of a client.
std::string host_of(const sockaddr_storage& address);
std::uint16_t port_of(const sockaddr_storage& address);

}  // namespace echoproof
