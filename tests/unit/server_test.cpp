// What the server adds up, and what it holds its user to. What it does is tested on uvsim and on
// real sockets.
#include "uv/server.hpp"

#include <gtest/gtest.h>
#include <uv.h>

#include <memory>

#include "uv/address.hpp"

namespace echoproof {
namespace {

TEST(Statistics, OfSeveralServersAreTheSumsOfEachNumber) {
  Statistics all{.connections_accepted = 1,
                 .connections_turned_away = 2,
                 .listener_failures = 4,
                 .bytes_echoed = 8,
                 .closed = {1, 2, 3, 4, 5, 6, 7},
                 .connections = 16,
                 .waiting = 0,
                 .connections_peak = 32,
                 .connections_max = 64,
                 .blocks_lent = 128,
                 .blocks = 256,
                 .large_blocks_lent = 512,
                 .large_blocks = 1024,
                 .kernel_memory_granted = 2048,
                 .kernel_memory = 4096};
  all += Statistics{.connections_accepted = 10000,
                    .connections_turned_away = 20000,
                    .listener_failures = 40000,
                    .bytes_echoed = 80000,
                    .closed = {10, 20, 30, 40, 50, 60, 70},
                    .connections = 160000,
                    .waiting = 1,
                    .connections_peak = 320000,
                    .connections_max = 640000,
                    .blocks_lent = 1280000,
                    .blocks = 2560000,
                    .large_blocks_lent = 5120000,
                    .large_blocks = 10240000,
                    .kernel_memory_granted = 20480000,
                    .kernel_memory = 40960000};
  EXPECT_EQ(all.connections_accepted, 10001U);
  EXPECT_EQ(all.connections_turned_away, 20002U);
  EXPECT_EQ(all.listener_failures, 40004U);
  EXPECT_EQ(all.bytes_echoed, 80008U);
  EXPECT_EQ(all.connections, 160016U);
  EXPECT_EQ(all.waiting, 1U);
  EXPECT_EQ(all.connections_peak, 320032U);
  EXPECT_EQ(all.connections_max, 640064U);
  EXPECT_EQ(all.blocks_lent, 1280128U);
  EXPECT_EQ(all.blocks, 2560256U);
  EXPECT_EQ(all.large_blocks_lent, 5120512U);
  EXPECT_EQ(all.large_blocks, 10241024U);
  EXPECT_EQ(all.kernel_memory_granted, 20482048U);
  EXPECT_EQ(all.kernel_memory, 40964096U);
  for (std::size_t i = 0; i < reason_count; ++i) EXPECT_EQ(all.closed[i], 11 * (i + 1));
}

TEST(Statistics, OfSeveralServersWithoutALimitHaveNone) {
  Statistics all{};
  all.kernel_memory = KernelBudget::unlimited;
  all += all;
  EXPECT_EQ(all.kernel_memory, KernelBudget::unlimited);
}

TEST(Ledger, OfSeveralServersIsTheSumOfEachNumber) {
  Ledger all{
      .sessions_acquired = 1, .sessions_released = 2, .blocks_acquired = 4, .blocks_released = 8};
  all += Ledger{.sessions_acquired = 1000,
                .sessions_released = 2000,
                .blocks_acquired = 4000,
                .blocks_released = 8000};
  EXPECT_EQ(all.sessions_acquired, 1001U);
  EXPECT_EQ(all.sessions_released, 2002U);
  EXPECT_EQ(all.blocks_acquired, 4004U);
  EXPECT_EQ(all.blocks_released, 8008U);
}

TEST(Ledger, SaysWhatIsStillToBeGivenBack) {
  const Ledger ledger{.sessions_acquired = 50,
                      .sessions_released = 43,
                      .blocks_acquired = 900,
                      .blocks_released = 600};
  EXPECT_EQ(ledger.outstanding(), 307U);
}

void log_nothing(Severity, const char*, int) {}

// Its handles are the loop's until it has run.
TEST(ServerDeathTest, CannotGoBeforeTheLoopHasLetGoOfIt) {
  const auto go_too_early = [] {
    uv_loop_t loop;
    sockaddr_storage address{};
    if (uv_loop_init(&loop) != 0 || !parse_address("127.0.0.1", 0, address)) return;
    const auto server = std::make_unique<Server>(Limits{.connections = 1,
                                                        .buffer_memory = 256,
                                                        .block_size = 1,
                                                        .kernel_memory = KernelBudget::unlimited,
                                                        .tuned_socket = 1,
                                                        .idle = Time(1),
                                                        .write = Time(1)},
                                                 log_nothing);
    if (server->listen(loop, address, 1) != 0) return;
    server->close();
  };
  EXPECT_DEATH(go_too_early(), "assertion failed.*listener_state_");
}

}  // namespace
}  // namespace echoproof
