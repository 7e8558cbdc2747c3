// The end of the program from within: exit, _exit, abort, a failed assertion. In a run they end the
// run: exit as if the program had returned, abort and assert as findings. Elsewhere they end the
// process.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "context.hpp"

namespace uvsim {
namespace {

// The run that the program is to leave; null: it is not the program that ends.
Context* run_to_leave() {
  Simulation* const simulation = Simulation::current();
  if (ledger::detail::inside <= 0 || simulation == nullptr) return nullptr;
  return simulation->context().can_leave ? &simulation->context() : nullptr;
}

void die(const char* words) {
  Context* const context = run_to_leave();
  if (context == nullptr) return;
  context->report.aborted = true;
  context->violate(words);
}

}  // namespace
}  // namespace uvsim

// The names are the linker's.
// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
extern "C" {

[[noreturn]] void __real_exit(int status);
[[noreturn]] void __wrap_exit(int status);
void __wrap_exit(int status) {
  if (uvsim::Context* const context = uvsim::run_to_leave()) context->exit(status & 0xff);
  __real_exit(status);
}

[[noreturn]] void __real__exit(int status);
[[noreturn]] void __wrap__exit(int status);
void __wrap__exit(int status) {
  if (uvsim::Context* const context = uvsim::run_to_leave()) context->exit(status & 0xff);
  __real__exit(status);
}

[[noreturn]] void __real_abort();
[[noreturn]] void __wrap_abort();
void __wrap_abort() {
  uvsim::die("the program called abort()");
  __real_abort();
}

[[noreturn]] void __real___assert_fail(const char* assertion, const char* file, unsigned line,
                                       const char* function);
[[noreturn]] void __wrap___assert_fail(const char* assertion, const char* file, unsigned line,
                                       const char* function);
void __wrap___assert_fail(const char* assertion, const char* file, unsigned line,
                          const char* function) {
  const char* const slash = std::strrchr(file, '/');
  char words[300];
  std::snprintf(words, sizeof words, "an assertion failed: %s (%s:%u)", assertion,
                slash == nullptr ? file : slash + 1, line);
  uvsim::die(words);
  __real___assert_fail(assertion, file, line, function);
}

}  // extern "C"
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
