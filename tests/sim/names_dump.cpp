// Prints what names.cpp computes, for as many arguments as possible, on whatever libuv it is linked
// with. Linked once with uvsim and once with the real library, it must print the same.
#include <sys/socket.h>
#include <uv.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

namespace {

uint64_t state = 1;

// Deterministic, and the same in both arms.
unsigned random_below(unsigned limit) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return static_cast<unsigned>(state >> 33) % limit;
}

void errors() {
  for (int code = -5000; code <= 200; ++code) {
    std::printf("%d %s | %s |", code, uv_err_name(code), uv_strerror(code));
    for (const size_t size : {size_t{1}, size_t{5}, size_t{80}}) {
      char text[80];
      uv_err_name_r(code, text, size);
      std::printf(" %s |", text);
      uv_strerror_r(code, text, size);
      std::printf(" %s |", text);
    }
    std::printf(" %d\n", uv_translate_sys_error(code));
  }
}

void types() {
  for (int type = -1; type < 40; ++type) {
    const char* handle = uv_handle_type_name(static_cast<uv_handle_type>(type));
    const char* request = uv_req_type_name(static_cast<uv_req_type>(type));
    std::printf("%d %s %zu %s %zu\n", type, handle == nullptr ? "-" : handle,
                uv_handle_size(static_cast<uv_handle_type>(type)),
                request == nullptr ? "-" : request, uv_req_size(static_cast<uv_req_type>(type)));
  }
}

void print_bytes(const void* bytes, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    std::printf("%02x", static_cast<const unsigned char*>(bytes)[i]);
  }
}

void parse(const std::string& text) {
  unsigned char bytes[16] = {};
  std::printf("[%s] %d ", text.c_str(), uv_inet_pton(AF_INET, text.c_str(), bytes));
  print_bytes(bytes, 4);
  const int result = uv_inet_pton(AF_INET6, text.c_str(), bytes);
  std::printf(" %d ", result);
  if (result == 0) print_bytes(bytes, 16);
  sockaddr_in ipv4;
  sockaddr_in6 ipv6;
  const int result4 = uv_ip4_addr(text.c_str(), 0x1234, &ipv4);
  const int result6 = uv_ip6_addr(text.c_str(), 0x12345, &ipv6);
  std::printf(" %d %x %d %x %x", result4, ipv4.sin_port, result6, ipv6.sin6_port,
              ipv6.sin6_scope_id);
  std::printf(" %d\n", uv_inet_pton(AF_UNIX, text.c_str(), bytes));
}

void addresses_from_text() {
  const char* const known[] = {"",
                               "0.0.0.0",
                               "127.0.0.1",
                               "255.255.255.255",
                               "256.1.1.1",
                               "1.2.3",
                               "1.2.3.4.",
                               "01.2.3.4",
                               "1.2.3.04",
                               " 1.2.3.4",
                               "::",
                               "::1",
                               "::2",
                               "1::",
                               "::ffff:1.2.3.4",
                               "::1.2.3.4",
                               "1:2:3:4:5:6:7:8",
                               "1:2:3:4:5:6:7::",
                               "::2:3:4:5:6:7:8",
                               "1::2::3",
                               ":1:2",
                               "1:2:3:4:5:6:7:8:",
                               "fe80::1%lo",
                               "fe80::1%nowhere",
                               "fe80::1%",
                               "fe80::%1",
                               "%lo",
                               "12345::",
                               "g::",
                               "1:2:3:4:5:6:1.2.3.4",
                               "1:2:3:4:5:6:7:1.2.3.4",
                               "::ffff:1.2.3",
                               "::ffff:1.2.3.256",
                               "00001::",
                               "ABCD:EF01:2345:6789:abcd:ef01:2345:6789",
                               "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
                               "fe80:fe80:fe80:fe80:fe80:fe80:fe80:fe80:",
                               "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
                               "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%lo"};
  for (const char* text : known) parse(text);
  constexpr char alphabet[] = "0123456789abcF:::::....%l";
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    const unsigned length = random_below(24);
    for (unsigned k = 0; k < length; ++k) text += alphabet[random_below(sizeof alphabet - 1)];
    parse(text);
  }
}

void name(int family, const void* bytes, size_t size) {
  char text[64] = "untouched";
  std::printf("%d ", uv_inet_ntop(family, bytes, text, size));
  std::printf("%s\n", text);
}

void addresses_to_text() {
  for (int i = 0; i < 20000; ++i) {
    unsigned char bytes[16];
    for (unsigned char& byte : bytes) {
      const unsigned kind = random_below(4);
      byte = static_cast<unsigned char>(kind == 0 ? random_below(256) : kind == 1 ? 255 : 0);
    }
    name(AF_INET, bytes, 64);
    name(AF_INET6, bytes, 64);
    name(AF_INET, bytes, random_below(20));
    name(AF_INET6, bytes, 1 + random_below(50));
    name(AF_UNIX, bytes, 64);
  }
}

void socket_addresses() {
  sockaddr_in ipv4;
  sockaddr_in6 ipv6;
  sockaddr unknown{};
  char text[64] = "";
  uv_ip4_addr("10.1.2.3", 80, &ipv4);
  uv_ip6_addr("fe80::1:2", 80, &ipv6);
  std::printf("%d ", uv_ip4_name(&ipv4, text, sizeof text));
  std::printf("%s\n", text);
  std::printf("%d ", uv_ip6_name(&ipv6, text, sizeof text));
  std::printf("%s\n", text);
  std::printf("%d ", uv_ip_name(reinterpret_cast<sockaddr*>(&ipv4), text, sizeof text));
  std::printf("%s\n", text);
  std::printf("%d ", uv_ip_name(reinterpret_cast<sockaddr*>(&ipv6), text, sizeof text));
  std::printf("%s\n", text);
  std::printf("%d\n", uv_ip_name(&unknown, text, sizeof text));
  std::printf("%d %d\n", uv_inet_pton(AF_INET, nullptr, text),
              uv_inet_pton(AF_INET, "1.2.3.4", nullptr));
}

void the_rest() {
  char byte = 'x';
  const uv_buf_t buffer = uv_buf_init(&byte, 7);
  std::printf("%d %zu\n", buffer.base == &byte, buffer.len);
  std::printf("%d %d\n", uv_replace_allocator(nullptr, nullptr, nullptr, nullptr),
              uv_version() > 0);
  char text[16] = "";
  size_t size = sizeof text;
  std::printf("%d ", uv_if_indextoname(1, text, &size));
  std::printf("%s %zu\n", text, size);
  size = 2;
  std::printf("%d ", uv_if_indextoname(1, text, &size));
  std::printf("%zu\n", size);
  size = sizeof text;
  std::printf("%d ", uv_if_indextoiid(1, text, &size));
  std::printf("%s %zu\n", text, size);
  std::printf("%d\n", uv_if_indextoname(54321, text, &size));
  std::printf("%d %d\n", uv_if_indextoname(1, nullptr, &size), uv_if_indextoname(1, text, nullptr));
  size = 0;
  std::printf("%d\n", uv_if_indextoiid(1, text, &size));
}

}  // namespace

#ifdef NAMES_DUMP_IN_CONSTRUCTOR
// For a host program that loads this as a shared object and brings its own libuv.
__attribute__((constructor))
#endif
void dump() {
  errors();
  types();
  addresses_from_text();
  addresses_to_text();
  socket_addresses();
  the_rest();
  std::fflush(stdout);
}

int main() {
#ifndef NAMES_DUMP_IN_CONSTRUCTOR
  dump();
#endif
  return 0;
}
