#include "harness/marks.hpp"

namespace harness {
namespace {

constexpr std::array names{
#define HARNESS_MARK(name, meaning) #name,
    HARNESS_MARKS(HARNESS_MARK)
#undef HARNESS_MARK
};

}  // namespace

// libFuzzer looks for this section, and sets it to zero before each run.
[[gnu::used, gnu::section("__libfuzzer_extra_counters")]] std::uint8_t Marks::now[Marks::count];
std::array<std::uint8_t, Marks::count> Marks::ever;

void Marks::gather() {
  for (std::size_t i = 0; i < count; ++i) ever[i] |= now[i];
}

std::size_t Marks::reached() {
  std::size_t reached = 0;
  for (const std::uint8_t hit : ever) reached += hit;
  return reached;
}

std::vector<std::string> Marks::unreached(uvsim::ChoiceSet faults) {
  std::vector<std::string> missing;
  for (std::size_t i = 0; i < named; ++i) {
    if (ever[i] == 0) missing.emplace_back(names[i]);
  }
  for (std::size_t i = 0; i + 1 < uvsim::choice_point_count; ++i) {
    const auto point = static_cast<uvsim::ChoicePoint>(i);
    if (faults.has(point) && ever[named + i * answers_max + 1] == 0) {
      missing.emplace_back(std::string("unkind ") + uvsim::name_of(point));
    }
  }
  return missing;
}

}  // namespace harness
