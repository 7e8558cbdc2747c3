// Every function that <uv.h> declares is defined by uvsim, and what is not simulated says so.
//
// The list is made from the header. That this program links is one half of the test; the other is
// that a call of each function that is not simulated ends with a message that bears its name.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "every_function.h"
#include "unsimulated_names.hpp"

namespace {

bool is_unsimulated(const char* name) {
  static const char* const names[] = {
#define UVSIM_TEXT(name) #name,
      UVSIM_EVERY_UNSIMULATED(UVSIM_TEXT)
#undef UVSIM_TEXT
  };
  for (const char* unsimulated : names) {
    if (std::strcmp(unsimulated, name) == 0) return true;
  }
  return false;
}

// What a child writes to stderr when it calls `function`, and how it ended.
std::string call(void (*function)(), int* status) {
  int ends[2];
  if (pipe(ends) != 0) std::abort();
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    function();
    _exit(0);
  }
  close(ends[1]);
  std::string output;
  char part[512];
  for (ssize_t count = 0; (count = read(ends[0], part, sizeof part)) > 0;) {
    output.append(part, static_cast<size_t>(count));
  }
  close(ends[0]);
  waitpid(child, status, 0);
  return output;
}

}  // namespace

int main() {
  int failures = 0;
  int functions = 0;
  int unsimulated = 0;
  for (const named_function* entry = every_function; entry->name != nullptr; ++entry) {
    const named_function& function = *entry;
    ++functions;
    if (!is_unsimulated(function.name)) continue;
    ++unsimulated;
    int status = 0;
    const std::string output = call(function.address, &status);
    const bool named = output.find(std::string(function.name) + " is not simulated") != output.npos;
    constexpr int cannot_run = 69;
    if (named && WIFEXITED(status) && WEXITSTATUS(status) == cannot_run) continue;
    ++failures;
    std::printf("%s: ended with %d and said: %s\n", function.name, status, output.c_str());
  }
  std::printf("%d functions, %d of them not simulated, %d wrong\n", functions, unsimulated,
              failures);
  return failures == 0 && unsimulated > 0 ? 0 : 1;
}
