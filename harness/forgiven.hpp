// Findings that a campaign goes on past, so that one does not hide the next. They are named by a
// rule ("R21"), by an oracle ("whole"), or by words in their message.
//
// After a forgiven finding that libuv survives, the run goes on. A run that cannot go on ends
// there, and counts as a run without a finding.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace harness {

class Forgiven {
 public:
  Forgiven() = default;
  // Names or words, with commas between them: "R21,whole".
  explicit Forgiven(std::string_view list) { add(list); }

  void add(std::string_view list) {
    while (!list.empty()) {
      const std::size_t end = std::min(list.find(','), list.size());
      if (end > 0) names_.emplace_back(list.substr(0, end));
      list.remove_prefix(std::min(end + 1, list.size()));
    }
  }

  bool has(std::string_view rule, std::string_view oracle, std::string_view message) const {
    return std::ranges::any_of(names_, [&](const std::string& name) {
      return name == rule || name == oracle || message.find(name) != std::string_view::npos;
    });
  }
  bool has_rule(std::string_view rule) const {
    return std::ranges::find(names_, rule) != names_.end();
  }

 private:
  std::vector<std::string> names_;
};

}  // namespace harness
