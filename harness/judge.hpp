// The Judge: is told what clients did and saw, what was chosen and what libuv told the server
// (judge.cpp), and says when an oracle (verdict.hpp) is broken. Each of the eight oracles has its
// place in oracles.cpp. The World acts; the Judge only watches.
//
// An oracle is stated by what a client does and sees. A client is owed the bytes that it has said
// and that have not come back to its receive buffer. A client takes as long as bytes arrive there,
// however slowly. A client that takes neither stalls nor is silent.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "harness/client.hpp"
#include "harness/forgiven.hpp"
#include "harness/rests.hpp"
#include "harness/subject.hpp"
#include "harness/verdict.hpp"
#include "uvsim/uvsim.hpp"

namespace harness {

class Judge {
 public:
  // Thrown when something was found, and when enough was seen. The caller of the World's hook
  // catches it.
  struct Left {};

  // The terms of the judgement, beside what the Subject promises.
  struct Terms {
    const Forgiven* forgiven = nullptr;  // findings to go on past; null: none
    std::uint32_t rests = 1;             // repetitions before the first comparison
    bool few_descriptors = false;        // so libuv itself turns clients away (R39)
  };

  // The references must last until the run has ended. `clients` is the array of all clients.
  void begin(uvsim::Simulation& simulation, const Subject& subject, const Terms& terms,
             Client* clients);
  void few_descriptors() { terms_.few_descriptors = true; }

  // --- What it is told. -------------------------------------------------------------------------

  void on_event(const uvsim::EventView& event);
  // An unkind answer. `about`: the peer that the question was about, if any.
  void chosen(uvsim::ChoicePoint point, uvsim::Peer about);
  // The server listens for the first time.
  void listens(uvsim::Network& network);
  // A client connects. `named`: its listener is the one that the Subject speaks of.
  void connected(Client& client, bool named);
  // The World has disturbed a peer that the server had connected to.
  void upstream_disturbed(uvsim::Peer peer);
  void spoke(Client& client, std::size_t size);
  void half_closed(Client& client);
  void received(Client& client, const std::uint8_t* bytes, std::size_t size);
  void looked(Client& client);  // client.view is new
  void saw_end(Client& client, bool by_reset);
  // The operator told the server to end.
  void told_to_end();
  // Time has passed. For `overslept_ns` of it the machine kept the server from working.
  void time_passed(std::uint64_t overslept_ns);

  // --- When it checks. --------------------------------------------------------------------------

  void before_looking();                  // at each poll, before the looks at clients
  void after_looking(bool server_rests);  // at each poll, after the looks
  void at_rest();                         // the server rests, and no client acted
  void while_waiting(uvsim::Wait wait);   // every client waits for a timer of the server
  void alone();                           // the server rests, and all clients are gone
  void long_alone();                      // they have been gone for as long as the server may need
  void at_the_very_end();                 // nothing can happen any more
  void when_ended(int status);            // the program has ended
  [[noreturn]] void spins();              // the server has work without end, and nothing moves
  // Forgets the clients. Others take their places.
  void played_again();

  const Verdict& verdict() const { return verdict_; }
  bool listening() const { return network_ != nullptr; }
  std::uint32_t faults() const { return faults_; }
  std::uint32_t stops() const { return stops_; }
  bool somebody_connects() const;
  const Rests& rests() const { return rests_; }
  // How many connections of clients are open in the server.
  std::size_t connections_of_clients() const;

 private:
  static constexpr std::uint32_t clients_none = ~std::uint32_t{0};
  // A connection that the server made, and the client for which it made it.
  struct Own {
    std::uint32_t handle;
    std::uint32_t client;
    uvsim::Peer peer;
  };
  // What all clients have seen.
  struct Seen {
    std::uint64_t clients = 0;
    std::uint64_t answered = 0;
    std::uint64_t whole = 0;  // bytes
    std::uint64_t taken = 0;  // bytes
  };

  // The oracles' questions (oracles.cpp). A function that finds something returns only if the
  // finding is forgiven.
  void check_prefix(const Client& client, const std::uint8_t* bytes, std::size_t size);
  void check_whole(const Client& client, bool by_reset);
  void check_known_answer(const Client& client, bool by_reset);
  void check_growth();
  void check_counts();
  void check_start();
  void check_bounds();
  void check_stop(std::uint64_t now, bool for_ever);
  void check_client_in_time(const Client& client, std::uint64_t now, bool for_ever);
  void check_listener();
  void check_gone();
  void check_end();
  void check_ended(int status);
  void check_waiting();
  void check_answered_in_time(const Client& client, std::uint64_t now, bool for_ever);
  void check_status(int status);
  void broken(Oracle oracle, const Client* client, std::string_view words);

  // What follows from what the Judge was told.
  const void* expected_by(const Client& client) const;
  bool may_reject() const { return subject_->may_reject || terms_.few_descriptors; }
  bool waits(const Client& client) const;
  bool must_be_served(const Client& client) const;
  bool may_be_left_waiting(const Client& client) const;
  bool is_over(std::uint64_t now, bool for_ever, std::uint64_t since_ns,
               std::uint64_t limit_ms) const;
  std::size_t connections() const;
  Rests::Measure measure() const;
  void add(Seen& seen, const Client& client) const;

  void owe(Client& client);
  const KnownAnswer* known_answer_to(const Client& client) const;
  void age(Client& client, bool overslept);
  void excuse_all(Excuse excuse);
  void excuse_unserved(Excuse excuse);
  Client* client_of(uvsim::Peer peer);
  Client* concerned_by(uvsim::Peer peer);
  void heard_of_own(const uvsim::EventView& view, bool asks);
  std::span<Client> clients() const { return {clients_, count_}; }

  uvsim::Simulation* simulation_ = nullptr;
  uvsim::Network* network_ = nullptr;  // null: the server does not listen yet
  const Subject* subject_ = nullptr;
  Terms terms_;
  Client* clients_ = nullptr;
  std::uint32_t count_ = 0;
  Verdict verdict_;
  Rests rests_;
  Seen past_;             // by forgotten clients
  std::vector<Own> own_;  // only if the Subject has upstreams

  uvsim::Peer called_back_for_;  // the peer of the last callback
  std::uint32_t faults_ = 0;
  std::uint32_t accepts_failed_ = 0;  // each failure has lost a client (R38)
  bool timer_fault_ = false;          // deadlines may have been lost
  bool delayed_ = false;              // the machine was chosen to be slow
  std::uint64_t slow_turns_ = 0;      // so far
  std::uint64_t woke_at_ns_ = 0;      // when the machine last let the server work again

  std::uint32_t stops_ = 0;
  std::uint64_t stopped_at_ns_ =
      0;  // when the server was told to end, plus the time overslept since
  std::uint64_t stopped_again_at_ns_ = 0;  // when it was told again, the last time
  std::uint64_t grace_ends_ns_ = 0;        // until then the first request to end excuses nothing

  std::uint32_t refusing_ = 0;       // the listener
  std::uint32_t refusals_ = 0;       // errors of the listener, in a row
  std::uint64_t deaf_since_ns_ = 0;  // 0: it listens
  std::uint16_t port_ = 0;           // of its first listener
  std::uint64_t bytes_at_start_ = 0;
};

}  // namespace harness
