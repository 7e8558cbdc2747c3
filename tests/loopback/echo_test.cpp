// Every byte comes back, in order, to the client that sent it; then FIN.
#include <gtest/gtest.h>

#include "../ipv6.hpp"
#include "client.hpp"
#include "server_process.hpp"

namespace loopback {
namespace {

constexpr std::size_t kibi = 1024;
constexpr std::size_t mebi = kibi * kibi;

Conversation::Behaviour half_closing() { return {}; }

void expect_whole_echo(const Conversation& conversation) {
  EXPECT_EQ(conversation.ending(), Ending::fin);
  EXPECT_EQ(conversation.bytes_lost(), 0U);
  EXPECT_TRUE(conversation.echoed_exactly());
}

class EchoOfSize : public testing::TestWithParam<std::size_t> {};

TEST_P(EchoOfSize, ReachesAHalfClosingClientWholeAndThenFin) {
  ServerProcess server = ServerProcess::start();
  Conversation conversation(Client(server.port()), payload(GetParam(), GetParam()), half_closing());
  run({&conversation, 1});
  expect_whole_echo(conversation);
  stop_cleanly(server);
}

INSTANTIATE_TEST_SUITE_P(Bytes, EchoOfSize,
                         testing::Values(0, 1, 64 * kibi - 1, 64 * kibi, 64 * kibi + 1, 8 * mebi),
                         testing::PrintToStringParamName());

TEST(Echo, OfEightMebibytesIsWholeForAClientThatReadsLateTwentyRunsOfTwenty) {
  ServerProcess server = ServerProcess::start();
  for (std::uint64_t round = 0; round < 20; ++round) {
    // The 0.8 s belong to the client: it sends, half-closes, and begins to read that much later.
    Conversation conversation(Client(server.port()), payload(round, 8 * mebi),
                              {.read_after = milliseconds(800)});
    run({&conversation, 1});
    expect_whole_echo(conversation);
  }
  stop_cleanly(server);
}

TEST(Echo, IsExactForSeveralClientsWithRandomSizesAndSplits) {
  ServerProcess server = ServerProcess::start();
  std::mt19937_64 random(20260);
  std::vector<Conversation> conversations;
  for (std::uint64_t seed = 0; seed < 24; ++seed) {
    const std::size_t size = random() % (600 * kibi);
    const std::size_t piece_max = 1 + random() % (seed % 2 == 0 ? 40 * kibi : 700);
    conversations.emplace_back(Client(server.port()), payload(seed, size),
                               Conversation::Behaviour{.piece_max = piece_max}, seed);
  }
  run(conversations);
  for (const Conversation& each : conversations) expect_whole_echo(each);
  const Ledger ledger = stop_cleanly(server);
  EXPECT_EQ(ledger.sessions.acquired, conversations.size());
}

TEST(Echo, IsExactOverTinySocketBuffers) {
  ServerProcess server = ServerProcess::start();
  const Client::Shape tiny{.receive_buffer = 1, .send_buffer = 1};  // the kernel rounds them up
  Conversation conversation(Client(server.port(), tiny), payload(7, 300 * kibi), half_closing());
  run({&conversation, 1});
  expect_whole_echo(conversation);
  stop_cleanly(server);
}

TEST(Echo, IsExactForBlocksOfAnySize) {
  for (const char* const size : {"1", "7", "512", "4K", "1MiB"}) {
    SCOPED_TRACE(size);
    ServerProcess server = ServerProcess::start({"--block-size", size});
    Conversation conversation(Client(server.port()), payload(3, 20 * kibi), half_closing());
    run({&conversation, 1});
    expect_whole_echo(conversation);
    stop_cleanly(server);
  }
}

TEST(Echo, AnswersPipelinedMessagesInOrder) {
  ServerProcess server = ServerProcess::start();
  std::string all;
  for (int number = 0; number < 20'000; ++number) all += "message " + std::to_string(number) + "\n";
  Conversation conversation(Client(server.port()), all, {.piece_max = 29, .half_close = false});
  run({&conversation, 1});
  EXPECT_TRUE(conversation.echoed_exactly());
  conversation.client().close();
  stop_cleanly(server);
}

TEST(Echo, AnswersMessageByMessageWithoutBeingAskedTwice) {
  ServerProcess server = ServerProcess::start();
  Client client(server.port());
  for (int number = 0; number < 1'000; ++number) {
    ASSERT_TRUE(client.answers(std::to_string(number)));
  }
  client.close();
  stop_cleanly(server);
}

TEST(Echo, HoldsNoBlockForAnIdleClient) {
  ServerProcess server = ServerProcess::start();
  Client client(server.port());
  ASSERT_TRUE(client.answers("hello"));
  EXPECT_TRUE(eventually([&] { return server.statistics().blocks_lent == 0; }));
  EXPECT_EQ(server.statistics().connections, 1);
  client.close();
  stop_cleanly(server);
}

TEST(Echo, ServesOnWithOneBlockForEverybody) {
  ServerProcess server =
      ServerProcess::start({"--block-size", "4K", "--buffer-memory", "4K", "--log-level", "error"});
  std::vector<Conversation> conversations;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    conversations.emplace_back(Client(server.port()), payload(seed, 100 * kibi), half_closing());
  }
  run(conversations);
  for (const Conversation& each : conversations) expect_whole_echo(each);
  stop_cleanly(server);
}

TEST(Echo, ReachesClientsOfBothFamiliesWhenTheHostIsTwoColons) {
  if (!tests::has_ipv6()) GTEST_SKIP() << "there is no IPv6 here";
  ServerProcess server = ServerProcess::start({"--host", "::"});
  EXPECT_NE(server.ready_line().find("\"address\":\"::\""), std::string::npos);
  for (const char* const address : {"127.0.0.1", "::1"}) {
    SCOPED_TRACE(address);
    Client client(server.port(), Client::Shape{.address = address});
    EXPECT_TRUE(client.answers("hello"));
  }
  stop_cleanly(server);
}

}  // namespace
}  // namespace loopback
