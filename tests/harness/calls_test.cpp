// What the server asks of libuv where no client would see the difference, from the trace of a run
// on uvsim.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>
#include <string_view>
#include <vector>

#include "server_subject.hpp"
#include "uvsim/uvsim.hpp"

namespace {

// The kindest network, except that accept(2) fails for want of descriptors so many times.
class ShortOfDescriptors final : public uvsim::Choices {
 public:
  explicit ShortOfDescriptors(int failures) : failures_left_(failures) {}

  std::uint32_t pick(std::uint32_t, uvsim::ChoicePoint point) override {
    if (point != uvsim::ChoicePoint::accept_error || failures_left_ == 0) return 0;
    --failures_left_;
    return 1;
  }

 private:
  int failures_left_;
};

// The calls named `name` in a run in which a client connects until it is accepted, and leaves; then
// the server is told to end.
std::vector<uvsim::EventView> calls_of(std::string_view name, int accepts_fail = 0) {
  const fuzz::ServerShape shape{.limits = {.connections = 4,
                                           .buffer_memory = 4 * 4096,
                                           .block_size = 4096,
                                           .idle = echoproof::Time(60'000),
                                           .write = echoproof::Time(60'000),
                                           .write_contended = echoproof::Time(60'000)},
                                .drain = echoproof::Time(1000),
                                .clients = 1,
                                .backlog = 37};
  uvsim::Options options;
  options.version = uvsim::Version::v1_44;  // the other keeps such failures for itself
  options.asked = uvsim::ChoiceSet::none().with(uvsim::ChoicePoint::accept_error);
  uvsim::Simulation simulation(options);
  uvsim::Peer client;
  bool accepted = false;
  simulation.on_poll([&](uvsim::Network& network, uvsim::Wait) {
    if (accepted || network.listeners() == 0) return uvsim::Progress::nothing;
    if (!client || network.view(client).program_closed) {
      client = network.connect(0);
      return uvsim::Progress::made;
    }
    if (!network.view(client).accepted) return uvsim::Progress::nothing;
    accepted = true;
    network.close(client);
    network.signal(SIGTERM);
    return uvsim::Progress::made;
  });
  struct Seen {
    std::string_view name;
    std::vector<uvsim::EventView> calls;
  } seen{name, {}};
  simulation.on_event(
      [](void* context, const uvsim::EventView& event) {
        Seen& into = *static_cast<Seen*>(context);
        if (into.name == event.name) into.calls.push_back(event);
      },
      &seen);
  ShortOfDescriptors choices(accepts_fail);
  const harness::Subject subject = fuzz::server_subject(shape);
  const uvsim::Report& report = simulation.run(choices, [&] { return subject.start(); });
  EXPECT_TRUE(report.ok()) << report.summary();
  EXPECT_TRUE(accepted);
  return seen.calls;
}

TEST(Calls, LetEachConnectionSendAtOnce) {
  const auto calls = calls_of("uv_tcp_nodelay");
  ASSERT_EQ(calls.size(), 1U);
  EXPECT_EQ(calls[0].value, 1);
}

TEST(Calls, ListenWithTheBacklogAskedFor) {
  const auto calls = calls_of("uv_listen");
  ASSERT_EQ(calls.size(), 1U);
  EXPECT_EQ(calls[0].value, 37);
}

// It would spin for as long as descriptors are short (R39).
TEST(Calls, ListenAgainOnlyAfterARest) {
  // Two for each: with the descriptor that libuv keeps in reserve it tries once more.
  const auto calls = calls_of("uv_listen", 2 * 3);
  ASSERT_EQ(calls.size(), 4U);
  for (std::size_t i = 1; i < calls.size(); ++i) {
    EXPECT_GE(calls[i].time_ns - calls[i - 1].time_ns, 100'000'000U) << "attempt " << i;
    EXPECT_EQ(calls[i].value, 37);
  }
}

}  // namespace
