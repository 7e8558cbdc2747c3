// Service: every decision of the server. Which client may be read from, which is closed, when and
// how.
#include "core/service.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <limits>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

namespace echoproof {
namespace {

static_assert(!std::is_copy_constructible_v<Service>);
static_assert(!std::is_copy_assignable_v<Service>);
static_assert(!std::is_copy_constructible_v<Connection>);

constexpr std::size_t block_size = 4096;

// A client that has written lately, or for which a write is queued, gets a look each 40 ms.
constexpr Limits defaults{.connections = 8,
                          .buffer_memory = 100'000,
                          .block_size = block_size,
                          .kernel_memory = KernelBudget::unlimited,
                          .tuned_socket = 1,
                          .idle = Time(1600),
                          .write = Time(800)};

// A Service, its clients by number, what their kernels have not acknowledged, and a clock.
class ServiceTest : public testing::Test {
 protected:
  void start(const Limits& limits) { service = std::make_unique<Service>(limits); }

  void SetUp() override { start(defaults); }

  // However a test leaves it: everything is closed as libuv would, and nothing is left.
  void TearDown() override {
    service->stop_at(now);
    look(now);
    for (Connection& connection : clients) {
      if (connection.state() == State::cancelling) service->on(connection, Event::error, now);
      if (connection.state() == State::closing) service->on(connection, Event::close_done, now);
    }
    EXPECT_EQ(service->open(), 0U);
    for (const BlockPool* const pool : {&service->small_blocks(), &service->large_blocks()}) {
      EXPECT_EQ(pool->lent(), 0U);
      EXPECT_EQ(pool->acquired(), pool->released());
    }
    EXPECT_EQ(service->kernel_memory().granted(), 0U);
    EXPECT_EQ(service->wake_at(), Time::max());
  }

  void open(std::size_t who) { service->on_open(clients[who], now); }
  Action say(std::size_t who, std::size_t size = 4) {
    return service->on_data(clients[who], size, now);
  }
  Action wrote(std::size_t who, std::size_t size) {
    return service->on_wrote(clients[who], size, now);
  }
  Action happen(std::size_t who, Event event) { return service->on(clients[who], event, now); }

  // One whole echo, of which the client has acknowledged all but `left` bytes.
  void echo(std::size_t who, std::size_t size = 4, std::size_t left = 0) {
    ASSERT_EQ(say(who, size), Action::write);
    ASSERT_EQ(wrote(who, size), Action::none);
    owed[who] = left;
  }
  // Opens a client that has sent `size` bytes, of which the kernel takes none back.
  void open_writing(std::size_t who, std::size_t size = 4) {
    open(who);
    ASSERT_EQ(say(who, size), Action::write);
    ASSERT_EQ(wrote(who, 0), Action::flush);
    owed[who] = size;
  }
  // Opens a client that has ended its output and is owed much.
  void open_lingering(std::size_t who) {
    open(who);
    echo(who, 4, linger_share);
    ASSERT_EQ(service->on_eof(clients[who], linger_share, now), Action::finish);
  }

  struct Answer {
    std::size_t who;
    Action action;
    bool operator==(const Answer&) const = default;
  };
  using Answers = std::vector<Answer>;

  // The clients that looks as of `as_of` close, in order.
  Answers look(Time as_of) {
    Answers answers;
    while (Connection* const due = service->next_due(as_of, now)) {
      const auto who = static_cast<std::size_t>(due - clients.data());
      const Action action = service->on_look(*due, owed[who], as_of, now);
      if (action != Action::none) answers.push_back({who, action});
    }
    return answers;
  }
  // The clients that are closed while `time` passes, with the timer of a prompt loop.
  Answers pass(Time time) {
    Answers all;
    const Time until = now + time;
    while (service->wake_at() <= until) {
      now = std::max(now, service->wake_at());
      for (const Answer& answer : look(now)) all.push_back(answer);
    }
    now = until;
    return all;
  }

