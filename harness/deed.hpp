// What the World can do of its own accord. A run is told by its deeds and by its faults.
#pragma once

#include <cstdint>

namespace harness {

// X(name, what is done, and what is asked about it: each question only where there is a choice)
#define HARNESS_DEEDS(X)                                                   \
  X(let_go, "nothing: let the server work")                                \
  X(connect, "a client connects: to which listener")                       \
  X(send, "a client sends: which, one of eight sizes")                     \
  X(read, "a client reads: which, everything or one byte or half")         \
  X(half_close, "a client ends its output: which")                         \
  X(send_again, "as send: it is likelier that way")                        \
  X(close, "a client closes: which")                                       \
  X(reset, "a client resets: which")                                       \
  X(stall, "a client decides to read no more, or to read again: which")    \
  X(pass_time, "time passes: one of four lengths")                         \
  X(shrink, "a client's buffers become small: which, one of three sizes")  \
  X(wait_for_timer, "nobody does anything before the server's next timer") \
  X(stop, "the operator ends the server")                                  \
  X(other_signal, "the operator sends the other signal")

enum class Deed : std::uint8_t {
#define HARNESS_DEED(name, meaning) name,
  HARNESS_DEEDS(HARNESS_DEED)
#undef HARNESS_DEED
};

inline constexpr std::uint32_t deed_count = 0
#define HARNESS_DEED(name, meaning) +1
    HARNESS_DEEDS(HARNESS_DEED)
#undef HARNESS_DEED
    ;

// Which deed comes next is one question with so many answers; no other question of the World has as
// many. Those beyond the deeds let go, too: or it would be rare, and clients would act all at once.
inline constexpr std::uint32_t deed_answers = deed_count + 6;

const char* name_of(Deed deed);

}  // namespace harness
