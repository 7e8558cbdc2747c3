// An echo costs no allocation: what a server has taken when its client is served for the first time
// is all it takes, however much is echoed. uvsim's ledger counts.
#include <gtest/gtest.h>

#include <cstdint>
#include <string_view>

#include "limits.hpp"
#include "one_client.hpp"
#include "subjects/server_subject.hpp"
#include "uvsim/uvsim.hpp"

namespace {

struct Client {
  std::size_t message;   // bytes
  std::size_t echoes;    // messages, one after the other
  std::uint32_t window;  // what its buffers hold; less than a message, and the server has to queue
};

const subjects::ServerShape shape{.limits = roomy, .drain = echoproof::Time(1000)};

// Plays the client, then stops the server; tells what the ledger counted.
uvsim::LedgerSummary serve(Client client, bool& queued) {
  uvsim::Options options;
  options.send_window = client.window;
  options.receive_window = client.window;
  options.max_steps = options.max_callbacks = options.max_turns = 10'000'000;
  uvsim::Simulation simulation(options);
  const harness::Subject subject = subjects::server_subject(shape);
  harness::OneClient player(simulation, client.message, client.echoes, subject.tell);
  queued = false;
  simulation.on_event(
      [](void* seen, const uvsim::EventView& event) {
        if (std::string_view(event.name) == "uv_write") *static_cast<bool*>(seen) = true;
      },
      &queued);
  const uvsim::Report& report = simulation.run([&] { return subject.start(); });
  EXPECT_TRUE(report.ok()) << report.summary();
  EXPECT_EQ(report.result, 0);
  EXPECT_EQ(player.echoes_left(), 0U);
  EXPECT_TRUE(report.ledger.active);
  return report.ledger;
}

TEST(SteadyState, AllocatesNothingForAnEchoThatIsWrittenAtOnce) {
  bool queued = false;
  const auto few = serve({.message = 64, .echoes = 2, .window = 65536}, queued);
  const auto many = serve({.message = 64, .echoes = 2000, .window = 65536}, queued);
  EXPECT_FALSE(queued);
  EXPECT_GT(few.allocations, 0U) << "the ledger saw nothing";
  EXPECT_EQ(many.allocations, few.allocations);
}

TEST(SteadyState, AllocatesNothingForAnEchoThatIsQueued) {
  bool queued = false;
  const auto few = serve({.message = 4096, .echoes = 2, .window = 1000}, queued);
  EXPECT_TRUE(queued);
  const auto many = serve({.message = 4096, .echoes = 2000, .window = 1000}, queued);
  EXPECT_EQ(many.allocations, few.allocations);
}

}  // namespace
