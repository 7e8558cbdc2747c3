// Small servers of common shapes. Each is right, or wrong in one way that its clients cannot see.
// The oracles must find the wrong ones and find nothing in the right ones.
#pragma once

#include "harness/subject.hpp"

namespace stranger {

enum class Shape {
  plain,      // sends back what it reads
  free_list,  // and keeps the memory of clients that are gone for the next ones
  table,      // and has a table of clients that doubles its size
  cache,      // and remembers its last eight clients
  ticks,      // and has a timer of 20 ms for something or other
  frames,     // and turns its loop itself, 50 times a second
  idle,       // and closes a client that says nothing for two seconds
  admin,      // and tells on another port how many clients there are
  shouts,     // sends back what it reads in capitals, line by line
  relay       // hands on what it reads to another server, and back
};

enum class Defect {
  none,
  keeps_a_node,      // for each client, until its end
  keeps_a_byte,      // in a table that doubles its size
  keeps_a_handle,    // the relay's other side is closed at the stop only
  keeps_the_gone,    // nothing is done when reading fails
  stops_reading,     // after a large message, for ever
  whispers,          // the last letter of a long line stays small
  drops_a_byte,      // of what comes back through the relay
  takes_others_down  // a client that resets ends all of them
};

// Valid until the next call.
harness::Subject server(Shape shape, Defect defect = Defect::none);

}  // namespace stranger
