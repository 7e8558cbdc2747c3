// A trial: one Subject in one World with one source of choices, judged by the eight oracles.
//
// One Trial serves many runs, one after the other. Each run has a clean start; the Trial's own
// memory is reused.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "harness/forgiven.hpp"
#include "harness/story.hpp"
#include "harness/subject.hpp"
#include "harness/verdict.hpp"
#include "harness/world.hpp"
#include "uvsim/uvsim.hpp"

namespace harness {

// The exit status of the process when a server does what uvsim cannot run.
constexpr int cannot_run_status = 69;

class Trial {
 public:
  explicit Trial(const uvsim::Options& options = default_options());
  Trial(const Trial&) = delete;  // the simulation refers to the World in here
  Trial& operator=(const Trial&) = delete;

  // Small limits, so that a run that makes no progress ends soon.
  static uvsim::Options default_options();
  // The faults that a started server meets on a working machine, each of which libuv can report.
  // More faults: options().asked and options().impossible.
  static uvsim::ChoiceSet usual_faults();

  // Apply from the next run on.
  uvsim::Options& options() { return simulation_.options(); }

  // Findings to go on past (forgiven.hpp). It starts with those of the environment variable
  // HARNESS_FORGIVE.
  Forgiven& forgiven() { return forgiven_; }

  // The machine and the crowd are as options() and `setting` say, varied by the first choices
  // (machine.hpp); Setting::vary says what is not.
  // The first run of a fuzz target, each thousandth, and one that finds something, are made again.
  // If no repetition is the same, state was left over: the verdict says so, and it is counted
  // (campaign.hpp). What only the first found is not held against the server; nor is what a
  // program with threads in real time does in the first run only.
  const Verdict& run(const Subject& subject, const Setting& setting, uvsim::Choices& choices);

  // Makes the run twice, with the same answers of `choices`. Returns whether both runs were the
  // same, event by event. If not, the subject depends on something that is no choice, and a finding
  // may not come again.
  bool repeats(const Subject& subject, const Setting& setting, uvsim::Choices& choices);

  std::uint64_t runs() const { return runs_; }
  std::uint64_t steps() const { return steps_; }  // of all runs

  const uvsim::Report& report() const { return simulation_.report(); }
  // Of the last run.
  std::string trace_text() const { return simulation_.trace_text(); }
  // A few lines: which oracle, which rule, where.
  std::string summary() const;

 private:
  static void on_event(void* trial, const uvsim::EventView& event);
  static void on_event_told(void* trial, const uvsim::EventView& event);
  // Makes the run of `first` again, with its answers.
  bool is_the_same_again(const Subject& subject, const Setting& setting,
                         const std::vector<std::uint32_t>& answers, const Verdict& first);
  // Makes the last run again; whether it finds the like.
  bool is_found_again(const Subject& subject, const Setting& setting,
                      const std::vector<std::uint32_t>& answers);
  void run_again(const Subject& subject, const Setting& setting,
                 const std::vector<std::uint32_t>& answers);
  void run_once(const Subject& subject, const Setting& setting, uvsim::Choices& choices);
  void judge(const Subject& subject);
  void quote();
  void found(Oracle oracle, std::string message);

  uvsim::Simulation simulation_;
  World world_;
  Forgiven forgiven_;
  Story* story_;  // null: the environment does not ask for one
  Verdict verdict_;
  std::uint64_t runs_ = 0;
  std::uint64_t steps_ = 0;
};

}  // namespace harness
