// The result of a trial: which oracle was broken, and the message.
#pragma once

#include <cstdint>
#include <string>

namespace harness {

#define HARNESS_ORACLES(X)                                                               \
  X(prefix, "what a client received is a prefix of what it sent, and nothing else")      \
  X(whole, "a client that takes what it is owed gets every byte; a cut client can tell") \
  X(ledger, "every allocation is freed exactly once, and not while it is lent")          \
  X(contract, "no rule of libuv's contract is broken")                                   \
  X(bound, "live bytes stay within the limit")                                           \
  X(alive, "once faults stop, everything ends in bounded time, without spinning")        \
  X(apart, "what happens to one connection changes nothing for the others")              \
  X(clean, "after a stop nothing is left open, and the exit status is 0")

enum class Oracle : std::uint8_t {
  none,
#define HARNESS_ORACLE(name, meaning) name,
  HARNESS_ORACLES(HARNESS_ORACLE)
#undef HARNESS_ORACLE
};
const char* name_of(Oracle oracle);
const char* meaning_of(Oracle oracle);

struct Verdict {
  Oracle broken = Oracle::none;  // the first one
  std::string rule;              // "R27"; empty if no rule of libuv was broken
  std::string message;
  std::string evidence;  // lines that show more of it; may be empty
  std::uint64_t step = 0;
  std::uint64_t trace_hash = 0;
  std::uint64_t steps = 0;
  bool left_over = false;  // the run was made twice, with the same choices, and differed

  bool ok() const { return broken == Oracle::none; }
};

}  // namespace harness
