// The same comparison as a rapidcheck property: its generator and its shrinker in place of ours.
//
// usage: conformance_scripts_property REAL ARM... -- OTHER ARM...
#include <rapidcheck.h>

#include <cstdio>
#include <cstring>
#include <ostream>

#include "scripts_compare.hpp"

namespace conformance {

static void showValue(const Line& line, std::ostream& out) { out << text_of(line) << '\n'; }

}  // namespace conformance

namespace rc {

void show(const conformance::Line& line, std::ostream& out) { conformance::showValue(line, out); }

template <>
struct Arbitrary<conformance::Line> {
  static Gen<conformance::Line> arbitrary() {
    return gen::exec([] {
      return conformance::random_line([](unsigned n) { return *gen::inRange<unsigned>(0, n); },
                                      false);
    });
  }
};

}  // namespace rc

int main(int argc, char** argv) {
  using namespace conformance;
  std::vector<std::string> commands[2];
  int side = 0;
  for (int i = 1; i < argc; i++) {
    if (std::strcmp(argv[i], "--") == 0) {
      side = 1;
    } else {
      commands[side].push_back(argv[i]);
    }
  }
  if (commands[0].empty() || commands[1].empty()) {
    std::fputs("usage: conformance_scripts_property REAL ARM... -- OTHER ARM...\n", stderr);
    return 2;
  }
  Arm real(commands[0]);
  Arm other(commands[1]);
  Comparison comparison(real, other);
  const bool holds = rc::check("both arms give the same trace", [&](std::vector<Line> lines) {
    Script script;
    script.lines = {{std::nullopt, V_CONNECT, C0, 0, 0}};
    script.lines.insert(script.lines.end(), lines.begin(), lines.end());
    script.lines.push_back({std::nullopt, V_SETTLE, S, 0, 0});
    const auto found = comparison.divergence(script);
    RC_TAG(found ? "different" : "same");
    if (found) RC_FAIL(difference(*found) + "\nthe program:\n" + c_program(found->script));
  });
  return holds ? 0 : 1;
}
