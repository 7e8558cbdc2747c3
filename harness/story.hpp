// A run as a person reads it: numbered steps with who did what, which blocks of memory there were
// and who had them, and where the rule broke.
//
// Off unless the environment asks for it, so that any program that runs a Trial can tell the story
// of its input without being built for that:
//
//   HARNESS_STORY=text|json|html   HARNESS_STORY_FILE=path (otherwise stdout)
//
// What may live here: what is noted while a run goes on. How it is told is in story_text.cpp and
// story_html.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/verdict.hpp"
#include "uvsim/ledger.hpp"
#include "uvsim/uvsim.hpp"

namespace harness {

// Where a step is drawn: who did it.
enum class Lane : std::uint8_t { client, kernel, server };
const char* name_of(Lane lane);

class Story {
 public:
  struct Step {
    std::uint64_t step;  // of the simulation
    std::uint64_t time_ns;
    Lane lane;
    std::uint8_t depth;
    std::string who;          // "client 2", "tcp#5"
    std::string words;        // "sends 10 bytes"
    std::uint32_t client;     // whose connection it is about, or 0
    bool unkind;              // a fault that was chosen
    bool broken = false;      // here it went wrong
    bool folded = false;      // one more of what is told already
    std::uint32_t times = 1;  // so often, after this step, the last `group` steps come again
    std::uint32_t group = 1;
  };

  // Who had a block from this step on.
  struct Tenure {
    std::uint64_t from;
    std::string owner;
  };

  struct Block {
    std::uint64_t identity;
    std::size_t size;
    std::uint64_t made;   // the step in which it was made
    std::uint64_t freed;  // and in which it was freed; never: `still_live`
    std::string maker;
    std::vector<std::string> stack;
    std::vector<Tenure> owners;
    std::vector<std::string> freed_by{};  // its callers, where a sanitizer remembers them
  };
  static constexpr std::uint64_t still_live = ~std::uint64_t{0};

  // Null if the environment does not ask for it. One for the whole process.
  static Story* wanted();

  void begin(const char* subject);
  void on_event(const uvsim::EventView& event);
  void end(const Verdict& verdict);
  // The program does something wrong just now: who called it is remembered.
  static void note_callers();
  // The process is about to die in the middle of the run, for the reason that is on stderr.
  void cut_short(const char* reason);

  const std::string& subject() const { return subject_; }
  const Verdict& verdict() const { return verdict_; }
  const std::vector<Step>& steps() const { return steps_; }
  const std::vector<Block>& blocks() const { return blocks_; }
  // The block that the verdict speaks of, or null.
  const Block* culprit() const;
  // The program's functions that led to where it went wrong, the innermost first; may be empty.
  const std::vector<std::string>& callers() const { return callers_; }
  // More to see than the verdict says: bytes, what spins, what is open. Lines, or empty.
  const std::string& evidence() const { return evidence_; }
  // Whom the verdict is about: the number of a client, or 0.
  std::uint32_t client() const;

 private:
  void note_blocks();
  void note_loans();
  void note_life(const uvsim::EventView& event, const std::string& who);
  void note_second_free();
  void put_times_in_order();
  void mark_broken();
  void fold();
  bool repeats(std::size_t from, std::size_t length) const;
  std::string what_goes_on() const;
  void tell() const;

  std::string subject_;
  std::string form_;
  std::string file_;
  Verdict verdict_;
  std::vector<Step> steps_;
  std::vector<Block> blocks_;
  std::vector<std::string> open_;  // handles: "tcp#1"
  std::vector<std::string> callers_;
  std::string evidence_;
  std::uint64_t known_allocations_ = 0;
  std::uint64_t known_releases_ = 0;
  std::uint64_t last_step_ = 0;
  std::string acting_;  // for whom the server was called back last
  bool running_ = false;
};

std::string story_text(const Story& story);
std::string story_json(const Story& story);
std::string story_html(const Story& story);

}  // namespace harness
