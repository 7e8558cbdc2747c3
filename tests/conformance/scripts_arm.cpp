// What the arms have in common: the protocol, and the interpreter's host.
//
// In: the lines of a script, then "play small" or "play large". Out: the lines of its trace, then
// ".". Traces are written when the play is over, so that writing them is no part of it.
#include "scripts_arm.hpp"

#include <cstdio>

namespace conformance {

namespace {

const Script* playing = nullptr;
std::string trace;
// A play that never goes quiet ends with a trace that both arms cut at the same place.
constexpr std::size_t trace_limit = 1 << 20;

}  // namespace

std::string trace_of(const Script& script, const Play& play) {
  playing = &script;
  trace.clear();
  trace += play(script);
  playing = nullptr;
  return trace;
}

int serve_scripts(const Play& play) {
  char buffer[256];
  Script script;
  while (std::fgets(buffer, sizeof buffer, stdin) != nullptr) {
    std::string text = buffer;
    if (!text.empty() && text.back() == '\n') text.pop_back();
    if (text == "play small" || text == "play large") {
      script.is_large = text == "play large";
      const std::string answer = trace_of(script, play) + ".\n";
      std::fwrite(answer.data(), 1, answer.size(), stdout);
      std::fflush(stdout);
      script = {};
    } else if (const auto line = parse_line(text)) {
      script.lines.push_back(*line);
    } else {
      std::fprintf(stderr, "not a line of a script: %s\n", text.c_str());
      return 1;
    }
  }
  return 0;
}

}  // namespace conformance

void interpreter_line(const char* line) {
  using conformance::trace;
  if (trace.size() > conformance::trace_limit) return;
  trace += line;
  trace += '\n';
}

void interpreter_reaction(moment when, actor whose, unsigned occurrence) {
  conformance::perform_reactions(*conformance::playing, when, whose, occurrence);
}