  Time now{1000};
  std::array<Connection, 8> clients;
  std::array<std::size_t, 8> owed{};
  std::unique_ptr<Service> service;
};

using ServiceDeathTest = ServiceTest;

// --- Room. --------------------------------------------------------------------------------------

TEST_F(ServiceTest, HasRoomUntilTheLimitOnConnectionsIsReached) {
  for (std::size_t who = 0; who < 8; ++who) {
    EXPECT_TRUE(service->has_room());
    open(who);
  }
  EXPECT_FALSE(service->has_room());
  EXPECT_EQ(service->open_peak(), 8U);
}

TEST_F(ServiceTest, HasNoRoomBeforeLibuvHasLetGo) {
  for (std::size_t who = 0; who < 8; ++who) open(who);
  service->on_eof(clients[0], 0, now);
  EXPECT_FALSE(service->has_room());
  happen(0, Event::close_done);
  EXPECT_TRUE(service->has_room());
  EXPECT_EQ(service->open_peak(), 8U);
}

TEST_F(ServiceDeathTest, RefusesOneMoreThanThereIsRoomFor) {
  for (std::size_t who = 0; who < 8; ++who) open(who);
  Connection ninth;
  EXPECT_DEATH(service->on_open(ninth, now), "assertion failed: has_room");
}

TEST_F(ServiceDeathTest, MustNotEndBeforeItsConnections) {
  EXPECT_DEATH(
      {
        open(0);
        service.reset();
      },
      "assertion failed: open_ == 0");
}

TEST(Service, ThrowsWhenTheMemoryIsNotToBeHad) {
  Limits limits = defaults;
  limits.connections = std::size_t{1} << 32;
  limits.buffer_memory = std::numeric_limits<std::size_t>::max() / 2;
  limits.block_size = 1;
  EXPECT_THROW(Service service(limits), std::bad_alloc);
}

// --- Memory. ------------------------------------------------------------------------------------

TEST_F(ServiceTest, WhoIsServedAtOnceHoldsNoBlock) {
  open(0);
  echo(0);
  EXPECT_EQ(service->small_blocks().acquired() + service->large_blocks().acquired(), 0U);
}

TEST_F(ServiceTest, KeepsALargeRestInALargeBlockAndASmallOneInASmall) {
  open_writing(0, small_block_size + 1);
  EXPECT_TRUE(clients[0].block().is_of(service->large_blocks()));
  open_writing(1, small_block_size);
  EXPECT_TRUE(clients[1].block().is_of(service->small_blocks()));
}

TEST_F(ServiceTest, ReadsNoMoreThanASmallBlockOnceAllLargeOnesAreLent) {
  Limits limits = defaults;
  limits.buffer_memory = 8 * BlockPool::stride_of(small_block_size) * 2;
  limits.block_size = 4000;  // two large: one of them is the scratch buffer
  start(limits);
  ASSERT_EQ(service->large_blocks().capacity(), 1U);
  EXPECT_EQ(service->read_buffer().size(), 4000U);
  open_writing(0, 4000);
  EXPECT_EQ(service->read_buffer().size(), small_block_size);
  for (std::size_t who = 1; who < 8; ++who) open_writing(who, service->read_buffer().size());
  happen(0, Event::write_done);
  EXPECT_EQ(service->read_buffer().size(), 4000U);
}

TEST_F(ServiceTest, NumbersEveryBlockThatIsLentDifferently) {
  open_writing(0, small_block_size + 1);
  open_writing(1);
  open_writing(2);
  const std::size_t all = service->small_blocks().capacity() + service->large_blocks().capacity();
  for (const std::size_t who : {0U, 1U, 2U}) {
    EXPECT_LT(service->slot_of(clients[who]), all);
    EXPECT_NE(service->slot_of(clients[who]), service->slot_of(clients[(who + 1) % 3]));
  }
}

TEST_F(ServiceTest, KeepsTheBytesOfEachClientApart) {
  for (const std::size_t who : {0U, 1U}) {
    open(who);
    service->read_buffer()[0] = std::byte(who);
    say(who, 1);
    wrote(who, 0);
  }
  EXPECT_EQ(clients[0].unsent()[0], std::byte{0});
  EXPECT_EQ(clients[1].unsent()[0], std::byte{1});
}

TEST_F(ServiceTest, GrantsKernelMemoryUntilTheCloseIsDone) {
  Limits limits = defaults;
  limits.kernel_memory = 8 * KernelBudget::least;
  start(limits);
  open(0);
  EXPECT_EQ(service->kernel_memory().granted(), KernelBudget::least);
  service->on_eof(clients[0], 0, now);
  EXPECT_EQ(service->kernel_memory().granted(), KernelBudget::least);
  happen(0, Event::close_done);
  EXPECT_EQ(service->kernel_memory().granted(), 0U);
}

// --- The end of input. --------------------------------------------------------------------------

TEST_F(ServiceTest, ClosesAtEofWhoIsOwedLittle) {
  open(0);
  echo(0);
  EXPECT_EQ(service->on_eof(clients[0], linger_share - 1, now), Action::close);
}

TEST_F(ServiceTest, StaysAfterEofWithWhoIsOwedMuchUntilItHasAll) {
  open_lingering(0);
  EXPECT_EQ(pass(Time(200)), Answers());
  owed[0] = 0;
  EXPECT_EQ(pass(Time(50)), (Answers{{0, Action::close}}));
  EXPECT_EQ(service->closed(Reason::eof), 1U);
}

TEST_F(ServiceTest, CutsWhoTakesNothingAfterEof) {
  open_lingering(0);
  EXPECT_EQ(pass(Time(799)), Answers());
  EXPECT_EQ(pass(Time(102)), (Answers{{0, Action::reset}}));
  EXPECT_EQ(service->closed(Reason::write_limit), 1U);
}

// --- The idle limit. ----------------------------------------------------------------------------

TEST_F(ServiceTest, ClosesAQuietConnectionAfterTheLimitAndWithinASixteenth) {
  open(0);
  EXPECT_EQ(pass(Time(1600)), Answers());
  EXPECT_EQ(pass(Time(100)), (Answers{{0, Action::close}}));
  EXPECT_EQ(service->closed(Reason::idle), 1U);
}

TEST_F(ServiceTest, CountsQuietFromTheLastData) {
  open(0);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(pass(Time(1500)), Answers());
    echo(0);
  }
  EXPECT_EQ(pass(Time(1600)), Answers());
  EXPECT_EQ(pass(Time(100)), (Answers{{0, Action::close}}));
}

TEST_F(ServiceTest, IsNotSilenceToTakeWhatIsOwed) {
  open(0);
  echo(0, 4, 1000);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(pass(Time(700)), Answers());
    owed[0] -= 50;
  }
}

