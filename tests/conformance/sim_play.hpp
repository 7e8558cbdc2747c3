// A random script on uvsim.
#pragma once

#include <string>
#include <uvsim/uvsim.hpp>

#include "script.hpp"

namespace conformance {

/// Performs SCRIPT as VERSION, the same in all calls of a process. The string is empty, or says
/// which rules were broken and whether the play was left.
std::string play_on_sim(const Script& script, uvsim::Version version);

}  // namespace conformance
