#include "harness/evidence.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "harness/payload.hpp"

namespace harness {
namespace {

constexpr std::size_t shown = 8;
// Fewer bytes than this occur everywhere by chance.
constexpr std::size_t telling = 4;

std::string hex(const std::uint8_t* bytes, std::size_t size) {
  std::string text;
  for (std::size_t i = 0; i < std::min(size, shown); ++i) {
    std::array<char, 4> byte{};
    std::snprintf(byte.data(), byte.size(), "%s%02x", i == 0 ? "" : " ", bytes[i]);
    text += byte.data();
  }
  return text;
}

std::string number(std::uint64_t n) { return std::to_string(n); }

// The offset of these bytes in what `client` said; its length if they do not occur.
std::uint64_t place_of(const Client& client, const std::uint8_t* bytes, std::size_t size) {
  if (client.words != nullptr) {
    const std::string_view found(reinterpret_cast<const char*>(bytes), size);
    return std::min<std::uint64_t>(client.words->said.find(found), client.sent);
  }
  std::uint64_t at = client.sent - std::min<std::uint64_t>(client.sent, payload::piece_max);
  for (; at + size <= client.sent; ++at) {
    if (std::memcmp(payload::bytes(client.number, at), bytes, size) == 0) return at;
  }
  return client.sent;
}

}  // namespace

std::string wrong_bytes(const Client& client, const void* expected, const std::uint8_t* bytes,
                        std::size_t size, std::span<const Client> clients) {
  const auto* const right = static_cast<const std::uint8_t*>(expected);
  const std::size_t owed = client.due - std::min(client.received, client.due);
  std::size_t first = 0;
  while (first < std::min(size, owed) && bytes[first] == right[first]) ++first;
  const std::size_t came = std::min(size - first, shown);
  std::string text = "at byte " + number(client.received + first) +
                     " of what it is owed\n  expected " +
                     (owed == first ? "nothing more" : hex(right + first, owed - first)) +
                     "\n  received " + hex(bytes + first, came) + "\n";
  if (came < telling) return text;
  bool found = false;
  for (const Client& other : clients) {
    const std::uint64_t at = place_of(other, bytes + first, came);
    if (at == other.sent) continue;
    found = true;
    text += "  which are bytes " + number(at) + " to " + number(at + came - 1) + " of what " +
            (other.number == client.number ? "the client itself"
                                           : "client " + number(other.number + 1)) +
            " said\n";
  }
  return found ? text : text + "  which no client said\n";
}

std::string missing_bytes(const Client& client, const void* expected, bool by_reset) {
  const std::size_t owed = client.due - client.received;
  return "at byte " + number(client.received) + " of what it is owed\n  expected " +
         hex(static_cast<const std::uint8_t*>(expected), owed) + (owed > shown ? " ..." : "") +
         " (" + number(owed) + (owed == 1 ? " byte is" : " bytes are") +
         " missing)\n  received the end of the connection (" + (by_reset ? "RST" : "FIN") + ")\n";
}

}  // namespace harness
