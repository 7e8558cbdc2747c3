// The way into the other libuv of the target `script`: the only name of that object that is not
// local.
#include <string>

#include "tests/conformance/floor2.hpp"
#include "tests/conformance/scripts_arm.hpp"

extern "C" void script_on_floor2(const conformance::Script& script, std::string& trace);

void script_on_floor2(const conformance::Script& script, std::string& trace) {
  trace = conformance::trace_of(script, conformance::play_on_floor2);
}
