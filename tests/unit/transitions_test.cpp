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

TEST(Transitions, EveryOpenStateThatLastsCanBeStopped) {
  for (const State state : {State::reading, State::quiet}) {
    EXPECT_EQ(cell_of(state, Event::stop).action, Action::close);
  }
  for (const State state : {State::reading, State::flushing, State::lingering}) {
    EXPECT_EQ(cell_of(state, Event::stop_owed).action, Action::reset);
  }
}

TEST(Transitions, WhoTakesNothingIsReset) {
  for (const State state : {State::reading, State::flushing, State::lingering}) {
    EXPECT_EQ(cell_of(state, Event::deadline).action, Action::reset);
  }
}

TEST(Transitions, AClosedConnectionIsNotClosedAgain) {
  for (const Transition& t : transitions) {
    if (is_open(t.from)) continue;
    EXPECT_NE(t.action, Action::close);
    EXPECT_NE(t.action, Action::reset);
  }
}

TEST(Transitions, WhatIsClosedWasOpenAndIsClosedByARow) {
  for (const Transition& t : transitions) {
    const bool closes = t.action == Action::close || t.action == Action::reset;
    EXPECT_EQ(closes, is_open(t.from) && !is_open(t.to));
  }
}

TEST(Transitions, ABlockIsHeldWhileAWriteIsQueuedAlsoAfterTheClose) {
  for (std::size_t i = 0; i < state_count; ++i) {
    const State state = static_cast<State>(i);
    EXPECT_EQ(holds_block(state), state == State::flushing || state == State::cancelling);
    EXPECT_EQ(holds_bytes(state), holds_block(state) || state == State::writing);
  }
}

TEST(Transitions, OnlyAPartialWriteLeadsFromHoldingNoBlockToHoldingOne) {
  for (const Transition& t : transitions) {
    if (!holds_block(t.from) && holds_block(t.to)) {
      EXPECT_EQ(t.event, Event::wrote_part);
    }
  }
}

TEST(Transitions, ExactlyWhoIsOpenStandsInALine) {
  for (std::size_t i = 0; i < state_count; ++i) {
    const State state = static_cast<State>(i);
    EXPECT_EQ(line_of(state) != Line::none, is_open(state));
  }
}

TEST(Transitions, ACellSaysWhatFollowsFromItsStates) {
  const Cell& quiet = cell_of(State::reading, Event::caught_up);
  EXPECT_TRUE(quiet.moves);
  EXPECT_FALSE(quiet.ends);
  const Cell& echo = cell_of(State::writing, Event::wrote_all);
  EXPECT_TRUE(echo.drops);
  EXPECT_FALSE(echo.moves);
  const Cell& cut = cell_of(State::flushing, Event::deadline);
  EXPECT_TRUE(cut.ends);
  EXPECT_FALSE(cut.drops);  // libuv still reads the block
}

}  // namespace
}  // namespace echoproof
