// Names and numbers: addresses as text and back, error codes, versions, sizes and names of types,
// the one network interface, the allocator the program installs.
//
// What may live here: functions of their arguments, and nothing that a loop would know of.
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "periphery.hpp"
#include "uvsim/ledger.hpp"

namespace uvsim {

namespace {

struct Allocator {
  uv_malloc_func allocate;
  uv_realloc_func resize;
  uv_calloc_func allocate_zeroed;
  uv_free_func release;
};

constexpr Allocator the_c_library{std::malloc, std::realloc, std::calloc, std::free};
Allocator installed = the_c_library;

struct UnknownError {
  UnknownError* next;
  int code;
  char text[40];
};

void copy_truncated(char* to, size_t size, const char* from) {
  if (size == 0) return;
  const size_t length = std::min(std::strlen(from), size - 1);
  std::memcpy(to, from, length);
  to[length] = '\0';
}

void describe_unknown(int code, char* text, size_t size) {
  std::snprintf(text, size, "Unknown system error %d", code);
}

// libuv allocates this text and never frees it; here each code has one text, kept for good.
const char* unknown_error(int code) {
  static UnknownError* known = nullptr;
  for (const UnknownError* error = known; error != nullptr; error = error->next) {
    if (error->code == code) return error->text;
  }
  const ledger::Outside outside;
  auto* const error = new UnknownError;
  error->next = known;
  error->code = code;
  describe_unknown(code, error->text, sizeof error->text);
  known = error;
  return error->text;
}

// Null for a code that libuv does not know.
const char* name_of_error(int code) {
  switch (code) {
#define UVSIM_NAME(name, message) \
  case UV_##name: return #name;
    UV_ERRNO_MAP(UVSIM_NAME)
#undef UVSIM_NAME
    default: return nullptr;
  }
}

const char* message_of_error(int code) {
  switch (code) {
#define UVSIM_MESSAGE(name, message) \
  case UV_##name: return message;
    UV_ERRNO_MAP(UVSIM_MESSAGE)
#undef UVSIM_MESSAGE
    default: return nullptr;
  }
}

int copy_address(const char* text, size_t length, char* to, size_t size) {
  if (length >= size) return UV_ENOSPC;
  std::memcpy(to, text, length + 1);
  return 0;
}

int text_of_ipv4(const unsigned char* bytes, char* to, size_t size) {
  char text[INET_ADDRSTRLEN];
  const int length =
      std::snprintf(text, sizeof text, "%u.%u.%u.%u", bytes[0], bytes[1], bytes[2], bytes[3]);
  return copy_address(text, static_cast<size_t>(length), to, size);
}

struct Run {
  int first = -1;
  int length = 0;
};

// The longest run of zero words, the first of equals; a single zero is not abbreviated.
Run longest_zeros(const std::array<unsigned, 8>& words) {
  Run best;
  Run now;
  for (int i = 0; i < 8; ++i) {
    if (words[static_cast<size_t>(i)] != 0) {
      now = {};
      continue;
    }
    if (now.length++ == 0) now.first = i;
    if (now.length > best.length) best = now;
  }
  return best.length < 2 ? Run{} : best;
}

int text_of_ipv6(const unsigned char* bytes, char* to, size_t size) {
  std::array<unsigned, 8> words{};
  for (size_t i = 0; i < words.size(); ++i) words[i] = bytes[2 * i] * 256u + bytes[2 * i + 1];
  const Run zeros = longest_zeros(words);
  // What ends in an IPv4 address is shown so.
  const bool ends_in_ipv4 =
      zeros.first == 0 && (zeros.length == 6 || (zeros.length == 5 && words[5] == 0xffff));
  char text[INET6_ADDRSTRLEN];
  size_t used = 0;
  for (int i = 0; i < 8; ++i) {
    if (zeros.first >= 0 && i >= zeros.first && i < zeros.first + zeros.length) {
      if (i == zeros.first) text[used++] = ':';
      continue;
    }
    if (i != 0) text[used++] = ':';
    if (i == 6 && ends_in_ipv4) {
      text_of_ipv4(bytes + 12, text + used, sizeof text - used);
      used = std::strlen(text);
      break;
    }
    const unsigned word = words[static_cast<size_t>(i)];
    used += static_cast<size_t>(std::snprintf(text + used, sizeof text - used, "%x", word));
  }
  if (zeros.first >= 0 && zeros.first + zeros.length == 8) text[used++] = ':';
  text[used] = '\0';
  return copy_address(text, used, to, size);
}

}  // namespace

void* program_malloc(size_t size) noexcept {
  const ledger::Inside inside;
  return installed.allocate(size);
}

void program_free(void* memory) noexcept {
  const ledger::Inside inside;
  installed.release(memory);
}

void reset_program_allocator() noexcept { installed = the_c_library; }

unsigned interface_index_of(const char* name) noexcept {
  return std::strcmp(name, interface_name) == 0 ? interface_index : 0;
}

}  // namespace uvsim

