// A campaign: how far the server came, in how many runs, and with which faults. A campaign without
// a finding says something only if something was tested.
//
// Every run of every Trial is counted. The counts survive the process: they lie in memory shared
// with the processes that libFuzzer starts with -fork=N, or in the file that the environment
// variable HARNESS_CAMPAIGN names, which several programs may share.
//
// A fuzz target (a program with LLVMFuzzerTestOneInput) prints the counts at its end, unless it
// only replays inputs of its command line. If it made fault-free runs, and in none of them the
// server came as far as the Subject promises, the target prints NOTHING WAS TESTED and exits with
// status 3.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "harness/subject.hpp"
#include "uvsim/uvsim.hpp"

namespace harness {

// X(name, what happened). The first five are the way to a whole echo, one after the other.
#define HARNESS_MILESTONES(X)                                             \
  X(listened, "the server listened")                                      \
  X(accepted, "the server accepted a client")                             \
  X(read, "the server read what a client had said")                       \
  X(answered, "a client got something back")                              \
  X(echoed, "a client got back everything that it had said")              \
  X(half_close, "the server was told that a client had ended its output") \
  X(stopped, "the server was told to end while clients were there")       \
  X(stopped_idle, "the server was told to end while no client was there") \
  X(ended, "the server ended by itself")                                  \
  X(never_listened, "the server ended before it listened")                \
  X(fault_free, "nothing went wrong: no fault was chosen")

enum class Milestone : std::uint8_t {
#define HARNESS_MILESTONE(name, meaning) name,
  HARNESS_MILESTONES(HARNESS_MILESTONE)
#undef HARNESS_MILESTONE
};
inline constexpr std::size_t milestone_count = 0
#define HARNESS_MILESTONE(name, meaning) +1
    HARNESS_MILESTONES(HARNESS_MILESTONE)
#undef HARNESS_MILESTONE
    ;

class Campaign {
 public:
  // Exit statuses, of targets and of ci/fuzz. A finding has the engine's own.
  static constexpr int nothing_was_tested = 3;
  static constexpr int state_left_over = 4;

  // Plain numbers, zero at first: they lie in shared memory.
  struct Counts {
    std::uint64_t layout;  // of this struct, so that a file of another version is not added to
    std::uint64_t runs;
    std::array<std::uint64_t, milestone_count> milestones;        // runs that came this far
    std::array<std::uint64_t, uvsim::choice_point_count> faults;  // runs with an unkind answer
    std::array<std::uint64_t, milestone_count> promised;          // runs that should come this far
    std::uint64_t left_over;    // runs that were made twice and differed
    std::uint64_t last_status;  // of the last run that ended before it listened

    std::uint64_t of(Milestone milestone) const {
      return milestones[static_cast<std::size_t>(milestone)];
    }
  };

  // At the end of each run, while its marks are still there.
  static void count(const Subject& subject, const uvsim::Report& report);
  // Two runs with the same choices differed.
  static void count_left_over();

  static const Counts& counts();

  // The table, and the last line: what was tested, or that nothing was.
  static std::string report(const Counts& counts);
  // 0, nothing_was_tested or state_left_over.
  static int status(const Counts& counts);
  // The counts in a file that HARNESS_CAMPAIGN named. False: there are none.
  static bool read(const char* file, Counts& counts);
};

}  // namespace harness
