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
                 .connections = 16,
                 .waiting = 32,
                 .blocks_lent = 64,
                 .blocks = 128};
  all += Statistics{.connections_accepted = 1000,
                    .connections_turned_away = 2000,
                    .listener_failures = 4000,
                    .bytes_echoed = 8000,
                    .connections = 16'000,
                    .waiting = 32'000,
                    .blocks_lent = 64'000,
                    .blocks = 128'000};
  EXPECT_EQ(all.connections_accepted, 1001U);
  EXPECT_EQ(all.connections_turned_away, 2002U);
  EXPECT_EQ(all.listener_failures, 4004U);
  EXPECT_EQ(all.bytes_echoed, 8008U);
  EXPECT_EQ(all.connections, 16'016U);
  EXPECT_EQ(all.waiting, 32'032U);
  EXPECT_EQ(all.blocks_lent, 64'064U);
  EXPECT_EQ(all.blocks, 128'128U);
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
                                                        .buffer_memory = 1,
                                                        .block_size = 1,
                                                        .idle = Time(1),
                                                        .write = Time(1),
                                                        .write_contended = Time(1)},
                                                 log_nothing);
    if (server->listen(loop, address, 1) != 0) return;
    server->close();
  };
  EXPECT_DEATH(go_too_early(), "assertion failed.*listener_state_");
}

}  // namespace
}  // namespace echoproof
