// Several threads, each with a loop, a listener and its share of the limits: seen from outside they
// are one server, with one ready line, one line of statistics and one ledger.
#include <gtest/gtest.h>

#include <vector>

#include "../ipv6.hpp"
#include "client.hpp"
#include "server_process.hpp"

namespace loopback {
namespace {

constexpr std::size_t kibi = 1024;

// The kernel spreads clients by the hash of their address: with so many, each of a few threads gets
// some, but for one chance in millions.
constexpr std::size_t many = 64;

std::vector<Client> crowd(const ServerProcess& server, std::size_t size) {
  std::vector<Client> clients;
  for (std::size_t i = 0; i < size; ++i) clients.emplace_back(server.port());
  return clients;
}

TEST(Threads, EchoExactlyWhateverThreadAClientGets) {
  ServerProcess server = ServerProcess::start({"--threads", "3"});
  std::vector<Conversation> conversations;
  for (std::uint64_t seed = 0; seed < many; ++seed) {
    conversations.emplace_back(Client(server.port()), payload(seed, 100 * kibi),
                               Conversation::Behaviour{});
  }
  run(conversations);
  for (const Conversation& each : conversations) {
    EXPECT_TRUE(each.echoed_exactly());
    EXPECT_EQ(each.ending(), Ending::fin);
  }
  EXPECT_EQ(stop_cleanly(server).sessions.acquired, many);
}

TEST(Threads, AreCountedTogetherInTheStatistics) {
  ServerProcess server = ServerProcess::start(
      {"--threads", "3", "--buffer-memory", "448K", "--max-connections", "1000"});
  std::vector<Client> clients = crowd(server, many);
  for (Client& client : clients) ASSERT_TRUE(client.answers("hello"));
  const Statistics statistics = server.statistics();
  EXPECT_EQ(statistics.connections, static_cast<long>(many));
  EXPECT_EQ(statistics.accepted, static_cast<long>(many));
  EXPECT_GE(statistics.blocks, 3) << "each thread has blocks of its own";
  clients.clear();
  stop_cleanly(server);
}

TEST(Threads, DrainEachUntilItsLastClientHasEnded) {
  ServerProcess server = ServerProcess::start({"--threads", "3", "--drain-timeout", "1h"});
  std::vector<Client> clients = crowd(server, many);
  for (Client& client : clients) ASSERT_TRUE(client.answers("before"));
  server.signal(SIGTERM);
  // Threads end one after the other as clients do; those that are left are served.
  while (!clients.empty()) {
    EXPECT_TRUE(clients.back().answers("while draining"));
    EXPECT_EQ(server.statistics().connections, static_cast<long>(clients.size()));
    clients.back().close();
    clients.pop_back();
    ASSERT_TRUE(eventually([&] {
      return clients.empty() ||
             server.statistics().connections == static_cast<long>(clients.size());
    }));
  }
  expect_clean_exit(server);
}

TEST(Threads, EndAllAtOnceOnASecondSignal) {
  ServerProcess server = ServerProcess::start({"--threads", "3", "--drain-timeout", "1h"});
  std::vector<Client> clients = crowd(server, many);
  for (Client& client : clients) ASSERT_TRUE(client.answers("before"));
  server.signal(SIGTERM);
  ASSERT_TRUE(eventually([&] { return !serves(server); }));
  EXPECT_TRUE(server.running());
  server.signal(SIGTERM);
  expect_clean_exit(server);
  for (Client& client : clients) {
    client.receive_to_end();
    EXPECT_NE(client.ending(), Ending::open);
  }
}

TEST(Threads, EndTogetherWhenTheDrainTimeoutHasPassed) {
  ServerProcess server = ServerProcess::start({"--threads", "3", "--drain-timeout", "200ms"});
  std::vector<Client> clients = crowd(server, many);
  for (Client& client : clients) ASSERT_TRUE(client.answers("before"));
  stop_cleanly(server);
}

TEST(Threads, ServeNoMoreClientsTogetherThanAllowed) {
  ServerProcess server = ServerProcess::start({"--threads", "2", "--max-connections", "5"});
  std::vector<Client> clients = crowd(server, many);
  for (Client& client : clients) client.send_all("hello");
  ASSERT_TRUE(eventually([&] { return server.statistics().connections == 5; }));
  // One after the other they leave, and those in the backlogs get their turn.
  for (Client& client : clients) client.shutdown_write();
  for (Client& client : clients) {
    EXPECT_EQ(client.receive_to_end(), "hello");
    EXPECT_EQ(client.ending(), Ending::fin);
  }
  EXPECT_EQ(stop_cleanly(server).sessions.acquired, many);
}

TEST(Threads, ListenOnBothFamiliesWhereAskedTo) {
  if (!tests::has_ipv6()) GTEST_SKIP() << "there is no IPv6 here";
  ServerProcess server = ServerProcess::start({"--threads", "2", "--host", "::"});
  for (std::size_t i = 0; i < many / 4; ++i) {
    Client old(server.port());
    EXPECT_TRUE(old.answers("hello"));
    Client recent(server.port(), {.address = "::1"});
    EXPECT_TRUE(recent.answers("hello"));
  }
  stop_cleanly(server);
}

}  // namespace
}  // namespace loopback
