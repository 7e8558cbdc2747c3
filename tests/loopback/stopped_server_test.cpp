// A server that did not get to run has no reason to blame its clients: limits are judged after what
// has happened meanwhile was seen.
#include <gtest/gtest.h>

#include "judges.hpp"

namespace loopback {
namespace {

TEST(StoppedServer, CutsNobodyWhoSpokeMeanwhile) {
  ServerProcess server = ServerProcess::start({"--idle-timeout", "500ms"});
  EXPECT_EQ(answered_after_a_stop(server, 10, milliseconds(1200)), 10U);
  stop_cleanly(server);
}

// More than libuv hears of at once.
TEST(StoppedServer, CutsNobodyOfACrowdThatSpokeMeanwhile) {
  allow_descriptors(5'000);
  ServerProcess server = ServerProcess::start({"--idle-timeout", "2s", "--log-level", "error"});
  EXPECT_EQ(answered_after_a_stop(server, 1'500, milliseconds(2500)), 1'500U);
  stop_cleanly(server);
}

TEST(StoppedServer, CutsNobodyWhoReadMeanwhile) {
  ServerProcess server = ServerProcess::start({"--write-timeout", "1s"});
  SlowReaders readers(server.port(), 4, {8 * 1024 * 1024, 3 * 1024, milliseconds(10)});
  readers.go_on(milliseconds(300));
  while_stopped(server, [&] { readers.go_on(milliseconds(1600)); });
  readers.go_on(milliseconds(300));
  EXPECT_EQ(readers.whole(), 0U) << "so much was not owed for so long: nothing was tested";
  readers.finish();
  EXPECT_EQ(readers.cut(milliseconds(1000)), 0U);
  if (readers.cut_silent(milliseconds(1000)) == readers.size()) GTEST_SKIP() << held_up;
  stop_cleanly(server);
}

TEST(StoppedServer, StillEndsWhoSaidNothing) {
  ServerProcess server = ServerProcess::start({"--idle-timeout", "500ms"});
  Client silent(server.port());
  ASSERT_TRUE(silent.answers("hello"));
  while_stopped(server, [&] { silent.wait(POLLIN, milliseconds(800)); });
  EXPECT_EQ(silent.receive_to_end(), "");
  EXPECT_EQ(silent.ending(), Ending::fin);
  stop_cleanly(server);
}

}  // namespace
}  // namespace loopback
