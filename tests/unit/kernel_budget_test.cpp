// KernelBudget: how much each connection is granted, that the sum never exceeds the total, and what
// comes back.
#include "core/kernel_budget.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

namespace echoproof {
namespace {

constexpr std::size_t least = KernelBudget::least;
constexpr std::size_t mib = std::size_t{1} << 20;

// What the kernel may come to: it doubles each buffer and takes a quarter more.
std::size_t kernel_bytes(const KernelBudget::Grant& grant) {
  return static_cast<std::size_t>(grant.receive_buffer() + grant.send_buffer()) * 5 / 2;
}

std::vector<KernelBudget::Grant> grant_all(KernelBudget& budget, std::size_t count) {
  std::vector<KernelBudget::Grant> grants;
  for (std::size_t i = 0; i < count; ++i) grants.push_back(budget.grant());
  return grants;
}

TEST(KernelBudget, LeavesEverySocketToTheKernelWithoutALimit) {
  KernelBudget budget(KernelBudget::unlimited, 3, 10 * mib);
  for (const auto& grant : grant_all(budget, 3)) {
    EXPECT_TRUE(grant.tuned);
    EXPECT_EQ(grant.bytes, 0U);
    budget.give_back(grant);
  }
  EXPECT_EQ(budget.granted(), 0U);
}

TEST(KernelBudget, GrantsEverybodyTheLeastWhenThereIsNoMore) {
  KernelBudget budget(5 * least, 5, 10 * mib);
  for (const auto& grant : grant_all(budget, 5)) {
    EXPECT_EQ(grant.bytes, least);
    EXPECT_FALSE(grant.tuned);
  }
  EXPECT_EQ(budget.granted(), budget.total());
}

TEST(KernelBudget, LeavesTheFirstFewToTheKernelAndCountsThemAtTheirMost) {
  KernelBudget budget(1000 * mib, 100, 10 * mib);
  const auto grants = grant_all(budget, 13);
  for (std::size_t i = 0; i < 12; ++i) {  // an eighth of the total
    EXPECT_TRUE(grants[i].tuned) << i;
    EXPECT_EQ(grants[i].bytes, least + 10 * mib) << i;
  }
  EXPECT_FALSE(grants[12].tuned);
}

TEST(KernelBudget, GrantsLessAndLessNeverMoreThanThereIsAndEverybodyTheLeast) {
  constexpr std::size_t connections = 20'000;
  KernelBudget budget(1000 * mib, connections, 10 * mib);
  std::size_t before = KernelBudget::unlimited;
  std::size_t sum = 0;
  for (std::size_t i = 0; i < connections; ++i) {
    const auto grant = budget.grant();
    sum += grant.bytes;
    ASSERT_GE(grant.bytes, least) << i;
    ASSERT_LE(grant.bytes, before) << i;
    ASSERT_EQ(budget.granted(), sum) << i;
    ASSERT_LE(sum, budget.total()) << i;
    before = grant.bytes;
  }
  EXPECT_EQ(before, least);
}

TEST(KernelBudget, GrantsAgainWhatCameBack) {
  KernelBudget budget(100 * mib, 10, 10 * mib);
  const auto first = grant_all(budget, 10);
  for (const auto& grant : first) budget.give_back(grant);
  EXPECT_EQ(budget.granted(), 0U);
  const auto second = grant_all(budget, 10);
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(second[i].bytes, first[i].bytes) << i;
    EXPECT_EQ(second[i].tuned, first[i].tuned) << i;
  }
}

TEST(KernelBudget, SetsBuffersThatFitTheGrantAlthoughTheKernelDoublesThem) {
  KernelBudget budget(100 * mib, 10, 200 * mib);
  const auto grant = budget.grant();
  ASSERT_FALSE(grant.tuned);
  EXPECT_LE(kernel_bytes(grant), grant.bytes);
  KernelBudget short_of_all(5 * least, 5, 10 * mib);
  EXPECT_LE(kernel_bytes(short_of_all.grant()), least);
}

// Whatever is left: a window that a client was told of does not shrink.
TEST(KernelBudget, MakesNoReceiveBufferSmallerThanWhatWasPromised) {
  KernelBudget budget(20 * mib, 200, mib);
  for (const auto& grant : grant_all(budget, 200)) {
    EXPECT_GE(grant.receive_buffer(), KernelBudget::promised);
  }
}

// As one of many threads has it.
TEST(KernelBudget, LeavesOneSocketToTheKernelWhereAnEighthIsNotEnough) {
  KernelBudget budget(16 * mib, 10, 10 * mib);
  EXPECT_TRUE(budget.grant().tuned);
  EXPECT_FALSE(budget.grant().tuned);
}

TEST(KernelBudgetDeathTest, RefusesMoreConnectionsThanTheLeastOfEachFits) {
  EXPECT_DEATH(KernelBudget(5 * least - 1, 5, mib), "assertion failed: total / least");
}

TEST(KernelBudgetDeathTest, NoticesAGrantThatComesBackTwice) {
  EXPECT_DEATH(
      {
        KernelBudget budget(5 * least, 5, mib);
        const auto grant = budget.grant();
        budget.give_back(grant);
        budget.give_back(grant);
      },
      "assertion failed: granted_ >= grant.bytes");
}

}  // namespace
}  // namespace echoproof
