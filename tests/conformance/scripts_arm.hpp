// An arm of the random scripts: a process that reads scripts on its standard input and answers each
// with its trace. scripts_loopback.cpp and scripts_sim.cpp say what playing means there.
#pragma once

#include <functional>
#include <string>

#include "script.hpp"

namespace conformance {

/// Answers scripts until the input ends. PLAY performs one; what it returns ends the trace.
int serve_scripts(const std::function<std::string(const Script&)>& play);

}  // namespace conformance
