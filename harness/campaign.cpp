#include "harness/campaign.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "harness/child.hpp"
#include "harness/marks.hpp"

// Present in fuzz targets only.
extern "C" [[gnu::weak]] int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace harness {
namespace {

constexpr std::array meanings{
#define HARNESS_MILESTONE(name, meaning) meaning,
    HARNESS_MILESTONES(HARNESS_MILESTONE)
#undef HARNESS_MILESTONE
};

constexpr std::uint64_t layout = 0x6563686f'00000000 + sizeof(Campaign::Counts);
constexpr const char* variable = "HARNESS_CAMPAIGN";
// Fewer runs are no campaign: their counts are not printed.
constexpr std::uint64_t runs_worth_a_table = 100;

std::size_t index(Milestone milestone) { return static_cast<std::size_t>(milestone); }

void add(std::uint64_t& counter) { __atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED); }

Campaign::Counts* map(int file) {
  if (file >= 0 && ftruncate(file, sizeof(Campaign::Counts)) != 0) return nullptr;
  const int flags = MAP_SHARED | (file < 0 ? MAP_ANONYMOUS : 0);
  void* const memory =
      mmap(nullptr, sizeof(Campaign::Counts), PROT_READ | PROT_WRITE, flags, file, 0);
  if (memory == MAP_FAILED) return nullptr;
  auto* const counts = static_cast<Campaign::Counts*>(memory);
  if (counts->layout != 0 && counts->layout != layout) {
    std::fprintf(stderr, "%s: the file holds counts of another version\n", variable);
    std::exit(EXIT_FAILURE);
  }
  counts->layout = layout;
  return counts;
}

// What the command line says of this process. Its options are libFuzzer's.
struct Engine {
  bool has_children = false;  // children find the counts through the environment
  bool is_helper = false;     // asked for something else than a campaign: it prints nothing

  Engine() {
    std::FILE* const file = std::fopen("/proc/self/cmdline", "rb");
    if (file == nullptr) return;
    static char line[65536];  // NUL-separated
    const std::size_t size = std::fread(line, 1, sizeof line - 1, file);
    std::fclose(file);
    for (std::size_t at = 0; at < size; at += std::strlen(line + at) + 1) {
      const std::string_view argument(line + at);
      if (argument.starts_with("-fork=")) has_children = argument != "-fork=0";
      if (argument.starts_with("-merge") || argument.starts_with("-set_cover_merge") ||
          argument.starts_with("-minimize_crash") || argument.starts_with("-cleanse_crash") ||
          (at > 0 && is_input(line + at))) {
        is_helper = true;
      }
    }
  }

 private:
  // Inputs named on the command line are replayed, with or without an engine.
  static bool is_input(const char* path) {
    struct stat about{};
    return path[0] != '-' && stat(path, &about) == 0 && S_ISREG(about.st_mode);
  }
};

// The process's part of the campaign. It lives as long as the process.
class Process {
 public:
  Process() {
    // Before the engine closes stderr.
    errors_ = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100);
    const Engine engine;
    if (const char* const path = std::getenv(variable)) {
      const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
      if (file < 0) {
        std::fprintf(stderr, "%s: cannot open %s\n", variable, path);
        std::exit(EXIT_FAILURE);
      }
      counts_ = map(file);
      close(file);
    } else {
      tells_ = &LLVMFuzzerTestOneInput != nullptr && !engine.is_helper;
      if (engine.has_children && tells_) share();
    }
    if (counts_ == nullptr) counts_ = map(-1);
    if (counts_ == nullptr) counts_ = &unshared_;
  }

  Campaign::Counts& counts() { return *counts_; }

  // After the construction of a target's static objects, so that they still exist when the report
  // is printed.
  void will_tell() {
    if (!tells_ || registered_) return;
    registered_ = true;
    pid_ = getpid();
    std::atexit([] { of_this().tell(); });
  }

  static Process& of_this() {
    static Process* const process = new Process;
    return *process;
  }

 private:
  // The children of the engine inherit the descriptor.
  void share() {
    const int file = memfd_create("campaign", 0);
    if (file < 0) return;
    counts_ = map(file);
    const std::string path = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(file);
    setenv(variable, path.c_str(), 1);
    will_tell();
  }

  void say(const std::string& text) const {
    const ssize_t written = write(errors_ < 0 ? STDERR_FILENO : errors_, text.data(), text.size());
    static_cast<void>(written);
  }

  void tell() {
    if (getpid() != pid_ || counts_->runs == 0) return;
    const int status = Campaign::status(*counts_);
    if (status == 0 && counts_->runs < runs_worth_a_table) return;
    std::fflush(nullptr);
    say(Campaign::report(*counts_));
    if (status == 0) return;
    if (status == Campaign::nothing_was_tested) say(words_of_the_program());
    _exit(status);
  }

  // Shows what the program prints in a fault-free run: runs it once more, in a child process.
  std::string words_of_the_program() {
    const int file = memfd_create("words", MFD_CLOEXEC);
    if (file < 0) return "";
    constexpr unsigned seconds_max = 20;
    const int status = do_in_child(seconds_max, file, [this] {
      pid_ = 0;  // the child prints no report
      const std::uint8_t nothing = 0;
      LLVMFuzzerTestOneInput(&nothing, 0);
    });
    if (status < 0) return "";
    constexpr std::size_t words_max = 4000;
    std::string words(words_max, '\0');
    const ssize_t size = pread(file, words.data(), words.size(), 0);
    close(file);
    words.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    if (words.empty()) return "The program prints nothing.\n";
    std::string text = "The program prints, where nothing goes wrong:\n";
    for (std::size_t at = 0; at < words.size();) {
      const std::size_t end = std::min(words.find('\n', at), words.size());
      text += "  | " + words.substr(at, end - at) + "\n";
      at = end + 1;
    }
    return text;
  }

  Campaign::Counts* counts_ = nullptr;
  Campaign::Counts unshared_{};
  int errors_ = -1;
  pid_t pid_ = 0;
  bool tells_ = false;
  bool registered_ = false;
};

