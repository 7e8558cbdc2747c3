// Plan: fuzz bytes as choices, in a form in which few bytes say much.
//
// Most questions of a run have one usual answer: no fault. A byte for each of them would make
// inputs long, and a mutation of one byte would change the meaning of all bytes after it. So only
// the World's own questions take a byte. Faults are planned between them: a byte of at least
// `fault`, and the byte after it, say which question gets an unkind answer, which answer, after how
// many kind ones, and how many times. After the end of the input every answer is kind.
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
    std::uint8_t times = 0;   // then this many unkindly
    std::uint8_t answer = 0;  // the unkind answer, from 1 on
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
