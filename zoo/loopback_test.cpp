// What only real libuv and a real kernel show: three specimens as programs of their own, each
// beside its fixed version, seen from the outside by clients on loopback.
#include <gtest/gtest.h>

#include <csignal>
#include <list>
#include <string>
#include <system_error>

#include "client.hpp"
#include "server_process.hpp"

namespace loopback {
namespace {

ServerProcess server_of(const std::string& name, const Setting& setting = {}) {
  Setting own = setting;
  own.program = ZOO_SERVER;
  ServerProcess server({name}, own);
  server.wait_ready();
  return server;
}

void expect_to_end_clean(ServerProcess& server) {
  server.signal(SIGTERM);
  const int status = server.wait_status();
  EXPECT_TRUE(WIFEXITED(status)) << server.errors();
  EXPECT_EQ(WEXITSTATUS(status), 0) << server.errors();
}

// A client that has gone before its echo comes. The server may have died of the one before.
void be_gone_when_answered(const ServerProcess& server) {
  try {
    Client client(server.port());
    client.send_some(std::string(std::size_t{1} << 20, 'x'));
    client.reset();
  } catch (const std::system_error&) {
    if (server.running()) throw;
  }
}

TEST(Sigpipe, EndsTheServerThatDoesNotIgnoreIt) {
  ServerProcess server = server_of("B10_sigpipe_not_ignored");
  EXPECT_TRUE(eventually([&] {
    if (server.running()) be_gone_when_answered(server);
    return !server.running();
  }));
  const int status = server.wait_status();
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGPIPE);
}

TEST(Sigpipe, DoesNotEndTheFixedVersion) {
  ServerProcess server = server_of("tutorial");
  for (int i = 0; i < 50; ++i) be_gone_when_answered(server);
  EXPECT_TRUE(eventually([&] { return serves(server); }));
  expect_to_end_clean(server);
}

// More clients come than there are places, and all leave. Says whether a new client is served.
bool serves_after_a_crowd(ServerProcess& server) {
  std::list<Client> crowd;
  constexpr int places = 3;
  for (int i = 0; i < places; ++i) {
    crowd.emplace_back(server.port());
    if (!crowd.back().answers("hello")) return false;
  }
  // The server hears of this client and has no place for it. The client gives up waiting.
  crowd.emplace_back(server.port());
  crowd.back().send_some("hello");
  crowd.back().wait(POLLIN, milliseconds(200));
  crowd.clear();
  return eventually([&] { return serves(server); }, std::chrono::seconds(3));
}

TEST(Listener, IsDeafWhenAConnectionWasNotComeBackTo) {
  ServerProcess server = server_of("D1_parked_connection_forgotten");
  EXPECT_FALSE(serves_after_a_crowd(server));
}

TEST(Listener, HearsAgainInTheFixedVersion) {
  ServerProcess server = server_of("pooled");
  EXPECT_TRUE(serves_after_a_crowd(server));
  expect_to_end_clean(server);
}

// How many clients of a crowd get their echo, if each leaves as soon as it has its own.
int served_in_turn(const ServerProcess& server, int size) {
  std::list<Client> crowd;
  for (int i = 0; i < size; ++i) {
    crowd.emplace_back(server.port());
    crowd.back().send_some("hello");
  }
  int served = 0;
  for (; !crowd.empty(); crowd.pop_front()) {
    if (crowd.front().receive(5) == "hello") ++served;
  }
  return served;
}

// Enough for the fixed version: a loop, a signal, a listener, libuv's spare, three clients and one
// parked.
constexpr rlim_t descriptors_left_over = 4;
constexpr int crowd_size = 16;  // as many as may wait in the kernel

TEST(Descriptors, RunOutUnderTheServerThatTakesEveryClient) {
  ServerProcess server = server_of("D5_more_clients_than_descriptors");
  server.limit_descriptors(static_cast<rlim_t>(server.descriptors().back()) + 1 +
                           descriptors_left_over);
  EXPECT_LT(served_in_turn(server, crowd_size), crowd_size);
}

TEST(Descriptors, AreEnoughForTheFixedVersion) {
  ServerProcess server = server_of("pooled");
  server.limit_descriptors(static_cast<rlim_t>(server.descriptors().back()) + 1 +
                           descriptors_left_over);
  EXPECT_EQ(served_in_turn(server, crowd_size), crowd_size);
  expect_to_end_clean(server);
}

}  // namespace
}  // namespace loopback
