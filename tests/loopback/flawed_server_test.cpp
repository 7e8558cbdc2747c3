// The judges themselves: each is satisfied by the server without a fault, and sees the fault that
// it is there for.
#include <gtest/gtest.h>

#include "judges.hpp"

namespace loopback {
namespace {

constexpr std::size_t kibi = 1024;
constexpr std::size_t mebi = kibi * kibi;
constexpr const char* none = "";

ServerProcess flawed(const std::string& fault, const Arguments& arguments) {
  return ServerProcess::start(arguments,
                              {.environment = {"FAULT=" + fault}, .program = FLAWED_SERVER});
}

// Every limit is one of a second.
std::size_t cut_while_reading_slowly(const char* fault, const Arguments& limits,
                                     const SlowReader::Behaviour& behaviour, milliseconds length) {
  ServerProcess server = flawed(fault, limits);
  SlowReaders readers(server.port(), 4, behaviour);
  readers.go_on(length);
  readers.finish();
  return readers.cut(milliseconds(1000));
}

TEST(JudgeOfSlowReaders, SeesWhoIsCutThoughHeReads) {
  const SlowReader::Behaviour steady{4 * mebi, 3 * kibi, milliseconds(10)};
  const auto cut = [&](const char* fault) {
    return cut_while_reading_slowly(fault, {"--write-timeout", "1s"}, steady, milliseconds(2500));
  };
  EXPECT_EQ(cut(none), 0U);
  EXPECT_EQ(cut("whole-or-nothing"), 4U);
}

TEST(JudgeOfSlowReaders, SeesWhoIsTakenForSilentThoughHeReads) {
  const SlowReader::Behaviour staying{4 * mebi, 3 * kibi, milliseconds(10), false};
  const auto cut = [&](const char* fault) {
    return cut_while_reading_slowly(fault, {"--idle-timeout", "1s"}, staying, milliseconds(2500));
  };
  EXPECT_EQ(cut(none), 0U);
  EXPECT_EQ(cut("owed-is-silent"), 4U);
}

TEST(JudgeOfHonestClients, SeesThatTheyWaitForACrowd) {
  const auto longest = [](const char* fault) {
    ServerProcess server = flawed(fault, {});
    Crowd crowd(server.port(), {.size = 500});
    crowd.gather();
    return longest_answer(server.port(), std::chrono::seconds(2));
  };
  EXPECT_LT(longest(none), std::chrono::seconds(10));
  EXPECT_GT(longest("waits-for-each-write"), std::chrono::seconds(2));
}

TEST(JudgeOfEndings, SeesThatAClientIsDeceived) {
  const auto deceived = [](const char* fault) {
    ServerProcess server = flawed(fault, {"--write-timeout", "500ms"});
    Debt debt(server, 2);
    EXPECT_TRUE(eventually([&] { return server.statistics().connections == 0; }));
    return std::ranges::count_if(debt.ends(), [](const End& end) { return end.deceives(); });
  };
  EXPECT_EQ(deceived(none), 0);
  EXPECT_EQ(deceived("cut-is-an-end"), 2);
}

TEST(JudgeOfEndings, SeesThatASilentClientIsReset) {
  const auto ending = [](const char* fault) {
    ServerProcess server = flawed(fault, {"--idle-timeout", "300ms"});
    Client silent(server.port());
    return end_of(silent, 0).ending;
  };
  EXPECT_EQ(ending(none), Ending::fin);
  EXPECT_EQ(ending("resets-the-silent"), Ending::reset);
}

TEST(JudgeOfUrgentData, SeesThatItVanishes) {
  const auto echo = [](const char* fault) {
    ServerProcess server = flawed(fault, {});
    Client client(server.port());
    send_with_urgent_bytes(client, "ab!de");
    client.shutdown_write();
    return client.receive_to_end();
  };
  EXPECT_EQ(echo(none), "ab!de");
  EXPECT_NE(echo("urgent-out-of-line"), "ab!de");
}

TEST(JudgeOfStops, SeesThatLimitsAreJudgedTooSoon) {
  const auto answered = [](const char* fault) {
    ServerProcess server = flawed(fault, {"--idle-timeout", "500ms"});
    return answered_after_a_stop(server, 5, milliseconds(1000));
  };
  EXPECT_EQ(answered(none), 5U);
  EXPECT_LT(answered("limits-before-events"), 5U);
}

TEST(JudgeOfHalfClose, SeesThatTheKernelIsLeftAlone) {
  const auto reset = [](const char* fault) {
    ServerProcess server = flawed(fault, {"--write-timeout", "300ms"});
    return reset_without_reading(server.port(), 2, mebi, std::chrono::seconds(2));
  };
  EXPECT_EQ(reset(none), 2U);
  EXPECT_EQ(reset("leaves-it-to-the-kernel"), 0U);
  EXPECT_EQ(reset("takes-nothing-for-progress"), 0U);
}

TEST(JudgeOfHalfClose, SeesThatASlowReaderIsCut) {
  const SlowReader::Behaviour slow{256 * kibi, 100, milliseconds(20), true, {.receive_buffer = 1}};
  const auto cut = [&](const char* fault) {
    return cut_while_reading_slowly(fault, {"--write-timeout", "1s"}, slow, milliseconds(2500));
  };
  EXPECT_EQ(cut(none), 0U);
  EXPECT_EQ(cut("whole-or-nothing"), 4U);
}

TEST(JudgeOfHalfClose, SeesThatDescriptorsAreKept) {
  const auto given_back = [](const char* fault) {
    ServerProcess server = flawed(fault, {});
    return gives_back_descriptors(server);
  };
  EXPECT_TRUE(given_back(none));
  EXPECT_FALSE(given_back("stays-with-every-client"));
}

TEST(JudgeOfDrains, SeesThatTheyHaveNoEnd) {
  const auto ends = [](const char* fault) {
    ServerProcess server = flawed(fault, {"--drain-timeout", "300ms"});
    Crowd crowd(server.port(), {.size = 100});
    crowd.gather();
    server.signal(SIGTERM);
    return eventually([&] { return !server.running(); }, std::chrono::seconds(2));
  };
  EXPECT_TRUE(ends(none));
  EXPECT_FALSE(ends("drain-without-end"));
}

}  // namespace
}  // namespace loopback
