// Each run starts alike: what the program under test changes of its process, signals, the mask, the
// directory, the file mode mask, the environment and descriptors, is as before in the next run, and
// for the driver. Without GoogleTest, whose static data would be taken for the program's.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>

#include "check.hpp"
#include "uvsim/ledger.hpp"
#include "uvsim/uvsim.hpp"

extern char** environ;

namespace {

uvsim::Options fresh() {
  uvsim::Options options;
  options.fresh_statics = true;
  return options;
}

bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

int lowest_free() {
  const int fd = dup(STDERR_FILENO);
  close(fd);
  return fd;
}

std::string directory() {
  char text[4096];
  return getcwd(text, sizeof text) == nullptr ? "" : text;
}

mode_t file_mode() {
  const mode_t mask = umask(0);
  umask(mask);
  return mask;
}

bool blocks(int signum) {
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  return sigismember(&mask, signum) == 1;
}

bool is_default(int signum) {
  struct sigaction action;
  return sigaction(signum, nullptr, &action) == 0 && action.sa_handler == SIG_DFL;
}

struct State {
  std::string home, missing, where;
  mode_t mask = 0;
  int lowest = 0;
  bool input = false, blocked = false, untouched = false;

  static State now() {
    const char* const home = std::getenv("HOME");
    const char* const missing = std::getenv("UVSIM_SURROUNDINGS");
    State state;
    state.home = home == nullptr ? "" : home;
    state.missing = missing == nullptr ? "" : missing;
    state.where = directory();
    state.mask = file_mode();
    state.lowest = lowest_free();
    state.input = is_open(STDIN_FILENO);
    state.blocked = blocks(SIGUSR1);
    state.untouched = is_default(SIGTERM) && is_default(SIGALRM) && is_default(SIGHUP);
    return state;
  }
  bool operator==(const State&) const = default;
};

void ignore_it(int) {}

void change_everything() {
  struct sigaction action = {};
  action.sa_handler = ignore_it;
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGALRM, ignore_it);
  std::signal(SIGHUP, SIG_IGN);
  sigset_t mask;
  sigfillset(&mask);
  pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  CHECK(chdir("/") == 0);
  umask(0123);
  setenv("HOME", "/home/of/another", 1);
  setenv("UVSIM_SURROUNDINGS", "new", 1);
  for (int i = 0; i < 3; ++i) CHECK(open("/dev/null", O_RDONLY) >= 0);
  close(STDIN_FILENO);
}

void as_before_in_each_run() {
  uvsim::Simulation simulation(fresh());
  const State before = State::now();
  for (int i = 0; i < 2000; ++i) {
    State found;
    // A program's own copy of the driver's memory is not made in the run: it would be a leak.
    simulation.run([&found] {
      {
        const uvsim::ledger::Outside outside;
        found = State::now();
      }
      change_everything();
      return 0;
    });
    CHECK(found == before);
    CHECK(State::now() == before);
    if (failures > 0) return;
  }
}

void what_took_the_place_of_standard_input_is_gone() {
  uvsim::Simulation simulation(fresh());
  struct stat before;
  struct stat after;
  CHECK(fstat(STDIN_FILENO, &before) == 0);
  simulation.run([] { return dup2(open("/proc/self/maps", O_RDONLY), STDIN_FILENO); });
  CHECK(fstat(STDIN_FILENO, &after) == 0);
  CHECK(before.st_dev == after.st_dev && before.st_ino == after.st_ino);
}

void what_a_driver_changes_between_runs_stays() {
  uvsim::Simulation simulation(fresh());
  simulation.run([] { return 0; });
  const int fd = open("/dev/null", O_RDONLY);
  const mode_t mask = umask(0027);
  setenv("UVSIM_SURROUNDINGS", "the driver's", 1);
  simulation.run([] {
    change_everything();
    return 0;
  });
  CHECK(is_open(fd));
  CHECK(file_mode() == 0027);
  const char* const text = std::getenv("UVSIM_SURROUNDINGS");
  CHECK(text != nullptr && std::strcmp(text, "the driver's") == 0);
  unsetenv("UVSIM_SURROUNDINGS");
  umask(mask);
  close(fd);
}

// ---- Signals that the driver listens to
// ----------------------------------------------------------

volatile std::sig_atomic_t heard_by_driver = 0;
volatile std::sig_atomic_t heard_by_program = 0;

