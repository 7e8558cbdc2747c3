// The scenarios: one script for each path of a server's life that matters. Torture makes each of
// their calls fail; a script that was found to fail becomes a row here.
#pragma once

#include <string>
#include <vector>

#include "subjects/script.hpp"

namespace subjects {

struct Scenario {
  std::string name;
  Script script;
  // Marks that it must hit, or words that must be in its trace, while nothing fails: otherwise it
  // would not be about what its name says.
  std::vector<std::string> shows;
};

const std::vector<Scenario>& scenarios();

}  // namespace subjects
