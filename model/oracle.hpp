// The models' one way to report that something does not hold.
#pragma once

// Code between these two macros is not instrumented for a fuzzing engine. So the engine searches
// for new paths through the core and not through the model, and is twice as fast.
#if defined(__clang__)
#define FUZZ_UNWATCHED_BEGIN \
  _Pragma("clang attribute push(__attribute__((no_sanitize(\"coverage\"))), apply_to = function)")
#define FUZZ_UNWATCHED_END _Pragma("clang attribute pop")
#else
#define FUZZ_UNWATCHED_BEGIN
#define FUZZ_UNWATCHED_END
#endif

namespace model {

// Reports what did not hold, and does not return. Each driver defines it: the fuzzer aborts, the
// property throws, the explorer prints the path to this state.
[[noreturn]] void broken(const char* words);

FUZZ_UNWATCHED_BEGIN
inline void expect(bool holds, const char* words) {
  if (!holds) [[unlikely]] {
    broken(words);
  }
}
FUZZ_UNWATCHED_END

}  // namespace model
