// A small echo server as many write it: one buffer for each read, handed on to its write, and
// uv_shutdown at the end of input, so that what is queued goes out first. It is right, unless it is
// told to be wrong in one of three ways; then every fuzz campaign has to notice.
#pragma once

#include "harness/subject.hpp"

namespace canary {

enum class Defect { none, leak, double_free, truncated_echo };

harness::Subject echo_server(Defect defect);

// Runs the server under the World, as `data` says; aborts with the verdict if it is not clean.
int run(Defect defect, const unsigned char* data, unsigned long size);

}  // namespace canary
