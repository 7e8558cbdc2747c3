// Torture: plays every scenario once for each call in it that can fail, with that call failing.
//
// A call is a question of uvsim that a failure can answer: a libuv call, a system call below it, or
// an allocation of the program. Each answer is another error. The k-th call fails, for k = 0, 1, 2,
// ... until a run has no k-th call. First it fails alone. Then it fails with all calls that follow
// for ten seconds, after which everything has to recover. Then every pair of calls fails. All eight
// oracles judge every run.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "harness/marks.hpp"
#include "subjects/scenarios.hpp"

namespace props {
using namespace subjects;  // scripts, and what is played with them
namespace {

using uvsim::ChoicePoint;

// The failure of a run.
struct Failing {
  static constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t call = never;
  std::uint32_t answer = 1;
};

class Torture final : public ScriptChoices {
 public:
  Torture(const Script& script, Failing one, Failing other, bool for_good)
      : ScriptChoices(script), one_(one), other_(other), for_good_(for_good) {}

  std::uint32_t pick(std::uint32_t n, ChoicePoint point) override {
    const std::uint32_t kind = ScriptChoices::pick(n, point);
    const bool only_slow = point == ChoicePoint::read_again || point == ChoicePoint::write_again;
    if (!is_failure(point) && !only_slow) return kind;
    const std::uint64_t call = calls_++;
    for (const Failing& failing : {one_, other_}) {
      if (failing.call != call) continue;
      if (for_good_) until_ns_ = now_ns() + lasting_ns;
      return fail(n, failing.answer);
    }
    // A kernel that gives nothing for ten seconds would not report readiness.
    const bool lasts = until_ns_ > 0 && !only_slow && now_ns() < until_ns_;
    // libuv itself tries again at once, from 1.45 on without a callback (R39).
    if (lasts && point == ChoicePoint::accept_error && ++accepts_failed_ > accepts_max) return kind;
    return lasts ? fail(n, 1) : kind;
  }

  std::uint64_t calls() const { return calls_; }
  // How many errors the failing call could have; 0: there was no such call.
  std::uint32_t answers() const { return answers_; }

 private:
  static constexpr std::uint64_t lasting_ns = 10'000'000'000;

  static constexpr std::uint32_t accepts_max = 1000;

  static std::uint64_t now_ns() { return uvsim::Simulation::current()->network().now_ns(); }

  std::uint32_t fail(std::uint32_t n, std::uint32_t answer) {
    answers_ = n - 1;
    return std::min(answer, n - 1);
  }

  Failing one_;
  Failing other_;
  bool for_good_;
  std::uint64_t calls_ = 0;
  std::uint64_t until_ns_ = 0;
  std::uint32_t accepts_failed_ = 0;
  std::uint32_t answers_ = 0;
};

struct Options {
  std::string scenario;      // only this one
  bool all_pairs = false;    // with every error of each call, not only the first
  std::uint64_t stride = 1;  // of the second of a pair
  Failing one, other;        // only this run
  bool for_good = false;
};

class Torturer {
 public:
  explicit Torturer(const Options& options) : options_(options) {
    on_death([this] { tell(); });
  }

  // Returns whether no oracle was broken.
  bool torture(const Scenario& scenario, uvsim::Version version);
  std::uint64_t runs() const { return runs_; }

 private:
  // Null if an oracle was broken; then the report was printed.
  const Torture* run(Failing one, Failing other = {}, bool for_good = false);
  bool shows_what_it_is_about() const;
  bool once_and_for_good();
  bool pairs();
  void tell() const;

