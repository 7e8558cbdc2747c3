// The machine that a run has, and the crowd: varied by the run's choices, unless a Setting says
// that they are not. So every campaign meets both behaviours of libuv, buffers of one byte, a
// process that may open hardly anything, and crowds of several sizes; and stories are short, for
// small buffers fill soon.
#pragma once

#include "harness/world.hpp"
#include "uvsim/uvsim.hpp"

namespace harness {

// Asks `choices` two questions, if anything is to be varied, and changes what they say. The kindest
// answers leave everything as it is.
void vary(Setting& setting, uvsim::Options& options, uvsim::Choices& choices);

}  // namespace harness
