// A run for a person to read: numbered steps, each with its actor; blocks of memory, each with its
// owners; and the place where a rule was broken.
//
// It is off unless the environment asks for it. So any program that runs a Trial can print the
// story of its input:
//
//   HARNESS_STORY=text|json|html   HARNESS_STORY_FILE=path (otherwise stdout)
//
// This file notes what happens during a run. story_text.cpp and story_html.cpp print it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/verdict.hpp"
#include "uvsim/ledger.hpp"
#include "uvsim/uvsim.hpp"

namespace harness {

// The actor of a step, which decides where the step is drawn.
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
    std::uint32_t client;     // the client of the connection, or 0
    bool unkind;              // a fault that was chosen
    bool broken = false;      // a rule or an oracle was broken here
    bool folded = false;      // a repetition of earlier steps, not shown
    std::uint32_t times = 1;  // after this step the last `group` steps come again, this many times
    std::uint32_t group = 1;
  };

  // The owner of a block from this step on.
  struct Tenure {
    std::uint64_t from;
    std::string owner;
  };

  struct Block {
    std::uint64_t identity;
    std::size_t size;
    std::uint64_t made;   // the step in which it was made
    std::uint64_t freed;  // the step in which it was freed; `still_live`: never
    std::string maker;
    std::vector<std::string> stack;
    std::vector<Tenure> owners;
    std::vector<std::string> freed_by{};  // the callers of the free, if a sanitizer remembers them
  };
  static constexpr std::uint64_t still_live = ~std::uint64_t{0};

  // The story of the process; null if the environment does not ask for one.
  static Story* wanted();

  void begin(const char* subject);
  void on_event(const uvsim::EventView& event);
  void end(const Verdict& verdict);
  // The program does something wrong just now. Its callers are noted.
  static void note_callers();
  // The process is about to die in the middle of the run. `reason` is on stderr.
  void cut_short(const char* reason);

  const std::string& subject() const { return subject_; }
  const Verdict& verdict() const { return verdict_; }
  const std::vector<Step>& steps() const { return steps_; }
  const std::vector<Block>& blocks() const { return blocks_; }
  // The block that the verdict names, or null.
  const Block* culprit() const;
  // The program's functions on the call stack where a rule was broken, innermost first. May be
  // empty.
  const std::vector<std::string>& callers() const { return callers_; }
  // Lines that say more than the verdict: bytes, what spins, what is open. May be empty.
  const std::string& evidence() const { return evidence_; }
  // The number of the client that the verdict is about, or 0.
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
  std::string acting_;  // the handle of the server's last callback
  bool running_ = false;
};

std::string story_text(const Story& story);
std::string story_json(const Story& story);
std::string story_html(const Story& story);

}  // namespace harness
