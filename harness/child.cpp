#include "harness/child.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

namespace harness {

int do_in_child(unsigned seconds_max, int output, const std::function<void()>& work) {
  const pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) {
    for (const int signal : {SIGALRM, SIGABRT, SIGSEGV, SIGPIPE}) std::signal(signal, SIG_DFL);
    alarm(seconds_max);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    work();
    std::fflush(nullptr);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

}  // namespace harness