// libFuzzer's first process never runs the target. It prints the counts of its children.
[[maybe_unused]] const bool made = (Process::of_this(), true);

// Whether this event happened in this run. An event has a number once it has happened.
class Told {
 public:
  Told(const char* event, Marks::Outcome outcome) : event_(event), outcome_(outcome) {}
  bool in_this_run() {
    if (number_ == Marks::events_max) number_ = Marks::number_of(event_);
    return Marks::has(number_, outcome_);
  }

 private:
  const char* event_;
  Marks::Outcome outcome_;
  std::size_t number_ = Marks::events_max;
};

bool came_to(Milestone milestone, const uvsim::Report& report, bool kind) {
  using enum Mark;
  // What libuv tells, and on floor 2 the system calls.
  static Told took[] = {{"uv_accept", Marks::zero}, {"accept4", Marks::positive}};
  static Told heard[] = {{"read_cb", Marks::positive}, {"read", Marks::positive}};
  static Told heard_end[] = {{"read_cb", Marks::eof}, {"read", Marks::zero}};
  const auto told = [](Told(&ways)[2]) { return ways[0].in_this_run() || ways[1].in_this_run(); };
  switch (milestone) {
    case Milestone::listened: return Marks::has(listened);
    case Milestone::accepted: return told(took);
    case Milestone::read: return told(heard);
    case Milestone::answered: return Marks::has(answered);
    case Milestone::echoed: return Marks::has(echoed);
    case Milestone::half_close:
      return told(heard_end) && (Marks::has(half_closed_owed) || Marks::has(half_closed_quiet) ||
                                 Marks::has(half_closed_at_once));
    case Milestone::stopped: return Marks::has(stopped);
    case Milestone::stopped_idle: return Marks::has(stopped_idle);
    case Milestone::ended: return report.finished;
    case Milestone::never_listened: return report.finished && !Marks::has(listened);
    case Milestone::fault_free: return kind;
  }
  return false;
}

