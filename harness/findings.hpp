// Findings: one input for each way to fail, named by what failed, in a folder.
//
// The environment variable HARNESS_FINDINGS names the folder. A target that finds something then
// keeps the input and goes on, and so does the search. Several processes may share the folder. If a
// finding ends the process (a sanitizer's), the engine keeps the input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "harness/verdict.hpp"

namespace harness {

// The name of a finding, such as "R21-sigpipe" or "ledger-leak-on_connection". It leaves out what
// differs from input to input, and can be a file's name. `where`: the program's function at fault,
// or empty.
std::string name_of(const Verdict& verdict, std::string_view where = {});

class Findings {
 public:
  // The findings of the process; null if the environment names no folder.
  static Findings* wanted();

  // Keeps the input, unless the folder has a smaller one that failed in the same way. The file
  // NAME.what beside it has the message, and then the forgiven findings (see Target).
  void keep(const std::string& name, const std::uint8_t* data, std::size_t size,
            const std::string& what) const;

 private:
  explicit Findings(std::string folder) : folder_(std::move(folder)) {}
  std::string folder_;
};

}  // namespace harness
