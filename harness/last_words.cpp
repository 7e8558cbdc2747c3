#include "harness/last_words.hpp"

#include <stdio_ext.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cwchar>
#include <iostream>

namespace harness {
namespace {

std::array<char, 1024> line;

}  // namespace

void LastWords::listen() {
  // In pieces, a line would be gone before its end.
  std::cerr.unsetf(std::ios::unitbuf);
  // perror opens a stream of its own before something else was written.
  std::fwide(stderr, -1);
  std::fflush(stderr);
  std::setvbuf(stderr, line.data(), _IOLBF, line.size());
  line[0] = '\0';
}

std::string LastWords::heard() {
  const char* const begin = line.data();
  const std::size_t pending = __fpending(stderr);
  const char* const end =
      pending > 0 ? begin + pending : std::find(begin, begin + line.size(), '\n');
  std::string words(begin, begin[0] == '\0' ? begin : end);
  std::fflush(stderr);
  constexpr std::size_t most = 200;
  if (words.size() > most) words.resize(most);
  for (char& character : words) {
    if (static_cast<unsigned char>(character) < ' ') character = ' ';
  }
  return words;
}

}  // namespace harness
