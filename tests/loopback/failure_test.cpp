// Resets, signals and missing descriptors: the client concerned is closed or waits, no other client
// notices, nothing leaks.
#include <gtest/gtest.h>

#include "client.hpp"
#include "server_process.hpp"

namespace loopback {
namespace {

constexpr std::size_t mebi = std::size_t{1024} * 1024;

bool all_gone(ServerProcess& server) {
  return eventually([&] {
    const Statistics now = server.statistics();
    return now.connections == 0 && now.blocks_lent == 0;
  });
}

TEST(Reset, BeforeTheFirstByteConcernsNobodyElse) {
  ServerProcess server = ServerProcess::start();
  Client bystander(server.port());
  for (int number = 0; number < 200; ++number) Client(server.port()).reset();
  EXPECT_TRUE(bystander.answers("hello"));
  bystander.close();
  EXPECT_TRUE(all_gone(server));
  stop_cleanly(server);
}

TEST(Reset, WithBytesOnTheirWayConcernsNobodyElse) {
  ServerProcess server = ServerProcess::start();
  Client bystander(server.port());
  for (std::size_t number = 0; number < 200; ++number) {
    Client client(server.port());
    client.send_some(payload(number, 1 + 977 * number));
    client.reset();
  }
  EXPECT_TRUE(bystander.answers("hello"));
  bystander.close();
  EXPECT_TRUE(all_gone(server));
  stop_cleanly(server);
}

TEST(Reset, WhileAWriteIsPendingGivesTheBlockBack) {
  ServerProcess server = ServerProcess::start({"--write-timeout", "1h"});
  Client bystander(server.port());
  for (int number = 0; number < 5; ++number) {
    Client client(server.port());
    client.send_until_blocked(256 * mebi, milliseconds(100));
    EXPECT_EQ(server.statistics().blocks_lent, 1);
    client.reset();
    EXPECT_TRUE(eventually([&] { return server.statistics().blocks_lent == 0; }));
  }
  EXPECT_TRUE(bystander.answers("hello"));
  bystander.close();
  EXPECT_TRUE(all_gone(server));
  stop_cleanly(server);
}

TEST(Reset, DuringDrainEndsTheDrain) {
  ServerProcess server = ServerProcess::start({"--drain-timeout", "1h", "--write-timeout", "1h"});
  Client idle(server.port());
  ASSERT_TRUE(idle.answers("hello"));
  Client pending(server.port());
  pending.send_until_blocked(256 * mebi, milliseconds(100));
  server.signal(SIGTERM);
  EXPECT_EQ(server.statistics().connections, 2);
  idle.reset();
  pending.reset();
  expect_clean_exit(server);
}

TEST(Close, WithUnreadEchoInTheBufferConcernsNobodyElse) {
  ServerProcess server = ServerProcess::start();
  Client bystander(server.port());
  for (int number = 0; number < 50; ++number) {
    Client client(server.port());
    client.send_all(payload(1, 100'000));
    client.wait(POLLIN);  // the echo has begun to arrive, and is left unread
    client.close();
  }
  EXPECT_TRUE(bystander.answers("hello"));
  bystander.close();
  EXPECT_TRUE(all_gone(server));
  stop_cleanly(server);
}

TEST(Sigpipe, NeverKillsTheServer) {
  ServerProcess server = ServerProcess::start();
  server.signal(SIGPIPE);
  for (int number = 0; number < 20; ++number) {
    Client client(server.port());
    client.send_until_blocked(32 * mebi, milliseconds(20));
    client.reset();
  }
  Client client(server.port());
  EXPECT_TRUE(client.answers("hello"));
  client.close();
  EXPECT_TRUE(all_gone(server));
  stop_cleanly(server);
}

// Seconds that the server is busy while one passes in which nothing can be done.
double busy_while_nothing_can_be_done(const ServerProcess& server, const Client& silent) {
  const double before = server.busy_seconds();
  silent.wait(POLLIN, std::chrono::seconds(1));
  return server.busy_seconds() - before;
}

// A server that spins is busy all the time.
constexpr double far_from_spinning = 0.3;

TEST(Descriptors, FewFromTheStartMakeFurtherClientsWait) {
  ServerProcess server = ServerProcess::start({}, {.descriptors = 100});
  std::vector<Client> crowd;
  for (int number = 0; number < 160; ++number) crowd.emplace_back(server.port()).send_all("hello");
  ASSERT_TRUE(eventually([&] { return server.statistics().connections >= 8; }));
  EXPECT_LT(busy_while_nothing_can_be_done(server, crowd.back()), far_from_spinning);
  EXPECT_LT(server.statistics().connections, 100);
  // No client is turned away: each client that leaves makes room for one that waits.
  for (Client& client : crowd) {
    ASSERT_EQ(client.receive(5), "hello");
    client.close();
  }
  EXPECT_TRUE(all_gone(server));
  stop_cleanly(server);
}

TEST(Descriptors, MaxConnectionsBeyondTheirLimitIsLoweredWithAWarning) {
  ServerProcess server =
      ServerProcess::start({"--max-connections", "100000"}, {.descriptors = 100});
  EXPECT_NE(server.errors().find("--max-connections"), std::string::npos) << server.errors();
  EXPECT_NE(server.errors().find("100000"), std::string::npos) << server.errors();
  Client client(server.port());
  EXPECT_TRUE(client.answers("hello"));
  client.close();
  stop_cleanly(server);
}

// Lowers the limit of the running server to `limit`, comes with a crowd, raises it again.
void run_out_of_descriptors(rlim_t (*limit)(const ServerProcess&)) {
  ServerProcess server = ServerProcess::start();
  Client early(server.port());
  ASSERT_TRUE(early.answers("before"));
  server.limit_descriptors(limit(server));

  // The server must live, rest, and keep serving its connected clients.
  for (int number = 0; number < 30; ++number) EXPECT_FALSE(serves(server));
  EXPECT_TRUE(early.answers("while descriptors are missing"));
  EXPECT_LT(busy_while_nothing_can_be_done(server, early), far_from_spinning);
  EXPECT_TRUE(early.answers("after that"));
  server.limit_descriptors(1024);
  EXPECT_TRUE(eventually([&] { return serves(server); })) << "descriptors are back, service is not";
  EXPECT_TRUE(early.answers("and after all"));
  early.close();
  EXPECT_TRUE(all_gone(server));
  stop_cleanly(server);
}

TEST(Descriptors, RunningOutWhileServingStopsNeitherTheServerNorItsClients) {
  run_out_of_descriptors([](const ServerProcess& server) {
    return static_cast<rlim_t>(server.descriptors().back()) + 1;
  });
}

TEST(Descriptors, RunningOutSoFarThatNoSpareHelpsStopsNeitherTheServerNorItsClients) {
  if (on_newer_libuv()) GTEST_SKIP() << "libuv retries in silence: see Limits in SECURITY.md";
  run_out_of_descriptors([](const ServerProcess&) { return rlim_t{3}; });
}

}  // namespace
}  // namespace loopback
