// The server under faults that a kind network never shows: system calls that fail, give little or
// are interrupted, and memory that is refused. A library in LD_PRELOAD makes them, see
// fault_shim.cpp.
//
// Each test proves that its fault was really shown. Where the program is built with a sanitizer,
// operator new belongs to the sanitizer and cannot be replaced: the tests of refused memory are
// built for the other presets only (see CMakeLists.txt); those of system calls run everywhere.
#include <gtest/gtest.h>

#include "faulty_server.hpp"

namespace loopback {
namespace {

constexpr std::size_t kibi = 1024;

struct Scenario {
  const char* name;
  const char* faults;
};

void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.faults; }

std::string name_of(const testing::TestParamInfo<Scenario>& info) { return info.param.name; }

// Faults that delay: every client still gets its whole echo.
class Delay : public testing::TestWithParam<Scenario> {};

TEST_P(Delay, TakesNoByteFromAnybody) {
  FaultyServer server(GetParam().faults);
  std::vector<Conversation> conversations = conversations_with(*server, 4, 40 * kibi);
  run(conversations);
  for (const Conversation& each : conversations) {
    EXPECT_TRUE(each.echoed_exactly());
    EXPECT_EQ(each.ending(), Ending::fin);
  }
  EXPECT_GT(server.injected(), 0U);
  stop_cleanly(*server);
}

INSTANTIATE_TEST_SUITE_P(By, Delay,
                         testing::Values(Scenario{"InterruptedReads", "read=EINTR@*2"},
                                         Scenario{"ReadsWithNothingThere", "read=EAGAIN@*2"},
                                         Scenario{"ShortReads", "read=short@*2"},
                                         Scenario{"OnlyShortReads", "read=short@1+"},
                                         Scenario{"InterruptedWrites", "write=EINTR@*2"},
                                         Scenario{"FullSockets", "write=EAGAIN@*2"},
                                         Scenario{"KernelWithoutBuffers", "write=ENOBUFS@*3"},
                                         Scenario{"ShortWrites", "write=short@*2"},
                                         Scenario{"EverythingShort",
                                                  "read=short@*3,write=short@*2,read=EINTR@*5"}),
                         name_of);

// Faults that end a connection: that client is closed, the others get everything.
class Loss : public testing::TestWithParam<Scenario> {};

TEST_P(Loss, ConcernsOneClientOnly) {
  FaultyServer server(GetParam().faults);
  std::vector<Conversation> conversations = conversations_with(*server, 6, 200 * kibi);
  run(conversations);
  std::size_t whole = 0;
  for (const Conversation& each : conversations) {
    if (each.echoed_exactly() && each.ending() == Ending::fin) ++whole;
  }
  EXPECT_EQ(server.injected(), 1U);
  EXPECT_EQ(whole, conversations.size() - 1);
  Client late(server->port());
  EXPECT_TRUE(late.answers("hello"));
  late.close();
  stop_cleanly(*server);
}

INSTANTIATE_TEST_SUITE_P(By, Loss,
                         testing::Values(Scenario{"ReadReset", "read=ECONNRESET@3"},
                                         Scenario{"ReadTimedOut", "read=ETIMEDOUT@2"},
                                         Scenario{"ReadWithoutBuffers", "read=ENOBUFS@2"},
                                         Scenario{"WriteReset", "write=ECONNRESET@3"},
                                         Scenario{"WriteBrokenPipe", "write=EPIPE@2"},
                                         Scenario{"FirstWriteBrokenPipe", "write=EPIPE@1"}),
                         name_of);

TEST(Loss, OfEveryConnectionLeavesABalancedLedger) {
  FaultyServer server("read=ECONNRESET@*3,write=EPIPE@*5");
  for (int round = 0; round < 20; ++round) {
    std::vector<Conversation> conversations = conversations_with(*server, 5, 20 * kibi);
    run(conversations);
  }
  EXPECT_GT(server.injected(), 20U);
  stop_cleanly(*server);
}

// accept(2) fails for a while: clients may be turned away, and are served again afterwards.
class FailingAccept : public testing::TestWithParam<Scenario> {};

TEST_P(FailingAccept, NeitherStopsNorSpinsTheServer) {
  FaultyServer server(GetParam().faults);
  EXPECT_TRUE(eventually([&] { return serves(*server) && server.injected() > 0; }));
  stop_cleanly(*server);
}

INSTANTIATE_TEST_SUITE_P(By, FailingAccept,
                         testing::Values(Scenario{"NoDescriptorOnce", "accept=EMFILE@1"},
                                         Scenario{"NoDescriptorForAWhile", "accept=EMFILE@1-20"},
                                         Scenario{"NoFileForAWhile", "accept=ENFILE@1-20"},
                                         Scenario{"NoFileEveryOther", "accept=ENFILE@*2"},
                                         Scenario{"Aborted", "accept=ECONNABORTED@1-5"},
                                         Scenario{"Interrupted", "accept=EINTR@1-5"},
                                         Scenario{"NoMemory", "accept=ENOMEM@1-5"},
                                         Scenario{"NoBuffers", "accept=ENOBUFS@1-5"}),
                         name_of);

// A failed accept(2) concerns one client. Closing the listener would reset all waiting clients.
TEST(FailingAccept, OfOneClientResetsNobodyElseWhoWaits) {
  for (const char* const error : {"EPROTO", "ENETDOWN", "ENOBUFS", "EPERM"}) {
    SCOPED_TRACE(error);
    FaultyServer server("accept=" + std::string(error) + "@1-3");
    server->signal(SIGSTOP);
    ASSERT_TRUE(eventually([&] { return server->stopped(); }));
    std::vector<Client> waiting;
    for (int i = 0; i < 10; ++i) waiting.emplace_back(server->port());
    server->signal(SIGCONT);
    for (Client& client : waiting) EXPECT_TRUE(client.answers("hello"));
    EXPECT_EQ(server.injected(), 3U);
    waiting.clear();
    stop_cleanly(*server);
  }
}

TEST(FailingAccept, WithoutEndDoesNotSpinAndStopsCleanly) {
  if (on_newer_libuv()) GTEST_SKIP() << "libuv retries in silence: see Limits in SECURITY.md";
  FaultyServer server("accept=EMFILE@2+");
  Client early(server->port());
  ASSERT_TRUE(early.answers("hello"));
  for (int number = 0; number < 10; ++number) EXPECT_FALSE(serves(*server));
  EXPECT_GT(server.injected(), 0U);
  const double before = server->busy_seconds();
  early.wait(POLLIN, std::chrono::seconds(1));
  EXPECT_LT(server->busy_seconds() - before, 0.3);
  EXPECT_TRUE(early.answers("still served"));
  early.close();
  EXPECT_EQ(stop_cleanly(*server).sessions.acquired, 1U) << "a failure was taken for a client";
}

// Of two threads the first listens when the fault comes.
TEST(Refusal, OfASharedPortForASecondThreadIsOneLine) {
  const Outcome outcome =
      run_to_end({"--port", "0", "--threads", "2"},
                 {.environment = {"LD_PRELOAD=" FAULT_SHIM, "ECHO_FAULTS=reuseport=ENOMEM@1"}});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.output, "");
  ASSERT_EQ(outcome.errors.size(), 1U) << testing::PrintToString(outcome.errors);
  EXPECT_NE(outcome.errors.front().find("--port 0: not enough memory (ENOMEM)"), std::string::npos)
      << outcome.errors.front();
}