TEST_F(ServiceTest, ClosesNobodyForBeingQuietWithoutALimit) {
  Limits limits = defaults;
  limits.idle = Time::max();
  start(limits);
  open(0);
  EXPECT_EQ(pass(Time(1'000'000)), Answers());
}

// --- The write limit. ---------------------------------------------------------------------------

TEST_F(ServiceTest, CutsWhoTakesNothingAfterTheLimitAndWithinAnEighth) {
  open_writing(0);
  EXPECT_EQ(pass(Time(800)), Answers());
  EXPECT_EQ(pass(Time(100)), (Answers{{0, Action::reset}}));
  EXPECT_EQ(service->closed(Reason::write_limit), 1U);
  EXPECT_EQ(clients[0].state(), State::cancelling);
}

TEST_F(ServiceTest, SparesWhoTakesSomethingInTime) {
  open_writing(0, 1000);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(pass(Time(790)), Answers());
    --owed[0];
  }
}

TEST_F(ServiceTest, SparesWhoTakesSomethingOfAnEchoThatCameRightAfterALook) {
  open(0);
  echo(0, 4, 10);
  pass(service->wake_at() - now);  // the echo is new, so it is not looked at
  pass(service->wake_at() - now);
  echo(0, 4, 15);
  pass(Time(20));
  owed[0] = 14;  // within the time between two looks
  EXPECT_EQ(pass(Time(799)), Answers());
}

TEST_F(ServiceTest, SparesWhoTakesSomethingOfAnEchoThatCameAfterAPause) {
  open(0);
  echo(0, 4, 10);
  pass(Time(100));
  owed[0] = 0;
  pass(Time(100));
  ASSERT_EQ(clients[0].state(), State::quiet);
  echo(0, 4, 15);
  pass(Time(20));
  owed[0] = 14;
  EXPECT_EQ(pass(Time(799)), Answers());
}

TEST_F(ServiceTest, CutsWhoTakesNothingOfWhatTheKernelHoldsByTheSameLimit) {
  open(0);
  echo(0, 4, 100);
  EXPECT_EQ(pass(Time(800)), Answers());
  EXPECT_EQ(pass(Time(100)), (Answers{{0, Action::reset}}));
  EXPECT_EQ(service->closed(Reason::write_limit), 1U);
}

TEST_F(ServiceTest, CountsWhatWasHeardAfterTheMomentThatIsJudged) {
  open(0);
  pass(Time(1500));
  const Time as_of = now + Time(150);  // the limit has come by then
  now = as_of + Time(1);
  echo(0);
  EXPECT_EQ(look(as_of), Answers());
}

TEST_F(ServiceTest, ReadsOnAfterAQueuedWrite) {
  open_writing(0);
  EXPECT_EQ(happen(0, Event::write_done), Action::read);
  EXPECT_EQ(service->small_blocks().lent(), 0U);
}

TEST_F(ServiceTest, ResetsWhoseQueuedWriteFails) {
  open_writing(0);
  EXPECT_EQ(happen(0, Event::reset), Action::reset);
  EXPECT_EQ(service->closed(Reason::reset), 1U);
}

// --- The end. -----------------------------------------------------------------------------------

