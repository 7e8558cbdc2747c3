// A specimen, or the fixed version of a shape, as a Subject on uvsim. Every technique that looks
// for the bug uses it.
//
// What may live here: which server it is, what the World may do to it, and what is said when an
// oracle is broken. Where the choices come from is the business of zoo_fuzzer and zoo_search.
#pragma once

#include <cstdint>

#include "harness/subject.hpp"
#include "harness/trial.hpp"
#include "harness/world.hpp"
#include "uvsim/uvsim.hpp"

namespace zoo {

class Target {
 public:
  // The name of a specimen or of a shape; another one ends the process.
  explicit Target(const char* name);

  // The machine and the crowd of clients, for the runs from now on. 0, 0 is the most ordinary.
  void set_up(std::uint8_t first, std::uint8_t second);
  // Says what was broken and aborts, if anything was.
  void run(uvsim::Choices& choices);

  uvsim::ChoiceSet faults() { return trial_.options().asked; }

 private:
  harness::Subject subject_;
  harness::Setting setting_;
  harness::Trial trial_;
};

// The one that the environment variable ZOO_SPECIMEN names.
Target& wanted();

}  // namespace zoo
