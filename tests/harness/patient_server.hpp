// A small echo server with time limits that are fair to slow readers. A Defect makes it wrong in
// one way. It tests what the Judge says about time.
//
// It has one operation in flight for each client, and looks now and then at what libuv still holds
// for a client. So its promises hold only if the kernel holds next to nothing
// (uvsim::Options::send_window = 1). It handles no failures.
#pragma once

#include "harness/subject.hpp"

namespace patient {

enum class Defect {
  none,
  cuts_slow_readers,     // cuts a client that has not taken all of an echo within the limit
  calls_readers_silent,  // cuts a client that says nothing while it takes its echo
  ends_quietly,          // a cut client sees FIN
  one_at_a_time,         // while one echo is queued, no other client is answered
  keeps_never_readers,   // no limit for an echo
  keeps_who_ended,       // no limit after both sides have half-closed
  keeps_the_silent,      // no limit for a client that says nothing
  reads_at_times  // no defect: after each echo it reads on when its timer comes, after a while
};

harness::Subject echo_server(Defect defect);

// Right, and slow to read on: it promises no times.
harness::Subject echo_server_that_reads_at_times();

// Right, and told to end by a function in place of a signal.
harness::Subject echo_server_that_is_told();

}  // namespace patient
