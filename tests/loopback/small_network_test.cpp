// A network of its own whose socket buffers are small, for the server and its clients: what the
// kernel takes on the spot is little there, and the server's own part is most of what happens.
//
// A network namespace belongs to a thread, and a child process begins in that of its parent's
// thread: a test's body runs on a thread of its own. It takes root, or it is skipped.
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <fstream>
#include <functional>
#include <thread>

#include "judges.hpp"

namespace loopback {
namespace {

constexpr std::size_t kibi = 1024;
constexpr std::size_t mebi = kibi * kibi;

bool set(const std::string& name, const std::string& value) {
  std::ofstream file("/proc/sys/net/ipv4/" + name);
  file << value << std::flush;
  return file.good();
}

// An empty string, or why there is none.
std::string enter_small_network() {
  if (::unshare(CLONE_NEWNET) != 0) return "no network namespace to be had";
  const Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  request.ifr_flags = IFF_UP;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) return "no loopback device to be had";
  // Least, default and most, in bytes.
  const bool small = set("tcp_wmem", "4096 8192 16384") && set("tcp_rmem", "4096 8192 16384");
  return small ? "" : "the kernel's socket buffers cannot be set";
}

void in_small_network(const std::function<void()>& body) {
  std::string lacking;
  std::string thrown;
  std::thread([&] {
    lacking = enter_small_network();
    if (!lacking.empty()) return;
    try {
      body();
    } catch (const std::exception& error) {
      thrown = error.what();
    }
  }).join();
  if (!lacking.empty()) GTEST_SKIP() << lacking;
  EXPECT_EQ(thrown, "");
}

TEST(SmallNetwork, ServesBulkClientsWholeBesideNeverReaders) {
  in_small_network([] {
    ServerProcess server = ServerProcess::start({"--log-level", "error", "--write-timeout", "1h"});
    Crowd crowd(server.port(), {.size = 1200, .shape = {}});
    crowd.gather();
    EXPECT_LT(in_milliseconds(longest_answer(server.port(), std::chrono::seconds(10))), 10000);
    std::vector<Conversation> bulk;
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      bulk.emplace_back(Client(server.port()), payload(seed, mebi), Conversation::Behaviour{});
    }
    run(bulk);
    for (const Conversation& each : bulk) {
      EXPECT_TRUE(each.echoed_exactly());
      EXPECT_EQ(each.ending(), Ending::fin);
    }
    EXPECT_EQ(crowd.ended(), 0U) << "a client had to make way";
    crowd.disperse();
    stop_cleanly(server);
  });
}

TEST(SmallNetwork, LosesNothingOfSlowReaders) {
  in_small_network([] {
    ServerProcess server =
        ServerProcess::start({"--write-timeout", "1s", "--buffer-memory", "1MiB"});
    SlowReaders readers(server.port(), 24, {mebi, 400, milliseconds(20)});
    readers.go_on(milliseconds(3300));
    EXPECT_EQ(readers.whole(), 0U) << "so much was not owed for so long: nothing was tested";
    readers.finish();
    EXPECT_EQ(readers.cut(milliseconds(1000)), 0U);
    if (readers.cut_silent(milliseconds(1000)) == readers.size()) GTEST_SKIP() << held_up;
    readers.close();
    stop_cleanly(server);
  });
}

}  // namespace
}  // namespace loopback
