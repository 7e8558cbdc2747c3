// The World around main() of a program of this directory. -DSUBJECT='s.field = value;' says more of
// it than its name.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "harness/plan.hpp"
#include "harness/trial.hpp"

extern "C" int server_main(int argc, char** argv);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static harness::Trial trial;
  static char name[] = "server";
  static char option[] = "-p7000";
  static char* arguments[] = {name, option, nullptr};
  harness::Subject s;
  s.name = "program";
  s.start = [] { return server_main(2, arguments); };
#ifdef SUBJECT
  SUBJECT
#endif
  harness::Plan plan(data, size, trial.options().asked);
  if (trial.run(s, {}, plan).ok()) return 0;
  std::fprintf(stderr, "%s%s", trial.trace_text().c_str(), trial.summary().c_str());
  std::abort();
}
