// What the properties share: running cases so that a failure can be shrunk.
//
// A failed assertion of the core aborts, and AddressSanitizer ends the process. Both would end the
// search before the counterexample is small. So all cases run in one child process, which is fast.
// Only if that process dies, the same cases run again with a process for each. The parent then
// survives each death, knows the last message, and tries a smaller case.
#pragma once

#include <rapidcheck.h>
#include <rapidcheck/detail/Configuration.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>

namespace props {

// How often each path was taken, in all cases that passed.
using Reached = std::map<std::string, int>;

inline std::string read_all(int descriptor) {
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = read(descriptor, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(got));
  }
  return text;
}

// Whether each case has a process of its own.
inline bool apart = false;

// A Sut that fails is leaked: its destructor would only report what is left in it.
template <class Sut, class Play, class... Args>
void play_here(const Play& play, const Args&... args) {
  auto sut = std::make_unique<Sut>(args...);
  try {
    play(*sut);
    sut.reset();
  } catch (...) {
    static_cast<void>(sut.release());
    throw;
  }
}

// Fails the case unless `play` returns and the Sut can be destroyed.
template <class Sut, class Play, class... Args>
void play(const Play& play, const Args&... args) {
  if (!apart) return play_here<Sut>(play, args...);
  int ends[2];
  if (pipe(ends) != 0) std::abort();
  const pid_t child = fork();
  if (child < 0) std::abort();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    int status = 1;
    try {
      play_here<Sut>(play, args...);
      status = 0;
    } catch (const rc::detail::CaseResult& result) {
      static_cast<void>(std::fprintf(stderr, "%s\n", result.description.c_str()));
    }
    _exit(status);
  }
  close(ends[1]);
  const std::string said = read_all(ends[0]);
  close(ends[0]);
  int status = 0;
  if (waitpid(child, &status, 0) != child) std::abort();
  if (status != 0) RC_FAIL(said);
}

// Runs `check`, which returns whether the property holds. Returns the exit code.
template <class Check>
int run(const Check& check) {
  constexpr int falsified = 2;                     // not 1: a sanitizer ends with that
  static_cast<void>(rc::detail::configuration());  // chooses the seed, for both attempts
  const pid_t child = fork();
  if (child < 0) std::abort();
  if (child == 0) return check() ? 0 : falsified;
  int status = 0;
  if (waitpid(child, &status, 0) != child) std::abort();
  if (status == 0) return 0;
  // The child has printed everything, unless it died in a case.
  if (WIFEXITED(status) && WEXITSTATUS(status) == falsified) return 1;
  static_cast<void>(std::fprintf(stderr, "\nOnce more, each case in a process of its own.\n"));
  apart = true;
  static_cast<void>(check());
  return 1;
}

// Prints the table. Returns whether everything that has to be reached is in it.
inline bool print_reached(const Reached& reached) {
  bool all = true;
  for (const auto& [path, count] : reached) {
    static_cast<void>(std::printf("%8d  %s\n", count, path.c_str()));
    all = all && count > 0;
  }
  return all;
}

}  // namespace props
