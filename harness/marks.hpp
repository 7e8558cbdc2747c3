// Coverage marks: one for each kind of event that can happen in a trial. They show which paths a
// campaign took: "nothing found" says nothing of other paths.
//
// Three things hit a mark: the World does or sees something; an unkind answer is chosen; libuv
// calls the server back or refuses a call, by kind of outcome. For libFuzzer the marks of the
// current run are extra counters. An input that hits a new mark is kept, even if it reaches no new
// code of the server.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "harness/kind.hpp"
#include "uvsim/uvsim.hpp"

namespace harness {

// X(name, when it is hit)
#define HARNESS_MARKS(X)                                                                          \
  X(connected, "a client connects")                                                               \
  X(refused, "a client's connection is refused")                                                  \
  X(queued, "a client waits to be accepted while the server rests")                               \
  X(sent_one_byte, "a client sends a single byte")                                                \
  X(sent_urgent, "a client sends urgent data")                                                    \
  X(sent_much, "a client sends more than a block")                                                \
  X(send_blocked, "a client finds no room to send")                                               \
  X(sent_after_stop, "a client sends after the server was told to end")                           \
  X(read_some, "a client reads part of what it could")                                            \
  X(read_all, "a client reads all there is")                                                      \
  X(half_closed_owed, "a client ends its output while it is owed bytes")                          \
  X(half_closed_quiet, "a client ends its output when it has got everything")                     \
  X(half_closed_at_once, "a client ends its output without having said anything")                 \
  X(closed_owed, "a client closes while it is owed bytes")                                        \
  X(closed_unread, "a client closes with bytes unread, which the server sees as a reset")         \
  X(closed_quiet, "a client closes when it has got everything")                                   \
  X(reset_owed, "a client resets while it is owed bytes")                                         \
  X(reset_quiet, "a client resets when it has got everything")                                    \
  X(reset_unaccepted, "a client resets before it was accepted")                                   \
  X(stalled, "a client decides to read no more")                                                  \
  X(resumed, "a client that read no more reads again")                                            \
  X(shrunk, "a client's buffers become small")                                                    \
  X(time_passed, "time passes while the server could work")                                       \
  X(waited_for_timer, "every client waits for a timer of the server")                             \
  X(waited_long, "the World does nothing for ten minutes")                                        \
  X(upstream_disturbed, "a peer that the server had connected to ends, resets or stalls")         \
  X(played_again, "the server kept something at rest, and the same is played again")              \
  X(stopped, "the server is told to end while clients are there")                                 \
  X(stopped_idle, "the server is told to end while no client is there")                           \
  X(stopped_twice, "the server is told to end a second time")                                     \
  X(other_signal, "another signal")                                                               \
  X(listened, "the server listens")                                                               \
  X(answered, "a client gets something")                                                          \
  X(echoed, "a client has got back all that it has said")                                         \
  X(whole_echo, "a client got its whole echo, then the end")                                      \
  X(whole_echo_late, "a client that half-closed while owed bytes got its whole echo")             \
  X(cut_by_end, "the server ends a connection that is owed bytes, with FIN")                      \
  X(cut_by_reset, "the server ends a connection that is owed bytes, with RST")                    \
  X(closed_for_silence, "the server ends a silent connection")                                    \
  X(closed_for_stalling, "the server ends the connection of a client that does not read")         \
  X(stayed_after_half_close, "the server half-closes to a half-closed client that is owed bytes") \
  X(lingered_for, "a slow reader that had ended its output got everything, then the end")         \
  X(turned_away, "the server ends a connection that it never answered")                           \
  X(quiescent, "nothing can happen any more, and the server has not ended")                       \
  X(ended, "the server ends by itself")                                                           \
  X(failed_to_start, "the server ends before it listens")

enum class Mark : std::uint8_t {
#define HARNESS_MARK(name, meaning) name,
  HARNESS_MARKS(HARNESS_MARK)
#undef HARNESS_MARK
  // One for each kind: such a client connects.
  first_kind,
};

class Marks {
 public:
  // Unkind answers have marks of their own: one for each point and each of its first answers.
  static constexpr std::size_t answers_max = 4;
  static constexpr std::size_t named = 0
#define HARNESS_MARK(name, meaning) +1
                                       HARNESS_MARKS(HARNESS_MARK)
#undef HARNESS_MARK
                                       + kinds.size();
  static constexpr std::size_t events_max = 160;  // at least uvsim::event_names()
  static constexpr std::size_t first_answer = named;
  static constexpr std::size_t first_event = first_answer + uvsim::choice_point_count * answers_max;

  // How a callback or a call can turn out.
  enum Outcome : std::uint8_t {
    zero,
    positive,
    eof,
    canceled,
    failed,
    zero_when_closing,
    outcomes
  };
  static constexpr std::size_t count = first_event + events_max * outcomes;

  static void hit(Mark mark) { now[static_cast<std::size_t>(mark)] = 1; }
  static void hit(Kind kind) {
    now[static_cast<std::size_t>(Mark::first_kind) + static_cast<std::size_t>(kind)] = 1;
  }
  static void hit(uvsim::ChoicePoint point, std::uint32_t answer) {
    if (answer >= answers_max) answer = answers_max - 1;
    now[first_answer + static_cast<std::size_t>(point) * answers_max + answer] = 1;
  }
  static void hit(const uvsim::EventView& event);

  // Before and after a run. gather() adds the run's marks to all marks ever hit, and to those that
  // the engine gets for the input. An input may make several runs.
  static void begin_run();
  static void gather();
  // Without an engine: clears the marks before a run.
  static void forget();
  // Of the current run.
  static bool has(Mark mark) { return now[static_cast<std::size_t>(mark)] != 0; }
  static bool has(std::size_t event, Outcome outcome) {
    return event < events_max && now[first_event + event * outcomes + outcome] != 0;
  }
  static bool has_unkind(uvsim::ChoicePoint point);
  // An event's number, once it has happened; events_max until then.
  static std::size_t number_of(const char* event);
  // The named marks that the current run has hit.
  static std::vector<const char*> of_this_run();
  static std::size_t reached();
  // The meanings of marks that were never hit and that a server can reach if `faults` may be
  // chosen. `ends`: the server can be told to end.
  static std::vector<std::string> unreached(uvsim::ChoiceSet faults, bool ends);

 private:
  static std::uint8_t now[count];
  static std::array<std::uint8_t, count> before;  // of this input
  static std::array<std::uint8_t, count> ever;
};

}  // namespace harness
