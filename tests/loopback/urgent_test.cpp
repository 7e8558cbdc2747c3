// Urgent data is data: it comes back in its place.
#include <gtest/gtest.h>

#include "judges.hpp"

namespace loopback {
namespace {

void expect_echo(Client& client, const std::string& text) {
  client.shutdown_write();
  EXPECT_EQ(client.receive_to_end(), text);
  EXPECT_EQ(client.ending(), Ending::fin);
}

TEST(UrgentData, ComesBackInItsPlace) {
  ServerProcess server = ServerProcess::start();
  for (const char* const text : {"!", "ab!de", "ab!", "!de", "!!", "a!!b!"}) {
    SCOPED_TRACE(text);
    Client client(server.port());
    send_with_urgent_bytes(client, text);
    expect_echo(client, text);
  }
  stop_cleanly(server);
}

TEST(UrgentData, ComesBackInItsPlaceAgainAndAgain) {
  ServerProcess server = ServerProcess::start();
  const std::string text = text_with_urgent_bytes(2000);
  Client client(server.port());
  send_with_urgent_bytes(client, text);
  expect_echo(client, text);
  stop_cleanly(server);
}

TEST(UrgentData, OfAConversationIsAnswered) {
  ServerProcess server = ServerProcess::start();
  Client client(server.port());
  for (int round = 0; round < 20; ++round) {
    send_with_urgent_bytes(client, "ab!de");
    ASSERT_EQ(client.receive(5, std::chrono::seconds(5)), "ab!de") << "round " << round;
  }
  client.close();
  stop_cleanly(server);
}

TEST(UrgentData, ThatArrivesBeforeTheServerAcceptsComesBackInItsPlace) {
  ServerProcess server = ServerProcess::start();
  std::vector<Client> clients;
  while_stopped(server, [&] {
    for (const char* const text : {"!", "ab!de", "a!!b!"}) {
      send_with_urgent_bytes(clients.emplace_back(server.port()), text);
    }
  });
  expect_echo(clients[0], "!");
  expect_echo(clients[1], "ab!de");
  expect_echo(clients[2], "a!!b!");
  stop_cleanly(server);
}

TEST(UrgentData, ThatArrivesWhileTheEchoCannotProceedComesBackInItsPlace) {
  ServerProcess server = ServerProcess::start({"--write-timeout", "1h"});
  Client client(server.port(), Crowd::narrow);
  const std::size_t sent = owe(server, client);
  send_with_urgent_bytes(client, "ab!de");
  expect_echo(client, std::string(sent, 'x') + "ab!de");
  stop_cleanly(server);
}

}  // namespace
}  // namespace loopback
