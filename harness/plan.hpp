// Plan: fuzz bytes as choices, in a form in which few bytes say much.
//
// Most of what a run asks has one boring answer: no fault. Spending a byte on each such question
// would make inputs long and a mutation of one byte change the meaning of all that follow. So a
// byte is spent only on the World's own questions, and faults are planned between them: a byte from
// `fault` on, and the byte after it, say which question will be answered unkindly, how often it is
// answered kindly before, how, and how many times. Both halves are read in order, and the end of
// the input is the end of all unkindness.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "uvsim/uvsim.hpp"

namespace harness {

class Plan final : public uvsim::Choices {
 public:
  // Faults are planned for the points in `faults` only. `data` must outlive the Plan.
  Plan(const std::uint8_t* data, std::size_t size, uvsim::ChoiceSet faults);

  std::uint32_t pick(std::uint32_t n, uvsim::ChoicePoint point) override;

 private:
  static constexpr std::uint8_t fault = 0xe0;

  struct Fault {
    std::uint8_t wait = 0;    // questions to be answered kindly first
    std::uint8_t times = 0;   // and so many unkindly
    std::uint8_t answer = 0;  // with this, from 1 on
  };

  std::uint8_t byte() { return next_ == end_ ? std::uint8_t{0} : *next_++; }
  void plan(std::uint8_t which);

  const std::uint8_t* next_;
  const std::uint8_t* end_;
  std::array<Fault, uvsim::choice_point_count> faults_{};
  std::array<std::uint8_t, uvsim::choice_point_count> points_{};
  std::uint8_t point_count_ = 0;
};

}  // namespace harness
