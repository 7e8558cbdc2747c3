// How the program writes a line that a script may rely on: whole, or not at all.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <iterator>

namespace echoproof {

// One line. Allocates nothing as long as it is short; that nobody reads it is no error.
template <class... Values>
void print(std::FILE* stream, fmt::format_string<const Values&...> form, const Values&... values) {
  fmt::memory_buffer line;
  fmt::format_to(std::back_inserter(line), form, values...);
  line.push_back('\n');
  if (std::fwrite(line.data(), 1, line.size(), stream) != line.size() || std::fflush(stream) != 0) {
    std::clearerr(stream);
  }
}

}  // namespace echoproof
