// Service: every decision of the server. Who gets a block, who waits, who is closed and when.
#include "core/service.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

namespace echoproof {
namespace {

static_assert(!std::is_copy_constructible_v<Service>);
static_assert(!std::is_copy_assignable_v<Service>);
static_assert(!std::is_copy_constructible_v<Connection>);

constexpr Limits defaults{.connections = 8,
                          .buffer_memory = 2 * 16,
                          .block_size = 16,
                          .idle = Time(1600),
                          .write = Time(300),
                          .write_contended = Time(100)};

// A Service, its clients by number, and a clock. What libuv would do next is up to the test.
class ServiceTest : public testing::Test {
 protected:
  void start(const Limits& limits) { service = std::make_unique<Service>(limits); }

  void SetUp() override { start(defaults); }

  // However a test leaves it: everything is closed as libuv would, and nothing is left.
  void TearDown() override {
    service->stop_at(now);
    settle();
    for (Connection& connection : clients) {
      if (connection.state() == State::cancelling) {
        service->on(connection, Event::write_failed, now);
      }
      if (connection.state() == State::closing) service->on(connection, Event::close_done, now);
    }
    EXPECT_EQ(service->open(), 0U);
    EXPECT_EQ(service->waiting(), 0U);
    EXPECT_EQ(service->pool().available(), service->pool().capacity());
    EXPECT_EQ(service->pool().acquired(), service->pool().released());
    EXPECT_EQ(service->wake_at(), Time::max());
  }

  void open(std::size_t who) { service->on_open(clients[who], now); }
  bool alloc(std::size_t who) { return !service->on_alloc(clients[who], now).empty(); }
  Action data(std::size_t who, std::size_t size) {
    return service->on_data(clients[who], size, now);
  }
  Action wrote(std::size_t who, std::size_t size) {
    return service->on_wrote(clients[who], size, now);
  }
  Action happen(std::size_t who, Event event) { return service->on(clients[who], event, now); }

  // Opens a client that has sent `size` bytes, of which the kernel takes none back.
  void open_writing(std::size_t who, std::size_t size = 4) {
    open(who);
    ASSERT_TRUE(alloc(who));
    ASSERT_EQ(data(who, size), Action::write);
    ASSERT_EQ(wrote(who, 0), Action::flush);
  }
  // Opens a client that wants to send and has to wait for a block.
  void open_waiting(std::size_t who) {
    open(who);
    ASSERT_FALSE(alloc(who));
    ASSERT_EQ(happen(who, Event::no_buffer), Action::wait);
  }
  // One whole echo.
  void echo(std::size_t who, std::size_t size = 4) {
    ASSERT_TRUE(alloc(who));
    ASSERT_EQ(data(who, size), Action::write);
    ASSERT_EQ(wrote(who, size), Action::none);
  }

  struct Answer {
    std::size_t who;
    Action action;
    bool operator==(const Answer&) const = default;
  };
  // Everything that is due now, in order.
  std::vector<Answer> settle() {
    std::vector<Answer> answers;
    for (;;) {
      const Service::Due due = service->next_due(now);
      if (due.connection == nullptr) return answers;
      answers.push_back(
          {static_cast<std::size_t>(static_cast<Connection*>(due.connection) - clients.data()),
           due.action});
    }
  }
  using Answers = std::vector<Answer>;

