// Random scripts on real libuv, on the simulated kernel.
#include <csignal>

#include "floor2.hpp"
#include "scripts_arm.hpp"

int main() {
  std::signal(SIGPIPE, SIG_IGN);
  return conformance::serve_scripts(conformance::play_on_floor2);
}
