// Connection: each pair of state and event, the bytes it owes, and what it refuses.
#include "core/connection.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

namespace {
// Run when an assertion has failed, before the process ends: what has the core done until then?
std::function<void()> before_abort = [] {};
}  // namespace

// In place of src/assertion_failed.cpp: the linker takes ours.
void echoproof::assertion_failed(const char* condition, const char* file, int line) noexcept {
  static_cast<void>(std::fprintf(stderr, "assertion failed: %s (%s:%d)\n", condition, file, line));
  before_abort();
  std::abort();
}

namespace echoproof {
namespace {

constexpr std::size_t block_size = 8;

// The shortest way into each state.
std::vector<Event> way_to(State state) {
  switch (state) {
    case State::reading: return {};
    case State::filling: return {Event::block_lent};
    case State::writing: return {Event::block_lent, Event::data};
    case State::flushing: return {Event::block_lent, Event::data, Event::wrote_part};
    case State::waiting: return {Event::no_buffer};
    case State::cancelling: return {Event::block_lent, Event::data, Event::wrote_part, Event::stop};
    case State::closing: return {Event::eof};
    case State::closed: return {Event::eof, Event::close_done};
  }
  return {};
}

class ConnectionTest : public testing::Test {
 protected:
  Action happen(Event event) {
    switch (event) {
      case Event::block_lent: return connection.on_block(pool.acquire());
      case Event::data: return connection.on_data(4);
      case Event::wrote_all: return connection.on_wrote(connection.unsent().size());
      case Event::wrote_part: return connection.on_wrote(1);
      default: return connection.on(event);
    }
  }
  void go_to(State state) {
    for (const Event event : way_to(state)) happen(event);
    ASSERT_EQ(connection.state(), state);
  }
  void fill(const std::string& text) {
    std::memcpy(connection.buffer().data(), text.data(), text.size());
  }
  std::string unsent() const {
    std::string text;
    for (const std::byte byte : connection.unsent()) text += std::to_integer<char>(byte);
    return text;
  }

