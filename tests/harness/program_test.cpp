// The program around the server, with one thread, on uvsim: whatever libuv refuses it at the start,
// it says so and gives everything back.
#include "program.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>

#include "limits.hpp"
#include "uv/address.hpp"
#include "uvsim/uvsim.hpp"

namespace echoproof {
namespace {

void log_nothing(Severity, const char*, int) {}

// Exit status, as in main.cpp: with less to say.
int serve() {
  const Options options;
  Program program(options, roomy, log_nothing);
  sockaddr_storage address{};
  if (!parse_address("127.0.0.1", 0, address)) return exit_usage;
  const int status = program.start(address);
  if (status == 0) program.run();
  if (!program.finish() || program.ledger().outstanding() != 0) return exit_ledger;
  return status == 0 ? exit_ok : exit_runtime;
}

struct Outcome {
  int status = -1;
  std::uint64_t ended_after_ms = 0;  // since it was told to for the last time
};

// A client connects and is silent; then the program is told to end so many times.
Outcome run(uvsim::Choices& choices, uvsim::ChoiceSet asked, int signals) {
  uvsim::Options options;
  options.asked = asked;
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
    if (signals == 0 || !client || !network.view(client).accepted) return uvsim::Progress::nothing;
    --signals;
    told_at_ns = network.now_ns();
    network.signal(SIGTERM);
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
                            .with(call_signal_init)
                            .with(call_signal_start)
                            .with(call_timer_init)
                            .with(call_tcp_init)
                            .with(call_bind)
                            .with(call_listen)
                            .with(call_address);
  uvsim::OneFault none(~std::uint64_t{0}, 1);
  // The client's own handle is initialised when it has started.
  EXPECT_EQ(run(none, at_start, 2).status, exit_ok);
  const std::uint64_t calls = none.seen() - 1;
  EXPECT_GE(calls, 13U);  // a loop, a timer, a listener, its port, two asyncs, three signals
  for (std::uint64_t nth = 0; nth < calls; ++nth) {
    uvsim::OneFault one(nth, 1);
    EXPECT_EQ(run(one, at_start, 2).status, exit_runtime) << "call " << nth;
  }
}

TEST(Program, WaitsForItsClientsAsLongAsItIsToldTo) {
  uvsim::Kindest kindest;
  const Outcome told_once = run(kindest, uvsim::ChoiceSet::none(), 1);
  EXPECT_EQ(told_once.status, exit_ok);
  EXPECT_EQ(told_once.ended_after_ms, 10'000U);
}

TEST(Program, EndsAtOnceWhenItIsToldAgain) {
  uvsim::Kindest kindest;
  const Outcome told_twice = run(kindest, uvsim::ChoiceSet::none(), 2);
  EXPECT_EQ(told_twice.status, exit_ok);
  EXPECT_EQ(told_twice.ended_after_ms, 0U);
}

}  // namespace
}  // namespace echoproof
