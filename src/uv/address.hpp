// Numeric IPv4 and IPv6 addresses as people write them.
#pragma once

#include <uv.h>

#include <cstdint>
#include <string>

namespace echoproof {

// Whether `host` is a numeric address; then `address` is it, with `port`. No name is looked up.
bool parse_address(const std::string& host, std::uint16_t port, sockaddr_storage& address);

// The two halves of an address that was bound.
std::string host_of(const sockaddr_storage& address);
std::uint16_t port_of(const sockaddr_storage& address);

}  // namespace echoproof
