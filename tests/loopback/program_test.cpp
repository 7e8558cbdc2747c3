// The program as its caller sees it: options, ready line, signals, exit codes, streams.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string.h>

#include "client.hpp"
#include "server_process.hpp"

namespace loopback {
namespace {

using testing::HasSubstr;

constexpr int exit_cannot_listen = 1;
constexpr int exit_usage = 2;
constexpr std::size_t mebi = std::size_t{1024} * 1024;

// An empty directory, gone afterwards: what a program leaves behind would be found in it.
class EmptyDirectory {
 public:
  EmptyDirectory() : path_(testing::TempDir() + "echo-XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) fail_system("mkdtemp");
  }
  ~EmptyDirectory() { std::filesystem::remove_all(path_); }
  EmptyDirectory(const EmptyDirectory&) = delete;
  EmptyDirectory& operator=(const EmptyDirectory&) = delete;

  const std::string& path() const { return path_; }
  bool still_empty() const { return std::filesystem::is_empty(path_); }

 private:
  std::string path_;
};

bool refuses_connections(std::uint16_t port) {
  try {
    Client(port).reset();
    return false;
  } catch (const std::system_error& error) {
    return error.code().value() == ECONNREFUSED;
  }
}

struct BadInput {
  const char* name;
  Arguments arguments;
  std::vector<std::string> mentioned;  // the option and the value, in the one line
  int exit_code = exit_usage;
};

void PrintTo(const BadInput& input, std::ostream* out) { *out << input.name; }

class Refusal : public testing::TestWithParam<BadInput> {};

TEST_P(Refusal, IsOneLineThatNamesOptionAndValue) {
  const EmptyDirectory directory;
  const Outcome outcome = run_to_end(GetParam().arguments, {.directory = directory.path()});
  EXPECT_EQ(outcome.exit_code, GetParam().exit_code);
  EXPECT_EQ(outcome.output, "");
  ASSERT_EQ(outcome.errors.size(), 1U) << testing::PrintToString(outcome.errors);
  EXPECT_TRUE(std::ranges::all_of(outcome.errors.front(), [](char c) {
    return c >= ' ' && c <= '~';
  })) << testing::PrintToString(outcome.errors.front());
  for (const std::string& word : GetParam().mentioned) {
    EXPECT_THAT(outcome.errors.front(), HasSubstr(word));
  }
  EXPECT_TRUE(directory.still_empty());
}

INSTANTIATE_TEST_SUITE_P(
    Of, Refusal,
    testing::Values(
        BadInput{"PortTooLarge", {"--port", "70000"}, {"--port", "70000"}},
        BadInput{"PortNegative", {"--port", "-1"}, {"--port", "-1"}},
        BadInput{"PortNoNumber", {"--port", "http"}, {"--port", "http"}},
        BadInput{"PortWithTail", {"--port", "70x"}, {"--port", "70x"}},
        BadInput{"PortEmpty", {"--port", ""}, {"--port"}},
        BadInput{"PortWithoutValue", {"--port"}, {"--port"}},
        BadInput{"HostNoAddress", {"--port", "0", "--host", "nowhere"}, {"--host", "nowhere"}},
        BadInput{"HostOutOfRange", {"--port", "0", "--host", "1.2.3.256"}, {"--host", "1.2.3.256"}},
        BadInput{"HostEmpty", {"--port", "0", "--host", ""}, {"--host"}},
        BadInput{"HostOfAnotherMachine",
                 {"--port", "0", "--host", "192.0.2.1"},
                 {"--host", "192.0.2.1"},
                 exit_cannot_listen},
        BadInput{"BacklogZero", {"--backlog", "0"}, {"--backlog", "0"}},
        BadInput{"BacklogNegative", {"--backlog", "-5"}, {"--backlog", "-5"}},
        BadInput{"BacklogHuge", {"--backlog", "99999999999"}, {"--backlog", "99999999999"}},
        BadInput{"MaxConnectionsZero", {"--max-connections", "0"}, {"--max-connections", "0"}},
        BadInput{"MaxConnectionsNegative", {"--max-connections=-3"}, {"--max-connections", "-3"}},
        BadInput{"BlockSizeZero", {"--block-size", "0"}, {"--block-size", "0"}},
        BadInput{"BlockSizeNegative", {"--block-size=-1"}, {"--block-size", "-1"}},
        BadInput{"BlockSizeOfNoUnit", {"--block-size", "12Q"}, {"--block-size", "12Q"}},
        BadInput{"BlockSizeBeyondCounting",
                 {"--block-size", "99999999999999999999"},
                 {"--block-size", "99999999999999999999"}},
        BadInput{"BlockSizeBeyondCountingByUnit",
                 {"--block-size", "18014398509481984K"},
                 {"--block-size", "18014398509481984K"}},
        BadInput{"MemoryZero", {"--buffer-memory", "0"}, {"--buffer-memory", "0"}},
        BadInput{"MemorySmallerThanOneBlock",
                 {"--buffer-memory", "1K", "--block-size", "64K"},
                 {"--buffer-memory", "1K"}},
        BadInput{"ThreadsZero", {"--threads", "0"}, {"--threads", "0"}},
        BadInput{"ThreadsTooMany", {"--threads", "257"}, {"--threads", "257"}},
        BadInput{"ThreadsWithoutABlockForEach",
                 {"--threads", "3", "--buffer-memory", "128K"},
                 {"--buffer-memory", "128K", "--threads 3"}},
        BadInput{"ThreadsWithoutAConnectionForEach",
                 {"--threads", "3", "--max-connections", "2"},
                 {"--max-connections", "2", "--threads 3"}},
        BadInput{"IdleTimeoutNegative", {"--idle-timeout=-5s"}, {"--idle-timeout", "-5s"}},
        BadInput{"IdleTimeoutOfNoUnit", {"--idle-timeout", "3weeks"}, {"--idle-timeout", "3weeks"}},
        BadInput{"WriteTimeoutNoNumber", {"--write-timeout", "soon"}, {"--write-timeout", "soon"}},
        BadInput{"WriteTimeoutBeyondCounting",
                 {"--write-timeout", "99999999999999999999h"},
                 {"--write-timeout", "99999999999999999999h"}},
        BadInput{"DrainTimeoutNoNumber", {"--drain-timeout", "nan"}, {"--drain-timeout", "nan"}},
        BadInput{"LogLevelUnknown", {"--log-level", "chatty"}, {"--log-level", "chatty"}},
        BadInput{"OptionUnknown", {"--colour", "blue"}, {"--colour"}},
        BadInput{"OptionShortUnknown", {"-z"}, {"-z"}},
        BadInput{"WordWithoutOption", {"7000"}, {"7000"}},
        BadInput{"PortHexadecimal", {"--port", "0x1b59"}, {"--port", "0x1b59"}},
        BadInput{"SizeOfUnitAlone", {"--block-size", "KiB"}, {"--block-size", "KiB"}},
        BadInput{"LineBreakInValue", {"--host", "a\nb"}, {"--host", "a\\x0ab"}},
        BadInput{"EscapeInHost", {"--host", "\x1b[31m"}, {"--host", "\\x1b[31m"}},
        BadInput{"EscapeInNumber", {"--port", "\x1b[31m"}, {"--port", "\\x1b[31m"}},
        BadInput{"EscapeInOption", {"--\x1b[31m"}, {"\\x1b[31m"}},
        BadInput{"ControlCharacterInUtf8", {"--host", "\xc2\x9b"}, {"--host", "\\xc2\\x9b"}},
        BadInput{"NoUtf8", {"--log-level", "\xff"}, {"--log-level", "\\xff"}},
        BadInput{"ValueVeryLong", {"--host", std::string(100'000, '1')}, {"--host"}}),
    [](const testing::TestParamInfo<BadInput>& tested) { return std::string(tested.param.name); });

TEST(Refusal, OfAPortInUseNamesThePort) {
  ServerProcess server = ServerProcess::start();
  const std::string port = std::to_string(server.port());
  const Outcome outcome = run_to_end({"--port", port});
  EXPECT_EQ(outcome.exit_code, exit_cannot_listen);
  EXPECT_EQ(outcome.output, "");
  ASSERT_EQ(outcome.errors.size(), 1U) << testing::PrintToString(outcome.errors);
  EXPECT_THAT(outcome.errors.front(), HasSubstr("--port"));
  EXPECT_THAT(outcome.errors.front(), HasSubstr(port));
  Client client(server.port());
  EXPECT_TRUE(client.answers("the first server is not disturbed"));
  client.close();
  stop_cleanly(server);
}

TEST(Help, NamesEveryOptionAndEveryExitCode) {
  const Outcome outcome = run_to_end({"--help"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_TRUE(outcome.errors.empty());
  for (const char* const word : {"--host",
                                 "--port",
                                 "--backlog",
                                 "--threads",
                                 "--max-connections",
                                 "--buffer-memory",
                                 "--block-size",
                                 "--idle-timeout",
                                 "--write-timeout",
                                 "--drain-timeout",
                                 "--log-level",
                                 "--help",
                                 "--version",
                                 "127.0.0.1",
                                 "7000",
                                 "SIGTERM",
                                 "SIGUSR1",
                                 "0 ",
                                 "1 ",
                                 "2 ",
                                 "3 "}) {
    EXPECT_THAT(outcome.output, HasSubstr(word));
  }
}

TEST(Version, IsOneLineOnStandardOutput) {
  const Outcome outcome = run_to_end({"--version"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_TRUE(outcome.errors.empty());
  EXPECT_EQ(lines_of(outcome.output).size(), 1U) << outcome.output;
}

TEST(ReadyLine, IsExactlyTheDocumentedObject) {
  ServerProcess server = ServerProcess::start();
  EXPECT_NE(server.port(), 0);
  EXPECT_EQ(server.ready_line(), "{\"event\":\"listening\",\"address\":\"127.0.0.1\",\"port\":" +
                                     std::to_string(server.port()) + "}");
  stop_cleanly(server);
}

TEST(ReadyLine, MeansThatConnectionsAreTaken) {
  for (int round = 0; round < 20; ++round) {
    ServerProcess server = ServerProcess::start();
    Client client(server.port());
    client.close();
    stop_cleanly(server);
  }
}

TEST(Statistics, AreOneLinePerSignal) {
  ServerProcess server = ServerProcess::start();
  Client client(server.port());
  ASSERT_TRUE(client.answers("hello"));
  for (int round = 0; round < 50; ++round) {
    const Statistics statistics = server.statistics();
    EXPECT_EQ(statistics.connections, 1);
    EXPECT_GE(statistics.blocks, 0);
    EXPECT_EQ(statistics.accepted, 1);
  }
  client.close();
  server.signal(SIGTERM);
  expect_clean_exit(server);
  EXPECT_EQ(server.output_rest(), "");
}

TEST(Statistics, TellVersionAndUptime) {
  ServerProcess server = ServerProcess::start();
  server.signal(SIGUSR1);
  const std::string line = server.output_line();
  EXPECT_THAT(line, HasSubstr("\"version\":\"" + run_to_end({"--version"}).output.substr(12, 1)));
  EXPECT_GE(number_in(line, "uptime"), 0);
  EXPECT_LT(number_in(line, "uptime"), 60);
  EXPECT_EQ(number_in(line, "lines_dropped"), 0);
  stop_cleanly(server);
}

TEST(Statistics, StandBeforeTheLedgerAtTheEnd) {
  ServerProcess server = ServerProcess::start({"--log-level", "off"});
  Client client(server.port());
  ASSERT_TRUE(client.answers("hello"));
  client.close();
  stop_cleanly(server);
  const std::vector<std::string> lines = lines_of(server.errors());
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_THAT(lines[0], HasSubstr("\"event\":\"statistics\""));
  EXPECT_EQ(number_in(lines[0], "accepted"), 1);
  EXPECT_EQ(number_in(lines[0], "bytes_echoed"), 5);
}

TEST(Log, TellsTheLimitsAndTheDrain) {
  ServerProcess server = ServerProcess::start(
      {"--max-connections", "7", "--buffer-memory", "1MiB", "--block-size", "64KiB"},
      {.descriptors = 500});
  Client client(server.port());
  ASSERT_TRUE(client.answers("hello"));
  server.signal(SIGTERM);
  ASSERT_TRUE(eventually([&] { return refuses_connections(server.port()); }));
  server.signal(SIGTERM);
  expect_clean_exit(server);
  const std::string log = server.errors();
  EXPECT_THAT(log, HasSubstr("limits: 7 connections, by --max-connections; 7 small blocks, 7 large "
                             "ones of 65536 bytes; "));
  EXPECT_THAT(log, HasSubstr("info draining\n"));
  EXPECT_THAT(log, HasSubstr("info second signal: ending at once\n"));
}

// How many connections a program may have that inherits a hundred descriptors.
long connections_beside_a_hundred(const Arguments& before, const Setting& setting) {
  std::vector<Descriptor> inherited;
  Setting all = setting;
  for (int i = 0; i < 100; ++i) {
    all.inherited.push_back(inherited.emplace_back(::memfd_create("inherited", 0)).get());
  }
  all.descriptors = static_cast<rlim_t>(all.inherited.back()) + 50;
  Arguments arguments = before;
  for (const char* const word : {"--port", "0", "--max-connections", "100000"}) {
    arguments.emplace_back(word);
  }
  ServerProcess server(arguments, all);
  server.wait_ready();
  std::string log;
  EXPECT_TRUE(eventually([&] {
    log = server.errors();
    return log.find("lowered to ") != std::string::npos;
  }));
  stop_cleanly(server);
  const std::string lowered = "lowered to ";
  return std::strtol(log.c_str() + log.find(lowered) + lowered.size(), nullptr, 10);
}

TEST(Descriptors, ThatAreInheritedAreCountedWithoutProc) {
  if (ServerProcess::sanitized()) GTEST_SKIP() << "a sanitizer needs /proc";
  if (on_newer_libuv()) GTEST_SKIP() << "its host needs /proc";
  if (!can_hide_proc()) GTEST_SKIP() << "/proc cannot be hidden here";
  const long with_proc = connections_beside_a_hundred({}, {});
  const long without =
      connections_beside_a_hundred(ServerProcess::hidden_proc(), {.program = ServerProcess::hider});
  EXPECT_GT(without, 0);
  EXPECT_LE(without, with_proc + 5);
}

TEST(Refusal, OfThreadsNamesTheLimitOnProcesses) {
  if (ServerProcess::sanitized()) GTEST_SKIP() << "a sanitizer starts threads of its own";
  if (on_newer_libuv()) GTEST_SKIP() << "its host starts threads of its own";
  for (const char* const threads : {"1", "8"}) {
    const rlim_t limit = *threads == '1' ? 1 : 3;
    const Outcome outcome = run_to_end({"--port", "0", "--threads", threads}, {.processes = limit});
    if (outcome.exit_code == 127) GTEST_SKIP() << "the program cannot be run by another user";
    EXPECT_EQ(outcome.exit_code, exit_cannot_listen);
    EXPECT_EQ(outcome.output, "");
    ASSERT_EQ(outcome.errors.size(), 1U) << testing::PrintToString(outcome.errors);
    EXPECT_THAT(outcome.errors.front(), HasSubstr(std::string("--threads ") + threads));
    EXPECT_THAT(outcome.errors.front(), HasSubstr("is " + std::to_string(limit)));
  }
}

class Drain : public testing::TestWithParam<int> {};

TEST_P(Drain, WithoutConnectionsEndsAtOnce) {
  ServerProcess server = ServerProcess::start({"--drain-timeout", "1h"});
  server.signal(GetParam());
  expect_clean_exit(server);
}

TEST_P(Drain, ServesOnUntilConnectionsEnd) {
  ServerProcess server = ServerProcess::start({"--drain-timeout", "1h"});
  Client first(server.port());
  Client second(server.port());
  ASSERT_TRUE(first.answers("before"));
  ASSERT_TRUE(second.answers("before"));
  server.signal(GetParam());
  ASSERT_TRUE(eventually([&] { return refuses_connections(server.port()); }));
  Conversation conversation(std::move(first), payload(1, 4 * mebi), {});
  run({&conversation, 1});
  EXPECT_TRUE(conversation.echoed_exactly());
  EXPECT_EQ(conversation.ending(), Ending::fin);
  EXPECT_TRUE(server.running());
  EXPECT_TRUE(second.answers("while draining"));
  second.close();
  expect_clean_exit(server);
}

TEST_P(Drain, EndsWhenItsTimeoutHasPassed) {
  ServerProcess server = ServerProcess::start({"--drain-timeout", "300ms"});
  Client idle(server.port());
  ASSERT_TRUE(idle.answers("hello"));
  Client pending(server.port());
  pending.send_until_blocked(256 * mebi, milliseconds(100));
  server.signal(GetParam());
  expect_clean_exit(server);
  EXPECT_EQ(idle.receive_to_end(), "");
  EXPECT_NE(idle.ending(), Ending::open);
}

TEST_P(Drain, EndsAtOnceOnASecondSignal) {
  ServerProcess server = ServerProcess::start({"--drain-timeout", "1h", "--write-timeout", "1h"});
  Client idle(server.port());
  ASSERT_TRUE(idle.answers("hello"));
  Client pending(server.port());
  pending.send_until_blocked(256 * mebi, milliseconds(100));
  server.signal(GetParam());
  // Two signals at once may arrive as one: the second is sent when the first has shown effect.
  ASSERT_TRUE(eventually([&] { return refuses_connections(server.port()); }));
  EXPECT_TRUE(server.running());
  server.signal(SIGTERM);
  expect_clean_exit(server);
}

TEST_P(Drain, AnswersStatistics) {
  ServerProcess server = ServerProcess::start({"--drain-timeout", "1h"});
  Client client(server.port());
  ASSERT_TRUE(client.answers("hello"));
  server.signal(GetParam());
  ASSERT_TRUE(eventually([&] { return refuses_connections(server.port()); }));
  EXPECT_EQ(server.statistics().connections, 1);
  client.close();
  expect_clean_exit(server);
}

INSTANTIATE_TEST_SUITE_P(By, Drain, testing::Values(SIGTERM, SIGINT, SIGHUP),
                         [](const testing::TestParamInfo<int>& tested) {
                           return std::string(::sigabbrev_np(tested.param));
                         });

TEST(Drain, WithTheCrowdStillInTheBacklogEndsCleanly) {
  ServerProcess server =
      ServerProcess::start({"--max-connections", "2", "--drain-timeout", "200ms"});
  std::vector<Client> crowd;
  for (int number = 0; number < 10; ++number) crowd.emplace_back(server.port()).send_all("hello");
  ASSERT_TRUE(eventually([&] { return server.statistics().connections == 2; }));
  stop_cleanly(server);
  for (Client& client : crowd) {
    client.receive_to_end();
    EXPECT_NE(client.ending(), Ending::open);
  }
}

// Streams that are closed at the start: their numbers are the first that the program's own
// descriptors get, and what is meant for a stream must not reach a client.
class ClosedStreams : public testing::TestWithParam<std::vector<int>> {};

TEST_P(ClosedStreams, DisturbNoClient) {
  ServerProcess server({"--port", "0", "--log-level", "debug"}, {.closed = GetParam()});
  std::optional<std::uint16_t> port;
  ASSERT_TRUE(eventually([&] {
    port = server.listening_port();
    return port.has_value() || !server.running();
  }));
  ASSERT_TRUE(port) << "the server has ended: " << server.errors();
  std::vector<Conversation> conversations;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    conversations.emplace_back(Client(*port), payload(seed, 300'000), Conversation::Behaviour{});
  }
  server.signal(SIGUSR1);  // something to say, while clients are there
  run(conversations);
  for (const Conversation& each : conversations) {
    EXPECT_TRUE(each.echoed_exactly());
    EXPECT_EQ(each.ending(), Ending::fin);
  }
  server.signal(SIGTERM);
  if (std::ranges::find(GetParam(), STDERR_FILENO) == GetParam().end()) {
    expect_clean_exit(server);
  } else {
    EXPECT_EQ(server.wait_status(), 0);  // the ledger has no place to go
  }
}

INSTANTIATE_TEST_SUITE_P(Numbers, ClosedStreams,
                         testing::Values(std::vector<int>{0}, std::vector<int>{1},
                                         std::vector<int>{2}, std::vector<int>{0, 1, 2}),
                         [](const testing::TestParamInfo<std::vector<int>>& tested) {
                           std::string name;
                           for (const int number : tested.param) name += std::to_string(number);
                           return name;
                         });

TEST(Output, ThatNobodyReadsAnyMoreDoesNotEndTheServer) {
  ServerProcess server = ServerProcess::start();
  server.close_output();
  Client client(server.port());
  for (int round = 0; round < 3; ++round) {
    server.signal(SIGUSR1);
    ASSERT_TRUE(client.answers("after the statistics went nowhere"));
  }
  client.close();
  stop_cleanly(server);
}

}  // namespace
}  // namespace loopback
