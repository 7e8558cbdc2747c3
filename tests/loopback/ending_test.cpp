// How a connection ends tells its client whether it got everything: FIN says so, a reset says that
// something is missing.
#include <gtest/gtest.h>

#include "judges.hpp"

namespace loopback {
namespace {

// Every one of them was owed something and read nothing until it was over.
void expect_told(const std::vector<End>& ends) {
  for (const End& end : ends) {
    EXPECT_FALSE(end.deceives()) << testing::PrintToString(end);
    EXPECT_LT(end.received, end.sent) << "nothing was cut: nothing was tested";
  }
}

bool all_ended(ServerProcess& server) {
  return eventually([&] { return server.statistics().connections == 0; });
}

TEST(Cut, ByTheWriteLimitIsAReset) {
  ServerProcess server = ServerProcess::start({"--write-timeout", "500ms"});
  Debt debt(server, 4);
  EXPECT_TRUE(all_ended(server));
  expect_told(debt.ends());
  stop_cleanly(server);
}

// Whichever limit it is that ends them.
TEST(Cut, ByTheIdleLimitWithEchoStillOwedIsAReset) {
  ServerProcess server = ServerProcess::start({"--idle-timeout", "300ms", "--write-timeout", "1s"});
  Debt debt(server, 4);
  EXPECT_TRUE(all_ended(server));
  expect_told(debt.ends());
  stop_cleanly(server);
}

TEST(Cut, ByTheEndOfADrainIsAReset) {
  ServerProcess server =
      ServerProcess::start({"--drain-timeout", "300ms", "--write-timeout", "1h"});
  Debt debt(server, 4);
  stop_cleanly(server);
  expect_told(debt.ends());
}

TEST(Cut, ByASecondSignalIsAReset) {
  ServerProcess server = ServerProcess::start({"--drain-timeout", "1h", "--write-timeout", "1h"});
  Debt debt(server, 4);
  server.signal(SIGTERM);
  ASSERT_TRUE(eventually([&] { return !serves(server); }));
  server.signal(SIGTERM);
  expect_clean_exit(server);
  expect_told(debt.ends());
}

// Here the server has handed everything to its kernel, and only that owes still.
TEST(Cut, OfWhatOnlyTheKernelHoldsIsAResetOrAllOfIt) {
  ServerProcess server = ServerProcess::start(
      {"--idle-timeout", "300ms", "--write-timeout", "600ms", "--drain-timeout", "300ms"});
  constexpr std::size_t size = 60'000;
  std::vector<Client> clients;
  for (int number = 0; number < 8; ++number) {
    clients.emplace_back(server.port(), Crowd::narrow).send_all(payload(1, size));
  }
  for (Client& client : std::span(clients).first(4)) {
    client.wait(0, std::chrono::seconds(1));  // four of them are cut by a limit, or by none
    EXPECT_FALSE(end_of(client, size).deceives());
  }
  stop_cleanly(server);
  for (Client& client : std::span(clients).last(4)) EXPECT_FALSE(end_of(client, size).deceives());
}

TEST(CleanEnd, IsWhatASilentClientGets) {
  ServerProcess server = ServerProcess::start({"--idle-timeout", "300ms"});
  Client silent(server.port());
  Client served(server.port());
  ASSERT_TRUE(served.answers(payload(1, 100'000)));
  Conversation conversation(Client(server.port()), payload(2, 100'000), {.half_close = false});
  run({&conversation, 1});
  EXPECT_EQ(end_of(silent, 0).ending, Ending::fin);
  EXPECT_EQ(end_of(served, 0).ending, Ending::fin);
  EXPECT_EQ(end_of(conversation.client(), 0).ending, Ending::fin);
  stop_cleanly(server);
}

TEST(CleanEnd, IsWhatADrainGivesToAClientThatGotEverything) {
  ServerProcess server = ServerProcess::start({"--drain-timeout", "300ms"});
  Client silent(server.port());
  Client served(server.port());
  ASSERT_TRUE(served.answers("hello"));
  stop_cleanly(server);
  EXPECT_EQ(end_of(silent, 0).ending, Ending::fin);
  EXPECT_EQ(end_of(served, 0).ending, Ending::fin);
}

}  // namespace
}  // namespace loopback
