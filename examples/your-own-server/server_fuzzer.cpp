#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "harness/plan.hpp"
#include "harness/trial.hpp"

extern "C" int server_main();

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static harness::Trial trial;
  harness::Subject subject{.name = "shout", .start = server_main, .stop_signal = SIGINT};
  subject.echoes = false;  // what it sends back is not what it received
  harness::Plan plan(data, size, trial.options().asked);
  if (trial.run(subject, {}, plan).ok()) return 0;
  std::fprintf(stderr, "%s%s", trial.trace_text().c_str(), trial.summary().c_str());
  std::abort();
}
