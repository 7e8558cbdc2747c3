// What the server asks of libuv and tells its operator where no client would see the difference,
// from runs on uvsim.
#include <gtest/gtest.h>
#include <uv.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <ostream>
#include <string_view>
#include <utility>
#include <vector>

#include "limits.hpp"
#include "subjects/server_subject.hpp"
#include "uv/address.hpp"
#include "uv/server.hpp"
#include "uvsim/uvsim.hpp"

namespace {

using uvsim::ChoicePoint;

constexpr int backlog = 37;

// Which of the questions of one kind are answered with a failure, from the first one on.
struct Failures {
  ChoicePoint point = ChoicePoint::detail;
  std::uint32_t healthy = 0;  // so many times it goes well before
  std::uint32_t failed = 0;
};

// The kindest network but for that.
class KindBut final : public uvsim::Choices {
 public:
  explicit KindBut(std::vector<Failures> failures) : failures_(std::move(failures)) {}

  std::uint32_t pick(std::uint32_t, ChoicePoint point) override {
    for (Failures& due : failures_) {
      if (due.point != point) continue;
      if (due.healthy > 0) {
        --due.healthy;
      } else if (due.failed > 0) {
        --due.failed;
        return 1;
      }
    }
    return 0;
  }

 private:
  std::vector<Failures> failures_;
};

// How long the listener rests after a failure, and what may come on top of that.
bool rested(std::uint64_t from_ns, std::uint64_t to_ns) {
  constexpr std::uint64_t ms = 1'000'000;
  return to_ns - from_ns >= 100 * ms && to_ns - from_ns < 101 * ms;
}

struct Line {
  echoproof::Severity severity;
  std::string_view what;  // a literal of the server's
  int status;
  friend bool operator==(const Line&, const Line&) = default;
};

void PrintTo(const Line& line, std::ostream* out) {
  *out << static_cast<int>(line.severity) << ' ' << line.what << ": " << line.status;
}

// Of a connection that was closed.
struct End {
  echoproof::Reason reason;
  std::uint64_t bytes_echoed;
  friend bool operator==(const End&, const End&) = default;
};

void PrintTo(const End& end, std::ostream* out) {
  *out << "reason " << static_cast<int>(end.reason) << " after " << end.bytes_echoed << " bytes";
}

struct Story {
  std::vector<uvsim::EventView> calls;  // those asked for
  std::vector<Line> log;
  std::vector<End> ends;
  echoproof::Statistics statistics;
};

// Has room for all of them: the simulator would take the memory for the server's.
Story* this_run = nullptr;
constexpr std::size_t lines_max = 32;

void note(echoproof::Severity severity, const char* what, int status) {
  if (std::string_view(what) == "draining") return;  // the program's, at the end of each run
  ASSERT_LT(this_run->log.size(), lines_max);
  this_run->log.push_back({severity, what, status});
}

void note_end(const echoproof::Ended& ended) {
  ASSERT_LT(this_run->ends.size(), lines_max);
  this_run->ends.push_back({ended.reason, ended.bytes_echoed});
}

// A client connects until it is accepted, says something, has its echo, and leaves; then the server
// is told to end. `name` says which calls are wanted.
Story run(std::string_view name, std::vector<Failures> failures = {}) {
  echoproof::Log log = note;
  log.ended = note_end;
  const subjects::ServerShape shape{.limits = roomy,
                                    .drain = echoproof::Time(1000),
                                    .clients = 1,
                                    .backlog = backlog,
                                    .log = log};
  Story story;
  story.log.reserve(lines_max);
  story.ends.reserve(lines_max);
  this_run = &story;
  uvsim::Options options;
  options.version = uvsim::Version::v1_44;  // the other keeps failures of accept(2) for itself
  options.asked = uvsim::ChoiceSet::none();
  options.impossible = uvsim::ChoiceSet::all();
  for (const Failures& due : failures) options.asked = options.asked.with(due.point);
  uvsim::Simulation simulation(options);
  const harness::Subject subject = subjects::server_subject(shape);
  uvsim::Peer client;
  bool served = false;
  simulation.on_poll([&](uvsim::Network& network, uvsim::Wait) {
    if (served || network.listeners() == 0) return uvsim::Progress::nothing;
    if (!client || network.view(client).program_closed) {
      client = network.connect(0);
      return uvsim::Progress::made;
    }
    if (!network.view(client).accepted) return uvsim::Progress::nothing;
    char word = 'w';
    if (network.view(client).sent == 0) {
      network.send(client, &word, sizeof word);
      return uvsim::Progress::made;
    }
    if (network.read(client, &word, sizeof word) == 0) return uvsim::Progress::nothing;
    served = true;
    network.close(client);
    subject.tell(SIGTERM);
    return uvsim::Progress::made;
  });
  struct Wanted {
    std::string_view name;
    std::vector<uvsim::EventView>& calls;
  } wanted{name, story.calls};
  simulation.on_event(
      [](void* context, const uvsim::EventView& event) {
        Wanted& into = *static_cast<Wanted*>(context);
        if (into.name == event.name) into.calls.push_back(event);
      },
      &wanted);
  KindBut choices(std::move(failures));
  const uvsim::Report& report = simulation.run(choices, [&] { return subject.start(); });
  EXPECT_TRUE(report.ok()) << report.summary();
  EXPECT_TRUE(served);
  story.statistics = subjects::server_statistics();
  return story;
}

// For each failure of accept(2) two are needed: with the descriptor that libuv keeps in reserve it
// tries once more.
constexpr std::uint32_t tries = 2;
// And so many errors in a row until the server closes its listener.
constexpr std::uint32_t errors = 8;

// --- Calls. -------------------------------------------------------------------------------------

TEST(Calls, LetEachConnectionSendAtOnce) {
  const auto calls = run("uv_tcp_nodelay").calls;
  ASSERT_EQ(calls.size(), 1U);
  EXPECT_EQ(calls[0].value, 1);
}

TEST(Calls, ListenWithTheBacklogAskedFor) {
  const auto calls = run("uv_listen").calls;
  ASSERT_EQ(calls.size(), 1U);
  EXPECT_EQ(calls[0].value, backlog);
}

// Closing the listener resets all waiting clients. So it stays open after an error that may concern
// one client only.
TEST(Calls, KeepTheListenerAfterAFewErrors) {
  const auto calls =
      run("uv_listen", {{.point = ChoicePoint::accept_error, .failed = (errors - 1) * tries}})
          .calls;
  EXPECT_EQ(calls.size(), 1U);
}

// It would spin for as long as descriptors are short (R39).
TEST(Calls, ListenAgainOnlyAfterARest) {
  const auto calls =
      run("uv_listen", {{.point = ChoicePoint::accept_error, .failed = 3 * errors * tries}}).calls;
  ASSERT_EQ(calls.size(), 4U);
  for (std::size_t i = 1; i < calls.size(); ++i) {
    EXPECT_TRUE(rested(calls[i - 1].time_ns, calls[i].time_ns)) << "attempt " << i;
    EXPECT_EQ(calls[i].value, backlog);
  }
}

TEST(Calls, TryToListenAgainOnlyAfterARest) {
  const auto calls =
      run("uv_listen", {{.point = ChoicePoint::accept_error, .failed = errors * tries},
                        {.point = ChoicePoint::call_listen, .healthy = 1, .failed = 2}})
          .calls;
  ASSERT_EQ(calls.size(), 4U);
  for (std::size_t i = 1; i < calls.size(); ++i) {
    EXPECT_TRUE(rested(calls[i - 1].time_ns, calls[i].time_ns)) << "attempt " << i;
  }
}

TEST(Calls, TryToMakeAListenerOnlyAfterARest) {
  // The first one is the first handle that is initialised.
  const auto calls =
      run("uv_tcp_init", {{.point = ChoicePoint::accept_error, .failed = errors * tries},
                          {.point = ChoicePoint::call_tcp_init, .healthy = 1, .failed = 2}})
          .calls;
  ASSERT_EQ(calls.size(), 5U);  // and one for the client
  for (std::size_t i = 1; i < 4; ++i) {
    EXPECT_TRUE(rested(calls[i - 1].time_ns, calls[i].time_ns)) << "attempt " << i;
  }
}

// --- The end. -----------------------------------------------------------------------------------

int serve_one_and_close() {
  uv_loop_t loop;
  sockaddr_storage address{};
  if (uv_loop_init(&loop) != 0 || !echoproof::parse_address("127.0.0.1", 0, address)) return 1;
  echoproof::Server server(roomy, subjects::log_nothing);
  if (server.listen(loop, address, backlog) != 0) return 1;
  while (server.statistics().connections == 0) uv_run(&loop, UV_RUN_ONCE);
  server.close();
  uv_run(&loop, UV_RUN_DEFAULT);
  return uv_loop_close(&loop);
}

TEST(Close, EndsConnectionsAtOnce) {
  uvsim::Simulation simulation;
  uvsim::Peer client;
  simulation.on_poll([&](uvsim::Network& network, uvsim::Wait) {
    if (client || network.listeners() == 0) return uvsim::Progress::nothing;
    client = network.connect(0);
    return uvsim::Progress::made;
  });
  uvsim::Kindest kindest;
  int status = -1;
  const uvsim::Report& report =
      simulation.run(kindest, [&] { return status = serve_one_and_close(); });
  EXPECT_TRUE(report.ok()) << report.summary();
  EXPECT_TRUE(report.finished);
  EXPECT_EQ(status, 0);
}

// --- Statistics. --------------------------------------------------------------------------------

TEST(Statistics, CountWhoWasServed) {
  const auto statistics = run("").statistics;
  EXPECT_EQ(statistics.connections_accepted, 1U);
  EXPECT_EQ(statistics.bytes_echoed, 1U);
  EXPECT_EQ(statistics.connections_turned_away, 0U);
  EXPECT_EQ(statistics.listener_failures, 0U);
}

TEST(Statistics, CountHowOftenTheListenerFailed) {
  const auto statistics =
      run("", {{.point = ChoicePoint::accept_error, .failed = 2 * errors * tries}}).statistics;
  EXPECT_EQ(statistics.listener_failures, 2U);
  EXPECT_EQ(statistics.connections_accepted, 1U);
}

TEST(Statistics, CountWhoWasTurnedAway) {
  const auto statistics =
      run("", {{.point = ChoicePoint::call_tcp_init, .healthy = 1, .failed = 1}}).statistics;
  EXPECT_EQ(statistics.connections_turned_away, 1U);
  EXPECT_EQ(statistics.connections_accepted, 1U);
}

// --- Log. ---------------------------------------------------------------------------------------

using echoproof::Severity;
const Line not_accepted{Severity::warning, "a client could not be accepted", UV_EMFILE};
const Line cannot_accept{Severity::warning, "cannot accept; the listener is closed for a moment",
                         UV_EMFILE};
const Line again{Severity::info, "listening again", 0};

// What is said when the listener has failed as often as is borne, and then `more`.
std::vector<Line> failed_and(const std::vector<Line>& more) {
  std::vector<Line> lines(errors - 1, not_accepted);
  lines.push_back(cannot_accept);
  lines.insert(lines.end(), more.begin(), more.end());
  return lines;
}

TEST(Log, IsSilentWhileAllGoesWell) { EXPECT_EQ(run("").log, std::vector<Line>()); }

TEST(Log, SaysThatTheListenerRestsAndThatItListensAgain) {
  const auto log = run("", {{.point = ChoicePoint::accept_error, .failed = errors * tries}}).log;
  EXPECT_EQ(log, failed_and({again}));
}

TEST(Log, SaysThatItStillCannotListen) {
  const auto log = run("", {{.point = ChoicePoint::accept_error, .failed = errors * tries},
                            {.point = ChoicePoint::call_listen, .healthy = 1, .failed = 1}})
                       .log;
  const Line not_yet{Severity::warning, "cannot listen again yet", UV_EADDRINUSE};
  EXPECT_EQ(log, failed_and({not_yet, again}));
}

TEST(Log, SaysWhoIsTurnedAwayForWantOfMemory) {
  // The listener's is the first handle that is initialised.
  const auto log = run("", {{.point = ChoicePoint::call_tcp_init, .healthy = 1, .failed = 1}}).log;
  const Line turned_away{Severity::warning,
                         "no memory for a connection; the client was turned away", 0};
  EXPECT_EQ(log, std::vector{turned_away});
}

TEST(Log, TellsHowEachConnectionEndedToThoseWhoAskForDetails) {
  using echoproof::Reason;
  // Reset where it fails while it is read from; then the client comes again and is served.
  const auto ends = run("", {{.point = ChoicePoint::read_error, .failed = 1}}).ends;
  EXPECT_EQ(ends, (std::vector{End{Reason::reset, 0}, End{Reason::eof, 1}}));
}

}  // namespace