  Time now{1000};
  std::array<Connection, 8> clients;
  std::unique_ptr<Service> service;
};

using ServiceDeathTest = ServiceTest;

// --- Room. --------------------------------------------------------------------------------------

TEST_F(ServiceTest, HasRoomUntilTheLimitOnConnectionsIsReached) {
  Limits limits = defaults;
  limits.connections = 2;
  start(limits);
  open(0);
  EXPECT_TRUE(service->has_room());
  open(1);
  EXPECT_FALSE(service->has_room());
}

TEST_F(ServiceTest, HasNoRoomBeforeLibuvHasLetGo) {
  Limits limits = defaults;
  limits.connections = 1;
  start(limits);
  open(0);
  happen(0, Event::eof);
  EXPECT_FALSE(service->has_room());
  EXPECT_EQ(happen(0, Event::close_done), Action::release);
  EXPECT_TRUE(service->has_room());
}

TEST_F(ServiceTest, HasNoMoreBlocksThanConnections) {
  Limits limits = defaults;
  limits.connections = 3;
  limits.buffer_memory = 100 * limits.block_size;
  start(limits);
  EXPECT_EQ(service->pool().capacity(), 3U);
}

TEST_F(ServiceTest, RoundsTheNumberOfBlocksDown) {
  Limits limits = defaults;
  limits.buffer_memory = 3 * limits.block_size - 1;
  start(limits);
  EXPECT_EQ(service->pool().capacity(), 2U);
}

TEST_F(ServiceDeathTest, RefusesOneMoreThanThereIsRoomFor) {
  Limits limits = defaults;
  limits.connections = 1;
  start(limits);
  open(0);
  EXPECT_DEATH(open(1), "assertion failed: has_room\\(\\)");
}

TEST_F(ServiceDeathTest, RefusesBlocksThatAWriteCannotCarry) {
  Limits limits = defaults;
  limits.connections = 1;
  limits.block_size = block_size_max + 1;
  limits.buffer_memory = limits.block_size;
  EXPECT_DEATH(Service{limits}, "assertion failed: limits.block_size <= block_size_max");
}

TEST_F(ServiceDeathTest, MustNotEndBeforeItsConnections) {
  EXPECT_DEATH(
      {
        Service brief(defaults);
        Connection connection;
        brief.on_open(connection, now);
      },
      "assertion failed");
}

// --- Blocks. ------------------------------------------------------------------------------------

TEST_F(ServiceTest, AnIdleConnectionHoldsNoBlock) {
  open(0);
  echo(0);
  EXPECT_EQ(service->pool().available(), 2U);
}

TEST_F(ServiceTest, OffersTheSameBlockUntilItIsUsed) {
  open(0);
  const auto first = service->on_alloc(clients[0], now);
  const auto again = service->on_alloc(clients[0], now);
  EXPECT_EQ(first.data(), again.data());
  EXPECT_EQ(service->pool().acquired(), 1U);
}

TEST_F(ServiceTest, AnEmptyReadGivesTheBlockBack) {
  open(0);
  alloc(0);
  EXPECT_EQ(happen(0, Event::empty_read), Action::none);
  EXPECT_EQ(service->pool().available(), 2U);
}

TEST_F(ServiceTest, LendsNothingBeyondTheLimit) {
  open_writing(0);
  open_writing(1);
  open(2);
  EXPECT_FALSE(alloc(2));
  EXPECT_EQ(service->pool().available(), 0U);
}

TEST_F(ServiceTest, ResumesWhoeverHasWaitedLongest) {
  open_writing(0);
  open_writing(1);
  open_waiting(2);
  open_waiting(3);
  EXPECT_EQ(service->waiting(), 2U);
  EXPECT_EQ(settle(), Answers{});
  happen(1, Event::write_done);
  EXPECT_EQ(settle(), (Answers{{2, Action::read}}));
  happen(0, Event::write_done);
  EXPECT_EQ(settle(), (Answers{{3, Action::read}}));
  EXPECT_EQ(service->waiting(), 0U);
}

TEST_F(ServiceTest, NobodyOvertakesThoseWhoWait) {
  open_writing(0);
  open_writing(1);
  open_waiting(2);
  open(3);
  happen(0, Event::write_done);
  EXPECT_FALSE(alloc(3)) << "a block is free, but it is another's turn";
  EXPECT_EQ(settle(), (Answers{{2, Action::read}}));
}

TEST_F(ServiceTest, WhoWasResumedReadsIntoTheBlockThatItWasGiven) {
  open_writing(0);
  open_writing(1);
  open_waiting(2);
  happen(0, Event::write_done);
  settle();
  EXPECT_TRUE(alloc(2));
  EXPECT_EQ(service->pool().acquired(), 3U);
}

// --- The end of input. --------------------------------------------------------------------------

TEST_F(ServiceTest, ClosesAtEofAndGivesTheBlockBack) {
  open(0);
  alloc(0);
  EXPECT_EQ(happen(0, Event::eof), Action::close);
  EXPECT_EQ(service->pool().available(), 2U);
  EXPECT_EQ(service->wake_at(), Time::max());
}

TEST_F(ServiceTest, ClosesWhenAWriteIsRefused) {
  open(0);
  alloc(0);
  data(0, 4);
  EXPECT_EQ(happen(0, Event::write_refused), Action::close);
  EXPECT_EQ(service->pool().available(), 2U);
}

TEST_F(ServiceTest, ClosesWhenAQueuedWriteFails) {
  open_writing(0);
  EXPECT_EQ(happen(0, Event::write_failed), Action::close);
  EXPECT_EQ(service->pool().available(), 2U);
}

// --- Time limits. -------------------------------------------------------------------------------

TEST_F(ServiceTest, ClosesAnIdleConnectionAfterTheLimitAndItsSlack) {
  open(0);
  now += Time(1600 + 100) - Time(1);
  EXPECT_EQ(settle(), Answers{});
  now += Time(1);
  EXPECT_EQ(settle(), (Answers{{0, Action::close}}));
}

TEST_F(ServiceTest, CountsIdlenessFromTheLastData) {
  open(0);
  now += Time(1000);
  echo(0);
  now += Time(1699);
  EXPECT_EQ(settle(), Answers{});
  now += Time(1);
  EXPECT_EQ(settle(), (Answers{{0, Action::close}}));
}

TEST_F(ServiceTest, IsNeverEarlyAlthoughItForgetsDataWithinTheSlack) {
  open(0);
  now += Time(100);
  echo(0);
  now += Time(1599);
  EXPECT_EQ(settle(), Answers{}) << "1599 ms after the last data";
  now += Time(1);
  EXPECT_EQ(settle(), (Answers{{0, Action::close}}));
}

TEST_F(ServiceTest, ClosesNobodyForBeingIdleWithoutALimit) {
  Limits limits = defaults;
  limits.idle = Time::max();
  start(limits);
  open(0);
  now += std::chrono::hours(24 * 365);
  echo(0);
  EXPECT_EQ(settle(), Answers{});
  EXPECT_EQ(service->wake_at(), Time::max());
}

TEST_F(ServiceTest, ClosesIdleConnectionsInTheOrderOfTheirLastData) {
  open(0);
  open(1);
  now += Time(500);
  echo(0);
  now += Time(1200);
  EXPECT_EQ(settle(), (Answers{{1, Action::close}}));
  now += Time(500);
  EXPECT_EQ(settle(), (Answers{{0, Action::close}}));
}

TEST_F(ServiceTest, TakesABlockBackWhenTheClientDoesNotRead) {
  open_writing(0);
  now += Time(299);
  EXPECT_EQ(settle(), Answers{});
  now += Time(1);
  EXPECT_EQ(settle(), (Answers{{0, Action::close}}));
  EXPECT_EQ(service->pool().available(), 1U) << "libuv still has it";
  EXPECT_EQ(happen(0, Event::write_failed), Action::none);
  EXPECT_EQ(service->pool().available(), 2U);
}

TEST_F(ServiceTest, IsLessPatientWhileOthersWait) {
  open_writing(0);
  open_writing(1);
  now += Time(50);
  open_waiting(2);
  now += Time(49);
  EXPECT_EQ(settle(), Answers{});
  now += Time(1);
  EXPECT_EQ(settle(), (Answers{{0, Action::close}})) << "one waits, so one is closed";
}

TEST_F(ServiceTest, ClosesOnlyAsManyWritersAsBlocksAreWanted) {
  Limits limits = defaults;
  limits.buffer_memory = 4 * limits.block_size;
  start(limits);
  for (std::size_t who = 0; who < 4; ++who) open_writing(who);
  open_waiting(4);
  open_waiting(5);
  now += Time(200);
  EXPECT_EQ(settle(), (Answers{{0, Action::close}, {1, Action::close}}));
  happen(0, Event::write_failed);
  EXPECT_EQ(settle(), (Answers{{4, Action::read}}));
  happen(1, Event::write_failed);
  EXPECT_EQ(settle(), (Answers{{5, Action::read}}));
  EXPECT_EQ(settle(), Answers{}) << "2 and 3 may go on";
}

TEST_F(ServiceTest, IsPatientAgainWhenNobodyWaits) {
  open_writing(0);
  open_writing(1);
  open_waiting(2);
  happen(0, Event::write_done);
  settle();
  now += Time(299);
  EXPECT_EQ(settle(), Answers{});
  now += Time(1);
  EXPECT_EQ(settle(), (Answers{{1, Action::close}}));
}

TEST_F(ServiceTest, IsNeverMorePatientWhileOthersWait) {
  Limits limits = defaults;
  limits.write_contended = Time(1000);
  start(limits);
  open_writing(0);
  open_writing(1);
  open_waiting(2);
  now += Time(300);
  EXPECT_EQ(settle().front(), (Answer{0, Action::close}));
}

TEST_F(ServiceTest, NobodyIsClosedForWaiting) {
  Limits limits = defaults;
  limits.write = Time::max();
  limits.write_contended = Time::max();
  start(limits);
  open_writing(0);
  open_writing(1);
  open_waiting(2);
  now += std::chrono::hours(1);
  EXPECT_EQ(settle(), Answers{});
}

// --- Stopping. ----------------------------------------------------------------------------------

TEST_F(ServiceTest, ClosesEverybodyWhenItIsStopped) {
  open_writing(0);
  open(1);
  alloc(1);
  open_waiting(2);
  open(3);
  service->stop_at(now + Time(10));
  EXPECT_EQ(settle(), Answers{});
  now += Time(10);
  const Answers answers = settle();
  EXPECT_EQ(answers.size(), 4U);
  for (const Answer& answer : answers) EXPECT_EQ(answer.action, Action::close);
  EXPECT_EQ(service->pool().acquired(), 2U) << "nobody is lent a block only to be closed";
}

TEST_F(ServiceTest, ServesOnUntilItIsToStop) {
  open(0);
  service->stop_at(now + Time(10));
  now += Time(9);
  echo(0);
  EXPECT_EQ(settle(), Answers{});
  EXPECT_EQ(service->bytes_echoed(), 4U);
}

TEST_F(ServiceTest, TheEarliestWishToStopCounts) {
  open(0);
  service->stop_at(now + Time(50));
  service->stop_at(now + Time(10));
  service->stop_at(now + Time(90));
  EXPECT_EQ(service->wake_at(), now + Time(10));
  now += Time(10);
  EXPECT_EQ(settle(), (Answers{{0, Action::close}}));
}

TEST_F(ServiceTest, ClosesWhoIsOpenedAfterTheStop) {
  service->stop_at(now);
  open(0);
  EXPECT_EQ(settle(), (Answers{{0, Action::close}}));
}

// --- When to wake up. ---------------------------------------------------------------------------

TEST_F(ServiceTest, NeverWakesUpWhenNobodyIsOpen) {
  EXPECT_EQ(service->wake_at(), Time::max());
  service->stop_at(now);
  EXPECT_EQ(service->wake_at(), Time::max());
  EXPECT_EQ(settle(), Answers{});
}

TEST_F(ServiceTest, WakesUpForTheFirstToExpire) {
  open(0);
  EXPECT_EQ(service->wake_at(), now + Time(1700));
  open_writing(1);
  EXPECT_EQ(service->wake_at(), now + Time(300));
}

TEST_F(ServiceTest, WakesUpSoonerWhenSomebodyHasToWait) {
  open_writing(0);
  open_writing(1);
  EXPECT_EQ(service->wake_at(), now + Time(300));
  open_waiting(2);
  EXPECT_EQ(service->wake_at(), now + Time(100));
}

TEST_F(ServiceTest, SetsTheTimeAnewWhenItWokeUpForNothing) {
  open(0);
  now += Time(1000);
  echo(0);
  const Time early = service->wake_at();
  EXPECT_EQ(early, now + Time(700)) << "it is not set at every echo";
  now = early;
  EXPECT_EQ(settle(), Answers{});
  EXPECT_EQ(service->wake_at(), early + Time(1000));
}

TEST_F(ServiceTest, WakesUpForAStopAlone) {
  Limits limits = defaults;
  limits.idle = limits.write = limits.write_contended = Time::max();
  start(limits);
  open_writing(0);
  open_writing(1);
  open_waiting(2);
  EXPECT_EQ(service->wake_at(), Time::max());
  service->stop_at(now + Time(7));
  EXPECT_EQ(service->wake_at(), now + Time(7));
}

// --- The books. ---------------------------------------------------------------------------------

TEST_F(ServiceTest, CountsTheBytesThatWereWritten) {
  open(0);
  alloc(0);
  data(0, 10);
  wrote(0, 3);
  EXPECT_EQ(service->bytes_echoed(), 3U);
  happen(0, Event::write_done);
  EXPECT_EQ(service->bytes_echoed(), 10U);
}

TEST_F(ServiceTest, CountsAWriteThatWasDoneBeforeTheCloseWasReported) {
  open_writing(0, 10);
  service->stop_at(now);
  settle();
  EXPECT_EQ(happen(0, Event::write_done), Action::none);
  EXPECT_EQ(service->bytes_echoed(), 10U);
}

TEST_F(ServiceTest, DoesNotCountWhatFailed) {
  open_writing(0, 10);
  happen(0, Event::write_failed);
  EXPECT_EQ(service->bytes_echoed(), 0U);
}

TEST_F(ServiceTest, CountsOpenConnectionsUntilTheirCloseCallback) {
  open(0);
  open(1);
  EXPECT_EQ(service->open(), 2U);
  happen(0, Event::eof);
  EXPECT_EQ(service->open(), 2U);
  happen(0, Event::close_done);
  EXPECT_EQ(service->open(), 1U);
}

TEST(Service, ThrowsWhenTheMemoryIsNotToBeHad) {
  Limits limits = defaults;
  limits.connections = std::size_t{1} << 32;
  limits.buffer_memory = ~std::size_t{0};
  EXPECT_THROW(Service{limits}, std::bad_alloc);
}

}  // namespace
}  // namespace echoproof
