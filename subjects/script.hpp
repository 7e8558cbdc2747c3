// Scripts: what happens around a whole server on uvsim, as data that a person can read and write.
//
// A Stage says what the server and its machine are like, the moves what the clients and the
// operator do, the faults which calls fail. Everything that a script does not mention happens
// kindly, and when it is at its end the World brings the run to its own. What is found by
// exploration, torture or properties is printed as such a script, as code: a row for scenarios.cpp.
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
  std::uint32_t connections = 8;       // that the server has room for
  std::uint32_t large_blocks = 2;      // beside a small one for each connection
  std::uint32_t block_size = 8;        // bytes, of a large one
  std::uint32_t small_block = 2;       // bytes
  std::uint32_t linger = 8;            // bytes that are worth staying for after EOF
  bool little_kernel_memory = false;   // every connection is granted the least
  std::uint32_t send_window = 256;     // bytes under way from the server to a client
  std::uint32_t receive_window = 256;  // and in the other direction
  std::uint32_t descriptors = 0;       // that the process may have; 0: as many as it likes
  echoproof::Time idle = echoproof::Time::max();  // else it would end what was forgotten, too
  echoproof::Time write{1000};
  echoproof::Time drain{700};
};

struct Move {
  harness::Action action{};
  std::vector<std::uint32_t> answers{};  // to what is asked about it, in order; then 0
};

struct Fault {
  uvsim::ChoicePoint point{};
  std::uint32_t nth = 0;     // so many questions of this point are answered kindly first
  std::uint32_t answer = 1;  // then one with this
  std::uint32_t times = 1;   // or so many
};

struct Script {
  Stage stage{};
  std::vector<Move> moves{};
  std::vector<Fault> faults{};
};

// As C++, to be pasted into scenarios.cpp.
std::string code_of(const Script& script);

// Is asked by the run, and answers as the script says.
class Player : public uvsim::Choices {
 public:
  explicit Player(const Script& script) : script_(&script) {}
  std::uint32_t pick(std::uint32_t n, uvsim::ChoicePoint point) override;

 protected:
  bool moves_over() const { return next_move_ == script_->moves.size(); }

 private:
  std::uint32_t answer_world(std::uint32_t n, uvsim::ChoicePoint point);

  const Script* script_;
  std::size_t next_move_ = 0;
  const Move* move_ = nullptr;  // that is being asked about
  std::size_t next_answer_ = 0;
  std::array<std::uint32_t, uvsim::choice_point_count> asked_{};
};

// Writes down what is answered in a run, so that it can be said as a script.
class Scribe final : public uvsim::Choices {
 public:
  explicit Scribe(uvsim::Choices& source) : source_(source) {}
  std::uint32_t pick(std::uint32_t n, uvsim::ChoicePoint point) override;
  Script script(const Stage& stage) const;
  const std::vector<Fault>& faults() const { return faults_; }

 private:
  void note(uvsim::ChoicePoint point, std::uint32_t nth, std::uint32_t answer);

  uvsim::Choices& source_;
  std::vector<Move> moves_;
  std::vector<Fault> faults_;
  std::array<std::uint32_t, uvsim::choice_point_count> asked_{};
};

// Plays whole servers, many runs after one another.
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

// To be called when an assertion of the product or AddressSanitizer ends the program.
void on_death(std::function<void()> tell);

}  // namespace subjects
