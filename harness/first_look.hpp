// A first look at a server of which nothing is known: what it is held to follows from what it does
// where nothing goes wrong. It is started a few times; two clients say the same kind of thing
// (talk.hpp), and it is told to end. That happens in a process of its own: a server that dies of
// what it is told is for the search to find.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/known_answer.hpp"
#include "harness/subject.hpp"
#include "harness/talk.hpp"
#include "harness/visit.hpp"

namespace harness {

struct FirstLook {
  bool listens = false;
  bool echoes = false;      // a client gets back what it says, and nothing else
  Talk talk = Talk::bytes;  // of the first kind that it sends back
  std::string echoes_at;    // the listener that this is about, if there are several: as in Subject
  bool sends_without_end = false;                    // unasked
  std::string answered;                              // otherwise: what it has most to say to
  std::vector<KnownAnswer> known;                    // and what it answers, whenever it is asked
  std::string greeting;                              // with which it receives clients, if it echoes
  bool echoes_halves = false;                        // it does not wait for the end of a message
  std::uint64_t hears_at_most = Subject::unlimited;  // as in Subject
  std::uint64_t session_ms = Subject::unlimited;     // as in Subject
  int stop_signal = 0;                               // 0: none
  std::vector<std::uint16_t> upstreams;              // the ports on 127.0.0.1 that it connects to
};

// `upstreams` are the ports that are known already. What was seen before it died, if it does.
FirstLook look_at(const Startable& server, const std::vector<std::uint16_t>& upstreams);

}  // namespace harness
