// Promises of a server as text, from a build file or a command line: "idle_ms=950", "echoes=false".
#pragma once

#include <string>
#include <string_view>

#include "harness/subject.hpp"

namespace harness {

// Sets the field of `subject` with this name. Returns false, and changes nothing, if there is no
// such field or the value does not fit it.
bool promise(Subject& subject, std::string_view text);

// The names that promise() knows and the values that they take, one a line.
std::string promises();

}  // namespace harness
