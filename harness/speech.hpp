// What clients say to a server that does not echo, and what the server owes them for it. Without a
// Speech, clients say bytes without meaning (payload.hpp) and are owed the same bytes.
//
// Each function is called outside the server. It must depend on its arguments alone, because a run
// must be the same when it is played again.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/known_answer.hpp"

namespace harness {

struct Speech {
  // Whole messages; the run chooses which of them a client says next. Where neither `answer` nor
  // `whole_messages` is set, a client of a small window says only the beginning of a long one.
  std::vector<std::string> dictionary;
  // Returns message number `message` (from 0) of client number `client` (from 0). `choice`, 0 to
  // 255, is the run's. If it is set, the dictionary is not used.
  std::function<std::string(std::uint32_t client, std::uint32_t message, std::uint32_t choice)>
      generator;
  // Returns all that is owed to a client that has said `said`; `ended`: it has half-closed. The
  // answer to more must begin with the answer to less. Unset: the same bytes are owed.
  std::function<std::string(std::string_view said, bool ended)> answer;
  // Nobody ends his output within a message: what is owed for a part of one is not known.
  bool whole_messages = false;
  // For a server that does not echo: the answers that are known.
  std::vector<KnownAnswer> known;

  bool speaks() const { return generator || !dictionary.empty(); }
  bool any() const { return speaks() || answer; }
};

}  // namespace harness
