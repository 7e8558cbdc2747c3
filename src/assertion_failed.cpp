// Where a failed assertion ends: one line on stderr, then abort(). Apart from the core because it
// needs the operating system, and apart from the adapter because tests of the core need it too.
#include <cstdio>
#include <cstdlib>

#include "core/assert.hpp"

void echoproof::assertion_failed(const char* condition, const char* file, int line) noexcept {
  static_cast<void>(
      std::fprintf(stderr, "echoproof: assertion failed: %s (%s:%d)\n", condition, file, line));
  std::abort();
}
