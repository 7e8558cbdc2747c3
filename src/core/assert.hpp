// The project's one assertion, for programmer errors only, on in every build. What the world can do
// wrong (a peer, the kernel, memory) is a return value or an event, never an assertion.
#pragma once

namespace echoproof {

// Says on stderr what did not hold and where, then aborts. The core only names it: it is defined in
// src/assertion_failed.cpp, so that the core itself stays free of the operating system.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;

// A function, so that the branch exists once; constexpr, so that it fails the compiler too.
constexpr void assert_that(bool holds, const char* condition, const char* file, int line) noexcept {
  if (!holds) assertion_failed(condition, file, line);
}

}  // namespace echoproof

#define ECHOPROOF_ASSERT(condition) \
  ::echoproof::assert_that((condition), #condition, __FILE__, __LINE__)
