// A random script: what the interpreter is to do, as data that can be generated, sent to another
// process, shrunk and printed as a C program. Nothing here knows libuv; only interpreter.h's words
// are used.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "interpreter.h"

namespace conformance {

/// The interpreter itself has no use for these names, and a C program would complain.
inline constexpr const char* operation_names[OPERATIONS] = {
    "connect",  "refused", "accept", "manual", "read_start", "read_stop", "write",  "try_write",
    "shutdown", "close",   "reset",  "buffer", "listen",     "start",     "stop",   "again",
    "send",     "ref",     "unref",  "query",  "stop_loop",  "turn",      "settle", "sleep"};
inline constexpr const char* moment_names[MOMENTS] = {"connection", "connect",  "read",  "end",
                                                      "write",      "shutdown", "close", "run"};

struct Line {
  /// Without one the line is done in its turn, from main; with one, inside that callback.
  struct Cause {
    moment when;
    actor whose;
    unsigned occurrence;
  };
  std::optional<Cause> cause;
  operation what;
  actor whom;
  unsigned a = 0;
  unsigned b = 0;
};

struct Script {
  /// A large script moves more than the kernel's buffers hold; see normalised() for the price.
  bool is_large = false;
  std::vector<Line> lines;
};

std::string text_of(const Line& line);
/// One line for each line, then "play small" or "play large".
std::string text_of(const Script& script);
/// The line that TEXT says, or nothing.
std::optional<Line> parse_line(const std::string& text);

/// Gives a number from 0 to n - 1.
using Pick = std::function<unsigned(unsigned n)>;

Line random_line(const Pick& pick, bool is_large);
/// What every script starts with, so that most of them have a connection to play with.
std::vector<Line> random_opening(const Pick& pick, bool is_large);
Script random_script(const Pick& pick);

/// A script performed by the interpreter: called once in each arm's process.
void perform(const Script& script);
/// What the interpreter asks when a callback has run; the lines come from the script being
/// performed.
void perform_reactions(const Script& script, moment when, actor whose, unsigned occurrence);

}  // namespace conformance
