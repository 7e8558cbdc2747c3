// Honest clients beside crowds that take without giving: how long an honest echo takes does not
// depend on how many the others are.
#include <gtest/gtest.h>

#include "judges.hpp"

namespace loopback {
namespace {

// Generous: it tells "at once" from "when it is one's turn", not fast from slow.
constexpr std::chrono::seconds soon{10};

struct Kind {
  const char* name;
  Crowd::Behaviour behaviour;
  Arguments arguments = {};
};

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

class BesideACrowd : public testing::TestWithParam<Kind> {};

TEST_P(BesideACrowd, HonestClientsAreAnsweredAtOnce) {
  Arguments arguments = GetParam().arguments;
  arguments.insert(arguments.end(), {"--log-level", "error"});
  ServerProcess server = ServerProcess::start(arguments);
  Crowd crowd(server.port(), GetParam().behaviour);
  crowd.gather();
  if (GetParam().behaviour.come_again) {
    // A fast machine gathers the crowd before the write limit has cut anybody.
    ASSERT_TRUE(eventually([&] { return crowd.ended() > 0; }))
        << "no client was cut and came again";
  }
  EXPECT_LT(in_milliseconds(longest_answer(server.port(), soon)), in_milliseconds(soon));
  crowd.disperse();
  stop_cleanly(server);
}

// Much less than a large block for each of them.
const Arguments little_memory{"--buffer-memory", "16MiB", "--max-connections", "2100"};
const Arguments little_memory_and_patience{"--buffer-memory", "16MiB", "--max-connections", "2100",
                                           "--write-timeout", "500ms"};
constexpr milliseconds second{1000};

INSTANTIATE_TEST_SUITE_P(
    Of, BesideACrowd,
    testing::Values(
        Kind{"TwoHundredThatNeverRead", {.size = 200}, little_memory},
        Kind{"TwoThousandThatNeverRead", {.size = 2000}, little_memory},
        Kind{"TwoThousandThatNeverReadWithMuchMemory", {.size = 2000}},
        Kind{"TwoHundredThatReadAByteASecond", {.size = 200, .byte_each = second}, little_memory},
        Kind{"TwoThousandThatReadAByteASecond", {.size = 2000, .byte_each = second}, little_memory},
        Kind{"TwoThousandThatComeAgainWhenCut",
             {.size = 2000, .come_again = true},
             little_memory_and_patience},
        Kind{"TwoThousandThatHalfCloseAndStay",
             {.size = 2000, .bytes = 48 * 1024, .half_close = true},
             little_memory},
        Kind{"TwoThousandThatHalfCloseOnMuchAndStay",
             {.size = 2000, .half_close = true},
             little_memory},
        Kind{"FortyThatHoldEveryLargeBlock",
             {.size = 40},
             {"--buffer-memory", "1MiB", "--max-connections", "100"}}),
    [](const testing::TestParamInfo<Kind>& tested) { return std::string(tested.param.name); });

TEST(Crowd, ThatNeverReadsDoesNotKeepTheServerFromEnding) {
  ServerProcess server = ServerProcess::start({"--drain-timeout", "500ms", "--log-level", "error"});
  Crowd crowd(server.port(), {.size = 1000});
  crowd.gather();
  const Clock::time_point asked = Clock::now();
  server.signal(SIGTERM);
  EXPECT_EQ(expect_clean_exit(server).sessions.acquired, 1000U);
  EXPECT_LT(Clock::now() - asked, milliseconds(500) + std::chrono::seconds(5));
}

}  // namespace
}  // namespace loopback