// Of three threads the second serves already when there is none for the third.
TEST(Refusal, OfAThreadIsOneLine) {
  if (ServerProcess::sanitized()) GTEST_SKIP() << "a sanitizer starts threads of its own";
  const Outcome outcome =
      run_to_end({"--port", "0", "--threads", "3"},
                 {.environment = {"LD_PRELOAD=" FAULT_SHIM, "ECHO_FAULTS=thread=EAGAIN@2"}});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.output, "");
  ASSERT_EQ(outcome.errors.size(), 1U) << testing::PrintToString(outcome.errors);
  EXPECT_NE(outcome.errors.front().find("unavailable (EAGAIN)"), std::string::npos)
      << outcome.errors.front();
}

class RefusedMemory : public testing::Test {
 protected:
  void SetUp() override {
    if (ServerProcess::sanitized()) GTEST_SKIP() << "operator new is the sanitizer's";
  }
};

// The k-th allocation fails, for every k that this scenario reaches: the torture of a whole run.
TEST_F(RefusedMemory, AtEveryPointConcernsOneClientAtMost) {
  for (unsigned long point = 1;; ++point) {
    SCOPED_TRACE("allocation " + std::to_string(point));
    FaultyServer server("new=null@" + std::to_string(point));
    std::vector<Conversation> conversations = conversations_with(*server, 5, 100 * kibi);
    run(conversations);
    std::size_t whole = 0;
    for (const Conversation& each : conversations) {
      if (each.echoed_exactly() && each.ending() == Ending::fin) ++whole;
    }
    EXPECT_GE(whole, conversations.size() - 1);
    const bool refused = server.injected() > 0;
    stop_cleanly(*server);
    if (!refused) {
      EXPECT_GT(point, 1U) << "the server asked for no memory: nothing was tested";
      break;
    }
    ASSERT_LT(point, 500U);
    if (HasFailure()) break;
  }
}

TEST_F(RefusedMemory, ForEverBringsServiceBackWhenItEnds) {
  FaultyServer server("new=null@3-200");
  Client early(server->port());
  early.send_some("hello");
  EXPECT_TRUE(eventually([&] { return serves(*server); }));
  early.close();
  stop_cleanly(*server);
}

TEST_F(RefusedMemory, EveryOtherTimeLeavesABalancedLedger) {
  FaultyServer server("new=null@*2");
  for (int round = 0; round < 20; ++round) {
    std::vector<Conversation> conversations = conversations_with(*server, 5, 50 * kibi);
    run(conversations);
  }
  EXPECT_GT(server.injected(), 0U);
  stop_cleanly(*server);
}

}  // namespace
}  // namespace loopback
