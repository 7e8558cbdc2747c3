// What the program under test wrote to stderr last, before it ended itself: by fprintf, perror,
// std::cerr and all else that goes through the C library's stream. (Not by write(2) itself.)
//
// The stream is given a buffer of one line, which is written out at each line's end, wherever
// descriptor 2 leads; what is in it stays there until the next line.
#pragma once

#include <string>

namespace harness {

class LastWords {
 public:
  // At the beginning of a run.
  static void listen();
  // At its end: the last line, or the piece of one that was written; empty if nothing was.
  static std::string heard();
};

}  // namespace harness
