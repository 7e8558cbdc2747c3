// Writes the life of a connection as a Graphviz graph, from the table that the server runs on.
// docs/lifecycle.dot and docs/lifecycle.svg are its output; a test compares them with today's.
#include <cstdio>
#include <iterator>
#include <string>

#include "core/transitions.hpp"
#include "model/names.hpp"

namespace {

using namespace echoproof;

using model::name_of;

// Every event that leads from one state to the other with this action.
std::string label_of(State from, State to, Action action) {
  std::string label;
  for (const Transition& t : transitions) {
    if (t.from != from || t.to != to || t.action != action) continue;
    if (!label.empty()) label += "\\n";
    label += name_of(t.event);
  }
  return label;
}

}  // namespace

int main() {
  constexpr const char* actions[] = {"",         "uv_read_start", "uv_try_write",       "uv_write",
                                     "shutdown", "uv_close",      "uv_tcp_close_reset", "free"};
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
      for (std::size_t a = 0; a < std::size(actions); ++a) {
        const State from = static_cast<State>(i);
        const State to = static_cast<State>(k);
        const Action action = static_cast<Action>(a);
        const std::string label = label_of(from, to, action);
        if (label.empty()) continue;
        const bool ends = action == Action::close || action == Action::reset;
        std::printf("  %s -> %s [label=\"%s%s%s\"%s];\n", name_of(from), name_of(to), label.c_str(),
                    *actions[a] != '\0' ? "\\n/ " : "", actions[a],
                    ends ? ", color=\"#b03030\", fontcolor=\"#b03030\"" : "");
      }
    }
  }
  std::puts("}");
  return std::fflush(stdout) == 0 ? 0 : 1;
}
