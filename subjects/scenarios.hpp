// The scenarios: one script for each path of a server's life that matters. Torture makes each of
// their calls fail. A script that failed once becomes a row here.
#pragma once

#include <string>
#include <vector>

#include "subjects/script.hpp"

namespace subjects {

struct Scenario {
  std::string name;
  Script script;
  // Marks that a fault-free run of it must hit, or words that must be in the trace. They show that
  // the scenario is about what its name says.
  std::vector<std::string> shows;
};

const std::vector<Scenario>& scenarios();

}  // namespace subjects
