#include "harness/known_answer.hpp"

#include <algorithm>
#include <utility>

namespace harness {

bool KnownAnswer::is_cut(std::string_view heard) const {
  if (heard.empty() || heard.size() >= bytes.size()) return false;
  for (std::size_t i = 0; i < heard.size(); ++i) {
    if (heard[i] != bytes[i] && varies[i] == 0) return false;
  }
  return true;
}

std::optional<KnownAnswer> known_answer(std::string said, const std::vector<std::string>& all) {
  KnownAnswer known{std::move(said), all.front(), std::vector<char>(all.front().size())};
  for (const std::string& one : all) {
    if (one.size() != known.bytes.size()) return std::nullopt;
    for (std::size_t i = 0; i < one.size(); ++i) {
      if (one[i] != known.bytes[i]) known.varies[i] = 1;
    }
  }
  return known;
}

}  // namespace harness
