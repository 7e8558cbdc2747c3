// Scenarios of the functions that need no loop: addresses, errors, buffers, versions.
#include <netinet/in.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "fixture.hpp"

using namespace conformance;

SCENARIO(ipv4_addresses_are_converted_both_ways, "-", R"(
  ip4_addr 127.0.0.1 = 0
  ip4_addr 255.255.255.255 = 0
  ip4_addr 0.0.0.0 = 0
  ip4_addr 256.0.0.1 = EINVAL
  ip4_addr 1.2.3 = EINVAL
  ip4_addr 1.2.3.4.5 = EINVAL
  ip4_addr 01.2.3.4 = EINVAL
  ip4_addr  = EINVAL
  ip4_addr localhost = EINVAL
  ip4_name = 0
  192.168.1.20 7000
  ip4_name with no room = ENOSPC
  ip_name = 0
  192.168.1.20
)") {
  sockaddr_in address;
  for (const char* text : {"127.0.0.1", "255.255.255.255", "0.0.0.0", "256.0.0.1", "1.2.3",
                           "1.2.3.4.5", "01.2.3.4", "", "localhost"}) {
    fixture.call(std::string("ip4_addr ") + text, uv_ip4_addr(text, 7, &address));
  }
  uv_ip4_addr("192.168.1.20", 7000, &address);
  char name[INET_ADDRSTRLEN];
  fixture.call("ip4_name", uv_ip4_name(&address, name, sizeof name));
  fixture.log("%s %d", name, ntohs(address.sin_port));
  fixture.call("ip4_name with no room", uv_ip4_name(&address, name, 5));
  fixture.call("ip_name", uv_ip_name(reinterpret_cast<sockaddr*>(&address), name, sizeof name));
  fixture.log("%s", name);
}

SCENARIO(ipv6_addresses_are_converted_both_ways, "-", R"(
  ip6_addr ::1 = 0
  ip6_addr :: = 0
  ip6_addr fe80::2acf:daff:fedd:342a = 0
  ip6_addr 1:2:3:4:5:6:7:8 = 0
  ip6_addr ::ffff:1.2.3.4 = 0
  ip6_addr 1::2::3 = EINVAL
  ip6_addr 12345:: = EINVAL
  ip6_addr g:: = EINVAL
  ip6_addr  = EINVAL
  ip6_name = 0
  2001:db8::1:0:0:7 7000
  ip_name = 0
  ::ffff:1.2.3.4
  ip_name of a family that is none = EAFNOSUPPORT
)") {
  sockaddr_in6 address;
  for (const char* text : {"::1", "::", "fe80::2acf:daff:fedd:342a", "1:2:3:4:5:6:7:8",
                           "::ffff:1.2.3.4", "1::2::3", "12345::", "g::", ""}) {
    fixture.call(std::string("ip6_addr ") + text, uv_ip6_addr(text, 7, &address));
  }
  uv_ip6_addr("2001:db8:0:0:1::7", 7000, &address);
  char name[INET6_ADDRSTRLEN];
  fixture.call("ip6_name", uv_ip6_name(&address, name, sizeof name));
  fixture.log("%s %d", name, ntohs(address.sin6_port));
  uv_ip6_addr("::ffff:1.2.3.4", 1, &address);
  fixture.call("ip_name", uv_ip_name(reinterpret_cast<sockaddr*>(&address), name, sizeof name));
  fixture.log("%s", name);
  sockaddr_in6 strange = address;
  strange.sin6_family = AF_UNIX;
  fixture.call("ip_name of a family that is none",
               uv_ip_name(reinterpret_cast<sockaddr*>(&strange), name, sizeof name));
}

