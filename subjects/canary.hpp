// A small echo server as many write it: one buffer for each read, handed on to its write, and
// uv_shutdown at the end of input, so that what is queued goes out first. It is right, unless it is
// told to be wrong in one way; then every fuzz campaign, and the oracle whose business it is, has
// to notice.
#pragma once

#include "harness/subject.hpp"

namespace canary {

enum class Defect {
  none,
  leak,            // a client is not freed
  double_free,     // a buffer is, twice, when its write failed
  truncated_echo,  // the last byte of what was read is not sent
  wrong_byte,      // a byte is not what it was
  ends_early,      // a connection is ended when its first echo was written
  closed_twice,    // uv_close at the end of input, and again
  hoards,          // each client costs a lot of memory
  never_closes,    // nothing is done at the end of input
  ends_others,     // a client that resets takes the others with it
  bad_exit,        // the exit status says that it failed
  moody            // every second run does something else: right, but not the same again
};

harness::Subject echo_server(Defect defect);

// Runs the server under the World, as `data` says; aborts with the verdict if it is not clean.
int run(Defect defect, const unsigned char* data, unsigned long size);

}  // namespace canary
