// The Judge: hears what clients did and saw, what was chosen and what libuv told the server, and
// says when an oracle (verdict.hpp) is broken. The World plays; nothing here does anything.
//
// An oracle is written from what a client does and sees. A client is owed what it has said and what
// has not come back to its receive buffer; while that grows it takes, however slowly, and who takes
// neither stalls nor is silent.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "harness/client.hpp"
#include "harness/subject.hpp"
#include "harness/verdict.hpp"
#include "uvsim/uvsim.hpp"

namespace harness {

class Judge {
 public:
  // Thrown where something was found, and where enough was seen; whoever called the World's hook
  // catches it.
  struct Left {};

  // The references must last until the run has ended. `clients` are all that will ever come.
  void begin(uvsim::Simulation& simulation, const Subject& subject, Client* clients);

  // --- What it hears. ---------------------------------------------------------------------------

  void on_event(const uvsim::EventView& event);
  // An unkind answer, and whom the question was about, if anybody.
  void chosen(uvsim::ChoicePoint point, uvsim::Peer about);
  // The server listens for the first time.
  void listens(uvsim::Network& network);
  void connected(Client& client);  // one more
  void spoke(Client& client, std::size_t size);
  void half_closed(Client& client);
  void received(Client& client, const std::uint8_t* bytes, std::size_t size);
  void looked(Client& client);  // client.view is new
  void saw_end(Client& client, bool by_reset);
  // The operator told the server to end, somebody being there or nobody.
  void told_to_end();
  // Time has passed, of which the machine kept the server from working for so long.
  void time_passed(std::uint64_t overslept_ns);

  // --- When it looks. ---------------------------------------------------------------------------

  void before_looking();                  // at each poll, before the clients look
  void after_looking(bool server_rests);  // and when they have
  void at_rest();                         // the server rests, and nobody acted
  void while_waiting(uvsim::Wait wait);   // everybody waits for a timer of the server
  void at_the_very_end();                 // nothing can happen any more
  void when_ended(int status);            // the program has
  [[noreturn]] void fail(Oracle oracle, const Client* client, const char* message);

  const Verdict& verdict() const { return verdict_; }
  bool listening() const { return network_ != nullptr; }
  std::uint32_t faults() const { return faults_; }
  std::uint32_t stops() const { return stops_; }
  bool somebody_connects() const;

 private:
  // One for each question that an oracle asks.
  void check_listener();
  void check_bounds();
  void check_stop(std::uint64_t now, bool for_ever);
  void check_client_in_time(const Client& client, std::uint64_t now, bool for_ever);
  void check_counts();
  void check_whole(const Client& client, bool by_reset);
  bool waits(const Client& client) const;
  bool must_be_served(const Client& client) const;
  bool may_be_left_waiting(const Client& client) const;
  bool is_over(std::uint64_t now, bool for_ever, std::uint64_t since_ns,
               std::uint64_t limit_ms) const;

  void age(Client& client, bool overslept);
  void excuse_all(Excuse excuse);
  void excuse_unserved(Excuse excuse);
  Client* client_of(uvsim::Peer peer);
  std::size_t connections() const;
  std::span<Client> clients() const { return {clients_, count_}; }

  uvsim::Simulation* simulation_ = nullptr;
  uvsim::Network* network_ = nullptr;  // null: it does not listen yet
  const Subject* subject_ = nullptr;
  Client* clients_ = nullptr;
  std::uint32_t count_ = 0;
  Verdict verdict_;

  uvsim::Peer called_back_for_;  // the last time the server was
  std::uint32_t faults_ = 0;
  std::uint32_t accepts_failed_ = 0;  // each has lost a client (R38)
  bool timer_fault_ = false;          // deadlines may have been lost
  bool delayed_ = false;              // the machine was chosen to be slow
  std::uint64_t slow_turns_ = 0;      // so far
  std::uint64_t woke_at_ns_ = 0;      // when it last let the server work again

  std::uint32_t stops_ = 0;
  std::uint64_t stopped_at_ns_ = 0;        // when it was told, and what it overslept since
  std::uint64_t stopped_again_at_ns_ = 0;  // when it was told last, if more than once
  std::uint64_t grace_ends_ns_ = 0;        // until when the first request to end excuses nothing

  std::uint32_t refusing_ = 0;       // the listener
  std::uint32_t refusals_ = 0;       // errors of the listener, in a row
  std::uint64_t deaf_since_ns_ = 0;  // 0: it listens
  std::uint16_t port_ = 0;           // of its first listener
  std::uint64_t bytes_at_start_ = 0;
};

}  // namespace harness
