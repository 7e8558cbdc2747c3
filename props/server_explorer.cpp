// Explores the real server on uvsim exhaustively: the core, the adapter, and everything that
// clients, kernel, libuv, clock and operator may do around them, up to a bound.
//
// A run is the list of its answers to the simulation's questions; 0 is the kind answer. The bound
// limits three numbers of unkind answers: actions of the World (with their details), changes of
// pace or order, and failures. Within the bound every list of answers is played, depth first. Lists
// with fewer unkind answers come first, so the first counterexample is a shortest one. After its
// list a run goes on with kind answers to its end. All eight oracles judge it.
//
// The exploration begins where a scenario's actions end: `echo` for one client from the start, or
// for example `lingering and cut by reset` for a client that has come that far.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "subjects/scenarios.hpp"

namespace props {
using namespace subjects;  // scripts, and what is played with them
namespace {

using uvsim::ChoicePoint;

enum class Kind : std::uint8_t { action, pace, failure };
constexpr std::size_t kinds = 3;

Kind kind_of(ChoicePoint point) {
  if (!uvsim::is_machines(point)) return Kind::action;
  return is_failure(point) ? Kind::failure : Kind::pace;
}

// The bound on a run's unkind answers.
struct Bound {
  std::array<std::uint32_t, kinds> of{1, 1, 1};
  std::uint32_t total = 0;

  std::uint32_t sum() const { return of[0] + of[1] + of[2]; }
};

// The tree of all runs: at each question a branch for each answer that the bound allows.
class Tree final : public ScriptChoices {
 public:
  Tree(const Script& script, const Bound& bound)
      : ScriptChoices(script), script_(script), bound_(bound) {}

  // Call it before each run. Returns false if no run is left.
  bool next();
  std::uint32_t pick(std::uint32_t n, ChoicePoint point) override;

  // Whether this run has exactly as many unkind answers as the bound allows. Runs with fewer were
  // played within a smaller bound.
  bool is_new() const { return spent_total_ == bound_.total; }
  // The explored part of the tree, 0 to 1.
  double done() const;

 private:
  struct Branch {
    std::uint32_t taken;
    std::uint32_t width;
  };

  Script script_;
  Bound bound_;
  std::vector<Branch> path_;
  std::size_t depth_ = 0;
  std::array<std::uint32_t, kinds> spent_{};
  std::uint32_t spent_total_ = 0;
  bool first_ = true;
};

bool Tree::next() {
  ScriptChoices::operator=(ScriptChoices(script_));
  depth_ = 0;
  spent_ = {};
  spent_total_ = 0;
  if (std::exchange(first_, false)) return true;
  while (!path_.empty() && path_.back().taken + 1 == path_.back().width) path_.pop_back();
  if (path_.empty()) return false;
  ++path_.back().taken;
  return true;
}

std::uint32_t Tree::pick(std::uint32_t n, ChoicePoint point) {
  // The scenario's answers are not varied.
  const bool scripted = !uvsim::is_machines(point) && !actions_over();
  const std::uint32_t given = ScriptChoices::pick(n, point);
  if (scripted || given != 0) return given;
  const auto kind = static_cast<std::size_t>(kind_of(point));
  if (spent_[kind] == bound_.of[kind] || spent_total_ == bound_.total) return 0;
  // Answers beyond the last action mean let_go, like the first. Sizes beyond the fourth bring
  // nothing new.
  constexpr std::uint32_t sizes_max = 4;
  const std::uint32_t width = point == ChoicePoint::action   ? harness::action_count
                              : point == ChoicePoint::detail ? std::min(n, sizes_max)
                                                             : n;
  if (depth_ == path_.size()) path_.push_back({0, width});
  const std::uint32_t taken = path_[depth_++].taken;
  if (taken == 0) return 0;
  ++spent_[kind];
  ++spent_total_;
  return taken;
}

double Tree::done() const {
  double done = 0;
  double share = 1;
  for (const Branch& branch : path_) {
    share /= branch.width;
    done += share * branch.taken;
  }
  return done;
}

struct Options {
  std::vector<std::string> scenarios;
  std::vector<uvsim::Version> versions{uvsim::Version::v1_44, uvsim::Version::v1_52};
  Bound bound;
  bool progress = isatty(STDERR_FILENO) != 0;
};

class Explorer {
 public:
  explicit Explorer(const Options& options) : options_(options) {
    on_death([this] { tell(); });
  }
  // Returns whether no oracle was broken.
  bool explore(const Scenario& scenario, uvsim::Version version);
  std::uint64_t runs() const { return runs_; }

 private:
  bool explore_level(std::uint32_t total);
  void show_progress(const Tree& tree, std::uint32_t total);
  void tell() const;

