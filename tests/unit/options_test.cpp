// The command line: defaults, every option, units, and each bad value answered by one line that
// names the option and the value.
#include "options.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <variant>
#include <vector>

namespace echoproof {
namespace {

std::variant<Options, Exit> parse(const std::vector<std::string>& arguments) {
  std::vector<const char*> argv{"echo-server"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  return parse_options(static_cast<int>(argv.size()), argv.data());
}

Options options(const std::vector<std::string>& arguments) {
  const auto result = parse(arguments);
  if (const Exit* const exit = std::get_if<Exit>(&result)) {
    ADD_FAILURE() << exit->text;
    return {};
  }
  return std::get<Options>(result);
}

Exit refused(const std::vector<std::string>& arguments) {
  const auto result = parse(arguments);
  if (const Exit* const exit = std::get_if<Exit>(&result)) return *exit;
  ADD_FAILURE() << "accepted";
  return {};
}

TEST(Options, HaveDefaults) {
  const Options o = options({});
  EXPECT_EQ(o.host, "127.0.0.1");
  EXPECT_EQ(o.port, 7000);
  EXPECT_EQ(o.backlog, 4096);
  EXPECT_EQ(o.threads, 1U);
  EXPECT_FALSE(o.max_connections.has_value());
  EXPECT_EQ(o.buffer_memory, std::size_t{64} << 20);
  EXPECT_EQ(o.block_size, std::size_t{64} << 10);
  EXPECT_EQ(o.idle_timeout, std::chrono::minutes(5));
  EXPECT_EQ(o.write_timeout, std::chrono::seconds(30));
  EXPECT_EQ(o.drain_timeout, std::chrono::seconds(10));
  EXPECT_EQ(o.log_level, "info");
}

TEST(Options, TakeEveryOption) {
  const Options o = options({"--host",
                             "::",
                             "--port",
                             "0",
                             "--backlog",
                             "5",
                             "--max-connections",
                             "7",
                             "--buffer-memory",
                             "4096",
                             "--block-size",
                             "512",
                             "--idle-timeout",
                             "1",
                             "--write-timeout",
                             "2",
                             "--drain-timeout",
                             "3",
                             "--log-level",
                             "debug"});
  EXPECT_EQ(o.host, "::");
  EXPECT_EQ(o.port, 0);
  EXPECT_EQ(o.backlog, 5);
  EXPECT_EQ(o.max_connections, 7U);
  EXPECT_EQ(o.buffer_memory, 4096U);
  EXPECT_EQ(o.block_size, 512U);
  EXPECT_EQ(o.idle_timeout, std::chrono::seconds(1));
  EXPECT_EQ(o.write_timeout, std::chrono::seconds(2));
  EXPECT_EQ(o.drain_timeout, std::chrono::seconds(3));
  EXPECT_EQ(o.log_level, "debug");
}

TEST(Options, TakeTheValueAfterAnEqualsSign) { EXPECT_EQ(options({"--port=8000"}).port, 8000); }

TEST(Options, LetTheLastOneCount) { EXPECT_EQ(options({"--port", "1", "--port", "2"}).port, 2); }

TEST(Options, TakeSizesWithUnits) {
  EXPECT_EQ(options({"--block-size", "4K"}).block_size, 4096U);
  EXPECT_EQ(options({"--block-size", "4KiB"}).block_size, 4096U);
  EXPECT_EQ(options({"--block-size", "1M"}).block_size, std::size_t{1} << 20);
  EXPECT_EQ(options({"--buffer-memory", "1MiB"}).buffer_memory, std::size_t{1} << 20);
  EXPECT_EQ(options({"--buffer-memory", "2G"}).buffer_memory, std::size_t{2} << 30);
}

TEST(Options, TakeTimesWithUnits) {
  EXPECT_EQ(options({"--idle-timeout", "500ms"}).idle_timeout, Time(500));
  EXPECT_EQ(options({"--idle-timeout", "0.5"}).idle_timeout, Time(500));
  EXPECT_EQ(options({"--idle-timeout", "10s"}).idle_timeout, Time(10'000));
  EXPECT_EQ(options({"--write-timeout", "2m"}).write_timeout, Time(120'000));
  EXPECT_EQ(options({"--drain-timeout", "1h"}).drain_timeout, Time(3'600'000));
}

TEST(Options, TakeNumbersAsDecimalWhateverTheyBeginWith) {
  EXPECT_EQ(options({"--port", "07001"}).port, 7001);
  EXPECT_EQ(options({"--threads", "010"}).threads, 10U);
  EXPECT_EQ(options({"--backlog", "0100"}).backlog, 100);
  EXPECT_EQ(options({"--max-connections", "0100"}).max_connections, 100U);
  EXPECT_EQ(options({"--block-size", "010K"}).block_size, 10240U);
  EXPECT_EQ(options({"--idle-timeout", "010"}).idle_timeout, Time(10'000));
}

TEST(Options, TakeZeroForNoIdleTimeout) {
  EXPECT_EQ(options({"--idle-timeout", "0"}).idle_timeout, Time::max());
}

TEST(Options, TakeZeroForNoDrain) {
  EXPECT_EQ(options({"--drain-timeout", "0"}).drain_timeout, Time(0));
}

TEST(Options, TakeTheLargestAndTheSmallestOfEachRange) {
  EXPECT_EQ(options({"--port", "65535"}).port, 65535);
  EXPECT_EQ(options({"--block-size", "1", "--buffer-memory", "256"}).block_size, 1U);
  EXPECT_EQ(options({"--block-size", "1G", "--buffer-memory", "1G"}).block_size, block_size_max);
  EXPECT_EQ(options({"--idle-timeout", "168h"}).idle_timeout, std::chrono::hours(168));
}

TEST(Options, HelpSaysWhatEveryOptionAndExitCodeIs) {
  const Exit help = refused({"--help"});
  EXPECT_EQ(help.code, exit_ok);
  for (const char* const word :
       {"--host", "--port", "--backlog", "--max-connections", "--buffer-memory", "--kernel-memory",
        "--block-size", "--idle-timeout", "--write-timeout", "--drain-timeout", "--log-level",
        "--version", "Exit status"}) {
    EXPECT_NE(help.text.find(word), std::string::npos) << word;
  }
}

TEST(Options, VersionIsOneLine) {
  const Exit version = refused({"--version"});
  EXPECT_EQ(version.code, exit_ok);
  EXPECT_EQ(version.text.rfind("echo-server ", 0), 0U);
  EXPECT_EQ(version.text.find('\n'), std::string::npos);
}

struct Bad {
  std::vector<std::string> arguments;
  std::string option;  // what the line must name
  std::string value;
};

void PrintTo(const Bad& bad, std::ostream* os) {
  for (const std::string& argument : bad.arguments) *os << argument << ' ';
}

class BadArgument : public testing::TestWithParam<Bad> {};

TEST_P(BadArgument, IsAnsweredByOneLineThatNamesTheOptionAndTheValue) {
  const Exit exit = refused(GetParam().arguments);
  EXPECT_EQ(exit.code, exit_usage);
  EXPECT_NE(exit.text.find(GetParam().option), std::string::npos) << exit.text;
  EXPECT_NE(exit.text.find(GetParam().value), std::string::npos) << exit.text;
  EXPECT_EQ(exit.text.find('\n'), std::string::npos) << exit.text;
}

Bad bad(const std::string& option, const std::string& value) {
  return {{option, value}, option, value};
}

// What other readers of numbers take and people do not mean, for each kind of number.
TEST(Options, TakeNothingForANumberButDigits) {
  for (const char* const text : {"0x10", "1e1", "+5", " 5", "5 ", "", "KiB", "s", "5,0", ".5", "-0",
                                 "inf", "nan", "0b1", "1'0", "5\t", "\xd9\xa5"}) {
    for (const char* const option :
         {"--port", "--backlog", "--threads", "--max-connections", "--buffer-memory",
          "--block-size", "--idle-timeout", "--write-timeout", "--drain-timeout"}) {
      const Exit exit = refused({option, text});
      EXPECT_EQ(exit.code, exit_usage);
      EXPECT_NE(exit.text.find(option), std::string::npos) << exit.text;
      EXPECT_NE(exit.text.find("'" + std::string(text) + "'"), std::string::npos) << exit.text;
    }
  }
}

TEST(Options, TakeAFractionForATimeOnly) {
  EXPECT_EQ(refused({"--port", "1.5"}).code, exit_usage);
  EXPECT_EQ(refused({"--block-size", "1.5K"}).code, exit_usage);
  EXPECT_EQ(options({"--idle-timeout", "1.5m"}).idle_timeout, Time(90'000));
}

INSTANTIATE_TEST_SUITE_P(
    Options, BadArgument,
    testing::Values(bad("--port", "70000"), bad("--port", "-1"), bad("--port", "http"),
                    Bad{{"--port", ""}, "--port", ""}, Bad{{"--port"}, "--port", "missing"},
                    bad("--backlog", "0"), bad("--backlog", "65536"), bad("--max-connections", "0"),
                    bad("--max-connections", "-1"), bad("--max-connections", "many"),
                    bad("--block-size", "0"), bad("--block-size", "-1"),

                    bad("--buffer-memory", "1K"), bad("--buffer-memory", "lots"),
                    bad("--idle-timeout", "-1"), bad("--idle-timeout", "nan"),

                    bad("--write-timeout", "0"), bad("--write-timeout", "soon"),
                    bad("--drain-timeout", "-1"), bad("--log-level", "loud"),
                    Bad{{"--frobnicate"}, "--frobnicate", "not expected"},
                    Bad{{"extra"}, "extra", "not expected"}));

}  // namespace
}  // namespace echoproof
