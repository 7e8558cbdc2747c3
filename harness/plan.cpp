#include "harness/plan.hpp"

namespace harness {

Plan::Plan(const std::uint8_t* data, std::size_t size, uvsim::ChoiceSet faults)
    : next_(data), end_(data + size) {
  for (std::uint8_t i = 0; i < uvsim::choice_point_count; ++i) {
    const auto point = static_cast<uvsim::ChoicePoint>(i);
    if (uvsim::is_machines(point) && faults.has(point)) points_[point_count_++] = i;
  }
  // What is planned before the first question may come true before it: while the server starts.
  while (next_ != end_ && *next_ >= fault) plan(static_cast<std::uint8_t>(byte() - fault));
}

std::uint32_t Plan::pick(std::uint32_t n, uvsim::ChoicePoint point) {
  if (!uvsim::is_machines(point)) {
    std::uint8_t answer = byte();
    while (answer >= fault) {
      plan(static_cast<std::uint8_t>(answer - fault));
      answer = byte();
    }
    return answer % n;
  }
  Fault& planned = faults_[static_cast<std::size_t>(point)];
  if (planned.times == 0) return 0;
  if (planned.wait > 0) {
    --planned.wait;
    return 0;
  }
  --planned.times;
  return 1 + planned.answer % (n - 1);
}

void Plan::plan(std::uint8_t which) {
  const std::uint8_t how = byte();
  if (point_count_ == 0) return;
  // Once, mostly; some faults matter only if they last. None lasts for ever: they would stop the
  // server, not try it.
  static constexpr std::array<std::uint8_t, 8> times{1, 1, 1, 1, 2, 3, 8, 40};
  faults_[points_[which % point_count_]] = {.wait = static_cast<std::uint8_t>(how / 4 % 8),
                                            .times = times[how / 32],
                                            .answer = static_cast<std::uint8_t>(how % 4)};
}

}  // namespace harness