TEST_F(ServiceTest, ClosesEverybodyWhenItIsStoppedAndResetsWhoIsOwed) {
  open(0);
  open(1);
  echo(1, 4, 1);
  open_writing(2);
  open_lingering(3);
  service->stop_at(now);
  EXPECT_EQ(look(now).size(), 4U);
  EXPECT_EQ(service->closed(Reason::drain), 4U);
  EXPECT_EQ(clients[0].ended_by(), Event::stop);
  EXPECT_EQ(clients[1].ended_by(), Event::stop_owed);
  EXPECT_EQ(clients[2].ended_by(), Event::stop_owed);
  EXPECT_EQ(clients[3].ended_by(), Event::stop_owed);
}

TEST_F(ServiceTest, ServesOnUntilItIsToStop) {
  open(0);
  service->stop_at(now + Time(100));
  EXPECT_EQ(pass(Time(99)), Answers());
  echo(0);
  EXPECT_EQ(pass(Time(1)), (Answers{{0, Action::close}}));
}

TEST_F(ServiceTest, TheEarliestWishToStopCounts) {
  open(0);
  service->stop_at(now + Time(10));
  service->stop_at(now + Time(100));
  EXPECT_EQ(pass(Time(10)), (Answers{{0, Action::close}}));
}

TEST_F(ServiceTest, ClosesWhoIsOpenedAfterTheStop) {
  service->stop_at(now);
  open(0);
  EXPECT_EQ(look(now), (Answers{{0, Action::close}}));
}

// --- The timer. ---------------------------------------------------------------------------------

TEST_F(ServiceTest, NeverWakesUpWhenNobodyIsOpen) {
  EXPECT_EQ(service->wake_at(), Time::max());
  open(0);
  EXPECT_LT(service->wake_at(), Time::max());
  service->on_eof(clients[0], 0, now);
  EXPECT_EQ(service->wake_at(), Time::max());
}

TEST_F(ServiceTest, SleepsWhileEverybodyIsQuiet) {
  open(0);
  pass(Time(100));
  EXPECT_GE(service->wake_at(), now + Time(1500));
}

TEST_F(ServiceTest, WakesUpSoonerForSomebodyNew) {
  open(0);
  pass(Time(100));
  open(1);
  EXPECT_LE(service->wake_at(), now + Time(40));
}

TEST_F(ServiceTest, WakesUpForACrowdOnceInAWhile) {
  for (std::size_t who = 0; who < 8; ++who) {
    open_writing(who);
    ++now;
  }
  int wakes = 0;
  for (const Time until = now + Time(40); service->wake_at() <= until; ++wakes) {
    now = std::max(now, service->wake_at());
    look(now);
  }
  EXPECT_LE(wakes, 9);
}

TEST_F(ServiceTest, WakesUpForAStopAlone) {
  Limits limits = defaults;
  limits.idle = limits.write = Time::max();
  start(limits);
  open(0);
  EXPECT_GT(service->wake_at(), now + Time(5));
  service->stop_at(now + Time(5));
  EXPECT_EQ(service->wake_at(), now + Time(5));
}

// --- Counts. ------------------------------------------------------------------------------------

TEST_F(ServiceTest, CountsTheBytesThatWereWritten) {
  open(0);
  echo(0, 7);
  say(0, 10);
  wrote(0, 3);
  EXPECT_EQ(service->bytes_echoed(), 10U);
  happen(0, Event::write_done);
  EXPECT_EQ(service->bytes_echoed(), 17U);
}

TEST_F(ServiceTest, CountsAWriteThatWasDoneAfterTheCloseWasAskedFor) {
  open_writing(0, 5);
  service->stop_at(now);
  look(now);
  EXPECT_EQ(happen(0, Event::write_done), Action::none);
  EXPECT_EQ(service->bytes_echoed(), 5U);
}

TEST_F(ServiceTest, DoesNotCountWhatFailed) {
  open_writing(0, 5);
  happen(0, Event::error);
  EXPECT_EQ(service->bytes_echoed(), 0U);
}

TEST(Reason, OfEveryEventThatEndsAConnection) {
  EXPECT_EQ(reason_of(Event::eof), Reason::eof);
  EXPECT_EQ(reason_of(Event::caught_up), Reason::eof);
  EXPECT_EQ(reason_of(Event::reset), Reason::reset);
  EXPECT_EQ(reason_of(Event::idle), Reason::idle);
  EXPECT_EQ(reason_of(Event::deadline), Reason::write_limit);
  EXPECT_EQ(reason_of(Event::stop), Reason::drain);
  EXPECT_EQ(reason_of(Event::stop_owed), Reason::drain);
  EXPECT_EQ(reason_of(Event::refused), Reason::refused);
  EXPECT_EQ(reason_of(Event::error), Reason::error);
}

}  // namespace
}  // namespace echoproof
