// Arms side by side: the same script to all, their traces compared, what differs made small. Of
// three arms the two that agree say which one is wrong.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "script.hpp"

namespace conformance {

/// A process that answers scripts with traces; see scripts_arm.cpp.
class Arm {
 public:
  explicit Arm(std::vector<std::string> command);
  ~Arm();
  Arm(const Arm&) = delete;
  Arm& operator=(const Arm&) = delete;

  void ask(const Script& script);
  /// The trace of the script that was asked last. A process that dies or hangs gives a trace that
  /// says so, and the next question starts it again.
  std::string answer();
  /// Words for a person: the command.
  std::string name() const;

 private:
  void start();
  void stop();

  std::vector<std::string> command_;
  std::string pending_;
  int pid_ = -1;
  int to_ = -1;
  int from_ = -1;
};

/// TRACE without what the kernel decides. Small scripts fit into every buffer on their way, and
/// nothing of their traces is ignored. Of large ones is ignored:
///   how bytes are split across reads (reads in a row are one), since that depends on how far the
///     kernel's buffers have grown;
///   how callbacks of different handles interleave, and those of one handle's reads with those of
///     its writes, since that depends on who fills or drains a buffer first;
///   whether the end of input comes with a buffer, at an end that has shut its own side down: 1.44
///     lends none when the last bytes and the hang-up are found together;
///   how many bytes were read in all, once a write failed or was cancelled or a connection was
///     reset: what had already arrived is what a buffer happened to hold;
///   then also how a reset shows at the end that reads, and what that end's reads and writes come
///   to
///     afterwards: whether a read or a write hears of it first, and whether 1.44 takes it for the
///     end of input, depends on whether the last read before it was a short one.
std::string normalised(const std::string& trace, bool is_large);

struct Divergence {
  Script script;
  std::string expected;
  std::string got;
  /// The arm that two others contradict; of two arms, and where all differ, null.
  const Arm* odd = nullptr;
};

class Comparison {
 public:
  /// The arms outlive the comparison. There may be a third.
  Comparison(Arm& real, Arm& other, Arm* third = nullptr)
      : real_(real), other_(other), third_(third) {}

  /// Nothing if all arms agree. Real libuv depends on the machine's load: a trace that it gives in
  /// one of five attempts is one of its traces.
  std::optional<Divergence> divergence(const Script& script);
  /// The shortest script found that still diverges.
  Divergence shrunk(Divergence found);

  /// Scripts that agreed at a later attempt only.
  unsigned varied = 0;
  /// The trace of the real arm at the last comparison, for statistics.
  std::string last_trace;

 private:
  Divergence judged(const Script& script, const std::string& real, const std::string& other,
                    const std::string& third);

  Arm& real_;
  Arm& other_;
  Arm* third_;
};

/// The first lines where the two traces part, side by side.
std::string difference(const Divergence& divergence);
/// A C program that plays the script, for any libuv: the interpreter's source with the script as
/// code.
std::string c_program(const Script& script);

}  // namespace conformance
