// Signals at any moment and at any rate: the program ends with its ledger, and in time.
#include <gtest/gtest.h>
#include <string.h>

#include <atomic>
#include <thread>

#include "client.hpp"
#include "server_process.hpp"

namespace loopback {
namespace {

// Sends a signal from several threads, as fast as kill(2) goes, until it is destroyed.
class Storm {
 public:
  Storm(const ServerProcess& server, int number) {
    for (std::thread& sender : senders_) {
      sender = std::thread([this, &server, number] {
        while (!over_) server.signal(number);
      });
    }
  }
  Storm(const Storm&) = delete;
  Storm& operator=(const Storm&) = delete;
  ~Storm() {
    over_ = true;
    for (std::thread& sender : senders_) sender.join();
  }

 private:
  std::atomic<bool> over_ = false;
  std::array<std::thread, 3> senders_;
};

// Long beside the time that an end takes, on any machine.
constexpr std::chrono::seconds end_at_most{20};

const auto name_of_signal = [](const testing::TestParamInfo<int>& tested) {
  return std::string(::sigabbrev_np(tested.param));
};

class SignalStorm : public testing::TestWithParam<int> {};

TEST_P(SignalStorm, NeitherKillsTheServerNorKeepsItFromEnding) {
  for (const char* const threads : {"1", "4"}) {
    for (int round = 0; round < 15; ++round) {
      ServerProcess server = ServerProcess::start({"--threads", threads, "--log-level", "off"});
      server.close_output();
      {
        const Storm storm(server, GetParam());
        server.signal(SIGTERM);
        ASSERT_TRUE(eventually([&] { return !server.running(); }, end_at_most));
      }
      expect_clean_exit(server);
      if (HasFailure()) return;
    }
  }
}

TEST_P(SignalStorm, LeavesTheDrainItsTimeAndNoMore) {
  ServerProcess server = ServerProcess::start({"--drain-timeout", "300ms", "--log-level", "off"});
  server.close_output();
  Client client(server.port());
  ASSERT_TRUE(client.answers("hello"));
  {
    const Storm storm(server, GetParam());
    server.signal(SIGTERM);
    ASSERT_TRUE(eventually([&] { return !server.running(); }, end_at_most));
  }
  expect_clean_exit(server);
}

INSTANTIATE_TEST_SUITE_P(Of, SignalStorm, testing::Values(SIGTERM, SIGINT, SIGHUP, SIGUSR1),
                         name_of_signal);

// The signals wait in the kernel from before the first instruction: so that they are there before
// the ready line is no question of luck.
class EarlySignal : public testing::TestWithParam<int> {};

TEST_P(EarlySignal, IsHeardWhenThereIsAServer) {
  if (on_newer_libuv()) GTEST_SKIP() << "its host hears the signals until the program begins";
  ServerProcess server({"--port", "0"}, {.blocked = {SIGTERM, SIGINT, SIGHUP, SIGUSR1}});
  server.signal(SIGUSR1);
  server.signal(GetParam());
  server.wait_ready();
  EXPECT_NE(server.output_line().find("\"event\":\"statistics\""), std::string::npos);
  expect_clean_exit(server);
}

INSTANTIATE_TEST_SUITE_P(Of, EarlySignal, testing::Values(SIGTERM, SIGINT, SIGHUP), name_of_signal);

TEST(EarlySignal, ThatAsksForAReportEndsNothing) {
  if (on_newer_libuv()) GTEST_SKIP() << "its host hears the signals until the program begins";
  ServerProcess server({"--port", "0"}, {.blocked = {SIGUSR1}});
  server.signal(SIGUSR1);
  server.wait_ready();
  EXPECT_NE(server.output_line().find("\"event\":\"statistics\""), std::string::npos);
  Client client(server.port());
  EXPECT_TRUE(client.answers("still here"));
  client.close();
  stop_cleanly(server);
}

class InheritedIgnored : public testing::TestWithParam<int> {};

TEST_P(InheritedIgnored, IsHeardAllTheSame) {
  ServerProcess server = ServerProcess::start({}, {.ignored = {SIGTERM, SIGINT, SIGUSR1}});
  EXPECT_EQ(server.statistics().connections, 0);
  server.signal(GetParam());
  expect_clean_exit(server);
}

INSTANTIATE_TEST_SUITE_P(Signal, InheritedIgnored, testing::Values(SIGTERM, SIGINT),
                         name_of_signal);

TEST(Nohup, IsRespected) {
  if (on_newer_libuv()) GTEST_SKIP() << "its host puts every signal back to its default";
  ServerProcess server = ServerProcess::start({}, {.ignored = {SIGHUP}});
  server.signal(SIGHUP);
  EXPECT_EQ(server.statistics().connections, 0);
  EXPECT_TRUE(serves(server));
  stop_cleanly(server);
}

TEST(Report, IsWholeHoweverOftenItIsAskedFor) {
  ServerProcess server = ServerProcess::start({"--threads", "8", "--max-connections", "80"});
  {
    const Storm storm(server, SIGUSR1);
    for (int line = 0; line < 2000; ++line) {
      const std::string text = server.output_line();
      if (text.find("\"event\":\"lines_dropped\"") != std::string::npos) continue;
      ASSERT_EQ(text.find("{\"event\":\"statistics\""), 0U) << text;
      ASSERT_EQ(text.back(), '}') << text;
      ASSERT_EQ(number_in(text, "connections_max"), 80) << text;
    }
  }
  stop_cleanly(server);
}

}  // namespace
}  // namespace loopback
