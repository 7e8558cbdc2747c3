// What a server that does not echo answers, as far as the first look (first_look.hpp) has seen it.
// Nothing is known of other answers, so a client is held to this only: an answer that others got
// whole does not end in its middle.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace harness {

struct KnownAnswer {
  std::string said;          // all that the client says
  std::string bytes;         // the whole answer
  std::vector<char> varies;  // for each byte: not 0 if it differs from time to time

  // `heard` is the beginning of the answer, and neither nothing nor all.
  bool is_cut(std::string_view heard) const;
};

// The answer to `said`, of which clients heard `all` at different times. None if the lengths
// differ.
std::optional<KnownAnswer> known_answer(std::string said, const std::vector<std::string>& all);

}  // namespace harness
