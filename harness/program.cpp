#include "harness/program.hpp"

#include <getopt.h>
#include <unistd.h>

#include <array>
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "harness/server_target.hpp"
#include "harness/story.hpp"
#include "uvsim/ledger.hpp"

// The program's data and constructors, where the linker put them; absent if it has none.
extern "C" {
using Constructor = void (*)(int, char**, char**);
[[gnu::weak, gnu::visibility("hidden")]] extern std::uint64_t __start_subject_data[];
[[gnu::weak, gnu::visibility("hidden")]] extern std::uint64_t __stop_subject_data[];
[[gnu::weak, gnu::visibility("hidden")]] extern std::uint64_t __start_subject_bss[];
[[gnu::weak, gnu::visibility("hidden")]] extern std::uint64_t __stop_subject_bss[];
[[gnu::weak, gnu::visibility("hidden")]] extern Constructor __start_subject_init[];
[[gnu::weak, gnu::visibility("hidden")]] extern Constructor __stop_subject_init[];
[[gnu::weak, gnu::visibility("hidden")]] extern Constructor __start_subject_fini[];
[[gnu::weak, gnu::visibility("hidden")]] extern Constructor __stop_subject_fini[];
}

namespace harness {
namespace {

struct Handler {
  void (*function)(void*);
  void* argument;
};

// As many as anybody registers; no memory may be asked for while the program runs.
constexpr std::size_t handlers_max = 4096;

Program* running = nullptr;
std::jmp_buf way_out;
int status = 0;
std::array<Handler, handlers_max> handlers;
std::size_t handler_count = 0;

// AddressSanitizer keeps zones between the variables that nobody may touch, and knows memcpy: so
// word by word, and unseen by it.
[[gnu::no_sanitize_address, gnu::noinline]] void copy(volatile std::uint64_t* to,
                                                      const std::uint64_t* from,
                                                      std::size_t words) {
  for (std::size_t i = 0; i < words; ++i) to[i] = from[i];
}

[[gnu::no_sanitize_address, gnu::noinline]] void clear(volatile std::uint64_t* begin,
                                                       std::uint64_t* end) {
  for (; begin != end; ++begin) *begin = 0;
}

std::size_t data_words() {
  return static_cast<std::size_t>(__stop_subject_data - __start_subject_data);
}

void run_handlers() {
  while (handler_count > 0) {
    const Handler last = handlers[--handler_count];
    last.function(last.argument);
  }
  for (auto one = __stop_subject_fini; one != __start_subject_fini;) (*--one)(0, nullptr, nullptr);
}

void call_plain(void* function) { reinterpret_cast<void (*)()>(function)(); }

}  // namespace

Program::Program() {
  for (auto text = uvsim_server_arguments; *text != nullptr; ++text) given_.emplace_back(*text);
  for (auto text = uvsim_server_environment; *text != nullptr; ++text) {
    variables_.emplace_back(*text);
  }
  image_.resize(data_words());
  copy(image_.data(), __start_subject_data, image_.size());
}

Program::~Program() = default;

std::vector<char*> Program::pointers(Texts& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

void Program::prepare() {
  copy(__start_subject_data, image_.data(), image_.size());
  clear(__start_subject_bss, __stop_subject_bss);
  handler_count = 0;
  optind = 0;  // so that getopt begins anew
  opterr = 1;
  arguments_ = given_;
  arguments_.insert(arguments_.begin(), uvsim_server_names[0]);
  environment_ = variables_;
  argv_ = pointers(arguments_);
  envp_ = pointers(environment_);
  outer_environment_ = environ;
  environ = envp_.data();
  end_ = End::returned;
  last_words_.clear();
  running = this;
}

void Program::finish() {
  environ = outer_environment_;
  running = nullptr;
}

int Program::run() {
  const int argc = static_cast<int>(argv_.size() - 1);
  switch (setjmp(way_out)) {
    case 0: break;
    case 1: end_ = End::exited; return status;
    default: end_ = End::died; return 128 + 6;  // as a shell tells of SIGABRT
  }
  for (auto one = __start_subject_init; one != __stop_subject_init; ++one) {
    (*one)(argc, argv_.data(), envp_.data());
  }
  status = uvsim_server_main(argc, argv_.data(), envp_.data());
  run_handlers();
  return status;
}

void Program::died(const std::string& words) {
  const uvsim::ledger::Outside outside;
  if (running == nullptr) {
    std::fprintf(stderr, "%s\n", words.c_str());
    std::abort();
  }
  running->last_words_ = words;
  Story::note_callers();
}

namespace {

[[noreturn]] void exit_now(int code) {
  if (running == nullptr) _exit(code);
  status = code & 0xff;
  std::longjmp(way_out, 1);
}

}  // namespace
}  // namespace harness

// What the program calls by their ordinary names.
extern "C" {
int uvsim_program___cxa_atexit(void (*function)(void*), void* argument, void* /*module*/) {
  if (harness::handler_count == harness::handlers_max) return -1;
  harness::handlers[harness::handler_count++] = {function, argument};
  return 0;
}
int uvsim_program_atexit(void (*function)()) {
  return uvsim_program___cxa_atexit(harness::call_plain, reinterpret_cast<void*>(function),
                                    nullptr);
}
[[noreturn]] void uvsim_program__exit(int code) { harness::exit_now(code); }
[[noreturn]] void uvsim_program__Exit(int code) { harness::exit_now(code); }
[[noreturn]] void uvsim_program_quick_exit(int code) { harness::exit_now(code); }
[[noreturn]] void uvsim_program_exit(int code) {
  harness::run_handlers();
  harness::exit_now(code);
}
[[noreturn]] void uvsim_program_abort() {
  harness::Program::died("the program ends itself by abort()");
  std::longjmp(harness::way_out, 2);
}
[[noreturn]] void uvsim_program___assert_fail(const char* expression, const char* file,
                                              unsigned line, const char* function) {
  {
    const uvsim::ledger::Outside outside;
    const char* const slash = std::strrchr(file, '/');
    harness::Program::died("the program's own assertion failed: " + std::string(expression) +
                           ", in " + function + " (" + (slash == nullptr ? file : slash + 1) + ":" +
                           std::to_string(line) + ")");
  }
  std::longjmp(harness::way_out, 2);
}
}
