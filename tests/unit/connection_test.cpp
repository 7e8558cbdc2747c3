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
    case State::quiet: return {Event::caught_up};
    case State::writing: return {Event::data};
    case State::flushing: return {Event::data, Event::wrote_part};
    case State::lingering: return {Event::eof_owed};
    case State::cancelling: return {Event::data, Event::wrote_part, Event::deadline};
    case State::closing: return {Event::eof};
    case State::closed: return {Event::eof, Event::close_done};
  }
  return {};
}

class ConnectionTest : public testing::Test {
 protected:
  Action happen(Event event) {
    switch (event) {
      case Event::data: return say("abcd");
      case Event::wrote_all: return connection.on_wrote_all().action;
      case Event::wrote_part: return connection.on_wrote_part(1, pool.acquire()).action;
      case Event::write_done: return connection.on_write_done().action;
      default: return connection.on(event).action;
    }
  }
  void go_to(State state) {
    for (const Event event : way_to(state)) happen(event);
    ASSERT_EQ(connection.state(), state);
  }
  Action say(const std::string& text) {
    std::memcpy(scratch.data(), text.data(), text.size());
    return connection.on_data(std::span(scratch).first(text.size())).action;
  }
  std::string unsent() const {
    std::string text;
    for (const std::byte byte : connection.unsent()) text += std::to_integer<char>(byte);
    return text;
  }

  std::array<std::byte, 16> scratch{};
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
      "reading", "quiet", "writing", "flushing", "lingering", "cancelling", "closing", "closed"};
  constexpr std::array<const char*, event_count> events = {
      "data",     "empty_read", "eof",        "eof_owed",   "reset",     "error",
      "refused",  "wrote_all",  "wrote_part", "write_done", "taking",    "caught_up",
      "deadline", "idle",       "stop",       "stop_owed",  "close_done"};
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
  EXPECT_EQ(static_cast<bool>(connection.block()), holds_block(cell.to));
  EXPECT_EQ(connection.unsent().empty(), !holds_bytes(cell.to));
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
  EXPECT_FALSE(static_cast<bool>(connection.block()));
  EXPECT_TRUE(connection.unsent().empty());
  EXPECT_EQ(connection.bytes_echoed(), 0U);
}

TEST_F(ConnectionTest, OwesExactlyWhatWasReadWithoutABlock) {
  EXPECT_EQ(say("abcde"), Action::write);
  EXPECT_EQ(unsent(), "abcde");
  EXPECT_EQ(pool.lent(), 0U);
}

TEST_F(ConnectionTest, KeepsInItsBlockWhatWasNotWritten) {
  say("abcdefgh");
  EXPECT_EQ(connection.on_wrote_part(3, pool.acquire()).action, Action::flush);
  scratch.fill(std::byte{'x'});  // the next client's
  EXPECT_EQ(unsent(), "defgh");
  EXPECT_EQ(connection.block().bytes().data(), connection.unsent().data());
}

TEST_F(ConnectionTest, KeepsEverythingWhenNothingWasWritten) {
  say("abcdefgh");
  EXPECT_EQ(connection.on_wrote_part(0, pool.acquire()).action, Action::flush);
  EXPECT_EQ(unsent(), "abcdefgh");
}

TEST_F(ConnectionTest, KeepsTheBytesOfAQueuedWriteWhenItIsClosed) {
  say("abcdefgh");
  connection.on_wrote_part(3, pool.acquire());
  EXPECT_EQ(connection.on(Event::deadline).action, Action::reset);
  EXPECT_EQ(unsent(), "defgh");
  EXPECT_EQ(pool.lent(), 1U);
  connection.on_write_done();
  EXPECT_EQ(pool.lent(), 0U);
}

TEST_F(ConnectionTest, CountsWhatWentOutAtOnceAndLater) {
  say("abcd");
  connection.on_wrote_all();
  EXPECT_EQ(connection.bytes_echoed(), 4U);
  say("abcdefgh");
  connection.on_wrote_part(3, pool.acquire());
  EXPECT_EQ(connection.bytes_echoed(), 7U);
  connection.on_write_done();
  EXPECT_EQ(connection.bytes_echoed(), 12U);
}

TEST_F(ConnectionTest, DoesNotCountWhatFailed) {
  say("abcdefgh");
  connection.on_wrote_part(3, pool.acquire());
  connection.on(Event::error);
  EXPECT_EQ(connection.bytes_echoed(), 3U);
}

TEST_F(ConnectionTest, RemembersWhichEventEndedIt) {
  say("abcdefgh");
  connection.on_wrote_part(3, pool.acquire());
  connection.on(Event::deadline);
  connection.on(Event::error);
  EXPECT_EQ(connection.ended_by(), Event::deadline);
}

TEST_F(ConnectionTest, GivesItsBlockBackWhenItIsDestroyed) {
  {
    Connection brief;
    brief.on_data(std::span(scratch).first(4));
    brief.on_wrote_part(1, pool.acquire());
    EXPECT_EQ(pool.lent(), 1U);
  }
  EXPECT_EQ(pool.lent(), 0U);
}

TEST_F(ConnectionDeathTest, RefusesDataOfNoSize) {
  EXPECT_DEATH(connection.on_data({}), "assertion failed: !bytes.empty\\(\\)");
}

TEST_F(ConnectionDeathTest, RefusesAnEmptyBlock) {
  say("abcd");
  EXPECT_DEATH(connection.on_wrote_part(1, Block()), "assertion failed: pool_ != nullptr");
}

TEST_F(ConnectionDeathTest, RefusesThatAllWasAPart) {
  say("abcd");
  EXPECT_DEATH(connection.on_wrote_part(4, pool.acquire()), "assertion failed");
}

TEST_F(ConnectionDeathTest, WasNotEndedWhileItIsOpen) {
  EXPECT_DEATH(static_cast<void>(connection.ended_by()), "assertion failed: !is_open");
}

}  // namespace
}  // namespace echoproof
