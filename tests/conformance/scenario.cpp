// The list of scenarios and the reading of golden traces.
#include "scenario.hpp"

#include <sstream>

namespace conformance {

std::vector<Scenario>& scenarios() {
  static std::vector<Scenario> all;
  return all;
}

namespace {

bool take_prefix(std::string& line, const std::string& prefix) {
  if (line.rfind(prefix, 0) != 0) return false;
  line.erase(0, prefix.size());
  return true;
}

}  // namespace

std::string golden_trace(const Scenario& scenario, Version version) {
  std::istringstream lines(scenario.golden);
  std::string trace;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t start = line.find_first_not_of(' ');
    if (start == std::string::npos) continue;
    line.erase(0, start);
    if (take_prefix(line, "[1.44] ") && version != Version::v1_44) continue;
    if (take_prefix(line, "[1.45+] ") && version != Version::v1_52) continue;
    trace += line + '\n';
  }
  return trace;
}

}  // namespace conformance
