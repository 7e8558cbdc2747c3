// Random scripts on real libuv, over the kernel's loopback.
#include <csignal>

#include "scripts_arm.hpp"

int main() {
  std::signal(SIGPIPE, SIG_IGN);
  return conformance::serve_scripts([](const conformance::Script& script) {
    conformance::perform(script);
    return std::string();
  });
}