  BlockPool pool{2, block_size};
  Connection connection;
};

using ConnectionDeathTest = ConnectionTest;

struct Pair {
  State state;
  Event event;
};

std::vector<Pair> all_pairs(bool legal) {
  std::vector<Pair> pairs;
  for (std::size_t state = 0; state < state_count; ++state) {
    for (std::size_t event = 0; event < event_count; ++event) {
      const Pair pair{static_cast<State>(state), static_cast<Event>(event)};
      if (cell_of(pair.state, pair.event).legal == legal) pairs.push_back(pair);
    }
  }
  return pairs;
}

std::string name_of(const testing::TestParamInfo<Pair>& info) {
  constexpr std::array<const char*, state_count> states = {
      "reading", "filling", "writing", "flushing", "waiting", "cancelling", "closing", "closed"};
  constexpr std::array<const char*, event_count> events = {
      "block_lent", "no_buffer",    "data",      "empty_read", "eof",
      "read_error", "read_refused", "wrote_all", "wrote_part", "write_refused",
      "write_done", "write_failed", "deadline",  "stop",       "close_done"};
  return std::string(states[static_cast<std::size_t>(info.param.state)]) + "_" +
         events[static_cast<std::size_t>(info.param.event)];
}

class EveryLegalPair : public ConnectionTest, public testing::WithParamInterface<Pair> {};

TEST_P(EveryLegalPair, DoesWhatTheTableSaysAndHoldsABlockExactlyWhenItShould) {
  const auto [state, event] = GetParam();
  go_to(state);
  const Cell& cell = cell_of(state, event);
  EXPECT_EQ(happen(event), cell.action);
  EXPECT_EQ(connection.state(), cell.to);
  EXPECT_EQ(connection.buffer().empty(), !holds_block(cell.to));
  EXPECT_EQ(pool.available(), holds_block(cell.to) ? 1U : 2U);
}

INSTANTIATE_TEST_SUITE_P(Connection, EveryLegalPair, testing::ValuesIn(all_pairs(true)), name_of);

// on() is asked, so that nothing but the table can refuse.
class EveryIllegalPairDeathTest : public ConnectionTest,
                                  public testing::WithParamInterface<Pair> {};

TEST_P(EveryIllegalPairDeathTest, IsAProgrammerErrorAndChangesNothing) {
  const auto [state, event] = GetParam();
  go_to(state);
  const std::size_t available = pool.available();
  const std::string owed = unsent();
  before_abort = [&, before = state] {
    const bool same =
        connection.state() == before && pool.available() == available && unsent() == owed;
    static_cast<void>(std::fputs(same ? "nothing changed" : "something changed", stderr));
  };
  EXPECT_DEATH(connection.on(event), "assertion failed: cell.legal.*nothing changed");
  before_abort = [] {};
}

INSTANTIATE_TEST_SUITE_P(Connection, EveryIllegalPairDeathTest, testing::ValuesIn(all_pairs(false)),
                         name_of);

TEST_F(ConnectionTest, HoldsNothingWhenItIsNew) {
  EXPECT_EQ(connection.state(), State::reading);
  EXPECT_TRUE(connection.buffer().empty());
  EXPECT_TRUE(connection.unsent().empty());
}

TEST_F(ConnectionTest, OffersTheWholeBlockToARead) {
  go_to(State::filling);
  EXPECT_EQ(connection.buffer().size(), block_size);
  EXPECT_TRUE(connection.unsent().empty());
}

TEST_F(ConnectionTest, OwesExactlyWhatWasRead) {
  go_to(State::filling);
  fill("abcdefgh");
  EXPECT_EQ(connection.on_data(5), Action::write);
  EXPECT_EQ(unsent(), "abcde");
}

TEST_F(ConnectionTest, OwesTheRestAfterAPartWasWritten) {
  go_to(State::filling);
  fill("abcdefgh");
  connection.on_data(8);
  EXPECT_EQ(connection.on_wrote(3), Action::flush);
  EXPECT_EQ(unsent(), "defgh");
}

TEST_F(ConnectionTest, OwesEverythingWhenNothingWasWritten) {
  go_to(State::filling);
  fill("abcdefgh");
  connection.on_data(8);
  EXPECT_EQ(connection.on_wrote(0), Action::flush);
  EXPECT_EQ(unsent(), "abcdefgh");
}

TEST_F(ConnectionTest, KeepsTheBytesOfAQueuedWriteWhenItIsClosed) {
  go_to(State::filling);
  fill("abcdefgh");
  connection.on_data(8);
  connection.on_wrote(2);
  EXPECT_EQ(connection.on(Event::stop), Action::close);
  EXPECT_EQ(unsent(), "cdefgh");
  EXPECT_EQ(connection.on(Event::write_failed), Action::none);
  EXPECT_TRUE(connection.unsent().empty());
}

TEST_F(ConnectionTest, StartsAfreshWithTheNextBlock) {
  go_to(State::filling);
  fill("abcdefgh");
  connection.on_data(8);
  connection.on_wrote(8);
  EXPECT_TRUE(connection.unsent().empty());
  connection.on_block(pool.acquire());
  fill("xyz");
  connection.on_data(3);
  EXPECT_EQ(unsent(), "xyz");
}

// libuv tries again after a read that filled its buffer, and may find nothing (R3).
TEST_F(ConnectionTest, WaitsForNoBlockWhenLibuvOnlyTriesForMore) {
  happen(Event::block_lent);
  connection.on_data(block_size);
  happen(Event::wrote_all);
  EXPECT_EQ(connection.on(Event::no_buffer), Action::none);
  EXPECT_EQ(connection.state(), State::reading);
  // Asked once more, there is something.
  EXPECT_EQ(connection.on(Event::no_buffer), Action::wait);
}

TEST_F(ConnectionTest, WaitsForABlockAfterAReadThatLeftRoom) {
  happen(Event::block_lent);
  connection.on_data(block_size - 1);
  happen(Event::wrote_all);
  EXPECT_EQ(connection.on(Event::no_buffer), Action::wait);
}

TEST_F(ConnectionTest, WaitsForABlockOnceTheTryForMoreHasEnded) {
  happen(Event::block_lent);
  connection.on_data(block_size);
  happen(Event::wrote_all);
  happen(Event::block_lent);
  happen(Event::empty_read);
  EXPECT_EQ(connection.on(Event::no_buffer), Action::wait);
}

TEST_F(ConnectionTest, WaitsForABlockAfterAFullReadWhoseEchoWasQueued) {
  happen(Event::block_lent);
  connection.on_data(block_size);
  happen(Event::wrote_part);
  happen(Event::write_done);
  EXPECT_EQ(connection.on(Event::no_buffer), Action::wait);
}

TEST_F(ConnectionTest, NamesTheBlockThatItHolds) {
  const Block other = pool.acquire();
  go_to(State::filling);
  EXPECT_LT(connection.block_index(), pool.capacity());
  EXPECT_NE(connection.block_index(), other.index());
}

TEST_F(ConnectionTest, GivesItsBlockBackWhenItIsDestroyed) {
  {
    Connection brief;
    brief.on_block(pool.acquire());
    EXPECT_EQ(pool.available(), 1U);
  }
  EXPECT_EQ(pool.available(), 2U);
}

TEST_F(ConnectionDeathTest, RefusesASecondBlock) {
  go_to(State::filling);
  EXPECT_DEATH(connection.on_block(pool.acquire()), "assertion failed: !block_");
}

TEST_F(ConnectionDeathTest, RefusesAnEmptyBlock) {
  EXPECT_DEATH(connection.on_block(Block()), "assertion failed");
}

TEST_F(ConnectionDeathTest, RefusesDataOfNoSize) {
  go_to(State::filling);
  EXPECT_DEATH(connection.on_data(0), "assertion failed: size > 0");
}

TEST_F(ConnectionDeathTest, RefusesMoreDataThanFits) {
  go_to(State::filling);
  EXPECT_DEATH(connection.on_data(block_size + 1), "assertion failed: received_ <= buffer");
}

TEST_F(ConnectionDeathTest, RefusesMoreWrittenThanWasOwed) {
  go_to(State::writing);
  EXPECT_DEATH(connection.on_wrote(5), "assertion failed: sent_ <= received_");
}

TEST_F(ConnectionDeathTest, HasNoBlockToNameWhenItHoldsNone) {
  EXPECT_DEATH(static_cast<void>(connection.block_index()), "assertion failed: pool_ != nullptr");
}

}  // namespace
}  // namespace echoproof
