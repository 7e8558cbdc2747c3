// The server stays with a client that has half-closed until the kernel has delivered its echo. A
// client that takes it gets all of it. A client that takes nothing is ended.
#include <gtest/gtest.h>

#include "judges.hpp"

namespace loopback {
namespace {

constexpr std::size_t kibi = 1024;
constexpr std::size_t mebi = kibi * kibi;

TEST(HalfClose, WithoutReadingIsEndedByTheWriteLimit) {
  ServerProcess server = ServerProcess::start({"--write-timeout", "500ms"});
  constexpr std::size_t clients = 8;
  EXPECT_EQ(reset_without_reading(server.port(), clients, mebi, std::chrono::seconds(4)), clients);
  EXPECT_TRUE(eventually([&] { return server.statistics().connections == 0; }));
  stop_cleanly(server);
}

TEST(HalfClose, BeforeReadingLateWithinTheLimitLosesNothing) {
  ServerProcess server = ServerProcess::start({"--write-timeout", "1s"});
  SlowReaders readers(server.port(), 8, {mebi, mebi, milliseconds(600)});
  readers.go_on(milliseconds(650));
  readers.finish();
  EXPECT_EQ(readers.cut(milliseconds(1000)), 0U);
  if (readers.cut_silent(milliseconds(1000)) == readers.size()) GTEST_SKIP() << held_up;
  // They have everything and are still there; the server has nothing to stay for.
  EXPECT_TRUE(eventually([&] { return server.statistics().connections == 0; }));
  stop_cleanly(server);
}

// All of it is in the kernel within a moment, and most of it is there for several limits.
TEST(HalfClose, BeforeReadingSlowlyWithATinyWindowLosesNothing) {
  ServerProcess server = ServerProcess::start({"--write-timeout", "1s"});
  SlowReaders readers(server.port(), 4,
                      {96 * kibi, 100, milliseconds(20), true, {.receive_buffer = 1}});
  readers.go_on(milliseconds(3300));
  EXPECT_EQ(readers.whole(), 0U) << "so much was not owed for so long: nothing was tested";
  readers.finish();
  EXPECT_EQ(readers.cut(milliseconds(1000)), 0U);
  if (readers.cut_silent(milliseconds(1000)) == readers.size()) GTEST_SKIP() << held_up;
  stop_cleanly(server);
}

TEST(HalfClose, WithLittleOwedLeavesNothingToTheServer) {
  ServerProcess server = ServerProcess::start({"--write-timeout", "1h", "--idle-timeout", "1h"});
  EXPECT_TRUE(gives_back_descriptors(server));
  stop_cleanly(server);
}

}  // namespace
}  // namespace loopback
