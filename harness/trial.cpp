#include "harness/trial.hpp"

#include <csignal>

#include "harness/campaign.hpp"
#include "harness/marks.hpp"

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
  options.trace_events = 1U << 10;
  options.max_steps = 400'000;
  options.max_callbacks = 100'000;
  options.max_calls_in_callback = 100'000;
  options.max_turns = 100'000;
  return options;
}

uvsim::ChoiceSet Trial::usual_faults() {
  using enum uvsim::ChoicePoint;
  return uvsim::ChoiceSet::all()
      .without(connect_result)
      .without(call_loop_init)
      .without(call_async_init)
      .without(call_tcp_init)
      .without(call_pipe_init)
      .without(call_timer_init)
      .without(call_timer_start)
      .without(call_signal_init)
      .without(call_signal_start)
      .without(call_connect)
      .without(allocation)
      // Few servers make these calls; and without them the plans in a corpus keep their meaning.
      .without(option_error)
      .without(ioctl_error);
}

void Trial::on_event(void* trial, const uvsim::EventView& event) {
  static_cast<Trial*>(trial)->world_.on_event(event);
}

void Trial::on_event_told(void* trial, const uvsim::EventView& event) {
  static_cast<Trial*>(trial)->story_->on_event(event);
  on_event(trial, event);
}

Trial::Trial(const uvsim::Options& options) : simulation_(options), story_(Story::wanted()) {
  simulation_.on_poll(
      [this](uvsim::Network& network, uvsim::Wait wait) { return world_.on_poll(network, wait); });
  simulation_.on_event(story_ == nullptr ? on_event : on_event_told, this);
}

const Verdict& Trial::run(const Subject& subject, const Setting& setting, uvsim::Choices& choices) {
  // As a process begins: a server that relies on it being ignored has to say so (R21).
  std::signal(SIGPIPE, SIG_DFL);
  Marks::begin_run();
  if (story_ != nullptr) story_->begin(subject.name);
  ending_ = {};
  world_.begin(simulation_, subject, setting, choices);
  simulation_.run(world_.choices(), [this, &subject] {
    const int status = subject.start();
    ending_ = subject.ending ? subject.ending() : Subject::Ending();
    if (ending_.last_words.empty()) world_.on_end(status);
    return status;
  });
  judge(subject);
  if (story_ != nullptr) story_->end(verdict_);
  Campaign::count(subject, simulation_.report());
  Marks::gather();
  ++runs_;
  steps_ += verdict_.steps;
  return verdict_;
}

bool Trial::repeats(const Subject& subject, const Setting& setting, uvsim::Choices& choices) {
  uvsim::Recorder recorder(choices);
  const std::uint64_t first = run(subject, setting, recorder).trace_hash;
  uvsim::Replay replay(recorder.answers());
  return run(subject, setting, replay).trace_hash == first;
}

// The World speaks first: it stopped the run when it found something.
void Trial::judge(const Subject& subject) {
  const uvsim::Report& report = simulation_.report();
  verdict_ = world_.verdict();
  verdict_.trace_hash = report.trace_hash;
  verdict_.steps = report.steps;
  if (!verdict_.ok()) {
    verdict_.step = report.steps;
    return;
  }
  if (!report.violations.empty()) {
    const uvsim::Finding& finding = report.violations.front();
    verdict_.broken = report.ledger.active && !report.ledger.ok ? Oracle::ledger : Oracle::contract;
    verdict_.rule = finding.rule;
    verdict_.message = finding.handle + ": " + finding.message;
    verdict_.step = finding.step;
    return;
  }
  verdict_.step = report.steps;
  if (!ending_.last_words.empty()) {
    verdict_.broken = Oracle::alive;
    verdict_.message = ending_.last_words;
    return;
  }
  if (world_.came_to_rest()) return;  // and found nothing wrong there
  if (report.limit != uvsim::Limit::none) {
    verdict_.broken = Oracle::alive;
    verdict_.message = name_of(report.limit);
  } else if (!report.finished) {
    verdict_.broken = Oracle::alive;
    verdict_.message = "the server neither listens nor ends";
  } else if (ending_.exited || (!world_.served() && !subject.fails_clean)) {
    return;  // it could not start, or ended by exit(): the process is gone with all it had
  } else if (report.ledger.active && !report.ledger.ok) {
    verdict_.broken = Oracle::ledger;
    verdict_.message = report.ledger.message;
  } else if (subject.ends_clean && (report.open_handles > 0 || report.open_descriptors > 0)) {
    verdict_.broken = Oracle::clean;
    verdict_.message = std::to_string(report.open_handles) + " handle(s) and " +
                       std::to_string(report.open_descriptors) +
                       " descriptor(s) were left open at the end";
  }
}

std::string Trial::summary() const {
  if (verdict_.ok()) return "nothing was found\n";
  std::string text = std::string("oracle ") + name_of(verdict_.broken) + ": " + verdict_.message;
  if (!verdict_.rule.empty()) text += " [" + verdict_.rule + "]";
  return text + " (step " + std::to_string(verdict_.step) + ")\n";
}

}  // namespace harness
