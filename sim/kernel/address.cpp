// From sockaddr and to it.
#include "address.hpp"

#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace kernel {

namespace {

constexpr socklen_t shortest_v6 = 24;  // SIN6_LEN_RFC2133: without the scope
constexpr size_t mapped_prefix = 12;   // of an IPv4 address that is written as IPv6
constexpr std::array<uint8_t, mapped_prefix> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

// Bytes before the first zero.
size_t length_of(const char* text, size_t most) {
  size_t length = 0;
  while (length < most && text[length] != 0) ++length;
  return length;
}

uint16_t swapped(uint16_t number) { return static_cast<uint16_t>(number << 8 | number >> 8); }

long parse_unix(const sockaddr* given, socklen_t size, Address* address) {
  constexpr size_t head = offsetof(sockaddr_un, sun_path);
  if (size < head || size > sizeof(sockaddr_un)) return -EINVAL;
  const char* const name = reinterpret_cast<const char*>(given) + head;
  const size_t there = size - head;
  if (there > 0 && name[0] != 0) {
    address->name_size = static_cast<uint8_t>(length_of(name, there));
  } else {
    address->name_size = static_cast<uint8_t>(there);
  }
  std::memcpy(address->name.data(), name, address->name_size);
  return 0;
}

long parse_ipv6(const sockaddr* given, socklen_t size, Address* address) {
  sockaddr_in6 in{};
  std::memcpy(&in, given, std::min<size_t>(size, sizeof in));
  address->port = swapped(in.sin6_port);
  if (std::memcmp(&in.sin6_addr, mapped.data(), mapped_prefix) == 0) {
    address->family = AF_INET;
    std::memcpy(address->ip.data(), in.sin6_addr.s6_addr + mapped_prefix, 4);
  } else {
    std::memcpy(address->ip.data(), in.sin6_addr.s6_addr, 16);
  }
  return 0;
}

void put(const void* from, socklen_t needed, sockaddr* to, socklen_t* size) {
  std::memcpy(to, from, std::min(needed, *size));
  *size = needed;
}

}  // namespace

bool Address::is_any() const {
  return std::all_of(ip.begin(), ip.end(), [](uint8_t byte) { return byte == 0; });
}

bool Address::is_loopback() const {
  if (family == AF_INET) return ip[0] == 127;
  return same_host(loopback(AF_INET6));
}

bool Address::same_host(const Address& other) const {
  return family == other.family && std::memcmp(ip.data(), other.ip.data(), ip.size()) == 0;
}

bool Address::same_name(const Address& other) const {
  return name_size == other.name_size &&
         std::memcmp(name.data(), other.name.data(), name_size) == 0;
}

Address loopback(sa_family_t family) {
  Address address = any(family);
  if (family == AF_INET) {
    address.ip[0] = 127;
    address.ip[3] = 1;
  } else {
    address.ip[15] = 1;
  }
  return address;
}

Address any(sa_family_t family) {
  Address address;
  address.family = family;
  return address;
}

long parse(const sockaddr* given, socklen_t size, sa_family_t family, Address* address) {
  *address = any(family);
  if (given == nullptr) return -EFAULT;
  if (size < sizeof given->sa_family) return -EINVAL;
  if (family == AF_UNIX) {
    if (given->sa_family != AF_UNIX) return -EINVAL;
    return parse_unix(given, size, address);
  }
  if (family == AF_INET && size < sizeof(sockaddr_in)) return -EINVAL;
  if (family == AF_INET6 && size < shortest_v6) return -EINVAL;
  if (given->sa_family != family) return -EAFNOSUPPORT;
  if (family == AF_INET6) return parse_ipv6(given, size, address);
  sockaddr_in in{};
  std::memcpy(&in, given, sizeof in);
  address->port = swapped(in.sin_port);
  std::memcpy(address->ip.data(), &in.sin_addr, 4);
  return 0;
}

void give(const Address& address, sa_family_t family, sockaddr* to, socklen_t* size) {
  if (to == nullptr) return;
  if (family == AF_UNIX) {
    sockaddr_un out{};
    out.sun_family = AF_UNIX;
    std::memcpy(out.sun_path, address.name.data(), address.name_size);
    const bool path = address.name_size > 0 && !address.is_abstract();
    constexpr size_t head = offsetof(sockaddr_un, sun_path);
    return put(&out, static_cast<socklen_t>(head + address.name_size + (path ? 1 : 0)), to, size);
  }
  if (family == AF_INET) {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = swapped(address.port);
    std::memcpy(&out.sin_addr, address.ip.data(), 4);
    return put(&out, sizeof out, to, size);
  }
  sockaddr_in6 out{};
  out.sin6_family = AF_INET6;
  out.sin6_port = swapped(address.port);
  if (address.family == AF_INET && !address.is_any()) {
    std::memcpy(&out.sin6_addr, mapped.data(), mapped_prefix);
    std::memcpy(out.sin6_addr.s6_addr + mapped_prefix, address.ip.data(), 4);
  } else if (address.family == AF_INET6) {
    std::memcpy(&out.sin6_addr, address.ip.data(), 16);
  }
  put(&out, sizeof out, to, size);
}

}  // namespace kernel
