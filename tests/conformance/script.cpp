// Scripts as text, scripts from chance, scripts played.
#include "script.hpp"

#include <array>
#include <sstream>

namespace conformance {

namespace {

template <class Enum, std::size_t size>
std::optional<Enum> named(const char* const (&names)[size], const std::string& name) {
  for (std::size_t i = 0; i < size; i++) {
    if (name == names[i]) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

}  // namespace

std::string text_of(const Line& line) {
  std::ostringstream text;
  if (line.cause) {
    text << "on " << moment_names[line.cause->when] << ' ' << actor_names[line.cause->whose] << ' '
         << line.cause->occurrence << ' ';
  } else {
    text << "do ";
  }
  text << operation_names[line.what] << ' ' << actor_names[line.whom] << ' ' << line.a << ' '
       << line.b;
  return text.str();
}

std::string text_of(const Script& script) {
  std::string text;
  for (const Line& line : script.lines) text += text_of(line) + '\n';
  return text + (script.is_large ? "play large\n" : "play small\n");
}

std::optional<Line> parse_line(const std::string& text) {
  std::istringstream words(text);
  std::string word;
  Line line{};
  words >> word;
  if (word == "on") {
    std::string when;
    std::string whose;
    unsigned occurrence = 0;
    words >> when >> whose >> occurrence;
    const auto moment_named = named<moment>(moment_names, when);
    const auto actor_named = named<actor>(actor_names, whose);
    if (!moment_named || !actor_named) return std::nullopt;
    line.cause = Line::Cause{*moment_named, *actor_named, occurrence};
  } else if (word != "do") {
    return std::nullopt;
  }
  std::string what;
  std::string whom;
  words >> what >> whom >> line.a >> line.b;
  const auto operation_named = named<operation>(operation_names, what);
  const auto actor_named = named<actor>(actor_names, whom);
  if (!words || !operation_named || !actor_named) return std::nullopt;
  line.what = *operation_named;
  line.whom = *actor_named;
  return line;
}

// ------------------------------------------------------------------------------------- generation

namespace {

template <class T, std::size_t size>
T one_of(const Pick& pick, const std::array<T, size>& values) {
  return values[pick(static_cast<unsigned>(size))];
}

/// The first connection gets most of the attention, so that things happen to one thing.
actor random_end(const Pick& pick) {
  return one_of(pick, std::array{C0, C0, C0, C0, P0, P0, P0, P0, C1, P1, C1, P1, C2, P2});
}

actor random_client(const Pick& pick) { return one_of(pick, std::array{C0, C0, C1, C2}); }

actor random_watcher(const Pick& pick) {
  return one_of(pick, std::array{T0, T0, T1, IDLE, PREP, CHECK, ASYNC});
}

unsigned random_size(const Pick& pick, bool is_large) {
  // Either it surely fits into the kernel's buffers, or it surely does not.
  if (is_large) return one_of(pick, std::array{1U, 1000U, 65536U, 65536U, 12U << 20, 16U << 20});
  return one_of(pick, std::array{0U, 1U, 2U, 5U, 64U, 100U, 500U, 1000U, 3000U});
}

/// A operation for one end of a connection. Endings are mostly left to reactions: done from main
/// they cut a script short.
operation random_operation_for_end(const Pick& pick, bool is_large, bool is_reaction) {
  constexpr std::array main_operations{
      V_WRITE, V_WRITE,     V_WRITE,     V_WRITE,     V_WRITE,      V_WRITE,      V_WRITE,
      V_WRITE, V_TRY_WRITE, V_TRY_WRITE, V_READ_STOP, V_READ_START, V_READ_START, V_SHUTDOWN,
      V_CLOSE, V_RESET,     V_BUFFER,    V_QUERY,     V_UNREF};
  constexpr std::array reaction_operations{
      V_WRITE,     V_WRITE,      V_WRITE,    V_WRITE,    V_WRITE, V_TRY_WRITE,
      V_READ_STOP, V_READ_START, V_SHUTDOWN, V_SHUTDOWN, V_CLOSE, V_CLOSE,
      V_CLOSE,     V_RESET,      V_BUFFER,   V_QUERY,    V_REF,   V_UNREF};
  constexpr std::array large_operations{V_WRITE,     V_WRITE,    V_WRITE,     V_READ_START,
                                        V_READ_STOP, V_SHUTDOWN, V_SHUTDOWN,  V_CLOSE,
                                        V_RESET,     V_BUFFER,   V_READ_START};
  if (is_large) return one_of(pick, large_operations);
  return is_reaction ? one_of(pick, reaction_operations) : one_of(pick, main_operations);
}

Line random_act_on_end(const Pick& pick, bool is_large, bool is_reaction) {
  Line line{};
  line.what = random_operation_for_end(pick, is_large, is_reaction);
  line.whom = random_end(pick);
  if (line.what == V_WRITE || line.what == V_TRY_WRITE) line.a = random_size(pick, is_large);
  if (line.what == V_WRITE) line.b = one_of(pick, std::array{1U, 1U, 1U, 2U, 3U, 6U});
  if (line.what == V_BUFFER && is_large) {
    line.a = one_of(pick, std::array{1000U, 65536U, 65536U, 1U << 20});
  } else if (line.what == V_BUFFER) {
    line.a = one_of(pick, std::array{0U, 1U, 3U, 64U, 100U, 1000U, 65536U});
  }
  return line;
}

Line random_act_on_watcher(const Pick& pick) {
  constexpr std::array operations{V_START, V_START, V_START, V_STOP,  V_AGAIN, V_SEND,
                                  V_SEND,  V_CLOSE, V_REF,   V_UNREF, V_QUERY};
  Line line{};
  line.what = one_of(pick, operations);
  line.whom = line.what == V_SEND ? ASYNC : random_watcher(pick);
  if (line.what == V_START) {
    line.a = one_of(pick, std::array<unsigned, 4>{0, 0, TIMEOUT_MS, ENDLESS_MS});
    line.b = one_of(pick, std::array<unsigned, 3>{0, 0, TIMEOUT_MS});
  }
  return line;
}

Line random_act_on_server(const Pick& pick) {
  constexpr std::array operations{V_CONNECT, V_CONNECT, V_CONNECT, V_REFUSED, V_ACCEPT, V_ACCEPT,
                                  V_MANUAL,  V_CLOSE,   V_LISTEN,  V_QUERY,   V_UNREF};
  Line line{};
  line.what = one_of(pick, operations);
  line.whom = line.what == V_CONNECT || line.what == V_REFUSED ? random_client(pick) : S;
  return line;
}

Line::Cause random_cause(const Pick& pick) {
  constexpr std::array moments{ON_READ, ON_READ,       ON_READ,     ON_WRITE, ON_WRITE,
                               ON_END,  ON_END,        ON_SHUTDOWN, ON_CLOSE, ON_RUN,
                               ON_RUN,  ON_CONNECTION, ON_CONNECT};
  const moment when = one_of(pick, moments);
  actor whose = random_end(pick);
  if (when == ON_CONNECT) whose = random_client(pick);
  if (when == ON_CONNECTION) whose = S;
  if (when == ON_RUN) whose = random_watcher(pick);
  if (when == ON_CLOSE && pick(4) == 0) whose = random_watcher(pick);
  return {when, whose, one_of(pick, std::array{0U, 0U, 0U, 0U, 0U, 1U, 1U, 2U})};
}

/// In a large script the kernel decides how the callbacks of several handles interleave, and those
/// of one handle's reads and writes. So a callback acts on its own handle only, and in a way that
/// has one result whenever it comes; everything else is done from main, when all has settled.
Line random_large_reaction(const Pick& pick) {
  const moment when = one_of(pick, std::array{ON_WRITE, ON_WRITE, ON_CONNECT, ON_END});
  Line line{};
  line.whom = when == ON_CONNECT ? random_client(pick) : random_end(pick);
  line.cause = Line::Cause{when, line.whom, pick(3)};
  line.what = V_READ_START;
  if (when != ON_END) line.what = one_of(pick, std::array{V_WRITE, V_WRITE, V_SHUTDOWN});
  if (line.what == V_WRITE) {
    line.a = random_size(pick, true);
    line.b = 1 + pick(6);
  }
  return line;
}

Line loop_line(const Pick& pick, bool is_large) {
  Line line{};
  line.what = one_of(pick, std::array{V_TURN, V_TURN, V_TURN, V_TURN, V_TURN, V_SETTLE});
  if (is_large) line.what = V_SETTLE;
  if (!is_large && pick(60) == 0) line.what = V_SLEEP;
  return line;
}

}  // namespace

Line random_line(const Pick& pick, bool is_large) {
  const unsigned kind = pick(100);
  if (is_large) {
    if (kind < 45) return loop_line(pick, is_large);
    return kind < 75 ? random_act_on_end(pick, is_large, false) : random_large_reaction(pick);
  }
  if (kind < 18) return loop_line(pick, is_large);
  const bool is_reaction = pick(5) < 3;
  Line line{};
  if (kind < 23) {
    line = random_act_on_server(pick);
  } else if (kind < 36) {
    line = random_act_on_watcher(pick);
  } else {
    line = random_act_on_end(pick, is_large, is_reaction);
  }
  if (kind == 99) line = Line{std::nullopt, V_STOP_LOOP, S, 0, 0};
  if (is_reaction) line.cause = random_cause(pick);
  return line;
}

std::vector<Line> random_opening(const Pick& pick, bool is_large) {
  std::vector<Line> lines;
  const unsigned clients = one_of(pick, std::array{1U, 1U, 1U, 2U, 3U, 0U});
  for (unsigned i = 0; i < clients; i++) {
    lines.push_back({std::nullopt, V_CONNECT, static_cast<actor>(C0 + i), 0, 0});
    if (is_large || pick(2) == 0) lines.push_back({std::nullopt, V_SETTLE, S, 0, 0});
    if (pick(4) != 0)
      lines.push_back({std::nullopt, V_READ_START, static_cast<actor>(C0 + i), 0, 0});
  }
  return lines;
}

Script random_script(const Pick& pick) {
  Script script;
  script.is_large = pick(12) == 0;
  script.lines = random_opening(pick, script.is_large);
  const unsigned count = 4 + pick(script.is_large ? 14 : 60);
  for (unsigned i = 0; i < count; i++) {
    script.lines.push_back(random_line(pick, script.is_large));
  }
  if (script.is_large || pick(2) == 0) script.lines.push_back({std::nullopt, V_SETTLE, S, 0, 0});
  return script;
}

}  // namespace conformance