bool promises(const Subject& subject, Milestone milestone) {
  switch (milestone) {
    case Milestone::listened:
    case Milestone::accepted:
    case Milestone::read: return true;
    case Milestone::answered:
    case Milestone::echoed: return subject.echoes;
    default: return false;
  }
}

// The first promised milestone that no run reached; milestone_count: none. A server that answers
// without reading need not read.
std::size_t first_missing(const Campaign::Counts& counts) {
  for (std::size_t i = 0; i < milestone_count; ++i) {
    if (counts.promised[i] == 0 || counts.milestones[i] > 0) continue;
    if (i == index(Milestone::read) && counts.of(Milestone::answered) > 0) continue;
    return i;
  }
  return milestone_count;
}

void add_line(std::string& text, const char* what, std::uint64_t runs) {
  char line[120];
  std::snprintf(line, sizeof line, "  %-58s %10" PRIu64 "\n", what, runs);
  text += line;
}

}  // namespace

void Campaign::count(const Subject& subject, const uvsim::Report& report) {
  Process& process = Process::of_this();
  process.will_tell();
  Counts& counts = process.counts();
  add(counts.runs);
  bool kind = true;
  for (std::uint32_t i = 0; i < uvsim::choice_point_count; ++i) {
    const auto point = static_cast<uvsim::ChoicePoint>(i);
    if (!Marks::has_unkind(point)) continue;
    kind = false;
    if (uvsim::is_machines(point)) add(counts.faults[i]);
  }
  for (std::size_t i = 0; i < milestone_count; ++i) {
    const auto milestone = static_cast<Milestone>(i);
    if (came_to(milestone, report, kind)) add(counts.milestones[i]);
    if (promises(subject, milestone)) add(counts.promised[i]);
  }
  if (came_to(Milestone::never_listened, report, kind)) {
    counts.last_status = static_cast<std::uint64_t>(report.result);
  }
}

void Campaign::count_left_over() { add(Process::of_this().counts().left_over); }

const Campaign::Counts& Campaign::counts() { return Process::of_this().counts(); }

int Campaign::status(const Counts& counts) {
  // Only in a fault-free run this was the server's own doing.
  if (counts.of(Milestone::fault_free) > 0 && first_missing(counts) < milestone_count) {
    return nothing_was_tested;
  }
  return counts.left_over > 0 ? state_left_over : 0;
}

std::string Campaign::report(const Counts& counts) {
  std::string text = "campaign: " + std::to_string(counts.runs) + " runs, of which in so many\n";
  for (std::size_t i = 0; i < milestone_count; ++i)
    add_line(text, meanings[i], counts.milestones[i]);
  for (std::uint32_t i = 0; i < uvsim::choice_point_count; ++i) {
    if (counts.faults[i] == 0) continue;
    const auto point = static_cast<uvsim::ChoicePoint>(i);
    add_line(text, (std::string("fault ") + uvsim::name_of(point)).c_str(), counts.faults[i]);
  }
  if (counts.left_over > 0) {
    text += "STATE LEFT OVER: " + std::to_string(counts.left_over) +
            " runs that were made twice differed: the program remembers something from run to run, "
            "or looks at a clock or at chance that is no choice\n";
  }
  const std::size_t missing = first_missing(counts);
  if (status(counts) == nothing_was_tested) {
    text += "NOTHING WAS TESTED: in no run was it that " + std::string(meanings[missing]) + "\n";
    if (missing == index(Milestone::listened) && counts.of(Milestone::never_listened) > 0) {
      text += "It ended before it listened, the last time with status " +
              std::to_string(static_cast<std::int64_t>(counts.last_status)) + ".\n";
    }
  }
  return text;
}

bool Campaign::read(const char* file, Counts& counts) {
  std::FILE* const stream = std::fopen(file, "rb");
  if (stream == nullptr) return false;
  const bool whole = std::fread(&counts, sizeof counts, 1, stream) == 1;
  std::fclose(stream);
  return whole && counts.layout == layout;
}

}  // namespace harness
