// The kinds of clients: what each does by itself in the World's fault-free steps.
//
// The input (Action::connect_as) or the Setting decides the kind of a client that connects. A
// client of any kind also does what the run's actions say.
//
// README.md lists the files to change for a new kind.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace harness {

// How much a client reads at a time.
enum class Portion : std::uint8_t { everything, half, one_byte, nothing };

struct Habits {
  Portion portion;
  // How long bytes wait before the client reads them, in sixteenths of the shorter of the Subject's
  // two time limits; below 16. 0: at once. After `patience` readings the client reads like an
  // ordinary one.
  std::uint32_t reads_after;
  std::uint32_t patience;
  std::size_t window;        // bytes of its receive buffer; 0: as the machine says
  std::size_t greeting;      // bytes that it says first; 0: as few as the input says
  std::uint32_t companions;  // how many others of its kind connect at the same moment
  bool ends_output;          // half-closes as soon as it has said its greeting
  bool comes_back;           // when its connection was ended, it connects again, at once
  bool stays;                // closes long after it has seen the end
  bool lingers;              // half-closes long after it has got everything

  static constexpr std::size_t nothing = ~std::size_t{0};  // greeting: it says nothing
};

// X(name, what it does, Habits)
#define HARNESS_KINDS(X)                                                                           \
  X(ordinary, "reads at once, ends its output when it has got everything, closes at the end",      \
    Portion::everything, 0, 0, 0, 0, 0, false, false, false, false)                                \
  X(steady, "reads slowly: half of its small window at each eighth of the limit", Portion::half,   \
    2, 32, 32, 200, 0, false, false, false, false)                                                 \
  X(trickle, "reads one byte at each half of the limit", Portion::one_byte, 8, 12, 4, 40, 0,       \
    false, false, false, false)                                                                    \
  X(burst, "reads nothing for three quarters of the limit, then all there is",                     \
    Portion::everything, 12, 8, 32, 200, 0, false, false, false, false)                            \
  X(never_reads, "reads nothing before it is cut", Portion::nothing, 0, 1, 32, 200, 0, false,      \
    false, false, false)                                                                           \
  X(comes_back, "reads nothing, and connects again when it is cut", Portion::nothing, 0, 1, 64,    \
    400, 0, false, true, false, false)                                                             \
  X(half_closes, "ends its output when it has spoken, and reads as steady does", Portion::half, 2, \
    32, 32, 200, 0, true, false, false, false)                                                     \
  X(stays, "does not close for twice the limit after it has seen the end", Portion::everything, 0, \
    1, 0, 0, 0, false, false, true, false)                                                         \
  X(lingers, "stays for twice the limit when it has got everything", Portion::everything, 0, 1, 0, \
    0, 0, false, false, false, true)                                                               \
  X(returns, "reads at once, and connects again as soon as its connection has ended",              \
    Portion::everything, 0, 1, 0, 0, 0, true, true, false, false)                                  \
  X(says_nothing, "connects, and says nothing for twice the limit", Portion::everything, 0, 1, 0,  \
    Habits::nothing, 0, false, false, false, true)                                                 \
  X(pair, "two connections of one host, made together", Portion::everything, 0, 1, 0, 0, 1, false, \
    false, false, false)                                                                           \
  X(crowd, "four connect at the same moment", Portion::everything, 0, 1, 0, 0, 3, true, false,     \
    false, false)

enum class Kind : std::uint8_t {
#define HARNESS_KIND(name, meaning, ...) name,
  HARNESS_KINDS(HARNESS_KIND)
#undef HARNESS_KIND
};

inline constexpr std::array kinds{
#define HARNESS_KIND(name, meaning, ...) Habits{__VA_ARGS__},
    HARNESS_KINDS(HARNESS_KIND)
#undef HARNESS_KIND
};

constexpr const Habits& habits_of(Kind kind) { return kinds[static_cast<std::size_t>(kind)]; }

}  // namespace harness
