#include "harness/trial.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "harness/campaign.hpp"
#include "harness/findings.hpp"
#include "harness/last_words.hpp"
#include "harness/machine.hpp"
#include "harness/marks.hpp"

// Present in fuzz targets only.
extern "C" [[gnu::weak]] int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace harness {

const char* name_of(Oracle oracle) {
  switch (oracle) {
    case Oracle::none: return "none";
#define HARNESS_ORACLE(name, meaning) \
  case Oracle::name: return #name;
      HARNESS_ORACLES(HARNESS_ORACLE)
#undef HARNESS_ORACLE
  }
  return "?";
}

const char* meaning_of(Oracle oracle) {
  switch (oracle) {
    case Oracle::none: return "nothing was found";
#define HARNESS_ORACLE(name, meaning) \
  case Oracle::name: return meaning;
      HARNESS_ORACLES(HARNESS_ORACLE)
#undef HARNESS_ORACLE
  }
  return "?";
}

uvsim::Options Trial::default_options() {
  uvsim::Options options;
  options.on_violation = uvsim::OnViolation::leave;
  options.on_quiescence = uvsim::OnQuiescence::leave;
  options.asked = usual_faults();
  // Another driver may keep notes about a run in static data.
  options.fresh_statics = &LLVMFuzzerTestOneInput != nullptr;
  options.trace_events = 1U << 10;
  options.max_steps = 400'000;
  options.max_callbacks = 100'000;
  options.max_calls_in_callback = 100'000;
  options.max_turns = 100'000;
  options.max_seconds = 10ULL * 365 * 24 * 3600;  // the World waits for hours, many times
  return options;
}

uvsim::ChoiceSet Trial::usual_faults() {
  using enum uvsim::ChoicePoint;
  return uvsim::ChoiceSet::possible()
      .without(connect_result)
      .without(call_loop_init)
      .without(call_connect)
      .without(allocation);
}

void Trial::on_event(void* trial, const uvsim::EventView& event) {
  static_cast<Trial*>(trial)->world_.on_event(event);
}

void Trial::on_event_told(void* trial, const uvsim::EventView& event) {
  static_cast<Trial*>(trial)->story_->on_event(event);
  on_event(trial, event);
}

Trial::Trial(const uvsim::Options& options) : simulation_(options), story_(Story::wanted()) {
  if (const char* const list = std::getenv("HARNESS_FORGIVE")) forgiven_.add(list);
  simulation_.on_poll(
      [this](uvsim::Network& network, uvsim::Wait wait) { return world_.on_poll(network, wait); });
  simulation_.on_event(story_ == nullptr ? on_event : on_event_told, this);
}

const Verdict& Trial::run(const Subject& subject, const Setting& setting, uvsim::Choices& choices) {
  uvsim::Recorder recorder(choices);
  run_once(subject, setting, recorder);
  if (report().real_threads && story_ == nullptr) {
    if (!verdict_.ok() && !is_found_again(subject, setting, recorder.answers())) verdict_ = {};
    return verdict_;
  }
  constexpr std::uint64_t every_so_often = 1024;
  // A story is about one run, and another driver may look at what a run left behind.
  const bool twice = simulation_.options().fresh_statics && story_ == nullptr &&
                     (!verdict_.ok() || runs_ % every_so_often == 1);
  if (!twice) return verdict_;
  // A program that goes through a set of pointers depends on addresses, which differ from run to
  // run. It does the same again sooner or later. With state that was left over, it does not.
  constexpr int repetitions_max = 16;
  const Verdict first = verdict_;
  for (int i = 0; i < repetitions_max; ++i) {
    if (is_the_same_again(subject, setting, recorder.answers(), first)) return verdict_;
  }
  Campaign::count_left_over();
  if (verdict_.broken != first.broken || verdict_.message != first.message) verdict_ = Verdict{};
  verdict_.left_over = true;
  return verdict_;
}

// Threads in real time make no two runs alike: only what is found twice is held against the server.
bool Trial::is_found_again(const Subject& subject, const Setting& setting,
                           const std::vector<std::uint32_t>& answers) {
  const Oracle broken = verdict_.broken;
  run_again(subject, setting, answers);
  return verdict_.broken == broken;
}

bool Trial::repeats(const Subject& subject, const Setting& setting, uvsim::Choices& choices) {
  uvsim::Recorder recorder(choices);
  run_once(subject, setting, recorder);
  return is_the_same_again(subject, setting, recorder.answers(), Verdict(verdict_));
}

bool Trial::is_the_same_again(const Subject& subject, const Setting& setting,
                              const std::vector<std::uint32_t>& answers, const Verdict& first) {
  run_again(subject, setting, answers);
  return verdict_.trace_hash == first.trace_hash && verdict_.broken == first.broken;
}

void Trial::run_again(const Subject& subject, const Setting& setting,
                      const std::vector<std::uint32_t>& answers) {
  uvsim::Replay replay(answers);
  run_once(subject, setting, replay);
}

void Trial::run_once(const Subject& subject, const Setting& setting, uvsim::Choices& choices) {
  // As in a new process. A server that needs SIGPIPE ignored has to ignore it (R21).
  std::signal(SIGPIPE, SIG_DFL);
  Marks::begin_run();
  LastWords::listen();
  if (story_ != nullptr) story_->begin(subject.name);
  const uvsim::Options usual = options();
  Setting varied = setting;
  vary(varied, options(), choices);
  if (forgiven_.has_rule("R21")) options().check_sigpipe = false;
  world_.begin(simulation_, subject, varied, forgiven_, choices);
  simulation_.on_end([this](int status) { world_.on_end(status); });
  simulation_.run(world_.choices(), [this, &subject] {
    world_.before_start();
    return subject.start();
  });
  options() = usual;
  const std::vector<uvsim::Finding>& found = report().violations;
  if (!found.empty() && found.front().cannot_run && Findings::wanted() == nullptr) {
    // Going on would report something about a server that was not tried.
    std::fputs(report().summary().c_str(), stderr);
    std::_Exit(cannot_run_status);
  }
  judge(subject);
  quote();
  if (story_ != nullptr) story_->end(verdict_);
  Campaign::count(subject, simulation_.report());
  Marks::gather();
  ++runs_;
  steps_ += verdict_.steps;
}

// The World speaks first: it stopped the run when it found something.
void Trial::judge(const Subject& subject) {
  const uvsim::Report& report = simulation_.report();
  verdict_ = world_.verdict();
  verdict_.trace_hash = report.trace_hash;
  verdict_.steps = verdict_.step = report.steps;
  if (!verdict_.ok()) return;
  // Many programs end with a message when memory is lacking.
  if (report.aborted && report.ledger.failures > 0) return;
  // It was told to end by a signal, cleaned up, and raised the signal again: a shell likes that.
  if (report.died_of != 0 && report.died_of == subject.stop_signal && world_.told_to_end()) return;
  if (!report.violations.empty()) {
    const uvsim::Finding& finding = report.violations.front();
    const bool ledger = report.ledger.active && !report.ledger.ok;
    verdict_.rule = finding.rule;
    verdict_.step = finding.step;
    found(report.aborted ? Oracle::alive
          : ledger       ? Oracle::ledger
                         : Oracle::contract,
          (finding.handle.empty() ? "" : finding.handle + ": ") + finding.message);
    return;  // the run ended there
  }
  if (world_.came_to_rest()) return;  // and found nothing wrong there
  if (report.limit != uvsim::Limit::none) {
    found(Oracle::alive, name_of(report.limit));
  } else if (!report.finished) {
    found(Oracle::alive, "the server neither listens nor ends");
  } else if (report.exited || (!world_.served() && !subject.fails_clean)) {
    return;  // it could not start, or ended by exit(): the process is gone with all it had
  } else if (report.ledger.active && !report.ledger.ok) {
    found(Oracle::ledger, report.ledger.message);
  }
  const bool left_open = report.open_handles > 0 || report.open_descriptors > 0;
  if (verdict_.ok() && report.finished && subject.ends_clean && left_open) {
    found(Oracle::clean, std::to_string(report.open_handles) + " handle(s) and " +
                             std::to_string(report.open_descriptors) +
                             " descriptor(s) were left open at the end");
  }
}

// What a program says before it ends itself is the reason, as a person would tell it.
void Trial::quote() {
  const std::string words = LastWords::heard();
  const uvsim::Report& report = simulation_.report();
  const bool ended_itself = report.aborted || report.exited || report.result != 0;
  if (verdict_.ok() || !ended_itself || words.empty()) return;
  verdict_.message += "; its last words: \"" + words + '"';
}

void Trial::found(Oracle oracle, std::string message) {
  if (forgiven_.has(verdict_.rule, name_of(oracle), message)) return;
  verdict_.broken = oracle;
  verdict_.message = std::move(message);
}

std::string Trial::summary() const {
  if (verdict_.ok()) return "nothing was found\n";
  std::string text = std::string("oracle ") + name_of(verdict_.broken) + ": " + verdict_.message;
  if (!verdict_.rule.empty()) text += " [" + verdict_.rule + "]";
  text += " (step " + std::to_string(verdict_.step) + ")\n";
  const std::string kind = verdict_.rule.empty() ? name_of(verdict_.broken) : verdict_.rule;
  return text + "to go on past findings of this kind: HARNESS_FORGIVE=" + kind + "\n";
}

}  // namespace harness
