// DeadlineList: the order of entry, leaving from anywhere, and what it refuses.
#include "core/deadline_list.hpp"

#include <gtest/gtest.h>

#include <array>
#include <type_traits>

namespace echoproof {
namespace {

// An entry's neighbours point to it.
static_assert(!std::is_copy_constructible_v<DeadlineList::Entry>);
static_assert(!std::is_copy_assignable_v<DeadlineList::Entry>);
static_assert(!std::is_copy_constructible_v<DeadlineList>);
static_assert(!std::is_copy_assignable_v<DeadlineList>);

class DeadlineListTest : public testing::Test {
 protected:
  ~DeadlineListTest() override {
    while (!list.empty()) list.leave(list.first());
  }
  std::array<DeadlineList::Entry, 3> entry;
  DeadlineList list;
};

using DeadlineListDeathTest = DeadlineListTest;

TEST_F(DeadlineListTest, IsEmptyWhenNew) {
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.size(), 0U);
  EXPECT_FALSE(entry[0].linked());
}

TEST_F(DeadlineListTest, PutsWhoEnteredFirstFirst) {
  for (DeadlineList::Entry& e : entry) list.enter(e, Time(5));
  EXPECT_EQ(list.size(), 3U);
  for (DeadlineList::Entry& e : entry) {
    EXPECT_EQ(&list.first(), &e);
    list.leave(e);
  }
  EXPECT_TRUE(list.empty());
}

TEST_F(DeadlineListTest, RemembersWhenSomebodyEntered) {
  list.enter(entry[0], Time(5));
  list.enter(entry[1], Time(7));
  EXPECT_EQ(entry[0].since(), Time(5));
  EXPECT_EQ(entry[1].since(), Time(7));
}

TEST_F(DeadlineListTest, LetsTheMiddleOneLeave) {
  for (DeadlineList::Entry& e : entry) list.enter(e, Time(0));
  list.leave(entry[1]);
  EXPECT_FALSE(entry[1].linked());
  EXPECT_EQ(&list.first(), &entry[0]);
  list.leave(entry[0]);
  EXPECT_EQ(&list.first(), &entry[2]);
}

TEST_F(DeadlineListTest, LetsTheLastOneLeave) {
  for (DeadlineList::Entry& e : entry) list.enter(e, Time(0));
  list.leave(entry[2]);
  list.leave(entry[0]);
  EXPECT_EQ(&list.first(), &entry[1]);
}

TEST_F(DeadlineListTest, PutsWhoComesBackLast) {
  list.enter(entry[0], Time(1));
  list.enter(entry[1], Time(2));
  list.leave(entry[0]);
  list.enter(entry[0], Time(3));
  EXPECT_EQ(&list.first(), &entry[1]);
  EXPECT_EQ(entry[0].since(), Time(3));
}

TEST_F(DeadlineListTest, TakesAnEarlierTimeOnceItIsEmpty) {
  list.enter(entry[0], Time(9));
  list.leave(entry[0]);
  list.enter(entry[0], Time(1));
  EXPECT_EQ(entry[0].since(), Time(1));
}

TEST_F(DeadlineListDeathTest, RefusesWhoIsInAlready) {
  list.enter(entry[0], Time(0));
  EXPECT_DEATH(list.enter(entry[0], Time(0)), "assertion failed: !entry.linked\\(\\)");
}

TEST_F(DeadlineListDeathTest, RefusesATimeBeforeTheLast) {
  list.enter(entry[0], Time(2));
  EXPECT_DEATH(list.enter(entry[1], Time(1)), "assertion failed: empty\\(\\) \\|\\| now >=");
}

TEST_F(DeadlineListDeathTest, RefusesToLetGoWhoIsNotIn) {
  EXPECT_DEATH(list.leave(entry[0]), "assertion failed: entry.linked\\(\\)");
}

TEST_F(DeadlineListDeathTest, RefusesToLetGoWhoIsInAnother) {
  DeadlineList other;
  other.enter(entry[0], Time(0));
  EXPECT_DEATH(list.leave(entry[0]), "assertion failed: !empty\\(\\)");
  other.leave(entry[0]);
}

TEST_F(DeadlineListDeathTest, HasNoFirstWhenEmpty) {
  EXPECT_DEATH(list.first(), "assertion failed: !empty\\(\\)");
}

TEST_F(DeadlineListDeathTest, MustNotEndWhileSomebodyIsIn) {
  EXPECT_DEATH(
      {
        DeadlineList brief;
        brief.enter(entry[0], Time(0));
      },
      "assertion failed: empty\\(\\)");
}

TEST_F(DeadlineListDeathTest, AnEntryMustNotEndWhileItIsIn) {
  EXPECT_DEATH(
      {
        DeadlineList::Entry brief;
        list.enter(brief, Time(0));
      },
      "assertion failed: next_ == nullptr");
}

}  // namespace
}  // namespace echoproof
