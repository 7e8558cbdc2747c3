// Oracle: uvsim and libuv's own code on the simulated kernel give the same trace of a script.
//
// The bytes of an input are the answers to the questions of the generator of random scripts, one
// byte each and then 0; the scripts are those of tests/conformance. Only small ones are made: of
// their traces nothing is ignored. The libuv here is the whole of it, with all its names made
// local: see script_floor2.cmake.
#include <csignal>
#include <string>

#include "fuzz.hpp"
#include "tests/conformance/scripts_arm.hpp"
#include "tests/conformance/sim_play.hpp"

extern "C" void script_on_floor2(const conformance::Script& script, std::string& trace);

namespace {

conformance::Script script_of(fuzz::Input input) {
  bool is_first = true;  // the first question is whether the script is to be a large one
  return conformance::random_script([&](unsigned n) {
    if (is_first) {
      is_first = false;
      return 1U;
    }
    return input.byte() % n;
  });
}

void require_agreement(const conformance::Script& script, const std::string& simulated,
                       const std::string& real) {
  if (simulated == real) return;
  static_cast<void>(std::fprintf(stderr, "%s\nuvsim:\n%s\nlibuv:\n%s\n",
                                 conformance::text_of(script).c_str(), simulated.c_str(),
                                 real.c_str()));
  fuzz::oracle_failed("uvsim and libuv on the simulated kernel give the same trace");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto before = std::signal(SIGPIPE, SIG_IGN);
  static_cast<void>(before);
  const conformance::Script script = script_of({data, size});
  const std::string simulated =
      conformance::trace_of(script, [](const conformance::Script& played) {
        return conformance::play_on_sim(played, uvsim::Version::v1_44);
      });
  std::string real;
  script_on_floor2(script, real);
  require_agreement(script, simulated, real);
  return 0;
}
