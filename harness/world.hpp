// The World: the clients, the network, the clock and the operator around a server, for one run.
//
// It lives in uvsim's poll hook: whenever the loop would look for events, the World is asked first.
// It asks the run's Choices what to do, and 0 always means: nothing, let the server work. When the
// server rests and the World has chosen nothing, it takes one kind step: clients read what there
// is, those that got everything end their output, those that saw the end close, the last one gone
// the operator stops the server, and otherwise time passes. So choices that have run out end every
// run quietly, in the same way, and what has not come to its end by then never will.
//
// What may live here: what clients do, what they see, and what the server owed them (verdict.hpp).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "harness/client.hpp"
#include "harness/deed.hpp"
#include "harness/subject.hpp"
#include "harness/verdict.hpp"
#include "uvsim/uvsim.hpp"

namespace harness {

// What a trial may contain; the smaller, the sooner all of it has been tried.
struct Setting {
  std::uint32_t clients = 2;      // at once
  std::uint32_t clients_max = 8;  // in all
  std::uint32_t stalled = 0;  // of those that come first: they read nothing until they decide to
  std::uint32_t deeds_max = 512;  // that are not kind
  std::size_t send_max = 65536;   // bytes at once
  std::size_t said_max = 262144;  // bytes in all, about
};

class World final : private uvsim::Choices {
 public:
  static constexpr std::uint32_t clients_limit = 16;

  // Begins a run. The references must last until it has ended.
  void begin(uvsim::Simulation& simulation, const Subject& subject, const Setting& setting,
             uvsim::Choices& source);
  // The choices that the run is to be made with: those given, watched.
  uvsim::Choices& choices() { return *this; }
  // To be called by the poll hook.
  uvsim::Progress on_poll(uvsim::Network& network, uvsim::Wait wait);
  // To be called for each event.
  void on_event(const uvsim::EventView& event);
  // To be called when the server has ended by itself, within the run.
  void on_end(int status);

  // What the World itself found wrong; the report of the simulation may say more.
  const Verdict& verdict() const { return verdict_; }
  // The World saw the end of the run coming, in one of the two ways in which it may.
  bool came_to_rest() const { return resting_; }
  bool served() const { return serving_; }

 private:
  std::uint32_t pick(std::uint32_t n, uvsim::ChoicePoint point) override;
  std::uint32_t ask(std::uint32_t n);

  // Deeds.
  uvsim::Progress live(uvsim::Wait wait);
  void look_back(int status);
  bool act();
  bool perform(Deed deed);
  bool connect();
  void send(Client& client);
  void read(Client& client);
  void half_close(Client& client);
  void close(Client& client);
  void reset(Client& client);
  void stall(Client& client);
  void shrink(Client& client);
  void pass_time(std::uint64_t ns);
  bool tell(int number);
  void note_stop(std::uint64_t at_ns);
  bool signal(int number);
  bool stop();
  template <class Able>
  Client* choose(Able able);

  // Kind steps.
  uvsim::Progress rest(uvsim::Wait wait);
  bool read_all();
  bool greet();
  bool say_goodbye();
  bool all_gone() const;
  bool somebody_connects() const;
  bool resume();
  void check_answers();
  void check_deadlines(uvsim::Wait wait);
  void check_counts();
  bool late_comer();
  uvsim::Progress wait_for_server(uvsim::Wait wait);
  bool may_be_left_waiting(const Client& client) const;
  void come_to_rest();

  // Seeing.
  Client* client_of(uvsim::Peer peer);
  void note_whom_it_overtakes(const Client& client);
  void watch();
  void watch_listener();
  std::size_t connections() const;
  void look(Client& client);
  void receive(Client& client, std::size_t size);
  void saw_end(Client& client, bool by_reset);
  void age(Client& client, bool overslept = false);
  void excuse_all(Excuse excuse);
  void excuse_unserved(Excuse excuse);
  [[noreturn]] void fail(Oracle oracle, const Client* client, const char* message);
  [[noreturn]] void leave();

  uvsim::Simulation* simulation_ = nullptr;
  uvsim::Network* network_ = nullptr;
  const Subject* subject_ = nullptr;
  Setting setting_;
  uvsim::Choices* source_ = nullptr;
  Verdict verdict_;
  uvsim::Peer called_back_for_;  // the last time the server was

  static constexpr std::uint32_t nobody = clients_limit;
  std::array<Client, clients_limit> clients_;
  std::uint32_t count_ = 0;  // of clients that ever connected
  std::uint32_t deeds_ = 0;
  std::uint32_t stops_ = 0;
  std::uint32_t faults_ = 0;
  std::uint32_t refusing_ = 0;    // the listener
  std::uint32_t refusals_ = 0;    // errors of the listener, in a row
  std::uint32_t busy_polls_ = 0;  // in a row in which nothing moved
  std::uint64_t moved_ = 0;       // bytes, connections and deeds; changes when anything does
  std::uint64_t moved_before_ = 0;
  std::uint64_t said_ = 0;                 // bytes, by all clients
  std::uint64_t waited_ns_ = 0;            // for the server alone, since anything moved
  std::uint64_t sleeps_for_ns_ = 0;        // from now on, if nothing wakes it up
  std::uint64_t stopped_at_ns_ = 0;        // when it was told, and what it overslept since
  std::uint64_t stopped_again_at_ns_ = 0;  // when it was told last, if more than once
  std::uint64_t grace_ends_ns_ = 0;        // until when the first request to end excuses nothing
  std::uint64_t deaf_since_ns_ = 0;        // 0: it listens
  std::uint64_t bytes_at_start_ = 0;
  std::uint32_t line_ = 0;            // of clients that waited for memory, so far
  std::uint32_t overtaken_ = nobody;  // one of them
  std::uint16_t port_ = 0;            // of its first listener
  bool holding_ = false;              // no kind steps at this poll: the next timer comes first
  bool serving_ = false;              // it listens, and the baseline is set
  bool late_comer_ = false;           // the one that shows whether the server still serves has come
  bool timer_fault_ = false;          // deadlines may have been lost
  std::uint32_t accepts_failed_ = 0;  // each has lost a client (R38)
  bool delayed_ = false;              // the machine was chosen to be slow
  std::uint64_t slow_turns_ = 0;      // so far
  bool resting_ = false;
  bool ended_ = false;
};

}  // namespace harness
