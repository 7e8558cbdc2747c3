// Scripts played: linked into the arms only, because it needs the interpreter and the interpreter
// needs libuv.
#include "script.hpp"

namespace conformance {

void perform(const Script& script) {
  interpreter_begin(script.is_large ? 1 : 0);
  for (const Line& line : script.lines) {
    if (!line.cause) interpreter_do(line.what, line.whom, line.a, line.b);
  }
  interpreter_end();
}

void perform_reactions(const Script& script, moment when, actor whose, unsigned occurrence) {
  for (const Line& line : script.lines) {
    if (line.cause && line.cause->when == when && line.cause->whose == whose &&
        line.cause->occurrence == occurrence) {
      interpreter_do(line.what, line.whom, line.a, line.b);
    }
  }
}

}  // namespace conformance
