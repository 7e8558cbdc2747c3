// Addresses of sockets, as the kernel keeps them and as programs write them.
#ifndef KERNEL_ADDRESS_HPP
#define KERNEL_ADDRESS_HPP

#include <sys/socket.h>

#include <array>
#include <cstdint>

namespace kernel {

struct Address {
  sa_family_t family = AF_UNSPEC;
  uint16_t port = 0;
  uint8_t name_size = 0;         // AF_UNIX: bytes of `name`, without the end of a path
  std::array<uint8_t, 16> ip{};  // AF_INET: the first four
  std::array<char, 108> name{};  // AF_UNIX: begins with a zero byte when abstract

  bool is_any() const;  // no address in particular
  bool is_loopback() const;
  bool is_abstract() const { return name_size > 0 && name[0] == 0; }
  bool same_host(const Address& other) const;
  bool same_name(const Address& other) const;
};

// The loopback's own address, or every address, of that family.
Address loopback(sa_family_t family);
Address any(sa_family_t family);

// Reads what a program gave to a socket of `family`. IPv4 written as IPv6 becomes AF_INET.
// 0, EINVAL for a size that is none, EAFNOSUPPORT for another family; negative.
long parse(const sockaddr* given, socklen_t size, sa_family_t family, Address* address);

// Writes an address as a socket of `family` shows it, as far as `*size` allows, and sets `*size` to
// what it needs. Nothing where `to` is null.
void give(const Address& address, sa_family_t family, sockaddr* to, socklen_t* size);

}  // namespace kernel

#endif
