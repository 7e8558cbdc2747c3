// A load generator for echo servers: many connections, one thread, every byte of the answer counted
// and, with --verify, compared. For what wrk cannot do: messages of one byte, messages larger than
// a response may be, connections that only sit there. Prints one JSON object.
//
//   load --port N --connections N --size BYTES --messages N [--seconds S] [--pipeline N] [--verify]
//   load --port N --connections N --idle          opens them, says so, holds them until stdin ends
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "load: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

int connect_to(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    fail("connect to port " + std::to_string(port));
  }
  const int on = 1;
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) fail("TCP_NODELAY");
  return fd;
}

struct Options {
  std::uint16_t port = 0;
  std::size_t connections = 50;
  std::size_t size = 64;
  std::uint64_t messages = 100000;
  double seconds = 1e6;
  std::size_t pipeline = 1;
  bool verify = false;
  bool idle = false;
};

struct Connection {
  int fd = -1;
  std::uint64_t sent = 0;                 // bytes, in all
  std::uint64_t received = 0;             // bytes, in all
  std::deque<Clock::time_point> started;  // of the messages whose echo is not complete
  bool writable_awaited = false;
};

class Load {
 public:
  explicit Load(const Options& options)
      : options_(options), pattern_(options.size + period), buffer_(std::size_t{1} << 18) {
    for (std::size_t i = 0; i < pattern_.size(); ++i) pattern_[i] = static_cast<char>(i % period);
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) fail("epoll_create1");
    for (Connection& c : connections_) open(c);
  }

  void run() {
    for (Connection& c : connections_) start_messages(c);
    std::vector<epoll_event> events(512);
    const auto end = Clock::now() +
                     std::chrono::milliseconds(static_cast<std::int64_t>(options_.seconds * 1000));
    while (completed_ < options_.messages && Clock::now() < end) {
      const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 30'000);
      if (count == 0) fail("no answer for 30 seconds");
      for (int i = 0; i < count; ++i) {
        Connection& c = *static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
        if (receive(c)) start_messages(c);
        send_more(c);
      }
    }
  }

  std::vector<std::uint64_t>& latencies() { return latencies_; }
  std::uint64_t completed() const { return completed_; }
  std::uint64_t received() const {
    std::uint64_t bytes = 0;
    for (const Connection& c : connections_) bytes += c.received;
    return bytes;
  }

 private:
  static constexpr std::size_t period = 251;  // prime, so that a shift shows

  void open(Connection& c) {
    c.fd = connect_to(options_.port);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &c;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &event) != 0) fail("epoll_ctl");
  }

  void start_messages(Connection& c) {
    while (c.started.size() < options_.pipeline) c.started.push_back(Clock::now());
    send_more(c);
  }

  // Sends what belongs to started messages.
  void send_more(Connection& c) {
    const std::uint64_t done = c.received / options_.size;
    const std::uint64_t target = (done + c.started.size()) * options_.size;
    while (c.sent < target) {
      const std::size_t size = std::min<std::uint64_t>(target - c.sent, options_.size);
      const ssize_t sent =
          send(c.fd, &pattern_[c.sent % period], size, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN) fail("send");
      if (sent > 0) c.sent += static_cast<std::uint64_t>(sent);
      if (sent < static_cast<ssize_t>(size)) break;
    }
    await_writable(c, c.sent < target);
  }

  void await_writable(Connection& c, bool awaited) {
    if (c.writable_awaited == awaited) return;
    c.writable_awaited = awaited;
    epoll_event event{};
    event.events = awaited ? EPOLLIN | EPOLLOUT : EPOLLIN;
    event.data.ptr = &c;
    if (epoll_ctl(epoll_, EPOLL_CTL_MOD, c.fd, &event) != 0) fail("epoll_ctl");
  }

  // Whether a message was completed.
  bool receive(Connection& c) {
    const ssize_t size = recv(c.fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN) return false;
    if (size <= 0) fail("the server closed a connection");
    if (options_.verify) verify(c, static_cast<std::size_t>(size));
    const std::uint64_t before = c.received / options_.size;
    c.received += static_cast<std::uint64_t>(size);
    const auto now = Clock::now();
    for (std::uint64_t i = before; i < c.received / options_.size; ++i) {
      latencies_.push_back(static_cast<std::uint64_t>((now - c.started.front()).count()));
      c.started.pop_front();
      ++completed_;
    }
    return before != c.received / options_.size;
  }

  void verify(const Connection& c, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      if (buffer_[i] != static_cast<char>((c.received + i) % period)) {
        errno = 0;
        fail("byte " + std::to_string(c.received + i) + " is not what was sent");
      }
    }
  }

  Options options_;
  int epoll_ = -1;
  std::vector<Connection> connections_{options_.connections};
  std::vector<char> pattern_;
  std::vector<char> buffer_;
  std::vector<std::uint64_t> latencies_;  // nanoseconds
  std::uint64_t completed_ = 0;
};

int hold_idle(const Options& options) {
  std::vector<int> held;
  for (std::size_t i = 0; i < options.connections; ++i) {
    held.push_back(connect_to(options.port));
    char byte = 'x';
    if (send(held.back(), &byte, 1, MSG_NOSIGNAL) != 1) fail("send");
    if (recv(held.back(), &byte, 1, 0) != 1) fail("recv");
  }
  std::printf("{\"held\":%zu}\n", held.size());
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Load generator for echo servers on 127.0.0.1", "load");
  app.add_option("--port", options.port)->required();
  app.add_option("--connections", options.connections)->check(CLI::Range(1, 20000));
  app.add_option("--size", options.size, "Bytes a message")->check(CLI::Range(1, 1 << 26));
  app.add_option("--messages", options.messages, "In all; then it ends");
  app.add_option("--seconds", options.seconds, "Then it ends, whatever has come back");
  app.add_option("--pipeline", options.pipeline, "Messages under way on each connection");
  app.add_flag("--verify", options.verify, "Compare every byte");
  app.add_flag("--idle", options.idle, "Only hold the connections, until stdin ends");
  CLI11_PARSE(app, argc, argv);
  if (options.idle) return hold_idle(options);

  Load load(options);
  const auto start = Clock::now();
  load.run();
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  auto& latencies = load.latencies();
  std::sort(latencies.begin(), latencies.end());
  const auto quantile = [&](double q) {
    if (latencies.empty()) return 0.0;
    const auto at = static_cast<std::size_t>(q * static_cast<double>(latencies.size() - 1));
    return static_cast<double>(latencies[at]) / 1000;
  };
  std::printf(
      "{\"messages\":%llu,\"bytes\":%llu,\"seconds\":%.6f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_"
      "us\":%.1f}\n",
      static_cast<unsigned long long>(load.completed()),
      static_cast<unsigned long long>(load.received()), seconds, quantile(0.5), quantile(0.99),
      quantile(0.999));
  return 0;
}
