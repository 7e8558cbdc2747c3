// A model (model/) driven by rapidcheck. A generated run that fails is shrunk, and printed as bytes
// that the model's fuzz target replays.
#pragma once

#include <rapidcheck.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

#include "core/assert.hpp"
#include "model/answers.hpp"
#include "property.hpp"

namespace model {

inline void showValue(const Record& record, std::ostream& out) {
  out << "kind " << int{record.step.kind} << " who " << int{record.step.who};
  if (record.fails_at > 0) out << ", call " << int{record.fails_at} << " fails";
}

}  // namespace model

namespace props {

using Bytes = std::vector<std::uint8_t>;

// The current run: the steps played so far, and the step in progress.
inline Bytes played;
inline const model::Recorded* in_progress = nullptr;
inline model::Step step_in_progress;
inline const char* replay = "";  // the program that plays bytes

// The run as a shell line.
inline std::string as_bytes() {
  Bytes bytes = played;
  if (in_progress != nullptr) in_progress->tell(step_in_progress, bytes);
  std::string line = "as bytes: printf '";
  for (const std::uint8_t byte : bytes) {
    char octal[8];
    static_cast<void>(std::snprintf(octal, sizeof octal, "\\%03o", unsigned{byte}));
    line += octal;
  }
  return line + "' > run && bin/" + replay + " run\n";
}

inline rc::Gen<model::Record> any_record() {
  const auto byte = [](int below) {
    return rc::gen::cast<std::uint8_t>(rc::gen::inRange(0, below));
  };
  const auto fails = rc::gen::weightedOneOf<std::uint8_t>(
      {{7, rc::gen::just(std::uint8_t{0})}, {2, rc::gen::just(std::uint8_t{1})}, {1, byte(4)}});
  // The last kind of a model may end the server.
  const auto kind = rc::gen::weightedOneOf<std::uint8_t>({{9, byte(11)}, {4, byte(15)}});
  const auto picks = rc::gen::container<std::array<std::uint8_t, 4>>(byte(256));
  return rc::gen::map(rc::gen::tuple(kind, byte(8), fails, picks), [](const auto& parts) {
    const auto& [what, who, fails_at, answers] = parts;
    return model::Record{.step = {what, who}, .fails_at = fails_at, .picks = answers};
  });
}

template <class Model>
void any_run() {
  const model::Record shape = *any_record();
  const auto records =
      *rc::gen::scale(2.5, rc::gen::container<std::vector<model::Record>>(any_record()));
  played.clear();
  in_progress = nullptr;
  model::Recorded shaping(shape);
  const typename Model::Shape made = Model::Shape::pick(shaping);
  shaping.tell_answers(played);
  const auto play = [&](Model& model) {
    for (const model::Record& record : records) {
      model::Recorded answers(record);
      step_in_progress = record.step;
      in_progress = &answers;
      if (model.play(step_in_progress, answers)) {
        model.check();
        answers.tell(step_in_progress, played);
      }
      in_progress = nullptr;
    }
    model.end();
  };
  props::play<Model>(play, made);
}

// The program: tries runs. `reached` prints what they reached, and returns whether that is all.
template <class Model, class Reached>
int main(const char* words, const char* replayed_by, bool all_wanted, const Reached& reached) {
  replay = replayed_by;
  return run([&] {
    if (!rc::check(words, any_run<Model>)) return false;
    const bool all = reached();
    return all || !all_wanted;
  });
}

}  // namespace props

// One file of a program includes this, so what the model and the core call is defined here.
[[noreturn]] void model::broken(const char* words) {
  RC_FAIL(std::string("broken: ") + words + "\n" + props::as_bytes());
  std::abort();
}

// Replaces the product's, which prints no run.
void echoproof::assertion_failed(const char* condition, const char* file, int line) noexcept {
  static_cast<void>(std::fprintf(stderr, "assertion failed: %s (%s:%d)\n%s", condition, file, line,
                                 props::as_bytes().c_str()));
  std::abort();
}

// AddressSanitizer, if linked, calls this before it reports.
extern "C" void __asan_on_error() {
  static_cast<void>(std::fputs(props::as_bytes().c_str(), stderr));
}