void a_drivers_handler_is_not_the_programs() {
  uvsim::Simulation simulation(fresh());
  heard_by_driver = 0;
  // It was there at the first run of this process.
  std::raise(SIGUSR2);
  CHECK(heard_by_driver == 1);
  const uvsim::Report& report = simulation.run([] {
    CHECK(is_default(SIGUSR2));
    std::signal(SIGUSR2, [](int) { heard_by_program = heard_by_program + 1; });
    std::raise(SIGUSR2);
    CHECK(heard_by_program == 1);
    return 0;
  });
  CHECK(report.ok());
  CHECK(heard_by_driver == 1);
  std::raise(SIGUSR2);
  CHECK(heard_by_driver == 2);
}

void a_signal_without_a_handle_ends_the_run() {
  uvsim::Simulation simulation(fresh());
  heard_by_driver = 0;
  for (const int signum : {SIGUSR2, SIGTERM, SIGABRT}) {
    static int wanted;
    wanted = signum;
    const uvsim::Report& report = simulation.run([] { return kill(getpid(), wanted); });
    CHECK(report.aborted && !report.violations.empty());
  }
  CHECK(heard_by_driver == 0);
  const uvsim::Report& harmless = simulation.run([] { return std::raise(SIGCHLD); });
  CHECK(harmless.ok() && !harmless.aborted);
}

// The handler is left by a long jump, with its signal in the mask.
void exit_in_a_handler_blocks_nothing() {
  uvsim::Simulation simulation(fresh());
  for (int i = 0; i < 2; ++i) {
    const uvsim::Report& report = simulation.run([] {
      std::signal(SIGUSR1, [](int) { std::exit(0); });
      std::raise(SIGUSR1);
      return 1;
    });
    CHECK(report.exited && report.result == 0);
    CHECK(!blocks(SIGUSR1));
  }
}

std::size_t threads() {
  struct stat status = {};
  return stat("/proc/self/task", &status) == 0 ? status.st_nlink - 2 : 0;
}

struct Desk {
  std::mutex lock;
  std::condition_variable news;
  std::atomic<bool> waited_at{false};
};

// The memory in which it waits is given back, and the next run may have it.
void a_thread_that_waits_for_ever_ends_with_its_run() {
  uvsim::Simulation simulation(fresh());
  const std::size_t before = threads();
  for (int i = 0; i < 20; ++i) {
    simulation.run([] {
      Desk& desk = *new Desk;
      std::thread([&desk] {
        std::unique_lock<std::mutex> held(desk.lock);
        desk.waited_at = true;
        desk.news.wait(held, [] { return false; });
      }).detach();
      while (!desk.waited_at) std::this_thread::yield();
      uv_sleep(1);  // until it is at rest
      std::exit(0);
      return 0;
    });
  }
  CHECK(threads() == before);
}

// The C library chains open streams together. Their memory is freed after the run.
std::size_t streams() {
  auto* const head = static_cast<std::FILE**>(dlsym(RTLD_DEFAULT, "_IO_list_all"));
  std::size_t count = 0;
  if (head == nullptr) return 0;
  for (std::FILE* file = *head; file != nullptr && count < 1000; file = file->_chain) ++count;
  return count;
}

void streams_that_a_program_left_open_are_forgotten() {
  uvsim::Simulation simulation(fresh());
  const std::size_t before = streams();
  static std::FILE* kept;
  for (int i = 0; i < 100; ++i) {
    simulation.run([] {
      kept = std::fopen("/dev/null", "w");
      CHECK(kept != nullptr && std::fputs("a word that stays in the buffer", kept) >= 0);
      std::exit(0);
      return 0;
    });
  }
  CHECK(streams() == before);
}

}  // namespace

int main(int argc, char** argv) {
  struct sigaction action = {};
  action.sa_handler = [](int) { heard_by_driver = heard_by_driver + 1; };
  sigaction(SIGUSR2, &action, nullptr);
  static const Test tests[] = {
      {"as before in each run", as_before_in_each_run},
      {"what took the place of standard input is gone",
       what_took_the_place_of_standard_input_is_gone},
      {"what a driver changes between runs stays", what_a_driver_changes_between_runs_stays},
      {"a driver's handler is not the program's", a_drivers_handler_is_not_the_programs},
      {"a signal without a handle ends the run", a_signal_without_a_handle_ends_the_run},
      {"exit in a handler blocks nothing", exit_in_a_handler_blocks_nothing},
      {"a thread that waits for ever ends with its run",
       a_thread_that_waits_for_ever_ends_with_its_run},
      {"streams that a program left open are forgotten",
       streams_that_a_program_left_open_are_forgotten},
  };
  return run_tests(tests, argc, argv);
}
