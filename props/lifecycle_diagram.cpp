// Writes the life of a connection as a Graphviz graph, from the table that the server runs on.
// docs/lifecycle.dot and docs/lifecycle.svg are its output; a test compares them with today's.
#include <cstdio>
#include <string>

#include "core/transitions.hpp"

namespace {

using namespace echoproof;

const char* name_of(State state) {
  constexpr const char* names[] = {"reading", "filling",    "writing", "flushing",
                                   "waiting", "cancelling", "closing", "closed"};
  static_assert(std::size(names) == state_count);
  return names[static_cast<std::size_t>(state)];
}

const char* name_of(Event event) {
  constexpr const char* names[] = {"block lent", "no buffer",     "data",         "empty read",
                                   "EOF",        "read error",    "read refused", "wrote all",
                                   "wrote part", "write refused", "write done",   "write failed",
                                   "deadline",   "stop",          "close done"};
  static_assert(std::size(names) == event_count);
  return names[static_cast<std::size_t>(event)];
}

// Every event that leads from one state to the other, and the action that follows them.
std::string label_of(State from, State to, Action* action) {
  std::string label;
  for (const Transition& t : transitions) {
    if (t.from != from || t.to != to) continue;
    if (!label.empty()) label += "\\n";
    label += name_of(t.event);
    *action = t.action;
  }
  return label;
}

}  // namespace

int main() {
  constexpr const char* actions[] = {"",         "uv_read_start", "uv_read_stop", "uv_try_write",
                                     "uv_write", "uv_close",      "free"};
  std::puts("digraph lifecycle {");
  std::puts("  rankdir=LR; nodesep=0.5; ranksep=1.1; bgcolor=white;");
  std::puts("  node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=Helvetica];");
  std::puts("  edge [fontname=Helvetica, fontsize=10];");
  for (std::size_t i = 0; i < state_count; ++i) {
    const State state = static_cast<State>(i);
    std::printf("  %s%s;\n", name_of(state), holds_block(state) ? " [fillcolor=\"#cfe3ff\"]" : "");
  }
  for (std::size_t i = 0; i < state_count; ++i) {
    for (std::size_t k = 0; k < state_count; ++k) {
      const State from = static_cast<State>(i);
      const State to = static_cast<State>(k);
      Action action = Action::none;
      const std::string label = label_of(from, to, &action);
      if (label.empty()) continue;
      const char* const call = actions[static_cast<std::size_t>(action)];
      std::printf("  %s -> %s [label=\"%s%s%s\"%s];\n", name_of(from), name_of(to), label.c_str(),
                  *call != '\0' ? "\\n/ " : "", call,
                  action == Action::close ? ", color=\"#b03030\", fontcolor=\"#b03030\"" : "");
    }
  }
  std::puts("}");
  return std::fflush(stdout) == 0 ? 0 : 1;
}
