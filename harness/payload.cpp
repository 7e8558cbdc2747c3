#include "harness/payload.hpp"

#include <array>

namespace harness::payload {
namespace {

// A prime, so that no power of two that a server may lose or repeat is a multiple of it.
constexpr std::size_t period = 65521;
// Where the next client begins: far enough from the one before, and no multiple of anything.
constexpr std::size_t stride = 8209;

struct Table {
  Table();
  std::array<std::uint8_t, period + piece_max> bytes;
};

// Not in the class: there it would be constexpr, and the compiler would take seconds to fill it.
Table::Table() : bytes{} {
  std::uint32_t state = 1;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    state = state * 1664525U + 1013904223U;
    bytes[i] = i < period ? static_cast<std::uint8_t>(state >> 24) : bytes[i - period];
  }
}

const Table table;

}  // namespace

const std::uint8_t* bytes(std::uint32_t client, std::uint64_t offset) {
  return table.bytes.data() + (client * stride + offset) % period;
}

}  // namespace harness::payload
