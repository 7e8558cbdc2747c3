// Random scripts on uvsim. The argument is the version to play: 1.44 or 1.52.
#include <cstdio>
#include <cstring>

#include "scripts_arm.hpp"
#include "sim_play.hpp"

int main(int argc, char** argv) {
  if (argc != 2 || (std::strcmp(argv[1], "1.44") != 0 && std::strcmp(argv[1], "1.52") != 0)) {
    std::fputs("usage: conformance_scripts_sim 1.44|1.52\n", stderr);
    return 2;
  }
  const uvsim::Version version =
      std::strcmp(argv[1], "1.44") == 0 ? uvsim::Version::v1_44 : uvsim::Version::v1_52;
  return conformance::serve_scripts([version](const conformance::Script& script) {
    return conformance::play_on_sim(script, version);
  });
}
