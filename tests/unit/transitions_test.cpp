// The table as data: what is listed is looked up, what is not listed is illegal, and the facts that
// other parts rely on. That it frees everything exactly once is proved in
// props/transitions_proof.cpp.
#include "core/transitions.hpp"

#include <gtest/gtest.h>

#include <set>
#include <utility>

namespace echoproof {
namespace {

template <class Fn>
void for_each_pair(const Fn& fn) {
  for (std::size_t state = 0; state < state_count; ++state) {
    for (std::size_t event = 0; event < event_count; ++event) {
      fn(static_cast<State>(state), static_cast<Event>(event));
    }
  }
}

TEST(Transitions, EveryListedRowIsWhatTheLookUpFinds) {
  for (const Transition& t : transitions) {
    const Cell& cell = cell_of(t.from, t.event);
    EXPECT_TRUE(cell.legal);
    EXPECT_EQ(cell.to, t.to);
    EXPECT_EQ(cell.action, t.action);
  }
}

TEST(Transitions, WhatIsNotListedIsIllegal) {
  std::size_t legal = 0;
  for_each_pair([&](State state, Event event) { legal += cell_of(state, event).legal ? 1U : 0U; });
  EXPECT_EQ(legal, transitions.size());
}

TEST(Transitions, NoPairIsListedTwice) {
  std::set<std::pair<State, Event>> pairs;
  for (const Transition& t : transitions) EXPECT_TRUE(pairs.insert({t.from, t.event}).second);
}

TEST(Transitions, NothingHappensAfterTheEnd) {
  for (const Transition& t : transitions) EXPECT_NE(t.from, State::closed);
}

TEST(Transitions, OnlyTheCloseCallbackFreesTheSession) {
  for (const Transition& t : transitions) {
    const bool frees = t.action == Action::release;
    EXPECT_EQ(frees, t.event == Event::close_done);
    EXPECT_EQ(frees, t.to == State::closed);
  }
}

TEST(Transitions, EveryOpenStateThatLastsCanBeStoppedAndCanExpire) {
  for (const State state : {State::reading, State::filling, State::flushing, State::waiting}) {
    EXPECT_EQ(cell_of(state, Event::stop).action, Action::close);
    EXPECT_EQ(cell_of(state, Event::deadline).action, Action::close);
  }
}

TEST(Transitions, AClosedConnectionIsNotClosedAgain) {
  for (const Transition& t : transitions) {
    if (t.from == State::cancelling || t.from == State::closing) {
      EXPECT_NE(t.action, Action::close);
    }
  }
}

TEST(Transitions, ABlockIsHeldFromLendingUntilTheWriteIsOver) {
  EXPECT_TRUE(holds_block(State::filling));
  EXPECT_TRUE(holds_block(State::writing));
  EXPECT_TRUE(holds_block(State::flushing));
  EXPECT_TRUE(holds_block(State::cancelling));
  EXPECT_FALSE(holds_block(State::reading));
  EXPECT_FALSE(holds_block(State::waiting));
  EXPECT_FALSE(holds_block(State::closing));
  EXPECT_FALSE(holds_block(State::closed));
}

TEST(Transitions, OnlyALentBlockLeadsFromHoldingNoneToHoldingOne) {
  for (const Transition& t : transitions) {
    if (!holds_block(t.from) && holds_block(t.to)) {
      EXPECT_EQ(t.event, Event::block_lent);
    }
  }
}

}  // namespace
}  // namespace echoproof
