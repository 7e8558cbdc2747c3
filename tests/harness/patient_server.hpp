// A small echo server with time limits that are fair to slow readers, unless it is told to be wrong
// in one way: for the tests of what the Judge says about time.
//
// It has one operation in flight for each client. It looks at what libuv still holds for a client
// every now and then, so what it says of itself is true only where the kernel holds next to nothing
// (uvsim::Options::send_window = 1). Nothing may fail: it is no model for a server.
#pragma once

#include "harness/subject.hpp"

namespace patient {

enum class Defect {
  none,
  cuts_slow_readers,     // who has not taken all of an echo within the limit is cut
  calls_readers_silent,  // who says nothing while it takes its echo is cut
  ends_quietly,          // whoever is cut sees FIN
  one_at_a_time,         // while one echo is queued nobody else is answered
  keeps_never_readers,   // no limit for an echo
  keeps_who_ended,       // whose output has ended, and its own
  keeps_the_silent,      // none for who says nothing
  reads_at_times  // no defect: after each echo it reads on when its timer comes, after a while
};

harness::Subject echo_server(Defect defect);

// Right, and slow to read on: it promises no times.
harness::Subject echo_server_that_reads_at_times();

// Right, and told to end by a function in place of a signal.
harness::Subject echo_server_that_is_told();

}  // namespace patient
