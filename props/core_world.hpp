// The core and its surroundings, for exploration: the real Service with its pool, its lines and its
// connections, and on the other side what libuv, the clients, the clock and the operator may do.
//
// What may live here: which events are possible, what libuv does when it is asked (rules R1 to
// R40), and what has to hold after each event. Which of the possible events happens, and how each
// question turns out, is the explorer's to say.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/service.hpp"

namespace props {

inline constexpr std::size_t clients_max = 8;

enum class Deed : std::uint8_t {
  connect,     // a client was accepted
  alloc,       // libuv is about to read
  data,        // and has read something
  empty_read,  // or nothing after all
  no_buffer,   // or had no buffer to read into
  eof,
  read_error,
  write_done,  // the callback of the queued write
  write_failed,
  close_done,
  tick,   // time passes, and nothing runs
  timer,  // the timer is due, and runs
  stop_now,
  stop_later,
};

// One event, and how the questions turned out that came up in it.
struct Step {
  static constexpr std::size_t answers_max = 10;
  Deed deed{};
  std::uint8_t who = 0;
  std::uint8_t answered = 0;
  std::array<std::uint8_t, answers_max> answers{};
};

// Everything that the future depends on, and nothing else, in one form for all states that do not
// differ: who is who does not matter, nor which block, nor what the time is.
using Key = std::array<std::uint8_t, 4 * clients_max + 2>;

struct Shape {
  std::size_t clients = 2;
  std::size_t blocks = 1;
  std::size_t block_size = 2;
  echoproof::Time idle{2};  // a tick is a millisecond; Time::max() is never
  echoproof::Time write{2};
  echoproof::Time write_contended{1};
  echoproof::Time drain{1};

  bool ends_by_time() const {
    return idle != echoproof::Time::max() && write != echoproof::Time::max();
  }
};

// Answers the questions of one event: those of a Step, then, if there are more, all in turn.
class Answers {
 public:
  explicit Answers(const Step& step) : step_(step) {}
  // 0..n-1.
  std::uint8_t pick(std::size_t n);
  // The next combination, with the last question first; false when there is none.
  bool next();
  const Step& step() const { return step_; }

 private:
  Step step_;
  std::array<std::uint8_t, Step::answers_max> widths_{};
  std::uint8_t asked_ = 0;
};

// What did not hold. Does not return: the explorer tells the path that led here, and ends.
[[noreturn]] void broken(const char* words);

class CoreWorld {
 public:
  explicit CoreWorld(const Shape& shape);

  // The events that are possible now.
  std::vector<Step> possible() const;
  // Plays one of them. With `checked`, everything is looked at afterwards.
  void play(Deed deed, std::size_t who, Answers& answers, bool checked);
  Key key() const;

  // Whether there is nobody; then nothing is lent either.
  bool empty() const;
  // The operator stops, and libuv reports what it still owes: nobody may be left.
  void end_by_stop();
  // The same with no stop, only time: nobody says or reads anything any more.
  void end_by_time();

  // Tells what happens, on stderr.
  bool telling = false;

  using Rows = std::array<std::array<bool, echoproof::event_count>, echoproof::state_count>;
  // Which rows of the table were used, by any CoreWorld.
  static Rows rows_used;

 private:
  // A client as libuv sees it.
  struct Client {
    std::unique_ptr<echoproof::Connection> session;  // null: there is none
    bool armed = false;                              // libuv may read
    bool refused = false;                            // it had no buffer, and will say so
    bool queued = false;                             // a write callback is owed
    bool open = true;                                // uv_close was not called yet
    bool on_trial = false;                           // its last read filled the block
    std::size_t sent = 0;                            // of what was read into the block
    echoproof::Time moved_at{};                      // said something, or had its write queued
    std::uint64_t waits_since = 0;                   // its turn in the waiting line
  };

  void happen(Client& client, echoproof::Event event, Answers& answers);
  static void count(echoproof::State from, echoproof::Event event);
  void connect(Client& client, Answers& answers);
  void alloc(Client& client);
  void data(Client& client, Answers& answers);
  void perform(Client& client, echoproof::Action action, Answers& answers);
  void write(Client& client, echoproof::Action& action, Answers& answers);
  void settle(Answers& answers);
  void report_owed(Answers& answers);
  void check() const;
  void check_blocks() const;
  void check_time() const;
  void check_bytes(const Client& client) const;
  std::size_t count(echoproof::State state) const;
  echoproof::Time write_limit() const;
  std::size_t number_of(const Client& client) const;
  const Client& client_of(const echoproof::Connection& connection) const;
  void describe(const Client& client, std::uint8_t* to) const;
  std::uint8_t age(echoproof::Time since) const;
  [[gnu::format(printf, 2, 3)]] void tell(const char* form, ...) const;

  Shape shape_;
  echoproof::Service service_;
  std::array<Client, clients_max> clients_;
  echoproof::Time now_{100};
  std::uint64_t turns_ = 0;
  bool settled_ = true;
};

}  // namespace props
