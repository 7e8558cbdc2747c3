// The World: the clients, the network, the clock and the operator around a server, for one run.
//
// It lives in uvsim's poll hook: whenever the loop would look for events, the World is asked first.
// It asks the run's Choices what to do, and 0 always means: nothing, let the server work. When the
// server rests and the World has chosen nothing, it takes one fault-free step: clients do as their
// kind does (kind.hpp), the last one gone the operator stops the server, and otherwise time passes.
// So choices that have run out end every run quietly, in the same way, and what has not come to its
// end by then never will.
//
// What may live here: what clients do. What they were owed is the Judge's to say.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "harness/action.hpp"
#include "harness/client.hpp"
#include "harness/judge.hpp"
#include "harness/subject.hpp"
#include "harness/upstream.hpp"
#include "harness/verdict.hpp"
#include "uvsim/uvsim.hpp"

namespace harness {

inline constexpr std::uint32_t clients_limit = 16;
// A client says so many windows full of bytes at once, and is owed no more when its window gets
// smaller: so much that a server has to wait, and so little that a run ends.
inline constexpr std::size_t windowfuls = 256;

// What each run's choices vary of a Setting and of the machine (machine.hpp).
struct Vary {
  bool version = true;      // 1.52 or 1.44
  bool windows = true;      // what a connection's buffers hold: from one byte on
  bool descriptors = true;  // few may be opened once the server listens
  bool crowd = true;        // clients at once, and those that read nothing at first
  bool rests = true;        // how often rests are compared
  // Allocations fail. Most programs that are written for machines with enough memory end there,
  // and nothing else would be found of them.
  bool memory = false;

  static constexpr Vary nothing() { return {false, false, false, false, false, false}; }
  constexpr bool anything() const {
    return version || windows || descriptors || crowd || rests || memory;
  }
};

// What a trial may contain; the smaller, the sooner all of it has been tried.
struct Setting {
  std::uint32_t clients = 2;      // at once
  std::uint32_t clients_max = 8;  // in all
  std::uint32_t stalled = 0;  // of those that come first: they read nothing until they decide to
  std::uint32_t actions_max = 512;
  std::size_t send_max = 65536;   // bytes at once
  std::size_t said_max = 262144;  // bytes in all, about
  // Repetitions after which rests are compared for the first time, where the server keeps anything
  // when all clients are gone. 0: not at all, for what is never freed shows sooner at the end; a
  // server that cannot be told to end is compared in any case.
  std::uint32_t rests = 0;
  // Once it listens it may open so many descriptors more; 0: as the machine says.
  std::uint32_t descriptors = 0;
  // Of the clients that Action::connect brings, in the order in which they come.
  std::array<Kind, clients_limit> kinds{};

  using Vary = harness::Vary;
  Vary vary{};
};

class World final : private uvsim::Choices {
 public:
  // Begins a run. The references must last until it has ended.
  void begin(uvsim::Simulation& simulation, const Subject& subject, const Setting& setting,
             const Forgiven& forgiven, uvsim::Choices& source);
  // Within the run, before the program starts.
  void before_start();
  // The choices that the run is to be made with: those given, watched.
  uvsim::Choices& choices() { return *this; }
  // To be called by the poll hook.
  uvsim::Progress on_poll(uvsim::Network& network, uvsim::Wait wait);
  // To be called for each event.
  void on_event(const uvsim::EventView& event);
  // To be called when the server has ended by itself, within the run.
  void on_end(int status);

  // What the Judge found wrong; the report of the simulation may say more.
  const Verdict& verdict() const { return judge_.verdict(); }
  // The World saw the end of the run coming, in one of the two ways in which it may.
  bool came_to_rest() const { return resting_; }
  bool served() const { return judge_.listening(); }

