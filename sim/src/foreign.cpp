// Threads that uvsim did not make; see foreign.hpp. What a thread is doing is read from /proc.
#include "foreign.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/single_threaded.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <vector>

#include "periphery.hpp"
#include "scheduler.hpp"

namespace uvsim {
namespace {

std::atomic<const Context*> run_in_progress{nullptr};
pid_t run_thread = 0;      // that it goes on on
std::vector<pid_t> known;  // not of the program
std::vector<pid_t> known_before_main;

bool had_any = false;  // in any run of this process

std::mutex sends_lock;
std::vector<uv_async_t*> sends;
std::atomic<bool> has_sends{false};

uint64_t real_now_ns() {
  timespec now;
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

template <class Visit>
void for_each_thread(Visit visit) {
  DIR* const directory = opendir("/proc/self/task");
  if (directory == nullptr) return;
  while (const dirent* const entry = readdir(directory)) {
    const auto tid = static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10));
    if (tid != 0) visit(tid);
  }
  closedir(directory);
}

std::vector<pid_t> all_threads() {
  std::vector<pid_t> all;
  for_each_thread([&](pid_t tid) { all.push_back(tid); });
  return all;
}

// The directory of this process's threads, open: runs ask several times each how many there are,
// and finding the directory costs more than the answer.
int tasks() {
  constexpr int unopened = -2;
  static int directory = unopened;
  // A child of fork() opens its own.
  static const int heeded = pthread_atfork(nullptr, nullptr, [] { directory = unopened; });
  static_cast<void>(heeded);
  if (directory != unopened) return directory;
  const ledger::Outside outside;
  const int low = open("/proc/self/task", O_PATH | O_DIRECTORY | O_CLOEXEC);
  constexpr int high = 512;  // no number that the program under test might expect
  directory = low < 0 ? -1 : fcntl(low, F_DUPFD_CLOEXEC, high);
  if (directory < 0) return directory = low;
  close(low);
  return directory;
}

// How many threads the process has: a directory's links, without reading it.
size_t thread_count() {
  struct stat status;
  return fstat(tasks(), &status) == 0 && status.st_nlink > 2 ? status.st_nlink - 2 : 1;
}

bool is_known(pid_t tid) { return std::find(known.begin(), known.end(), tid) != known.end(); }

bool one_is_at_work() {
  bool any = false;
  for_each_thread([&](pid_t tid) {
    any = any || (tid != run_thread && !is_held(tid) && !is_known(tid) && !is_at_rest(tid));
  });
  return any;
}

// A sanitizer's own threads begin before main().
__attribute__((constructor)) void remember_who_was_there_first() {
  if (__libc_single_threaded != 0) return;
  known_before_main = all_threads();
}

// Ends the program's threads that wait for ever: their program is gone, and the next one, whose
// locks lie at the same addresses, would wake them. Of such a thread only the stack is left.
void end_those_at_rest() noexcept {
  if (!any_foreign()) return;
  constexpr int rounds_max = 400;
  constexpr uint64_t nap_ns = 50'000;
  const int signum = SIGRTMAX - 2;
  struct sigaction action = {};
  struct sigaction before = {};
  action.sa_handler = [](int) { syscall(SYS_exit, 0); };
  if (real::set_action(signum, &action, &before) != 0) return;
  for (int round = 0; round < rounds_max; ++round) {
    bool any = false;
    for_each_thread([&](pid_t tid) {
      if (tid == run_thread || is_held(tid) || is_known(tid)) return;
      if (is_at_rest(tid)) syscall(SYS_tgkill, getpid(), tid, signum);
      any = true;
    });
    if (!any) break;
    real::sleep(nap_ns);
  }
  real::set_action(signum, &before, nullptr);
}

}  // namespace

void begin_foreign(const Context& context) {
  run_in_progress = &context;
  run_thread = static_cast<pid_t>(syscall(SYS_gettid));
  if (__libc_single_threaded != 0)
    known.clear();
  else if (context.plain)
    known = known_before_main;
  else if (known.size() != thread_count())
    known = all_threads();
}

void end_foreign() noexcept {
  end_those_at_rest();  // others may still call libuv on the way to their rest
  run_in_progress = nullptr;
  const std::lock_guard<std::mutex> lock(sends_lock);
  sends.clear();
  has_sends = false;
}

bool is_foreign() noexcept { return !has_current() && run_in_progress != nullptr; }

uint64_t foreign_now_ns() noexcept {
  const Context* const context = run_in_progress;
  return context == nullptr ? 0 : context->now_ns;
}

void send_from_foreign(uv_async_t* handle) {
  const std::lock_guard<std::mutex> lock(sends_lock);
  sends.push_back(handle);
  has_sends = true;
}

void take_foreign_sends(Context& context) {
  if (!has_sends) return;
  std::vector<uv_async_t*> now;
  {
    const std::lock_guard<std::mutex> lock(sends_lock);
    now.swap(sends);
    has_sends = false;
  }
  for (uv_async_t* const handle : now) {
    if (context.handles.find(handle) == nullptr)
      violate(context, "", Subject{}, "uv_async_send with a handle that was never initialised");
    uv_async_send(handle);
  }
}

bool any_foreign() noexcept {
  const bool any = __libc_single_threaded == 0 &&
                   thread_count() > std::max(known.size(), size_t{1}) + held_threads();
  had_any = had_any || any;
  return any;
}

bool had_foreign() noexcept { return had_any; }

void look_for_foreign() noexcept {
  if (!had_any) any_foreign();
}

bool wait_for_foreign(Context& context, uint64_t until_ns) {
  if (!any_foreign()) return false;
  constexpr uint64_t nap_ns = 50'000;
  const uint64_t begun_ns = real_now_ns();
  // What it has just done is looked at before it is asked what it does.
  const bool at_work = one_is_at_work();
  if (has_sends) return true;
  if (!at_work) return false;
  real::sleep(nap_ns);
  const uint64_t passed_ns = real_now_ns() - begun_ns;
  const uint64_t left_ns = until_ns > context.now_ns ? until_ns - context.now_ns : 0;
  spend(context, std::min(passed_ns, left_ns));
  return left_ns > 0;
}

bool is_at_rest(pid_t tid) noexcept {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/task/%d/syscall", static_cast<int>(tid));
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return true;  // it has ended
  char text[256];
  const ssize_t size = read(fd, text, sizeof text - 1);
  close(fd);
  if (size <= 0) return true;
  text[size] = '\0';
  long number = -1;
  unsigned long word = 0, operation = 0, value = 0, timeout = 0;
  if (std::sscanf(text, "%ld %lx %lx %lx %lx", &number, &word, &operation, &value, &timeout) != 5)
    return false;
  operation &= ~static_cast<unsigned long>(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
  return number == SYS_futex && timeout == 0 &&
         (operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET);
}

}  // namespace uvsim
