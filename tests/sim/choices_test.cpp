// The sources of choices.
#include "scenario.hpp"

namespace uvsim::test {
namespace {

constexpr ChoicePoint any = ChoicePoint::read_size;

TEST(ChoiceSources, kindest_is_always_zero) {
  Kindest kindest;
  EXPECT_EQ(kindest.pick(1000, any), 0u);
}

TEST(ChoiceSources, bytes_give_one_answer_each_and_zero_for_ever) {
  const uint8_t data[] = {5, 255, 1, 2, 9};
  Bytes bytes(data, sizeof data);
  EXPECT_EQ(bytes.pick(4, any), 1u);
  EXPECT_EQ(bytes.pick(256, any), 255u);
  EXPECT_EQ(bytes.pick(1000, any), 258u);
  EXPECT_FALSE(bytes.exhausted());
  EXPECT_EQ(bytes.pick(1000, any), 9u);
  EXPECT_TRUE(bytes.exhausted());
  EXPECT_EQ(bytes.pick(2, any), 0u);
  EXPECT_EQ(bytes.used(), 5u);
}

TEST(ChoiceSources, a_recording_replays) {
  Random random(7, 0);
  Recorder recorder(random);
  std::vector<uint32_t> first;
  for (uint32_t n = 2; n < 20; ++n) first.push_back(recorder.pick(n, any));
  EXPECT_EQ(recorder.answers(), first);
  Replay replay(recorder.answers());
  for (int round = 0; round < 2; ++round) {
    for (uint32_t n = 2; n < 20; ++n) EXPECT_EQ(replay.pick(n, any), first[n - 2]);
    EXPECT_EQ(replay.pick(9, any), 0u);
    replay.rewind();
  }
  recorder.clear();
  EXPECT_TRUE(recorder.answers().empty());
}

TEST(ChoiceSources, random_is_reproducible_and_as_kind_as_asked) {
  Random one(42);
  Random two(42);
  int kind = 0;
  for (int i = 0; i < 1000; ++i) {
    const uint32_t answer = one.pick(1000, any);
    EXPECT_EQ(answer, two.pick(1000, any));
    kind += answer == 0 ? 1 : 0;
  }
  EXPECT_GT(kind, 500);
  EXPECT_LT(kind, 750);
}

TEST(ChoiceSources, one_fault_strikes_once) {
  OneFault fault(2, 3);
  EXPECT_EQ(fault.pick(4, any), 0u);
  EXPECT_EQ(fault.pick(4, any), 0u);
  EXPECT_EQ(fault.pick(4, any), 3u);
  EXPECT_EQ(fault.pick(4, any), 0u);
  EXPECT_EQ(fault.seen(), 4u);
}

TEST(ChoiceSources, exhaustive_gives_every_combination_once) {
  std::string seen;
  Exhaustive all;
  while (all.next()) {
    const uint32_t first = all.pick(2, any);
    const uint32_t second = first == 0 ? all.pick(3, any) : 0;
    seen += std::to_string(first) + std::to_string(second) + " ";
  }
  EXPECT_EQ(seen, "00 01 02 10 ");
  EXPECT_FALSE(all.truncated());
  EXPECT_EQ(all.runs(), 5u);
}

TEST(ChoiceSources, exhaustive_says_where_it_stopped_asking) {
  Exhaustive all(1);
  int runs = 0;
  while (all.next()) {
    all.pick(2, any);
    EXPECT_EQ(all.pick(2, any), 0u);
    ++runs;
  }
  EXPECT_EQ(runs, 2);
  EXPECT_TRUE(all.truncated());
}

TEST(ChoicePoints, have_names_and_meanings) {
  for (uint32_t i = 0; i < choice_point_count; ++i) {
    const auto point = static_cast<ChoicePoint>(i);
    EXPECT_GT(std::strlen(name_of(point)), 4u);
    EXPECT_GT(std::strlen(meaning_of(point)), 10u);
  }
  EXPECT_STREQ(name_of(ChoicePoint::accept_error), "accept_error");
}

TEST(ChoicePoints, form_sets) {
  constexpr ChoiceSet only = ChoiceSet::none().with(any);
  EXPECT_TRUE(only.has(any));
  EXPECT_FALSE(only.has(ChoicePoint::turn_time));
  EXPECT_FALSE(ChoiceSet::all().without(any).has(any));
}

class AskedChoices : public Scenario {};

TEST_F(AskedChoices, are_those_in_the_set) {
  Random random(3, 0);
  const auto program = [] { return with_pair([] { write(0, "w", &pair().client, "abc", 3); }, 4); };
  options().asked = ChoiceSet::none();
  EXPECT_EQ(run(random, program).choices, 0u);
  options().asked = ChoiceSet::none().with(ChoicePoint::turn_time);
  EXPECT_EQ(run(random, program).choices, run(random, program).turns);
}

}  // namespace
}  // namespace uvsim::test
