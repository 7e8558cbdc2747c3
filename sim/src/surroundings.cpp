// Each run starts alike, in what the program under test can change of the process: the signal mask,
// the working directory, the file mode mask, the environment and descriptors of the system. (What
// it does with signals is in driver_signals.cpp, its static data in statics.cpp.)
//
// The mask is set after each run: a handler that was left by a long jump has changed it, too. The
// directory and the file mode mask are noted when the program changes them; the functions for that
// are defined here, before the C library's. What was opened and never closed occupies the lowest
// number that was free.
#include "surroundings.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bitset>
#include <cerrno>
#include <csignal>
#include <vector>

#include "internal.hpp"

extern "C" {
extern char** environ;
int __interceptor_dup2(int, int) __attribute__((weak));
}

namespace uvsim::surroundings {
namespace {

constexpr int standard = 3;     // descriptors that a process begins with
constexpr int looked_at = 512;  // from there on descriptors are uvsim's own
constexpr int unchanged = -1;

struct Kept {
  bool valid = false;  // between keep() and put_back()
  sigset_t mask;
  std::vector<char*> environment;
  char** environment_itself = nullptr;

  std::bitset<looked_at> open;
  int lowest_free = 0;
  int copies[standard] = {-1, -1, -1};
  bool standard_replaced = false;
  bool shared = false;

  int directory = unchanged;  // a descriptor
  int file_mode = unchanged;
};
Kept kept;

bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

void look_at_descriptors() {
  for (int fd = 0; fd < standard; ++fd) {
    if (kept.copies[fd] < 0) kept.copies[fd] = fcntl(fd, F_DUPFD_CLOEXEC, looked_at);
  }
  kept.lowest_free = looked_at;
  for (int fd = looked_at; fd-- > 0;) {
    kept.open[static_cast<size_t>(fd)] = is_open(fd);
    if (!kept.open[static_cast<size_t>(fd)]) kept.lowest_free = fd;
  }
}

int real_dup2(int from, int to) {
  if (__interceptor_dup2 != nullptr) return __interceptor_dup2(from, to);
  return static_cast<int>(syscall(SYS_dup2, from, to));
}

void put_back_standard(int fd) {
  if (kept.copies[fd] >= 0)
    real_dup2(kept.copies[fd], fd);
  else
    close(fd);
}

void put_back_descriptors() {
  pollfd looks[standard + 1];
  for (int i = 0; i < standard; ++i) looks[i] = {i, 0, 0};
  looks[standard] = {kept.lowest_free, 0, 0};
  poll(looks, standard + 1, 0);
  for (int i = 0; i < standard; ++i) {
    const bool was_closed = kept.copies[i] >= 0 && (looks[i].revents & POLLNVAL) != 0;
    if (was_closed || kept.standard_replaced) put_back_standard(i);
  }
  kept.standard_replaced = false;
  if ((looks[standard].revents & POLLNVAL) != 0) return;
  if (kept.shared) {
    look_at_descriptors();
    kept.shared = false;
    return;
  }
  for (int fd = standard; fd < looked_at; ++fd) {
    if (!kept.open[static_cast<size_t>(fd)]) close(fd);
  }
}

// Whether it is the program under test that calls, in a run that is followed by others.
bool changes_the_process() { return kept.valid && is_program(); }

void note_directory() {
  if (!changes_the_process() || kept.directory != unchanged) return;
  kept.directory = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

}  // namespace

void keep() {
  const ledger::Outside outside;
  if (kept.lowest_free == 0 || is_open(kept.lowest_free)) look_at_descriptors();
  pthread_sigmask(SIG_SETMASK, nullptr, &kept.mask);
  kept.environment_itself = environ;
  kept.environment.clear();
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry)
    kept.environment.push_back(*entry);
  kept.valid = true;
}

void put_back() {
  if (!kept.valid) return;
  const ledger::Outside outside;
  kept.valid = false;
  pthread_sigmask(SIG_SETMASK, &kept.mask, nullptr);
  environ = kept.environment_itself;
  for (size_t i = 0; i < kept.environment.size(); ++i) environ[i] = kept.environment[i];
  if (environ != nullptr) environ[kept.environment.size()] = nullptr;
  if (kept.file_mode != unchanged) umask(static_cast<mode_t>(kept.file_mode));
  kept.file_mode = unchanged;
  if (kept.directory != unchanged) {
    const int ignored = fchdir(kept.directory);
    static_cast<void>(ignored);
    close(kept.directory);
    kept.directory = unchanged;
  }
  put_back_descriptors();
}

void descriptors_are_shared() noexcept { kept.shared = true; }

}  // namespace uvsim::surroundings

using namespace uvsim::surroundings;  // NOLINT(google-build-using-namespace): C functions follow.

extern "C" {

int chdir(const char* path) noexcept {
  note_directory();
  return static_cast<int>(syscall(SYS_chdir, path));
}

int fchdir(int fd) noexcept {
  note_directory();
  return static_cast<int>(syscall(SYS_fchdir, fd));
}

mode_t umask(mode_t mask) noexcept {
  const long before = syscall(SYS_umask, mask);
  if (changes_the_process() && kept.file_mode == unchanged)
    kept.file_mode = static_cast<int>(before);
  return static_cast<mode_t>(before);
}

int dup2(int from, int to) noexcept {
  if (to >= 0 && to < standard && changes_the_process()) kept.standard_replaced = true;
  return real_dup2(from, to);
}

int dup3(int from, int to, int flags) noexcept {
  if (to >= 0 && to < standard && changes_the_process()) kept.standard_replaced = true;
  return static_cast<int>(syscall(SYS_dup3, from, to, flags));
}

}  // extern "C"
