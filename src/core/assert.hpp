// The project's one assertion. It is for programmer errors only and is on in every build. What a
// peer, the kernel or a lack of memory can cause is a return value or an event.
#pragma once

namespace echoproof {

// Prints the condition and its place on stderr, then aborts. Defined in src/assertion_failed.cpp,
// so that the core needs nothing of the operating system.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;

// A function, so that the branch exists once. constexpr, so that it also works at compile time.
constexpr void assert_that(bool holds, const char* condition, const char* file, int line) noexcept {
  if (!holds) assertion_failed(condition, file, line);
}

}  // namespace echoproof

#define ECHOPROOF_ASSERT(condition) \
  ::echoproof::assert_that((condition), #condition, __FILE__, __LINE__)
