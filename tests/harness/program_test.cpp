// The program around the server, with one thread, on uvsim: whatever libuv refuses it at the start,
// it says so and gives everything back; and what it does at each signal, whenever that is heard.
#include "program.hpp"

#include <gtest/gtest.h>
#include <string.h>

#include <csignal>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "limits.hpp"
#include "uv/address.hpp"
#include "uvsim/uvsim.hpp"

namespace echoproof {
namespace {

std::vector<std::string_view> logged;
std::uint64_t reports = 0;

void log(Severity, const char* what, int status) {
  if (status == 0) logged.emplace_back(what);
}

Program* running = nullptr;  // hears signals

// Exit status, as in main.cpp: with less to say.
int serve() {
  const Options options;
  Program program(options, roomy, log, [](const Statistics&) { ++reports; });
  sockaddr_storage address{};
  if (!parse_address("127.0.0.1", 0, address)) return exit_usage;
  const int status = program.start(address);
  running = &program;
  if (status == 0) program.run();
  running = nullptr;
  if (!program.finish() || program.ledger().outstanding() != 0) return exit_ledger;
  return status == 0 ? exit_ok : exit_runtime;
}

struct Outcome {
  int status = -1;
  std::uint64_t ended_after_ms = 0;  // since it was told to for the last time
};

// A client connects and is silent; then the program hears the signals, one in each turn of its loop
// or all at once.
enum class Pace { one_by_one, at_once };
Outcome run(uvsim::Choices& choices, uvsim::ChoiceSet asked, std::vector<int> signals,
            Pace pace = Pace::one_by_one) {
  logged.clear();
  logged.reserve(8);  // not within the run, whose ledger would miss it
  reports = 0;
  uvsim::Options options;
  options.asked = asked;
  options.impossible = uvsim::ChoiceSet::all();
  uvsim::Simulation simulation(options);
  uvsim::Peer client;
  Outcome result;
  std::uint64_t told_at_ns = 0;
  const uvsim::Network* seen = nullptr;
  simulation.on_poll([&](uvsim::Network& network, uvsim::Wait) {
    seen = &network;
    if (!client && network.listeners() > 0) {
      client = network.connect(0);
      return uvsim::Progress::made;
    }
    if (signals.empty() || !client || !network.view(client).accepted) {
      return uvsim::Progress::nothing;
    }
    told_at_ns = network.now_ns();
    do {
      running->hear(signals.front());
      signals.erase(signals.begin());
    } while (pace == Pace::at_once && !signals.empty());
    return uvsim::Progress::made;
  });
  const uvsim::Report& report = simulation.run(choices, [&] {
    result.status = serve();
    if (seen != nullptr) result.ended_after_ms = (seen->now_ns() - told_at_ns) / 1'000'000;
    return result.status;
  });
  EXPECT_TRUE(report.ok()) << report.summary();
  EXPECT_TRUE(report.finished);
  return result;
}

TEST(Program, SaysWhyItCannotStartAndGivesEverythingBackWhicheverCallIsRefused) {
  using enum uvsim::ChoicePoint;
  const auto at_start = uvsim::ChoiceSet::none()
                            .with(call_loop_init)
                            .with(call_async_init)
                            .with(call_timer_init)
                            .with(call_tcp_init)
                            .with(call_bind)
                            .with(call_listen)
                            .with(call_address);
  uvsim::OneFault none(~std::uint64_t{0}, 1);
  // The client's own handle is initialised when it has started.
  EXPECT_EQ(run(none, at_start, {SIGTERM, SIGTERM}).status, exit_ok);
  const std::uint64_t calls = none.seen() - 1;
  EXPECT_GE(calls, 7U);  // a loop, an async, a timer, a listener that is bound, its port
  for (std::uint64_t nth = 0; nth < calls; ++nth) {
    uvsim::OneFault one(nth, 1);
    EXPECT_EQ(run(one, at_start, {SIGTERM, SIGTERM}).status, exit_runtime) << "call " << nth;
  }
}

// What the program does when it hears the signals and nothing fails.
Outcome hears(std::vector<int> signals, Pace pace = Pace::one_by_one) {
  uvsim::Kindest kindest;
  return run(kindest, uvsim::ChoiceSet::none(), std::move(signals), pace);
}

class End : public testing::TestWithParam<int> {};

TEST_P(End, WaitsForClientsAsLongAsItIsToldTo) {
  const Outcome outcome = hears({GetParam()});
  EXPECT_EQ(outcome.status, exit_ok);
  // What clients did until then is heard first, so it is judged a poll later.
  EXPECT_EQ(outcome.ended_after_ms, 10'001U);
  EXPECT_EQ(logged, std::vector<std::string_view>{"draining"});
}

TEST_P(End, ComesAtOnceWithASecondSignalOfAnyOfThem) {
  for (const int second : {SIGTERM, SIGINT, SIGHUP}) {
    for (const Pace pace : {Pace::one_by_one, Pace::at_once}) {
      const Outcome outcome = hears({GetParam(), second}, pace);
      EXPECT_EQ(outcome.status, exit_ok);
      EXPECT_EQ(outcome.ended_after_ms, 0U);
      EXPECT_EQ(logged,
                (std::vector<std::string_view>{"draining", "second signal: ending at once"}));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(By, End, testing::Values(SIGTERM, SIGINT, SIGHUP),
                         [](const testing::TestParamInfo<int>& tested) {
                           return std::string(::sigabbrev_np(tested.param));
                         });

TEST(Report, IsGivenForEachRequest) {
  EXPECT_EQ(hears({SIGUSR1, SIGUSR1, SIGUSR1, SIGTERM}).status, exit_ok);
  EXPECT_EQ(reports, 3U);
}

TEST(Report, IsGivenOnceForRequestsThatComeTogether) {
  EXPECT_EQ(hears({SIGUSR1, SIGUSR1, SIGUSR1, SIGTERM}, Pace::at_once).status, exit_ok);
  EXPECT_EQ(reports, 1U);
}

TEST(Report, IsGivenWhileTheProgramDrains) {
  EXPECT_EQ(hears({SIGTERM, SIGUSR1}).status, exit_ok);
  EXPECT_EQ(reports, 1U);
}

TEST(Report, IsGivenAtTheEndWhenNobodyIsLeftToBeAsked) {
  uvsim::Simulation simulation;
  uvsim::Kindest kindest;
  logged.reserve(1);  // not within the run, whose ledger would miss it
  reports = 0;
  const uvsim::Report& report = simulation.run(kindest, [] {
    const Options options;
    Program program(options, roomy, log, [](const Statistics&) { ++reports; });
    sockaddr_storage address{};
    if (!parse_address("127.0.0.1", 0, address) || program.start(address) != 0) return 1;
    program.hear(SIGTERM);
    program.run();
    EXPECT_EQ(reports, 0U);
    program.hear(SIGUSR1);
    program.finish();
    return 0;
  });
  EXPECT_TRUE(report.ok()) << report.summary();
  EXPECT_EQ(reports, 1U);
}

}  // namespace
}  // namespace echoproof
