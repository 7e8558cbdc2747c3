// The peers that a server connects to: the other side of a relay or a proxy. They accept every
// connection, and answer as the Subject says.
//
// This class plays the peers. The Judge decides what a client is owed when a peer is disturbed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/subject.hpp"
#include "uvsim/uvsim.hpp"

namespace harness {

class Upstream {
 public:
  struct Link {
    uvsim::Peer peer;
    std::string said;    // by the server; kept only if the Subject has an answer for it
    std::string unsent;  // the rest of the answer
    std::uint64_t answered = 0;
    bool ended = false;     // by the server; the peer has seen the end
    bool finished = false;  // its own output
    bool stalled = false;   // reads no more
    bool over = false;
  };

  // Call it before the program starts: the program may connect before it listens.
  void begin(uvsim::Network& network, const Subject& subject);
  // Every peer accepts, reads and answers what it can. Returns whether one of them did.
  bool play();
  bool resume();  // those that had stalled
  std::vector<Link>& links() { return links_; }
  bool any() const { return !links_.empty(); }

 private:
  bool play(Link& link);
  bool hear(Link& link);
  void answer(Link& link, const char* bytes, std::size_t size);

  uvsim::Network* network_ = nullptr;
  const Subject* subject_ = nullptr;
  std::vector<Link> links_;
};

}  // namespace harness