using namespace uvsim;  // NOLINT(google-build-using-namespace): the C functions of libuv follow.

extern "C" {

// ---- Buffers and memory ------------------------------------------------------------------------

uv_buf_t uv_buf_init(char* base, unsigned int len) {
  uv_buf_t buffer;
  buffer.base = base;
  buffer.len = len;
  return buffer;
}

int uv_replace_allocator(uv_malloc_func malloc_func, uv_realloc_func realloc_func,
                         uv_calloc_func calloc_func, uv_free_func free_func) {
  if (malloc_func == nullptr || realloc_func == nullptr || calloc_func == nullptr ||
      free_func == nullptr) {
    return UV_EINVAL;
  }
  installed = {malloc_func, realloc_func, calloc_func, free_func};
  return 0;
}

// ---- Errors ------------------------------------------------------------------------------------

const char* uv_strerror(int err) {
  const char* message = message_of_error(err);
  return message == nullptr ? unknown_error(err) : message;
}

const char* uv_err_name(int err) {
  const char* name = name_of_error(err);
  return name == nullptr ? unknown_error(err) : name;
}

char* uv_strerror_r(int err, char* buf, size_t buflen) {
  const char* message = message_of_error(err);
  if (message == nullptr) {
    describe_unknown(err, buf, buflen);
  } else {
    copy_truncated(buf, buflen, message);
  }
  return buf;
}

char* uv_err_name_r(int err, char* buf, size_t buflen) {
  const char* name = name_of_error(err);
  if (name == nullptr) {
    describe_unknown(err, buf, buflen);
  } else {
    copy_truncated(buf, buflen, name);
  }
  return buf;
}

int uv_translate_sys_error(int sys_errno) { return sys_errno <= 0 ? sys_errno : -sys_errno; }

// ---- Versions, sizes, names of types -----------------------------------------------------------

unsigned int uv_version(void) { return UV_VERSION_HEX; }

#define UVSIM_TEXT_OF(number) #number
#define UVSIM_TEXT(number) UVSIM_TEXT_OF(number)

const char* uv_version_string(void) {
  return UVSIM_TEXT(UV_VERSION_MAJOR) "." UVSIM_TEXT(UV_VERSION_MINOR) "." UVSIM_TEXT(
      UV_VERSION_PATCH) UV_VERSION_SUFFIX;
}

// A program in C may ask about any number.
#define UVSIM_ANY_NUMBER __attribute__((no_sanitize("undefined")))

UVSIM_ANY_NUMBER size_t uv_handle_size(uv_handle_type type) {
  switch (type) {
#define UVSIM_SIZE(upper, lower) \
  case UV_##upper: return sizeof(uv_##lower##_t);
    UV_HANDLE_TYPE_MAP(UVSIM_SIZE)
    default: return static_cast<size_t>(-1);
  }
}

UVSIM_ANY_NUMBER size_t uv_req_size(uv_req_type type) {
  switch (type) {
    UV_REQ_TYPE_MAP(UVSIM_SIZE)
#undef UVSIM_SIZE
    default: return static_cast<size_t>(-1);
  }
}

UVSIM_ANY_NUMBER const char* uv_handle_type_name(uv_handle_type type) {
  switch (type) {
#define UVSIM_TYPE_NAME(upper, lower) \
  case UV_##upper: return #lower;
    UV_HANDLE_TYPE_MAP(UVSIM_TYPE_NAME)
    case UV_FILE: return "file";
    default: return nullptr;
  }
}

UVSIM_ANY_NUMBER const char* uv_req_type_name(uv_req_type type) {
  switch (type) {
    UV_REQ_TYPE_MAP(UVSIM_TYPE_NAME)
#undef UVSIM_TYPE_NAME
    default: return nullptr;
  }
}

// ---- Addresses ---------------------------------------------------------------------------------

int uv_inet_ntop(int af, const void* src, char* dst, size_t size) {
  const auto* bytes = static_cast<const unsigned char*>(src);
  if (af == AF_INET) return text_of_ipv4(bytes, dst, size);
  if (af == AF_INET6) return text_of_ipv6(bytes, dst, size);
  return UV_EAFNOSUPPORT;
}

int uv_inet_pton(int af, const char* src, void* dst) {
  if (src == nullptr || dst == nullptr) return UV_EINVAL;
  if (af != AF_INET && af != AF_INET6) return UV_EAFNOSUPPORT;
  const char* end = src + std::strlen(src);
  if (af == AF_INET6) end = std::find(src, end, '%');
  char text[INET6_ADDRSTRLEN];
  if (static_cast<size_t>(end - src) >= sizeof text) return UV_EINVAL;
  *std::copy(src, end, text) = '\0';
  return inet_pton(af, text, dst) == 1 ? 0 : UV_EINVAL;
}

int uv_ip4_addr(const char* ip, int port, struct sockaddr_in* addr) {
  std::memset(addr, 0, sizeof *addr);
  addr->sin_family = AF_INET;
  addr->sin_port = htons(static_cast<uint16_t>(port));
  return uv_inet_pton(AF_INET, ip, &addr->sin_addr.s_addr);
}

int uv_ip6_addr(const char* ip, int port, struct sockaddr_in6* addr) {
  std::memset(addr, 0, sizeof *addr);
  addr->sin6_family = AF_INET6;
  addr->sin6_port = htons(static_cast<uint16_t>(port));
  const char* zone = std::strchr(ip, '%');
  if (zone == nullptr) return uv_inet_pton(AF_INET6, ip, &addr->sin6_addr);
  // A zone that does not exist is no error. Before one, no more is read than an address without an
  // IPv4 tail can have.
  addr->sin6_scope_id = interface_index_of(zone + 1);
  char address[40];
  const size_t length = std::min(static_cast<size_t>(zone - ip), sizeof address - 1);
  *std::copy_n(ip, length, address) = '\0';
  return uv_inet_pton(AF_INET6, address, &addr->sin6_addr);
}

int uv_ip4_name(const struct sockaddr_in* src, char* dst, size_t size) {
  return uv_inet_ntop(AF_INET, &src->sin_addr, dst, size);
}

int uv_ip6_name(const struct sockaddr_in6* src, char* dst, size_t size) {
  return uv_inet_ntop(AF_INET6, &src->sin6_addr, dst, size);
}

int uv_ip_name(const struct sockaddr* src, char* dst, size_t size) {
  if (src->sa_family == AF_INET) {
    return uv_ip4_name(reinterpret_cast<const sockaddr_in*>(src), dst, size);
  }
  if (src->sa_family == AF_INET6) {
    return uv_ip6_name(reinterpret_cast<const sockaddr_in6*>(src), dst, size);
  }
  return UV_EAFNOSUPPORT;
}

// ---- The one interface: loopback, IPv4 and IPv6 ------------------------------------------------

int uv_if_indextoname(unsigned int ifindex, char* buffer, size_t* size) {
  if (buffer == nullptr || size == nullptr || *size == 0) return UV_EINVAL;
  if (ifindex != interface_index) return UV_ENXIO;
  const size_t length = std::strlen(interface_name);
  if (*size <= length) {
    *size = length + 1;
    return UV_ENOBUFS;
  }
  copy_truncated(buffer, *size, interface_name);
  *size = length;
  return 0;
}

int uv_if_indextoiid(unsigned int ifindex, char* buffer, size_t* size) {
  return uv_if_indextoname(ifindex, buffer, size);
}

int uv_interface_addresses(uv_interface_address_t** addresses, int* count) {
  constexpr size_t interfaces = 2;
  *count = 0;
  *addresses = nullptr;
  const size_t size = interfaces * sizeof(uv_interface_address_t) + sizeof interface_name;
  void* memory = program_malloc(size);
  if (memory == nullptr) return UV_ENOMEM;
  std::memset(memory, 0, size);
  auto* entries = static_cast<uv_interface_address_t*>(memory);
  auto* name = reinterpret_cast<char*>(entries + interfaces);
  std::memcpy(name, interface_name, sizeof interface_name);
  for (size_t i = 0; i < interfaces; ++i) {
    entries[i].name = name;
    entries[i].is_internal = 1;
  }
  uv_ip4_addr("127.0.0.1", 0, &entries[0].address.address4);
  uv_ip4_addr("255.0.0.0", 0, &entries[0].netmask.netmask4);
  uv_ip6_addr("::1", 0, &entries[1].address.address6);
  uv_ip6_addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, &entries[1].netmask.netmask6);
  *addresses = entries;
  *count = interfaces;
  return 0;
}

void uv_free_interface_addresses(uv_interface_address_t* addresses, int) {
  program_free(addresses);
}

}  // extern "C"