  Options options_;
  Runner runner_;
  const Scenario* scenario_ = nullptr;
  Script script_;
  const Scribe* scribe_ = nullptr;  // of the current run
  std::uint64_t runs_ = 0;
  std::uint64_t hash_ = 0;
  std::chrono::steady_clock::time_point level_start_;
  std::chrono::steady_clock::time_point shown_;
};

bool Explorer::explore(const Scenario& scenario, uvsim::Version version) {
  scenario_ = &scenario;
  script_ = scenario.script;
  script_.stage.version = version;
  hash_ = 0;
  const auto start = std::chrono::steady_clock::now();
  const std::uint64_t before = runs_;
  for (std::uint32_t total = 0; total <= options_.bound.sum(); ++total) {
    if (!explore_level(total)) return false;
  }
  std::printf("%-36s %-5s %u action(s) %u pace(s) %u failure(s): %9llu runs, %016llx, %.1f s\n",
              scenario.name.c_str(), version == uvsim::Version::v1_44 ? "1.44" : "1.52",
              options_.bound.of[0], options_.bound.of[1], options_.bound.of[2],
              static_cast<unsigned long long>(runs_ - before),
              static_cast<unsigned long long>(hash_),
              std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  static_cast<void>(std::fflush(stdout));
  return true;
}

// Plays all runs with this many unkind answers.
bool Explorer::explore_level(std::uint32_t total) {
  Bound bound = options_.bound;
  bound.total = total;
  Tree tree(script_, bound);
  level_start_ = shown_ = std::chrono::steady_clock::now();
  while (tree.next()) {
    Scribe scribe(tree);
    scribe_ = &scribe;
    const harness::Verdict& verdict = runner_.run(script_.stage, scribe);
    if (!verdict.ok()) {
      std::fprintf(stderr, "%s%s", runner_.trial().trace_text().c_str(),
                   runner_.trial().summary().c_str());
      tell();
      return false;
    }
    scribe_ = nullptr;
    if (tree.is_new()) {
      ++runs_;
      hash_ = hash_ * 31 + verdict.trace_hash;
    }
    if (options_.progress) show_progress(tree, total);
  }
  return true;
}

void Explorer::show_progress(const Tree& tree, std::uint32_t total) {
  using std::chrono::duration, std::chrono::steady_clock;
  const auto now = steady_clock::now();
  if (now - shown_ < std::chrono::seconds(1)) return;
  shown_ = now;
  const double spent = duration<double>(now - level_start_).count();
  std::fprintf(stderr, "\r%s, %u unkind answer(s): %.1f %%, about %.0f s to go   \r",
               scenario_->name.c_str(), total, 100 * tree.done(),
               tree.done() > 0 ? spent / tree.done() - spent : 0);
}

void Explorer::tell() const {
  if (scribe_ == nullptr) return;
  std::fprintf(
      stderr, "a shortest counterexample, after %llu runs; as a scenario:\n{\"%s\",\n %s,\n {}},\n",
      static_cast<unsigned long long>(runs_), scenario_->name.c_str(),
      code_of(scribe_->script(script_.stage)).c_str());
}

constexpr const char* usage =
    "usage: server_explorer [--actions N] [--paces N] [--failures N] [--libuv 1.44|1.52] "
    "[--progress]\n"
    "                       [SCENARIO...]\n"
    "\n"
    "Plays every run of the server that goes on from the scenarios (torture --list) and in which "
    "at\n"
    "most so many actions of clients and operator come in addition (1), so many reads, writes and "
    "turns\n"
    "have another pace or order than the usual (1), and so many calls fail (1).\n";

[[noreturn]] void misused() {
  std::fputs(usage, stderr);
  std::exit(2);
}

std::uint32_t number(const char* text) {
  char* end = nullptr;
  const unsigned long value = std::strtoul(text == nullptr ? "" : text, &end, 10);
  if (text == nullptr || *text == '\0' || *end != '\0' || value > 100) misused();
  return static_cast<std::uint32_t>(value);
}

Options read_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    const char* const value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (option == "--actions") {
      options.bound.of[0] = number(value), ++i;
    } else if (option == "--paces") {
      options.bound.of[1] = number(value), ++i;
    } else if (option == "--failures") {
      options.bound.of[2] = number(value), ++i;
    } else if (option == "--libuv") {
      const std::string_view version = value == nullptr ? "" : argv[++i];
      if (version != "1.44" && version != "1.52") misused();
      options.versions = {version == "1.44" ? uvsim::Version::v1_44 : uvsim::Version::v1_52};
    } else if (option == "--progress") {
      options.progress = true;
    } else if (option == "--help" || option == "-h") {
      std::fputs(usage, stdout);
      std::exit(0);
    } else if (option.starts_with("-")) {
      misused();
    } else {
      options.scenarios.emplace_back(option);
    }
  }
  if (options.scenarios.empty()) options.scenarios = {"echo", "two clients"};
  return options;
}

int main(int argc, char** argv) {
  const Options options = read_options(argc, argv);
  Explorer explorer(options);
  for (const std::string& name : options.scenarios) {
    const auto& all = scenarios();
    const auto found = std::ranges::find(all, name, &Scenario::name);
    if (found == all.end()) misused();
    for (const uvsim::Version version : options.versions) {
      if (!explorer.explore(*found, version)) return 1;
    }
  }
  std::printf("%llu runs: every one within the bound, and every oracle held in each\n",
              static_cast<unsigned long long>(explorer.runs()));
  return 0;
}

}  // namespace
}  // namespace props

int main(int argc, char** argv) { return props::main(argc, argv); }
