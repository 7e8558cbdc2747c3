// The test of the testers: the same clients and measures, on a server of the tutorials' shape, see
// what is wrong with it. Should one of these fail, the test that uses the measure proves nothing.
#include <gtest/gtest.h>

#include "client.hpp"
#include "faulty_server.hpp"
#include "server_process.hpp"

namespace loopback {
namespace {

constexpr std::size_t mebi = std::size_t{1024} * 1024;

ServerProcess tutorial_server() { return ServerProcess::start({}, {.program = TUTORIAL_SERVER}); }

TEST(TutorialServer, IsSeenToLoseTheTailOfTheEcho) {
  ServerProcess server = tutorial_server();
  Conversation conversation(Client(server.port()), payload(1, 8 * mebi),
                            {.read_after = milliseconds(800)});
  run({&conversation, 1});
  EXPECT_GT(conversation.bytes_lost(), 0U);
  EXPECT_EQ(conversation.ending(), Ending::fin) << "it ends as if everything had been sent";
}

TEST(TutorialServer, IsSeenToHoldWhateverANeverReaderSends) {
  ServerProcess server = tutorial_server();
  const std::size_t before = server.private_bytes();
  Client client(server.port());
  EXPECT_EQ(client.send_until_blocked(64 * mebi), 64 * mebi);
  if (!server.has_shadow_memory()) {
    EXPECT_TRUE(eventually([&] { return server.private_bytes() > before + 32 * mebi; }));
  }
}

TEST(TutorialServer, IsSeenToDieOfSigpipe) {
  ServerProcess server = tutorial_server();
  const std::string bytes(4 * mebi, 'x');
  // It reads on from what has arrived, and writes again and again to a client that has gone.
  EXPECT_TRUE(eventually([&] {
    Client client(server.port());
    client.send_some(bytes);
    client.reset();
    return eventually([&] { return !server.running(); }, std::chrono::seconds(1));
  }));
  const int status = server.wait_status();
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGPIPE);
}

TEST(TutorialServer, IsSeenToSpinWithoutDescriptors) {
  ServerProcess server = tutorial_server();
  Client early(server.port());
  ASSERT_TRUE(early.answers("hello"));
  server.limit_descriptors(3);
  Client late(server.port());
  const double before = server.busy_seconds();
  EXPECT_TRUE(eventually([&] { return server.busy_seconds() - before > 0.5; }));
}

TEST(TutorialServer, IsSeenToClaimThatItListensWhenItDoesNot) {
  FaultyServer server("listen=EADDRINUSE@1", FaultyServer::FromStart{TUTORIAL_SERVER});
  EXPECT_EQ(start_of(*server), Start::wrong);
  EXPECT_EQ(server.injected(), 1U);
}

TEST(Ledger, LineOfAnotherFormIsNotTakenForOne) {
  const std::string good = R"({"event":"ledger","sessions":{"acquired":3,"released":3},)"
                           R"("blocks":{"acquired":5,"released":5},"outstanding":0})";
  EXPECT_TRUE(parse_ledger(good));
  EXPECT_FALSE(parse_ledger(good + " "));
  EXPECT_FALSE(parse_ledger(good.substr(0, good.size() - 1)));
  EXPECT_FALSE(parse_ledger("ledger"));
  EXPECT_FALSE(parse_ledger(""));
}

}  // namespace
}  // namespace loopback
