// An arm of the random scripts: usually a process that reads scripts on its standard input and
// answers each with its trace. scripts_loopback.cpp, scripts_sim.cpp and scripts_floor2.cpp say
// what playing means there.
#pragma once

#include <functional>
#include <string>

#include "script.hpp"

namespace conformance {

/// Performs a script; what it returns ends the trace.
using Play = std::function<std::string(const Script&)>;

/// The trace of one script.
std::string trace_of(const Script& script, const Play& play);

/// Answers scripts until the input ends.
int serve_scripts(const Play& play);

}  // namespace conformance
