// The peers that a server connects to itself: a relay's or a proxy's other side. They take whoever
// comes, and answer as the Subject says.
//
// They play only; what a client is owed for what happens to them is the Judge's to say.
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
    std::string said;    // by the server; kept only where the Subject says what is answered
    std::string unsent;  // the rest of the answer
    std::uint64_t answered = 0;
    bool ended = false;     // by the server, and heard of
    bool finished = false;  // its own output
    bool stalled = false;   // reads no more
    bool over = false;
  };

  // Before the program starts: it may connect before it listens itself.
  void begin(uvsim::Network& network, const Subject& subject);
  // Everybody takes, reads and answers what he can. True if anybody did.
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
