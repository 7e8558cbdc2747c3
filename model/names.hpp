// The words for the states and the events of the table.
#pragma once

#include <array>
#include <cstddef>

#include "core/transitions.hpp"

namespace model {

inline const char* name_of(echoproof::State state) {
  constexpr std::array<const char*, echoproof::state_count> names{
      "reading", "quiet", "writing", "flushing", "lingering", "cancelling", "closing", "closed"};
  return names[static_cast<std::size_t>(state)];
}

inline const char* name_of(echoproof::Event event) {
  constexpr std::array<const char*, echoproof::event_count> names{
      "data",     "empty read", "EOF",        "EOF, much owed", "reset",     "error",
      "refused",  "wrote all",  "wrote part", "write done",     "taking",    "caught up",
      "deadline", "idle",       "stop",       "stop, owed",     "close done"};
  return names[static_cast<std::size_t>(event)];
}

}  // namespace model
