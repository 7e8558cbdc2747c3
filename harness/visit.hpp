// A visit to a server of which nothing is known: clients come, each says something at once, and all
// leave when the server has nothing more to say. For the first look (first_look.hpp).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "harness/subject.hpp"
#include "harness/upstream.hpp"
#include "uvsim/uvsim.hpp"

namespace harness {

// The server, which can be started more than once, and what has to be done around it.
struct Startable {
  std::function<int()> start;
  std::function<void()> before, after;
};

class Visit {
 public:
  struct Plan {
    std::vector<std::string> said;  // by each visitor
    std::string greeting = {};      // that an echo follows
    std::size_t listener = 0;
    std::uint64_t waits_s = 0;  // before the visitors come
    // They stay for more than a minute after an echo. The last one says `again` all the time, so
    // that it is never idle.
    bool lingers = false;
    std::string again = {};
    std::vector<std::uint16_t> upstreams = {};
  };

  static constexpr std::size_t heard_max = std::size_t{64} << 10;  // bytes, of each visitor

  explicit Visit(Plan plan);

  // `checks`: uvsim looks for broken rules, which end the visit.
  void pay(const Startable& server, bool checks);

  // Each visitor has heard the greeting, what it said, and nothing else.
  bool all_echoed() const;
  // The server has said all that it is going to say.
  bool has_settled() const;
  // What each visitor heard, and whether the server had ended the connection when they left.
  const std::vector<std::string>& heard() const { return heard_; }
  bool was_ended(std::size_t visitor) const { return ended_[visitor]; }
  // How long the last visitor was there.
  std::uint64_t stayed_ns() const { return left_at_ns_ - came_at_ns_; }
  std::size_t bytes_heard() const;  // by all
  // Of the server, when the visitors left.
  const std::vector<std::string>& listeners() const { return names_; }  // ports and names
  int stop_signal() const { return stop_signal_; }                      // 0: it waits for none
  const std::vector<std::uint16_t>& connected_to() const { return connected_to_; }

 private:
  uvsim::Progress on_poll(uvsim::Network& network, uvsim::Wait wait);
  bool waits_for(const uvsim::Network& network, uvsim::Wait wait);
  bool says_again(uvsim::Network& network);
  bool read(uvsim::Network& network);
  void leave(uvsim::Network& network);
  void hear(const uvsim::EventView& event);

  Plan plan_;
  std::vector<std::string> expected_, heard_;
  std::vector<bool> ended_;
  std::vector<uvsim::Peer> peers_;
  uvsim::Network* network_ = nullptr;
  Subject subject_;
  Upstream upstream_;
  std::size_t visitors_ = 0;      // that have come
  std::uint64_t came_at_ns_ = 0;  // the last one
  std::uint64_t said_at_ns_ = 0;
  std::uint64_t left_at_ns_ = 0;
  std::uint32_t busy_ = 0;           // polls at which the server did not rest
  std::uint32_t timers_ = 0;         // of the server, that were waited for
  std::uint32_t timers_before_ = 0;  // the server last said something
  bool rests_for_ever_ = false;
  std::vector<std::string> names_;
  int stop_signal_ = 0;
  std::vector<std::uint16_t> connected_to_;
};

}  // namespace harness
