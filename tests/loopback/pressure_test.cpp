// Clients that take without giving: they never read, never speak, or come in crowds. What one of
// them can hold is bounded, and the others keep getting answers.
#include <gtest/gtest.h>

#include "client.hpp"
#include "crowd.hpp"
#include "server_process.hpp"

namespace loopback {
namespace {

constexpr std::size_t kibi = 1024;
constexpr std::size_t mebi = kibi * kibi;
constexpr std::size_t default_memory = 64 * mebi;

// What the program may take beside its blocks: 2,050 sessions of well under 2 KiB, libuv's tables,
// the C library's arenas.
constexpr std::size_t stated_constant = 4 * mebi;

TEST(NeverReader, HoldsAtMostOneBlockOfTwoHundredFiftySixMebibytes) {
  ServerProcess server = ServerProcess::start({"--write-timeout", "1h"});
  const std::size_t before = server.private_bytes();
  Client client(server.port());
  const std::size_t taken = client.send_until_blocked(256 * mebi);
  EXPECT_LT(taken, 256 * mebi) << "the kernel's buffers took it all: nothing was tested";
  const Statistics statistics = server.statistics();
  EXPECT_EQ(statistics.connections, 1);
  EXPECT_EQ(statistics.blocks_lent, 1);
  if (!server.has_shadow_memory()) {
    EXPECT_LT(server.private_bytes(), before + 2 * mebi);
  }
  client.close();
  EXPECT_TRUE(eventually([&] { return server.statistics().blocks_lent == 0; }));
  stop_cleanly(server);
}

TEST(NeverReader, GetsEverythingOnceItReads) {
  ServerProcess server = ServerProcess::start({"--write-timeout", "1h"});
  Client client(server.port());
  const std::size_t sent = client.send_until_blocked(256 * mebi);
  client.shutdown_write();
  EXPECT_EQ(client.receive_to_end().size(), sent);
  EXPECT_EQ(client.ending(), Ending::fin);
  stop_cleanly(server);
}

TEST(NeverReader, IsClosedWhenTheWriteTimeoutHasPassed) {
  ServerProcess server = ServerProcess::start({"--write-timeout", "400ms"});
  Client client(server.port());
  client.send_until_blocked(256 * mebi, milliseconds(100));
  EXPECT_TRUE(eventually([&] { return server.statistics().connections == 0; }));
  client.receive_to_end();
  EXPECT_EQ(client.ending(), Ending::reset);
  stop_cleanly(server);
}

TEST(NeverReader, TwoThousandOfThemStayWithinTheMemoryLimitAndNobodyMakesWay) {
  ServerProcess server = ServerProcess::start({"--log-level", "error"});
  const std::size_t before = server.private_bytes();
  constexpr std::size_t crowd_size = 2'000;
  Crowd crowd(server.port(), {.size = crowd_size});
  crowd.gather();
  // Otherwise they held too little, and nothing was tested.
  EXPECT_TRUE(eventually([&] { return server.statistics().blocks_lent > 1'000; }));
  Client honest(server.port());
  EXPECT_TRUE(honest.answers("hello"));
  const Statistics now = server.statistics();
  EXPECT_LE(now.blocks_lent, now.blocks);
  EXPECT_EQ(now.connections, static_cast<long>(crowd_size) + 1);
  EXPECT_EQ(now.accepted, static_cast<long>(crowd_size) + 1);
  if (!server.has_shadow_memory()) {
    const std::size_t memory = server.private_bytes();
    EXPECT_LE(memory, before + default_memory + stated_constant);
    RecordProperty("private_kibibytes", static_cast<int>(memory / kibi));
  }
  honest.close();
  crowd.disperse();
  EXPECT_TRUE(eventually([&] { return server.statistics().connections == 0; }));
  EXPECT_EQ(server.statistics().blocks_lent, 0);
  stop_cleanly(server);
}

// As many as there are large blocks, and more.
TEST(NeverReader, KeepsWhatItHoldsAndNobodyWaitsForIt) {
  ServerProcess server = ServerProcess::start({"--block-size", "256K", "--buffer-memory", "1MiB",
                                               "--max-connections", "16", "--write-timeout", "1h"});
  std::vector<Client> hogs;
  for (int number = 0; number < 8; ++number) hogs.emplace_back(server.port());
  for (Client& hog : hogs) hog.send_until_blocked(256 * mebi, milliseconds(100));
  Client client(server.port());
  EXPECT_TRUE(client.answers("although everything large is lent"));
  const Statistics now = server.statistics();
  EXPECT_EQ(now.connections, 9);
  EXPECT_EQ(now.blocks_lent, 8);
  for (const Client& hog : hogs) EXPECT_FALSE(hog.was_reset(Clock::duration::zero()));
  hogs.clear();
  client.close();
  stop_cleanly(server);
}

TEST(IdleClient, IsClosedNoSoonerThanTheTimeoutAfterItsLastByte) {
  const milliseconds timeout(700);
  ServerProcess server = ServerProcess::start({"--idle-timeout", "700ms"});
  Client client(server.port());
  for (int message = 0; message < 4; ++message) {
    client.wait(POLLIN, timeout / 2);  // keeps silent for less than the timeout
    const Clock::time_point last = Clock::now();
    if (client.answers("still here")) continue;
    // A test held up longer than the timeout meets a server that was right to close.
    EXPECT_GE(Clock::now() - last, timeout);
  }
  const Clock::time_point last = Clock::now();
  if (client.answers("the last word")) {
    EXPECT_EQ(client.receive_to_end(), "");
    EXPECT_GE(Clock::now() - last, timeout);
  }
  EXPECT_NE(client.ending(), Ending::open);
  EXPECT_TRUE(eventually([&] { return server.statistics().connections == 0; }));
  stop_cleanly(server);
}

TEST(IdleClient, ThatNeverSaysAWordIsClosed) {
  ServerProcess server = ServerProcess::start({"--idle-timeout", "300ms"});
  Client client(server.port());
  EXPECT_EQ(client.receive_to_end(), "");
  EXPECT_NE(client.ending(), Ending::open);
  stop_cleanly(server);
}

TEST(IdleClient, StaysWhenTheIdleTimeoutIsOff) {
  ServerProcess server = ServerProcess::start({"--idle-timeout", "0"});
  Client client(server.port());
  EXPECT_FALSE(client.wait(POLLIN, std::chrono::seconds(1))) << "closed by a timeout that is off";
  EXPECT_TRUE(client.answers("still here"));
  client.close();
  stop_cleanly(server);
}

// How many of a crowd have an answer to read.
std::size_t answered(const std::vector<Client>& crowd) {
  std::size_t count = 0;
  for (const Client& each : crowd) {
    if (each.wait(POLLIN, Clock::duration::zero())) ++count;
  }
  return count;
}

TEST(Crowd, BeyondMaxConnectionsWaitsInTheBacklogAndIsServedLater) {
  ServerProcess server = ServerProcess::start({"--max-connections", "4"});
  std::vector<Client> crowd;
  for (int number = 0; number < 12; ++number) {
    crowd.emplace_back(server.port()).send_all("hello");
  }
  ASSERT_TRUE(eventually([&] { return answered(crowd) >= 4; }));
  const double busy_before = server.busy_seconds();
  EXPECT_FALSE(eventually([&] { return answered(crowd) > 4; }, std::chrono::seconds(1)));
  EXPECT_LT(server.busy_seconds() - busy_before, 0.3) << "the server spins while clients wait";
  EXPECT_EQ(server.statistics().connections, 4);
  // Each answered client leaves, and makes room for another.
  std::size_t served = 0;
  const Deadline deadline;
  while (!crowd.empty()) {
    deadline.require("every client of the crowd is served");
    const auto ready = std::ranges::find_if(
        crowd, [](const Client& each) { return each.wait(POLLIN, Clock::duration::zero()); });
    if (ready == crowd.end()) {
      ::poll(nullptr, 0, 5);
      continue;
    }
    EXPECT_EQ(ready->receive(5), "hello");
    crowd.erase(ready);
    ++served;
    EXPECT_LE(server.statistics().connections, 4);
  }
  EXPECT_EQ(served, 12U);
  stop_cleanly(server);
}

TEST(Crowd, LeavesABalancedLedgerAfterManyConnectionsInTurn) {
  ServerProcess server = ServerProcess::start();
  for (int number = 0; number < 2'000; ++number) {
    Client client(server.port());
    ASSERT_TRUE(client.answers("in and out"));
  }
  EXPECT_EQ(stop_cleanly(server).sessions.acquired, 2'000U);
}

TEST(Crowd, ThatConnectsAndClosesWithoutAWordLeavesNothingBehind) {
  ServerProcess server = ServerProcess::start();
  const std::size_t descriptors = server.descriptors().size();
  for (int number = 0; number < 1'500; ++number) {
    Client client(server.port());
    if (number % 3 == 0) client.reset();
    if (number % 3 == 1) client.shutdown_write();
  }
  Client last(server.port());
  EXPECT_TRUE(last.answers("hello"));
  last.close();
  EXPECT_TRUE(eventually([&] { return server.statistics().connections == 0; }));
  EXPECT_EQ(server.descriptors().size(), descriptors);
  stop_cleanly(server);
}

}  // namespace
}  // namespace loopback
