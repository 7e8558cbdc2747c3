// What the World can do by itself. A run is fully described by its actions and faults.
#pragma once

#include <cstdint>

namespace harness {

// X(name, what is done: what the run's choices say about it). A question with one answer is not
// asked.
#define HARNESS_ACTIONS(X)                                                                     \
  X(let_go, "nothing: let the server work")                                                    \
  X(connect, "an ordinary client connects: to which listener")                                 \
  X(send, "a client sends: which, one of eight sizes")                                         \
  X(read, "a client reads: which, everything or one byte or half")                             \
  X(half_close, "a client ends its output: which")                                             \
  X(send_again, "the same as send, which makes it likelier")                                   \
  X(close, "a client closes: which")                                                           \
  X(reset, "a client resets: which")                                                           \
  X(stall, "a client decides to read no more, or to read again: which")                        \
  X(pass_time, "time passes: one of four lengths")                                             \
  X(shrink, "a client's buffers become small: which, one of three sizes")                      \
  X(wait_for_timer, "the World does nothing until the server's next timer")                    \
  X(stop, "the operator ends the server")                                                      \
  X(other_signal, "the operator sends the other signal")                                       \
  X(connect_as, "a client of another kind connects: which kind, to which listener")            \
  X(send_urgent, "a client sends a byte of urgent data, if that is data to the server: which") \
  X(wait_long, "the World does nothing for ten minutes")                                       \
  X(upstream, "a peer that the server has connected to: which; ends, resets, closes or stalls")

enum class Action : std::uint8_t {
#define HARNESS_ACTION(name, meaning) name,
  HARNESS_ACTIONS(HARNESS_ACTION)
#undef HARNESS_ACTION
};

inline constexpr std::uint32_t action_count = 0
#define HARNESS_ACTION(name, meaning) +1
    HARNESS_ACTIONS(HARNESS_ACTION)
#undef HARNESS_ACTION
    ;

// The question which action comes next (ChoicePoint::action) has this many answers. Answers beyond
// the last action also mean let_go: otherwise let_go would be rare, and clients would act all at
// once. A new action takes the place of one of these answers, so inputs keep their meaning.
inline constexpr std::uint32_t action_answers = 20;
static_assert(action_count < action_answers);

const char* name_of(Action action);

}  // namespace harness
