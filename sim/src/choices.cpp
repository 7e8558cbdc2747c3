// The sources of choices that come with uvsim. Each is a few lines; what a point means is in the
// table of uvsim.hpp, not here.
#include <cstring>

#include "uvsim/uvsim.hpp"

namespace uvsim {

namespace {

struct Words {
  const char* name;
  const char* meaning;
  const char* cause;
};

constexpr Words words[choice_point_count] = {
#define UVSIM_CHOICE_WORDS(name, meaning, cause) {#name, meaning, cause},
    UVSIM_CHOICE_POINTS(UVSIM_CHOICE_WORDS)
#undef UVSIM_CHOICE_WORDS
        {"action", "a World's own question: what happens next", "whatever the World is a model of"},
    {"detail", "a World's own question: how", "whatever the World is a model of"},
};

}  // namespace

const char* name_of(ChoicePoint point) noexcept { return words[static_cast<size_t>(point)].name; }

const char* meaning_of(ChoicePoint point) noexcept {
  return words[static_cast<size_t>(point)].meaning;
}

const char* cause_of(ChoicePoint point) noexcept { return words[static_cast<size_t>(point)].cause; }

ChoiceSet ChoiceSet::possible() {
  ChoiceSet set = all();
  for (uint32_t i = 0; i < choice_point_count; ++i) {
    const auto point = static_cast<ChoicePoint>(i);
    if (std::strncmp(cause_of(point), "never", 5) == 0) set = set.without(point);
  }
  return set;
}

bool ChoiceSet::parse(std::string_view names, ChoiceSet* set) {
  ChoiceSet named = names == "all" ? all() : none();
  while (!names.empty() && names != "all") {
    const std::string_view name = names.substr(0, names.find(','));
    names.remove_prefix(name.size() < names.size() ? name.size() + 1 : name.size());
    uint32_t i = 0;
    while (i < choice_point_count && name != words[i].name) ++i;
    if (i == choice_point_count) return false;
    named = named.with(static_cast<ChoicePoint>(i));
  }
  *set = named;
  return true;
}

uint32_t Kindest::pick(uint32_t /*n*/, ChoicePoint /*point*/) { return 0; }

uint32_t Bytes::pick(uint32_t n, ChoicePoint /*point*/) {
  uint32_t value = 0;
  // High byte first, so that a truncated input ends in kind answers.
  for (uint32_t width = n > 256 ? 2 : 1; width > 0 && used_ < size_; --width)
    value = value << 8 | data_[used_++];
  return value % n;
}

uint32_t Replay::pick(uint32_t n, ChoicePoint /*point*/) {
  return used_ < answers_.size() ? answers_[used_++] % n : 0;
}

uint32_t Recorder::pick(uint32_t n, ChoicePoint point) {
  answers_.push_back(source_.pick(n, point) % n);
  return answers_.back();
}

uint32_t Random::pick(uint32_t n, ChoicePoint /*point*/) {
  // SplitMix64: public domain arithmetic, good enough to choose faults with.
  state_ += 0x9e3779b97f4a7c15u;
  uint64_t word = state_;
  word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9u;
  word = (word ^ word >> 27) * 0x94d049bb133111ebu;
  word ^= word >> 31;
  if ((word & 0xff) < kindness_) return 0;
  return static_cast<uint32_t>((word >> 32) % n);
}

uint32_t OneFault::pick(uint32_t n, ChoicePoint /*point*/) {
  return seen_++ == nth_ ? answer_ % n : 0;
}

bool Exhaustive::next() {
  depth_ = 0;
  if (runs_++ == 0) return true;
  while (!path_.empty() && path_.back().taken + 1 == path_.back().width) path_.pop_back();
  if (path_.empty()) return false;
  ++path_.back().taken;
  return true;
}

uint32_t Exhaustive::pick(uint32_t n, ChoicePoint /*point*/) {
  if (depth_ == max_depth_) {
    truncated_ = true;
    return 0;
  }
  if (depth_ == path_.size()) path_.push_back({0, n});
  return path_[depth_++].taken;
}

}  // namespace uvsim
