// What a failed assertion does: one line on stderr, then abort(). It is not in the core, because it
// needs the operating system. It is not in the adapter, because tests of the core need it, too.
#include <cstdio>
#include <cstdlib>

#include "core/assert.hpp"

void echoproof::assertion_failed(const char* condition, const char* file, int line) noexcept {
  static_cast<void>(
      std::fprintf(stderr, "echoproof: assertion failed: %s (%s:%d)\n", condition, file, line));
  std::abort();
}
