// Torture on real sockets: the same conversations again and again. Each time the next system call
// of the server fails, until there is no next call: once, then with all that follow, then in pairs.
//
// Whatever fails, every conversation ends, every client gets only its own bytes, a later client is
// served, and the server ends as asked with an empty loop and a balanced ledger. At most one client
// notices a call that fails once.
#include <gtest/gtest.h>

#include <string>

#include "faulty_server.hpp"

namespace loopback {
namespace {

constexpr std::size_t clients = 3;
constexpr std::size_t bytes = 3000;
// Far more calls than the conversations can need.
constexpr unsigned long points_max = 200;

struct Failure {
  const char* name;
  const char* fault;  // call=error
};

void PrintTo(const Failure& failure, std::ostream* out) { *out << failure.fault; }

std::string name_of(const testing::TestParamInfo<Failure>& info) { return info.param.name; }

// How many clients got their whole echo. All conversations have ended.
std::size_t converse(ServerProcess& server) {
  std::vector<Conversation> conversations = conversations_with(server, clients, bytes);
  run(conversations);
  std::size_t whole = 0;
  for (std::size_t i = 0; i < conversations.size(); ++i) {
    const std::string& received = conversations[i].received();
    EXPECT_EQ(received, payload(i, bytes).substr(0, received.size()));
    if (conversations[i].echoed_exactly() && conversations[i].ending() == Ending::fin) ++whole;
  }
  return whole;
}

// Plays with the first call failing ("@1"), with the second, and so on, until there is none to
// fail: `play` tells whether one did.
template <class Play>
void for_every_call(const Play& play) {
  for (unsigned long point = 1; point <= points_max && !testing::Test::HasFailure(); ++point) {
    SCOPED_TRACE("call " + std::to_string(point));
    if (play("@" + std::to_string(point))) continue;
    EXPECT_GT(point, 1U) << "nothing was tried";
    return;
  }
  EXPECT_TRUE(testing::Test::HasFailure()) << "no end was found";
}

class Torture : public testing::TestWithParam<Failure> {
 protected:
  void SetUp() override {
    if (std::string(GetParam().fault).starts_with("new=") && ServerProcess::sanitized()) {
      GTEST_SKIP() << "operator new is the sanitizer's";
    }
  }
};

TEST_P(Torture, OnceConcernsOneClientAtMost) {
  for_every_call([](const std::string& when) {
    FaultyServer server(GetParam().fault + when);
    EXPECT_GE(converse(*server), clients - 1);
    const bool failed = server.injected() > 0;
    Client late(server->port());
    // Unless it was the latecomer's own call that failed.
    EXPECT_TRUE(late.answers("hello") || (!failed && server.injected() > 0));
    late.close();
    stop_cleanly(*server);
    return failed;
  });
}

TEST_P(Torture, FromThenOnEndsEveryConversationAndLeavesNothing) {
  for_every_call([](const std::string& when) {
    FaultyServer server(GetParam().fault + when + "+");
    converse(*server);
    const bool failed = server.injected() > 0;
    stop_cleanly(*server);
    return failed;
  });
}

INSTANTIATE_TEST_SUITE_P(Of, Torture,
                         testing::Values(Failure{"ReadReset", "read=ECONNRESET"},
                                         Failure{"ReadTimedOut", "read=ETIMEDOUT"},
                                         Failure{"WriteBrokenPipe", "write=EPIPE"},
                                         Failure{"WriteReset", "write=ECONNRESET"}),
                         name_of);

INSTANTIATE_TEST_SUITE_P(OfAllocations, Torture, testing::Values(Failure{"Null", "new=null"}),
                         name_of);

// A client that comes while the listener is closed is refused, and comes again.
class TortureOfAccept : public testing::TestWithParam<Failure> {};

TEST_P(TortureOfAccept, IsRecoveredFrom) {
  for (const char* const times : {"", "-3"}) {
    SCOPED_TRACE(times);
    FaultyServer server(GetParam().fault + ("@1" + std::string(times)));
    EXPECT_TRUE(eventually([&] { return serves(*server) && server.injected() > 0; }));
    stop_cleanly(*server);
  }
  FaultyServer server(GetParam().fault + std::string("@2-4"));
  Client early(server->port());
  EXPECT_TRUE(early.answers("hello"));
  EXPECT_TRUE(eventually([&] { return serves(*server) && server.injected() > 0; }));
  EXPECT_TRUE(early.answers("still served"));
  early.close();
  stop_cleanly(*server);
}

INSTANTIATE_TEST_SUITE_P(Of, TortureOfAccept,
                         testing::Values(Failure{"NoDescriptor", "accept=EMFILE"},
                                         Failure{"NoFile", "accept=ENFILE"},
                                         Failure{"Aborted", "accept=ECONNABORTED"},
                                         Failure{"NoMemory", "accept=ENOMEM"}),
                         name_of);

// Before it serves: every call of each kind that starting takes. But not pipe2: without its first
// pipe libuv aborts.
class TortureOfStart : public testing::TestWithParam<Failure> {};

TEST_P(TortureOfStart, IsOneLineOrDoneWithout) {
  for_every_call([](const std::string& when) {
    FaultyServer server(GetParam().fault + when, FaultyServer::FromStart{});
    const Start start = start_of(*server);
    EXPECT_NE(start, Start::wrong) << server->errors();
    if (start == Start::serves) stop_cleanly(*server);
    return server.injected() > 0;
  });
}

INSTANTIATE_TEST_SUITE_P(
    Of, TortureOfStart,
    testing::Values(Failure{"Socket", "socket=EMFILE"}, Failure{"Bind", "bind=EADDRINUSE"},
                    Failure{"Option", "option=ENOMEM"}, Failure{"Listen", "listen=EADDRINUSE"},
                    Failure{"Epoll", "epoll=EMFILE"}, Failure{"Eventfd", "eventfd=EMFILE"}),
    name_of);

// While it serves: the listener was closed because it failed eight times in a row, and what opens
// it again fails.
class TortureOfListening : public testing::TestWithParam<Failure> {};

TEST_P(TortureOfListening, IsTriedAgain) {
  if (on_newer_libuv()) GTEST_SKIP() << "libuv retries in silence: see Limits in SECURITY.md";
  for (const unsigned long failures : {1UL, 3UL}) {
    SCOPED_TRACE(failures);
    // The first call of listen is the one with which it began.
    const unsigned long first = std::string(GetParam().name) == "Listen" ? 2 : 1;
    FaultyServer server(std::string("accept=ENOBUFS@1-8,") + GetParam().fault + "@" +
                        std::to_string(first) + "-" + std::to_string(first + failures - 1));
    EXPECT_TRUE(eventually([&] { return serves(*server) && server.injected() == 8 + failures; }));
    stop_cleanly(*server);
  }
}

INSTANTIATE_TEST_SUITE_P(Of, TortureOfListening,
                         testing::Values(Failure{"Socket", "socket=EMFILE"},
                                         Failure{"Bind", "bind=EADDRINUSE"},
                                         Failure{"Option", "option=ENOMEM"},
                                         Failure{"Listen", "listen=EADDRINUSE"}),
                         name_of);

// A read and a write fail: two clients at most see anything.
TEST(Torture, InPairsConcernsTwoClientsAtMost) {
  for (unsigned long read = 1; read <= points_max && !HasFailure(); ++read) {
    const std::string fault = "read=ECONNRESET@" + std::to_string(read);
    {
      FaultyServer server(fault);
      converse(*server);
      const bool failed = server.injected() > 0;
      stop_cleanly(*server);
      if (!failed) return;  // so many reads are not made
    }
    for (unsigned long write = 1; write <= points_max; ++write) {
      SCOPED_TRACE(fault + " and write " + std::to_string(write));
      FaultyServer server(fault + ",write=EPIPE@" + std::to_string(write));
      EXPECT_GE(converse(*server), clients - 2);
      const unsigned long injected = server.injected();
      stop_cleanly(*server);
      // So many writes are not made; the first may have kept the read from being made.
      if (HasFailure() || (injected < 2 && write > 1)) break;
    }
  }
  EXPECT_TRUE(HasFailure()) << "no end was found";
}

}  // namespace
}  // namespace loopback
