// An answer is known as far as it is the same each time, and cut where it ends in its middle.
#include "harness/known_answer.hpp"

#include <gtest/gtest.h>

#include <string>

namespace {

TEST(KnownAnswer, is_none_where_the_lengths_differ) {
  EXPECT_FALSE(harness::known_answer("hello", {"visitor 9", "visitor 10"}));
}

TEST(KnownAnswer, is_cut_where_it_ends_before_its_end) {
  const auto known = harness::known_answer("", {"welcome", "welcome"});
  ASSERT_TRUE(known);
  EXPECT_TRUE(known->is_cut("welc"));
  EXPECT_FALSE(known->is_cut(""));
  EXPECT_FALSE(known->is_cut("welcome"));
  EXPECT_FALSE(known->is_cut("welcome back"));
}

TEST(KnownAnswer, says_nothing_of_another_answer) {
  const auto known = harness::known_answer("", {"welcome", "welcome"});
  ASSERT_TRUE(known);
  EXPECT_FALSE(known->is_cut("full"));
  EXPECT_FALSE(known->is_cut("wait"));
}

TEST(KnownAnswer, leaves_open_what_varies) {
  const auto known = harness::known_answer("", {"it is 12:30", "it is 12:59", "it is 12:07"});
  ASSERT_TRUE(known);
  EXPECT_TRUE(known->is_cut("it is 12:4"));
  EXPECT_FALSE(known->is_cut("it is 11:4"));
}

}  // namespace