 private:
  std::uint32_t pick(std::uint32_t n, uvsim::ChoicePoint point) override;
  // One of its own questions: what happens next, or how.
  std::uint32_t ask(std::uint32_t n, uvsim::ChoicePoint point = uvsim::ChoicePoint::detail);
  std::uint32_t answer(std::uint32_t n, uvsim::ChoicePoint point);
  uvsim::Progress live(uvsim::Wait wait);
  uvsim::Progress busy();
  std::span<Client> clients() { return std::span(clients_).first(count_); }
  std::span<const Client> clients() const { return std::span(clients_).first(count_); }

  // Actions (actions.cpp).
  bool act();
  bool perform(Action action);
  bool connect();
  bool connect_as();
  bool connect(Kind kind);
  void connect(Kind kind, std::uint32_t listener);
  std::uint32_t choose_listener();
  bool is_named(std::uint32_t listener) const;
  std::uint32_t here() const;  // clients
  std::string& begin_message(Client& client);
  bool speak(Client& client, std::size_t size);
  void send(Client& client);
  void send(Client& client, std::size_t size);
  void send_urgent(Client& client);
  void said(Client& client, const void* bytes, std::size_t count);
  void read(Client& client);
  void half_close(Client& client);
  void close(Client& client);
  void reset(Client& client);
  void stall(Client& client);
  void shrink(Client& client);
  void set_window(Client& client, std::size_t size);
  void pass_time(std::uint64_t ns);
  bool disturb_upstream();
  bool signal(int number);
  bool tell(int number);
  bool stop();
  template <class Able>
  Client* choose(Able able);

  // The fault-free step (fault_free.cpp).
  uvsim::Progress rest(uvsim::Wait wait);
  bool read_all();
  bool finish_messages();
  bool greet();
  bool say_goodbye();
  bool leaves(Client& client);
  bool is_content(Client& client);
  bool all_gone() const;
  bool resume();
  bool late_comer();
  bool compare_rests();
  void wait_a_turn(std::uint64_t ns);
  uvsim::Progress wait_long(uvsim::Wait wait);
  uvsim::Progress wait_for_server(uvsim::Wait wait);
  std::uint64_t limit_ns() const;
  std::uint64_t next_act_ns() const;
  bool is_due(Client& client, std::uint64_t after_ns);
  void come_to_rest();

  // Seeing.
  void watch(bool server_rests);
  void look(Client& client);
  void receive(Client& client, std::size_t size);
  void saw_end(Client& client, bool by_reset);
  [[noreturn]] void leave();

  uvsim::Simulation* simulation_ = nullptr;
  uvsim::Network* network_ = nullptr;
  const Subject* subject_ = nullptr;
  Setting setting_;
  uvsim::Choices* source_ = nullptr;
  Judge judge_;

  std::array<Client, clients_limit> clients_;
  std::vector<Words> words_;  // theirs, where what they say has a meaning
  Upstream upstream_;
  std::uint32_t count_ = 0;  // of clients that ever connected
  std::uint32_t actions_ = 0;
  std::uint32_t busy_polls_ = 0;  // in a row in which nothing moved
  std::uint64_t moved_ = 0;       // bytes, connections and actions; changes when anything does
  std::uint64_t moved_before_ = 0;
  std::uint64_t said_ = 0;            // bytes, by all clients
  std::uint64_t waited_ns_ = 0;       // for the server alone, since anything moved
  std::uint64_t sleeps_for_ns_ = 0;   // the server, from now on, if nothing wakes it up
  std::uint64_t polled_at_ns_ = 0;    // when it last did, and had been told
  std::uint32_t fruitless_ = 0;       // turns of waiting for the server, in a row
  std::uint64_t waits_until_ns_ = 0;  // nobody does anything before
  bool holding_ = false;              // no fault-free step at this poll: the next timer comes first
  bool late_comer_ = false;           // the one that shows whether the server still serves has come
  bool resting_ = false;

  // What the run's choices were since the server listens: to be played again, so that growth shows.
  std::vector<std::uint32_t> answers_;
  std::size_t next_answer_ = 0;
  std::uint32_t repetition_ = 0;
  std::uint64_t steps_ = 0;
  bool compared_ = false;  // this rest, since the last client went
};

}  // namespace harness
