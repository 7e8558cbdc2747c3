// Streams that take nothing: what the program has to say holds up neither the service nor the end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <termios.h>

#include "client.hpp"
#include "server_process.hpp"

namespace loopback {
namespace {

using testing::HasSubstr;

constexpr std::chrono::seconds end_at_most{20};

// The smallest possible pipe. The test reads it only when asked to.
class Pipe {
 public:
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) fail_system("pipe2");
    reader_ = Descriptor(ends[0]);
    writer_ = Descriptor(ends[1]);
    ::fcntl(writer(), F_SETPIPE_SZ, 4096);
  }

  int writer() const { return writer_.get(); }
  void close_reader() { reader_.close(); }
  void fill() const {
    ::fcntl(writer(), F_SETFL, O_NONBLOCK);
    while (::write(writer(), "x", 1) > 0) {
    }
    ::fcntl(writer(), F_SETFL, 0);
  }
  // What is in it now.
  std::string read() const {
    std::string text;
    char piece[4096];
    pollfd entry{reader_.get(), POLLIN, 0};
    while (::poll(&entry, 1, 0) > 0) {
      const ssize_t count = ::read(reader_.get(), piece, sizeof piece);
      if (count <= 0) break;
      text.append(piece, static_cast<std::size_t>(count));
    }
    return text;
  }

 private:
  Descriptor reader_;
  Descriptor writer_;
};

void expect_refusal(int output) {
  const Outcome outcome = run_to_end({"--port", "0"}, {.output = output});
  EXPECT_EQ(outcome.exit_code, 1);
  ASSERT_EQ(outcome.errors.size(), 1U) << testing::PrintToString(outcome.errors);
  EXPECT_THAT(outcome.errors.front(), HasSubstr("ready line"));
}

TEST(ReadyLine, ThatAFullPipeDoesNotTakeEndsTheProgram) {
  const Pipe pipe;
  pipe.fill();
  expect_refusal(pipe.writer());
}

TEST(ReadyLine, ThatNobodyCanReadEndsTheProgram) {
  Pipe pipe;
  pipe.close_reader();
  expect_refusal(pipe.writer());
}

TEST(ReadyLine, ThatAFullDeviceDoesNotTakeEndsTheProgram) {
  const Descriptor full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  if (full.get() < 0) GTEST_SKIP() << "no /dev/full";
  expect_refusal(full.get());
}

std::uint16_t port_of(const ServerProcess& server) {
  std::optional<std::uint16_t> port;
  EXPECT_TRUE(eventually([&] {
    port = server.listening_port();
    return port.has_value() || !server.running();
  }));
  return port.value_or(0);
}

// Far more reports than the stream takes; then service and end.
void expect_service_and_end(ServerProcess& server) {
  Client client(port_of(server));
  ASSERT_TRUE(client.answers("before"));
  for (int round = 0; round < 1000; ++round) {
    server.signal(SIGUSR1);
    ASSERT_TRUE(client.answers("whatever is said"));
  }
  client.close();
  server.signal(SIGTERM);
  ASSERT_TRUE(eventually([&] { return !server.running(); }, end_at_most));
  EXPECT_EQ(server.wait_status(), 0);
}

TEST(Stream, PipeThatNobodyReadsHoldsUpNothing) {
  const Pipe pipe;
  ServerProcess server({"--port", "0", "--log-level", "debug"},
                       {.output = pipe.writer(), .errors = pipe.writer()});
  expect_service_and_end(server);
}

TEST(Stream, FullStandardErrorHoldsUpNothing) {
  const Pipe pipe;
  pipe.fill();
  ServerProcess server({"--port", "0"}, {.errors = pipe.writer()});
  server.wait_ready();
  Client client(server.port());
  EXPECT_TRUE(client.answers("hello"));
  client.close();
  server.signal(SIGTERM);
  ASSERT_TRUE(eventually([&] { return !server.running(); }, end_at_most));
  EXPECT_EQ(server.wait_status(), 0);
}

TEST(Stream, SocketThatNobodyReadsHoldsUpNothing) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const Descriptor reader(ends[0]);
  const Descriptor writer(ends[1]);
  const int small = 1;
  ::setsockopt(writer.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  ServerProcess server({"--port", "0"}, {.output = writer.get(), .errors = writer.get()});
  expect_service_and_end(server);
}

// A terminal: the program's side (-1: there is none), and the other side, which is not read.
struct Terminal {
  Terminal() : reader(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    if (reader.get() < 0 || ::grantpt(reader.get()) != 0 || ::unlockpt(reader.get()) != 0) return;
    writer = Descriptor(::open(::ptsname(reader.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
  }
  Descriptor reader;
  Descriptor writer;
};

TEST(Stream, TerminalThatNobodyReadsHoldsUpNothing) {
  const Terminal terminal;
  if (terminal.writer.get() < 0) GTEST_SKIP() << "no terminal is to be had";
  const int stream = terminal.writer.get();
  ServerProcess server({"--port", "0"}, {.output = stream, .errors = stream});
  expect_service_and_end(server);
}

// As a terminal of another user is, and any stream without /proc.
TEST(Stream, TerminalThatCannotBeOpenedAnewHoldsUpNothing) {
  if (ServerProcess::sanitized()) GTEST_SKIP() << "a sanitizer needs /proc";
  if (on_newer_libuv()) GTEST_SKIP() << "its host needs /proc";
  const Terminal terminal;
  if (terminal.writer.get() < 0) GTEST_SKIP() << "no terminal is to be had";
  if (!can_hide_proc()) GTEST_SKIP() << "/proc cannot be hidden here";
  const int stream = terminal.writer.get();
  Arguments arguments = ServerProcess::hidden_proc();
  arguments.insert(arguments.end(), {"--port", "0"});
  ServerProcess server(arguments,
                       {.output = stream, .errors = stream, .program = ServerProcess::hider});
  expect_service_and_end(server);
}

TEST(Stream, TellsHowManyLinesWereLostWhenItTakesLinesAgain) {
  const Pipe pipe;
  ServerProcess server({"--port", "0"}, {.output = pipe.writer()});
  Client client(port_of(server));
  // A pipe holds 64 KiB; requests that come together are answered by one line.
  for (int round = 0; round < 500; ++round) {
    server.signal(SIGUSR1);
    ASSERT_TRUE(client.answers("on it goes"));
  }
  EXPECT_EQ(pipe.read().find("lines_dropped\",\"lines"), std::string::npos);
  std::string rest;
  ASSERT_TRUE(eventually([&] {
    server.signal(SIGUSR1);
    rest += pipe.read();
    return rest.find("statistics") != std::string::npos;
  }));
  const std::vector<std::string> lines = lines_of(rest);
  EXPECT_THAT(lines.at(0), HasSubstr("{\"event\":\"lines_dropped\",\"lines\":"));
  EXPECT_GT(number_in(lines.at(0), "lines"), 0);
  EXPECT_EQ(number_in(lines.at(1), "lines_dropped"), number_in(lines.at(0), "lines"));
  client.close();
  stop_cleanly(server);
}

TEST(Stream, FileThatMayNotGrowEndsNothing) {
  ServerProcess server({"--port", "0"}, {.file_size = 100});
  server.wait_ready();
  EXPECT_TRUE(serves(server));
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait_status(), 0);
}

}  // namespace
}  // namespace loopback
