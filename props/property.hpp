// What the properties share: running a case so that its failure can be shrunk.
//
// The core answers a programmer error with abort(), and AddressSanitizer ends the process too; both
// would end the search before the counterexample is small. So a case is played in a child process:
// however it dies, the parent lives, knows what was said last, and can try a smaller one.
#pragma once

#include <rapidcheck.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <sstream>
#include <string>

namespace props {

// How often each path was taken, over all cases that passed.
using Reached = std::map<std::string, int>;

inline std::string read_all(int descriptor) {
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = read(descriptor, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(got));
  }
  return text;
}

// Fails the case, with what the child said, unless `play` returns and the Sut can be destroyed. If
// it does not return the Sut is left as it is: its destructor would only complain of what was left.
template <class Sut, class Play, class... Args>
void in_child(const Play& play, const Args&... args) {
  int ends[2];
  if (pipe(ends) != 0) std::abort();
  const pid_t child = fork();
  if (child < 0) std::abort();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    int status = 1;
    try {
      Sut* const sut = new Sut(args...);
      play(*sut);
      delete sut;
      status = 0;
    } catch (const rc::detail::CaseResult& result) {
      static_cast<void>(std::fprintf(stderr, "%s\n", result.description.c_str()));
    } catch (const std::exception& error) {
      static_cast<void>(std::fprintf(stderr, "exception: %s\n", error.what()));
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

// Prints the table; whether nothing that has to be reached is missing in it.
inline bool print_reached(const Reached& reached) {
  bool all = true;
  for (const auto& [path, count] : reached) {
    static_cast<void>(std::printf("%8d  %s\n", count, path.c_str()));
    all = all && count > 0;
  }
  return all;
}

}  // namespace props
