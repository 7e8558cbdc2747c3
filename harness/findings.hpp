// Findings: one input for each way to fail, named by what failed, in a folder.
//
// The environment variable HARNESS_FINDINGS names the folder. Then a target that finds something
// does not die of it: it keeps the input and goes on, and the search with it. Several processes may
// share the folder. What ends the process all the same (a sanitizer) is the engine's to keep.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "harness/verdict.hpp"

namespace harness {

// "R21-sigpipe", "ledger-leak-on_connection": what failed, without what differs from input to
// input; fit to be a file's name. `where`: the function of the program that is to blame, or empty.
std::string name_of(const Verdict& verdict, std::string_view where = {});

class Findings {
 public:
  // Null if the environment does not ask for it. One for the whole process.
  static Findings* wanted();

  // Keeps the input unless a smaller one is there already that failed in the same way. Beside it,
  // NAME.what has the words and then what was gone past (see Target).
  void keep(const std::string& name, const std::uint8_t* data, std::size_t size,
            const std::string& what) const;

 private:
  explicit Findings(std::string folder) : folder_(std::move(folder)) {}
  std::string folder_;
};

}  // namespace harness
