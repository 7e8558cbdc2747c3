// What a build file or a command line says of a server, as text: "idle_ms=950", "echoes=false".
#pragma once

#include <string>
#include <string_view>

#include "harness/subject.hpp"

namespace harness {

// Sets the field of `subject` that has this name. False, and nothing is changed: there is no such
// field, or the value is none for it.
bool promise(Subject& subject, std::string_view text);

// The names that promise() knows, with what each takes: one a line.
std::string promises();

}  // namespace harness