  Options options_;
  Runner runner_;
  const Scenario* scenario_ = nullptr;
  Script script_;
  std::unique_ptr<Torture> torture_;
  std::unique_ptr<Scribe> scribe_;
  Failing one_, other_;
  bool for_good_ = false;
  std::uint64_t calls_ = 0;
  std::uint64_t runs_ = 0;
};

const Torture* Torturer::run(Failing one, Failing other, bool for_good) {
  one_ = one;
  other_ = other;
  for_good_ = for_good;
  torture_ = std::make_unique<Torture>(script_, one, other, for_good);
  scribe_ = std::make_unique<Scribe>(*torture_);
  ++runs_;
  if (runner_.run(script_.stage, *scribe_).ok()) return torture_.get();
  std::fprintf(stderr, "%s%s", runner_.trial().trace_text().c_str(),
               runner_.trial().summary().c_str());
  tell();
  return nullptr;
}

// The current run, as text for a rerun and for scenarios.cpp.
void Torturer::tell() const {
  if (scribe_ == nullptr) return;
  const char* const version = script_.stage.version == uvsim::Version::v1_44 ? "1.44" : "1.52";
  std::fprintf(stderr, "scenario \"%s\", libuv %s, of %llu calls:", scenario_->name.c_str(),
               version, static_cast<unsigned long long>(calls_));
  for (const Fault& fault : scribe_->faults()) {
    std::fprintf(stderr, " %s #%u", uvsim::name_of(fault.point), fault.nth);
  }
  std::fprintf(stderr, "\nto repeat: torture --scenario '%s' --libuv %s", scenario_->name.c_str(),
               version);
  for (const Failing& failing : {one_, other_}) {
    if (failing.call == Failing::never) continue;
    std::fprintf(stderr, " --call %llu --answer %u", static_cast<unsigned long long>(failing.call),
                 failing.answer);
  }
  std::fprintf(stderr, "%s\nas a scenario:\n{\"%s\",\n %s,\n {}},\n",
               for_good_ ? " --for-good" : "", scenario_->name.c_str(),
               code_of(scribe_->script(script_.stage)).c_str());
}

bool Torturer::torture(const Scenario& scenario, uvsim::Version version) {
  scenario_ = &scenario;
  script_ = scenario.script;
  script_.stage.version = version;
  if (options_.one.call != Failing::never) {
    return run(options_.one, options_.other, options_.for_good) != nullptr;
  }
  const std::uint64_t before = runs_;
  const Torture* const kind = run({});
  if (kind == nullptr) return false;
  calls_ = kind->calls();
  if (!shows_what_it_is_about()) return false;
  if (!once_and_for_good() || !pairs()) return false;
  std::printf("%-36s %-5s %6llu calls %9llu runs\n", scenario.name.c_str(),
              version == uvsim::Version::v1_44 ? "1.44" : "1.52",
              static_cast<unsigned long long>(calls_),
              static_cast<unsigned long long>(runs_ - before));
  return true;
}

bool Torturer::shows_what_it_is_about() const {
  const std::string trace = runner_.trial().trace_text();
  const auto marks = harness::Marks::of_this_run();
  for (const std::string& sign : scenario_->shows) {
    if (std::ranges::find(marks, sign) != marks.end()) continue;
    if (trace.find(sign) != std::string::npos) continue;
    std::fprintf(stderr, "%sscenario \"%s\" does not show \"%s\", but\n ", trace.c_str(),
                 scenario_->name.c_str(), sign.c_str());
    for (const char* const mark : marks) std::fprintf(stderr, " %s", mark);
    std::fprintf(stderr, "\n");
    return false;
  }
  return true;
}

bool Torturer::once_and_for_good() {
  for (const bool for_good : {false, true}) {
    for (std::uint64_t call = 0;; ++call) {
      std::uint32_t answers = 1;
      for (std::uint32_t answer = 1; answer <= answers; ++answer) {
        const Torture* const torture = run({call, answer}, {}, for_good);
        if (torture == nullptr) return false;
        answers = torture->answers();
      }
      if (answers == 0) break;  // there was no such call
    }
  }
  return true;
}

bool Torturer::pairs() {
  const std::uint32_t answers_max = options_.all_pairs ? 3 : 1;
  for (std::uint64_t one = 0; one < calls_; ++one) {
    for (std::uint32_t answer = 1; answer <= answers_max; ++answer) {
      // A failure changes how many calls follow.
      std::uint64_t calls = one + 2;
      for (std::uint64_t other = one + 1; other < calls; other += options_.stride) {
        std::uint32_t answers = answers_max;
        for (std::uint32_t second = 1; second <= std::min(answers, answers_max); ++second) {
          const Torture* const torture = run({one, answer}, {other, second});
          if (torture == nullptr) return false;
          answers = torture->answers();
          calls = torture->calls();
        }
      }
    }
  }
  return true;
}

constexpr const char* usage =
    "usage: torture [--complete | --stride N] [--scenario NAME] [--libuv 1.44|1.52]\n"
    "       torture --scenario NAME --libuv VERSION --call K [--answer N] [--call L [--answer N]]\n"
    "               [--for-good]\n"
    "       torture --list\n"
    "\n"
    "Re-runs every scenario with each call failing in turn, alone and with all that follow, then\n"
    "with every pair: with every error of both (--complete), or with the first of each and only\n"
    "every N-th second call. The second form repeats one run.\n";

[[noreturn]] void misused() {
  std::fputs(usage, stderr);
  std::exit(2);
}

std::uint64_t number(const char* text) {
  char* end = nullptr;
  const unsigned long long value = std::strtoull(text == nullptr ? "" : text, &end, 10);
  if (text == nullptr || *text == '\0' || *end != '\0') misused();
  return value;
}

int main(int argc, char** argv) {
  Options options;
  std::vector<uvsim::Version> versions{uvsim::Version::v1_44, uvsim::Version::v1_52};
  Failing* failing = &options.one;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    const char* const value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (option == "--complete") {
      options.all_pairs = true;
    } else if (option == "--for-good") {
      options.for_good = true;
    } else if (option == "--list") {
      for (const Scenario& scenario : scenarios()) std::printf("%s\n", scenario.name.c_str());
      return 0;
    } else if (option == "--help" || option == "-h") {
      std::fputs(usage, stdout);
      return 0;
    } else if (value == nullptr) {
      misused();
    } else if (option == "--stride") {
      options.stride = std::max<std::uint64_t>(number(argv[++i]), 1);
    } else if (option == "--scenario") {
      options.scenario = argv[++i];
    } else if (option == "--libuv") {
      versions = {std::string_view(argv[++i]) == "1.44" ? uvsim::Version::v1_44
                                                        : uvsim::Version::v1_52};
    } else if (option == "--call") {
      if (failing->call != Failing::never) failing = &options.other;
      failing->call = number(argv[++i]);
    } else if (option == "--answer") {
      failing->answer = static_cast<std::uint32_t>(number(argv[++i]));
    } else {
      misused();
    }
  }

  const auto start = std::chrono::steady_clock::now();
  Torturer torturer(options);
  std::size_t played = 0;
  for (const Scenario& scenario : scenarios()) {
    if (!options.scenario.empty() && options.scenario != scenario.name) continue;
    ++played;
    for (const uvsim::Version version : versions) {
      if (!torturer.torture(scenario, version)) return 1;
    }
  }
  if (played == 0) misused();
  std::printf("%zu scenarios, %llu runs, every oracle held in each; %.1f s\n", played,
              static_cast<unsigned long long>(torturer.runs()),
              std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  return 0;
}

}  // namespace
}  // namespace props

int main(int argc, char** argv) { return props::main(argc, argv); }
