// What clients say to a server that does not send back what it receives, and what it owes them for
// it. Without one of these, clients say bytes of no meaning (payload.hpp), and are owed the same.
//
// Each function is called outside the server and must depend on its arguments alone: a run is
// judged by what it says, and must be the same when it is played again.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace harness {

struct Speech {
  // Whole messages; the run chooses which of them a client says next.
  std::vector<std::string> dictionary;
  // Or it makes one: the message number `message`, from 0 on, of client number `client`, from 0 on;
  // `choice`, 0 to 255, is the run's. Where it is set, the dictionary is not looked at.
  std::function<std::string(std::uint32_t client, std::uint32_t message, std::uint32_t choice)>
      generator;
  // All that is owed to a client that has said `said`, and nothing else if it has `ended` its
  // output. What is owed for more must begin with what was owed for less. Unset: the same bytes.
  std::function<std::string(std::string_view said, bool ended)> answer;
  // Nobody ends his output within a message: what is owed for a part of one is not known.
  bool whole_messages = false;

  bool speaks() const { return generator || !dictionary.empty(); }
  bool any() const { return speaks() || answer; }
};

}  // namespace harness
