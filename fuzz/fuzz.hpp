// What the fuzz targets share: reading the input, and reporting that an oracle does not hold.
//
// An input is read forwards, byte by byte. So a person can read a file, and a truncated file begins
// with the same run as the longer one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace fuzz {

[[noreturn, gnu::noinline, gnu::cold]] inline void oracle_failed(const char* words) {
  static_cast<void>(std::fprintf(stderr, "oracle failed: %s\n", words));
  std::abort();
}

inline void oracle(bool holds, const char* words) {
  if (!holds) [[unlikely]] {
    oracle_failed(words);
  }
}

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : next_(data), end_(data + size) {}

  bool empty() const { return next_ == end_; }
  // 0 once the input is at its end.
  std::uint8_t byte() { return empty() ? std::uint8_t{0} : *next_++; }

 private:
  const std::uint8_t* next_;
  const std::uint8_t* end_;
};

}  // namespace fuzz
