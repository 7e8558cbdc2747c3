// Scripts: what happens around a whole server on uvsim, as data that a person can read and write.
//
// A Stage describes the server and its machine. The actions are what clients and operator do. The
// faults say which calls fail. Every other choice is the kindest. After the script the World brings
// the run to its end without faults. Exploration, torture and properties print their findings as
// such a script, in C++: a row for scenarios.cpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "harness/action.hpp"
#include "harness/trial.hpp"
#include "subjects/server_subject.hpp"
#include "uvsim/uvsim.hpp"

namespace subjects {

struct Stage {
  uvsim::Version version = uvsim::Version::v1_52;
  std::uint32_t clients = 1;           // at once
  std::uint32_t connections = 8;       // for which the server has room
  std::uint32_t large_blocks = 2;      // beside a small one for each connection
  std::uint32_t block_size = 8;        // bytes, of a large one
  std::uint32_t small_block = 2;       // bytes
  std::uint32_t linger = 8;            // unacknowledged bytes from which the server lingers
  bool little_kernel_memory = false;   // every connection is granted only KernelBudget::least
  std::uint32_t send_window = 256;     // bytes in transit from the server to a client
  std::uint32_t receive_window = 256;  // bytes in transit from a client to the server
  std::uint32_t descriptors = 0;       // that the process may open; 0: no limit
  echoproof::Time idle =
      echoproof::Time::max();  // otherwise it would also end a forgotten connection
  echoproof::Time write{1000};
  echoproof::Time drain{700};
};

struct ScriptedAction {
  harness::Action action{};
  std::vector<std::uint32_t> answers{};  // to the questions about the action, in order; then 0
};

struct Fault {
  uvsim::ChoicePoint point{};
  std::uint32_t nth = 0;     // how many questions of this point get a kind answer first
  std::uint32_t answer = 1;  // the answer of the next question
  std::uint32_t times = 1;   // how many questions get it
};

struct Script {
  Stage stage{};
  std::vector<ScriptedAction> actions{};
  std::vector<Fault> faults{};
};

// The script as C++, to be pasted into scenarios.cpp.
std::string code_of(const Script& script);

// Answers a run's questions as the script says.
class ScriptChoices : public uvsim::Choices {
 public:
  explicit ScriptChoices(const Script& script) : script_(&script) {}
  std::uint32_t pick(std::uint32_t n, uvsim::ChoicePoint point) override;

 protected:
  bool actions_over() const { return next_action_ == script_->actions.size(); }

 private:
  std::uint32_t answer_world(std::uint32_t n, uvsim::ChoicePoint point);

  const Script* script_;
  std::size_t next_action_ = 0;
  const ScriptedAction* current_ = nullptr;  // the action that questions are about
  std::size_t next_answer_ = 0;
  std::array<std::uint32_t, uvsim::choice_point_count> asked_{};
};

// Records the answers of a run, to write them as a script.
class Scribe final : public uvsim::Choices {
 public:
  explicit Scribe(uvsim::Choices& source) : source_(source) {}
  std::uint32_t pick(std::uint32_t n, uvsim::ChoicePoint point) override;
  Script script(const Stage& stage) const;
  const std::vector<Fault>& faults() const { return faults_; }

 private:
  void note(uvsim::ChoicePoint point, std::uint32_t nth, std::uint32_t answer);

  uvsim::Choices& source_;
  std::vector<ScriptedAction> actions_;
  std::vector<Fault> faults_;
  std::array<std::uint32_t, uvsim::choice_point_count> asked_{};
};

// Runs whole servers, one run after the other.
class Runner {
 public:
  Runner();
  const harness::Verdict& run(const Stage& stage, uvsim::Choices& choices);
  const harness::Verdict& run(const Script& script);
  const harness::Trial& trial() const { return trial_; }

 private:
  harness::Trial trial_;
  ServerShape shape_{};
};

// Whether an unkind answer is a failure, and not only another order or pace.
bool is_failure(uvsim::ChoicePoint point);

// Call it when an assertion of the product or AddressSanitizer ends the program.
void on_death(std::function<void()> tell);

}  // namespace subjects
