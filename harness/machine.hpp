// The run's choices vary the machine and the crowd, unless the Setting fixes them. So a campaign
// meets both versions of libuv, buffers of one byte, a process with few descriptors, and crowds of
// several sizes. Small buffers fill soon, which keeps stories short.
#pragma once

#include "harness/world.hpp"
#include "uvsim/uvsim.hpp"

namespace harness {

// Asks `choices` two questions, if anything varies, and changes `setting` and `options` by the
// answers. The kindest answers change nothing.
void vary(Setting& setting, uvsim::Options& options, uvsim::Choices& choices);

}  // namespace harness
