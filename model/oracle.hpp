// What the models share: saying that something does not hold.
#pragma once

// Between these two, code is not instrumented for a fuzzing engine: it shall search for new paths
// through the core, not through the model that judges it. Twice as fast, too.
#if defined(__clang__)
#define FUZZ_UNWATCHED_BEGIN \
  _Pragma("clang attribute push(__attribute__((no_sanitize(\"coverage\"))), apply_to = function)")
#define FUZZ_UNWATCHED_END _Pragma("clang attribute pop")
#else
#define FUZZ_UNWATCHED_BEGIN
#define FUZZ_UNWATCHED_END
#endif

namespace model {

// Says what did not hold and does not return. Each driver defines it: the fuzzer aborts, the
// property throws, the explorer tells the path that led here.
[[noreturn]] void broken(const char* words);

FUZZ_UNWATCHED_BEGIN
inline void expect(bool holds, const char* words) {
  if (!holds) [[unlikely]] {
    broken(words);
  }
}
FUZZ_UNWATCHED_END

}  // namespace model
