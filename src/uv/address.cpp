#include "uv/address.hpp"

#include "core/assert.hpp"

namespace echoproof {

bool parse_address(const std::string& host, std::uint16_t port, sockaddr_storage& address) {
  address = {};
  return uv_ip4_addr(host.c_str(), port, reinterpret_cast<sockaddr_in*>(&address)) == 0 ||
         uv_ip6_addr(host.c_str(), port, reinterpret_cast<sockaddr_in6*>(&address)) == 0;
}

std::string host_of(const sockaddr_storage& address) {
  char name[UV_IF_NAMESIZE + INET6_ADDRSTRLEN] = "";
  const int status =
      address.ss_family == AF_INET6
          ? uv_ip6_name(reinterpret_cast<const sockaddr_in6*>(&address), name, sizeof name)
          : uv_ip4_name(reinterpret_cast<const sockaddr_in*>(&address), name, sizeof name);
  ECHOPROOF_ASSERT(status == 0);  // fails only if the text does not fit
  return name;
}

std::uint16_t port_of(const sockaddr_storage& address) {
  // The port is at the same place in both families.
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

}  // namespace echoproof
