// A client that takes its echo is not cut, however slowly it takes it, if the kernel learns within
// each period of the write limit that it took something. While it takes, it does not count as
// silent.
#include <gtest/gtest.h>

#include "judges.hpp"

namespace loopback {
namespace {

constexpr std::size_t kibi = 1024;
constexpr std::size_t mebi = kibi * kibi;

// Every test lets the clients go on for several periods of the write limit.
constexpr milliseconds limit(1000);
constexpr milliseconds several_limits(3300);

struct Way {
  const char* name;
  std::size_t count;
  SlowReader::Behaviour behaviour;
  Arguments arguments = {};
  int limit_seconds = 1;
};

void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }

class SlowReading : public testing::TestWithParam<Way> {};

TEST_P(SlowReading, LosesNothingHoweverLongItTakes) {
  Arguments arguments = GetParam().arguments;
  const int scale = GetParam().limit_seconds;
  arguments.insert(arguments.end(), {"--write-timeout", std::to_string(scale) + "s"});
  ServerProcess server = ServerProcess::start(arguments);
  SlowReaders readers(server.port(), GetParam().count, GetParam().behaviour);
  readers.go_on(several_limits * scale);
  EXPECT_EQ(readers.whole(), 0U) << "so much was not owed for so long: nothing was tested";
  readers.finish();
  EXPECT_EQ(readers.cut(limit * scale), 0U) << "of " << readers.size();
  readers.close();
  stop_cleanly(server);
  if (readers.cut_silent(limit * scale) == readers.size()) GTEST_SKIP() << held_up;
}

// The write limit is several seconds, the idle limit one. A client that is owed bytes and reads
// does not count as silent, even if it says nothing.
TEST(SlowReading, IsNoSilence) {
  ServerProcess server = ServerProcess::start({"--idle-timeout", "1s", "--write-timeout", "5s"});
  SlowReaders readers(server.port(), 4, {4 * mebi, 3 * kibi, milliseconds(10), false});
  readers.go_on(several_limits);
  EXPECT_EQ(readers.whole(), 0U) << "so much was not owed for so long: nothing was tested";
  readers.finish();
  EXPECT_EQ(readers.cut(limit), 0U) << "of " << readers.size();
  readers.close();
  stop_cleanly(server);
  if (readers.cut_silent(limit) == readers.size()) GTEST_SKIP() << held_up;
}

constexpr Client::Shape tiny{.receive_buffer = 1};  // the kernel makes 2,304 of it
constexpr Client::Shape small_segments{.receive_buffer = 16 * kibi, .segment = 536};
constexpr Client::Shape ethernet{.segment = 1460};
constexpr Client::Shape middling{.receive_buffer = 64 * kibi};

INSTANTIATE_TEST_SUITE_P(
    By, SlowReading,
    testing::Values(
        Way{"ASteadyReader", 1, {8 * mebi, 3 * kibi, milliseconds(10)}},
        Way{"ASteadyReaderWhoStays", 1, {8 * mebi, 3 * kibi, milliseconds(10), false}},
        Way{"AReaderOfATinyWindow", 1, {4 * mebi, 100, milliseconds(20), true, tiny}},
        Way{"AReaderOfATinyWindowWhoStays", 1, {4 * mebi, 100, milliseconds(20), false, tiny}},
        Way{"AReaderOfSmallSegments", 1, {2 * mebi, 1200, milliseconds(20), true, small_segments}},
        Way{"AReaderOfEthernetsSegments",
            1,
            {8 * mebi, 3 * kibi, milliseconds(10), true, ethernet}},
        Way{"AReaderInBursts", 1, {8 * mebi, 512 * kibi, milliseconds(600)}},
        Way{"AReaderInBurstsWhoStays", 1, {8 * mebi, 512 * kibi, milliseconds(600), false}},
        Way{"AReaderOfOneStepAtATime",
            1,
            {8 * mebi, 128 * kibi, milliseconds(600), true, middling}},
        Way{"AReaderOfOneTinyStepAtATime", 1, {4 * mebi, 1536, milliseconds(500), true, tiny}},
        Way{"FortyOfThem",
            40,
            {4 * mebi, 3 * kibi, milliseconds(10), true, middling},
            {"--buffer-memory", "1MiB"}},
        Way{"FortyOfThemWhoStay",
            40,
            {4 * mebi, 3 * kibi, milliseconds(10), false, middling},
            {"--buffer-memory", "1MiB"}},
        // Where so many share a busy machine, a kernel's probes of a closed window, each twice as
        // long after the one before, may tell of nothing for more than a second. A longer limit
        // leaves more of them to be judged.
        Way{"FortyOfTinyWindows",
            40,
            {2 * mebi, 100, milliseconds(20), true, tiny},
            {"--buffer-memory", "1MiB"},
            3}),
    [](const testing::TestParamInfo<Way>& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace loopback
