// A program that was written to be run once, in a process of its own, run many times in one.
//
// Each run begins as a process does: with the arguments and the environment that were given, with
// its static and global data as they were loaded, and with its constructors called. exit(),
// _exit(), abort() and a failed assert() in it end the run, not the process; what it handed to
// atexit(), and its static objects, come to their end as they would.
//
// The build sees to that the program's data lies together and that these calls come here: see
// ../cmake/rename_main.cmake. Not put back: thread_local data, what lies in shared libraries, and
// the C library's own state but getopt's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace harness {

class Program {
 public:
  // How a run ended, but for what the simulation broke off.
  enum class End : std::uint8_t { returned, exited, died };

  Program();
  Program(const Program&) = delete;  // the calls above find it by its address
  Program& operator=(const Program&) = delete;
  ~Program();

  // To be called before each run and after it, outside of the simulation.
  void prepare();
  void finish();
  // main(), from its beginning; returns the exit status.
  int run();

  // The running program dies, and says so.
  static void died(const std::string& words);

  End end() const { return end_; }
  // Of one that died: "assertion failed: count > 0, in leave (chat.c:42)".
  const std::string& last_words() const { return last_words_; }

 private:
  using Texts = std::vector<std::string>;
  static std::vector<char*> pointers(Texts& texts);

  Texts given_, variables_;
  Texts arguments_, environment_;
  std::vector<char*> argv_, envp_;
  char** outer_environment_ = nullptr;
  std::vector<std::uint64_t> image_;  // the program's data, as loaded
  std::string last_words_;
  End end_ = End::returned;
};

}  // namespace harness
