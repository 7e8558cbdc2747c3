// For tests that are programs of their own, because they must run without GoogleTest: under
// MemorySanitizer, or where the whole process is the subject.
#ifndef UVSIM_TESTS_CHECK_HPP
#define UVSIM_TESTS_CHECK_HPP

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

inline int failures = 0;

#define CHECK(condition)                                                   \
  do {                                                                     \
    if (!(condition)) {                                                    \
      ++failures;                                                          \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
    }                                                                      \
  } while (0)

struct Test {
  const char* name;
  void (*run)();
};

// Runs all tests, or those whose name contains the first argument.
template <std::size_t Count>
int run_tests(const Test (&tests)[Count], int argc, char** argv) {
  for (const Test& test : tests) {
    if (argc > 1 && std::strstr(test.name, argv[1]) == nullptr) continue;
    const int before = failures;
    test.run();
    std::fprintf(stderr, "%s %s\n", failures == before ? "ok  " : "FAIL", test.name);
  }
  return failures == 0 ? 0 : 1;
}

// Present only where coverage is measured; an aborting process would not write it.
extern "C" int __llvm_profile_write_file() __attribute__((weak));

inline void write_coverage(int) {
  if (__llvm_profile_write_file != nullptr) __llvm_profile_write_file();
}

// Runs `body` in a child, and says whether it ended by abort() with `words` on stderr.
inline bool aborts_with(const char* words, void (*body)()) {
  int ends[2];
  if (pipe(ends) != 0) std::abort();
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    std::signal(SIGABRT, write_coverage);
    body();
    _exit(0);
  }
  close(ends[1]);
  static char output[65536];
  std::size_t used = 0;
  while (used < sizeof output - 1) {
    const ssize_t count = read(ends[0], output + used, sizeof output - 1 - used);
    if (count <= 0) break;
    used += static_cast<std::size_t>(count);
  }
  output[used] = '\0';
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  const bool found = std::strstr(output, words) != nullptr;
  if (!found) std::fprintf(stderr, "expected '%s', got: %s\n", words, output);
  return found && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#endif  // UVSIM_TESTS_CHECK_HPP