SCENARIO(inet_conversions_know_their_limits, "-", R"(
  pton 4 = 0
  10.1.2.3
  ntop 4 = 0
  10.1.2.3
  ntop 4 with no room = ENOSPC
  pton 6 = 0
  ntop 6 = 0
  ff02::1
  ntop 6 with no room = ENOSPC
  pton of no text = EINVAL
  pton of a family that is none = EAFNOSUPPORT
  ntop of a family that is none = EAFNOSUPPORT
)") {
  unsigned char bytes[16];
  fixture.call("pton 4", uv_inet_pton(AF_INET, "10.1.2.3", bytes));
  fixture.log("%d.%d.%d.%d", bytes[0], bytes[1], bytes[2], bytes[3]);
  char text[64];
  fixture.call("ntop 4", uv_inet_ntop(AF_INET, bytes, text, sizeof text));
  fixture.log("%s", text);
  fixture.call("ntop 4 with no room", uv_inet_ntop(AF_INET, bytes, text, 8));
  fixture.call("pton 6", uv_inet_pton(AF_INET6, "ff02::1%eth0", bytes));
  fixture.call("ntop 6", uv_inet_ntop(AF_INET6, bytes, text, sizeof text));
  fixture.log("%s", text);
  fixture.call("ntop 6 with no room", uv_inet_ntop(AF_INET6, bytes, text, 4));
  fixture.call("pton of no text", uv_inet_pton(AF_INET, nullptr, bytes));
  fixture.call("pton of a family that is none", uv_inet_pton(AF_UNIX, "1.2.3.4", bytes));
  fixture.call("ntop of a family that is none", uv_inet_ntop(AF_UNIX, bytes, text, sizeof text));
}

SCENARIO(errors_have_names_and_messages, "-", R"(
  EOF: end of file
  ECANCELED: operation canceled
  ECONNRESET: connection reset by peer
  EPIPE: broken pipe
  ENOBUFS: no buffer space available
  EADDRINUSE: address already in use
  ENOTCONN: socket is not connected
  EMFILE: too many open files
  EAI_NONAME: unknown node or service
  UNKNOWN: unknown error
  EBADF
  bad file descriptor
  bad
  Unknown system error -77777
  Unknown system error -77777
)") {
  for (const int error : {UV_EOF, UV_ECANCELED, UV_ECONNRESET, UV_EPIPE, UV_ENOBUFS, UV_EADDRINUSE,
                          UV_ENOTCONN, UV_EMFILE, UV_EAI_NONAME, UV_UNKNOWN}) {
    fixture.log("%s: %s", uv_err_name(error), uv_strerror(error));
  }
  char text[64];
  fixture.log("%s", uv_err_name_r(UV_EBADF, text, sizeof text));
  fixture.log("%s", uv_strerror_r(UV_EBADF, text, sizeof text));
  fixture.log("%s", uv_strerror_r(UV_EBADF, text, 4));
  fixture.log("%s", uv_err_name_r(-77777, text, sizeof text));
  fixture.log("%s", uv_strerror_r(-77777, text, sizeof text));
}

SCENARIO(system_errors_are_translated, "-", R"(
  EPIPE = EPIPE
  already negative = EPIPE
  none = 0
)") {
  fixture.call("EPIPE", uv_translate_sys_error(EPIPE));
  fixture.call("already negative", uv_translate_sys_error(-EPIPE));
  fixture.call("none", uv_translate_sys_error(0));
}

SCENARIO(a_buffer_is_its_base_and_its_length, "-", R"(
  base = 1
  length = 3
)") {
  char bytes[3];
  const uv_buf_t buffer = uv_buf_init(bytes, 3);
  fixture.call("base", buffer.base == bytes);
  fixture.call("length", static_cast<long long>(buffer.len));
}

SCENARIO(the_allocator_must_be_whole, "-", R"(
  incomplete = EINVAL
  whole = 0
)") {
  fixture.call("incomplete", uv_replace_allocator(nullptr, std::realloc, std::calloc, std::free));
  fixture.call("whole", uv_replace_allocator(std::malloc, std::realloc, std::calloc, std::free));
}

SCENARIO(the_version_is_told_in_two_forms, "-", R"(
  the same = 1
  major = 1
)") {
  const unsigned version = uv_version();
  const std::string text = std::to_string(version >> 16) + "." +
                           std::to_string((version >> 8) & 0xff) + "." +
                           std::to_string(version & 0xff);
  fixture.call("the same", text == uv_version_string());
  fixture.call("major", static_cast<long long>(version >> 16));
}

SCENARIO(a_loopback_interface_is_listed, "-", R"(
  interface_addresses = 0
  has a loopback = 1
)") {
  uv_interface_address_t* addresses = nullptr;
  int count = 0;
  fixture.call("interface_addresses", uv_interface_addresses(&addresses, &count));
  bool has_loopback = false;
  for (int i = 0; i < count; i++) has_loopback |= addresses[i].is_internal != 0;
  fixture.call("has a loopback", has_loopback);
  uv_free_interface_addresses(addresses, count);
}
