// The World: the clients, the network, the clock and the operator around a server, for one run.
//
// The World runs in uvsim's poll hook: before the loop polls for events, uvsim calls the World.
// The World asks the run's Choices what to do; 0 always means to do nothing and let the server
// work. When the server rests and the choice was 0, the World takes one fault-free step: clients
// act as their kind does (kind.hpp), the operator stops the server when the last client has gone,
// and otherwise time passes. So a run whose choices are used up ends quietly. What has not ended by
// then never will.
//
// This class acts for clients. The Judge decides what they are owed.
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
  bool version = true;      // of libuv: 1.52 or 1.44
  bool windows = true;      // what a connection's buffers hold: from one byte on
  bool descriptors = true;  // how many may be opened once the server listens
  bool crowd = true;        // how many clients at once, and how many read nothing at first
  bool rests = true;        // how often rests are compared
  // Whether allocations fail. Most programs end at a failed allocation, and nothing else would be
  // found in them.
  bool memory = false;

  static constexpr Vary nothing() { return {false, false, false, false, false, false}; }
  constexpr bool anything() const {
    return version || windows || descriptors || crowd || rests || memory;
  }
};

// What a run may contain. A smaller Setting is explored sooner.
struct Setting {
  std::uint32_t clients = 2;      // at once
  std::uint32_t clients_max = 8;  // in all
  std::uint32_t stalled = 0;      // how many of the first clients read nothing until they decide to
  std::uint32_t actions_max = 512;
  std::size_t send_max = 65536;   // bytes at once
  std::size_t said_max = 262144;  // bytes in all, about
  // After how many repetitions rests are compared for the first time, if the server keeps anything
  // when all clients are gone. 0: never, because a leak shows sooner at the end; rests of a server
  // that cannot be told to end are compared in any case.
  std::uint32_t rests = 0;
  // How many more descriptors the server may open once it listens; 0: as the machine says.
  std::uint32_t descriptors = 0;
  // The kinds of the clients that Action::connect brings, in order.
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
  // The choices for the run: those of `source`, watched by the World.
  uvsim::Choices& choices() { return *this; }
  // The poll hook calls this.
  uvsim::Progress on_poll(uvsim::Network& network, uvsim::Wait wait);
  // Call it for each event.
  void on_event(const uvsim::EventView& event);
  // Call it within the run when the server has ended by itself.
  void on_end(int status);

  // What the Judge found. The report of the simulation may say more.
  const Verdict& verdict() const { return judge_.verdict(); }
  // Whether the World ended the run: the Judge found something, or nothing can happen any more.
  bool came_to_rest() const { return resting_; }
  bool served() const { return judge_.listening(); }
  bool told_to_end() const { return judge_.stops() > 0; }

 private:
  std::uint32_t pick(std::uint32_t n, uvsim::ChoicePoint point) override;
  // Asks one of the World's own questions: what happens next, or how.
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
  std::vector<Words> words_;  // of clients of a server that does not echo
  Upstream upstream_;
  std::uint32_t count_ = 0;  // of clients that have connected
  std::uint32_t actions_ = 0;
  std::uint32_t busy_polls_ = 0;  // polls in a row in which nothing moved
  std::uint64_t moved_ = 0;       // sum of bytes, connections and actions
  std::uint64_t moved_before_ = 0;
  std::uint64_t moved_before_waiting_ = ~std::uint64_t{0};  // for long
  std::uint64_t said_ = 0;                                  // bytes, by all clients
  std::uint64_t waited_ns_ = 0;       // for the server alone, since something moved
  std::uint64_t sleeps_for_ns_ = 0;   // until the server wakes up by itself
  std::uint64_t polled_at_ns_ = 0;    // the time of the server's last poll
  std::uint32_t fruitless_ = 0;       // waits for the server in a row without effect
  std::uint64_t waits_until_ns_ = 0;  // the World does nothing before
  bool holding_ = false;              // no fault-free step at this poll; the next timer comes first
  bool late_comer_ = false;  // the client that shows whether the server still serves has come
  bool resting_ = false;

  // The run's choices since the server listens. The World repeats them, so that growth shows.
  std::vector<std::uint32_t> answers_;
  std::size_t next_answer_ = 0;
  std::uint32_t repetition_ = 0;
  std::uint64_t steps_ = 0;
  bool compared_ = false;  // the current rest was compared
};

}  // namespace harness
