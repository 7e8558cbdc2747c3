// Crowds of clients of an echo server on 127.0.0.1, for what a server does beside them: clients
// that never read, clients that leave what they are owed in the kernel, clients that read steadily,
// and honest ones, whose latency says what the others cost. One thread; it ends by itself.
//
//   crowd never   --port N --clients N [--rate B]            send until nothing goes; come again
//   when cut crowd orphans --port N --clients N [--size B] [--vanish] one after the other: send,
//   half-close, never read crowd steady  --port N --clients N --size B --rate B     send,
//   half-close, read at a rate, to the end crowd honest  --port N --clients N --size B --seconds S
//   an echo each, whole, and again after a pause
//
// Each prints one JSON object at its end. The first two say {"placed":N} when all are there, print
// their object for each byte on stdin, too, and stay until stdin ends.
#include <arpa/inet.h>
#include <linux/filter.h>
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
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using std::chrono::milliseconds;

struct Options {
  std::uint16_t port = 0;
  std::size_t clients = 50;
  std::uint64_t size = 0;     // bytes that a client sends; 0: until nothing goes
  std::size_t read_rate = 0;  // bytes a second
  double hurry_after = 1e9;   // seconds after which `steady` reads all it can
  double seconds = 20;        // for which `honest` begins anew
  double limit = 300;         // seconds after which it ends, whatever happens
  bool small = false;         // a window as small as can be
  bool vanish = false;
};

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "crowd: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

struct Client {
  int fd = -1;
  std::uint64_t sent = 0;      // bytes
  std::uint64_t received = 0;  // bytes
  Time opened;
  Time moved;  // when a byte last went
  Time due;    // when it does something by itself
  bool half_closed = false;
  bool exact = true;  // what came is what was sent
};

// The loop, and what all clients can do. A subclass says what they do.
class Crowd {
 public:
  explicit Crowd(const Options& options) : options_(options), pattern_(chunk + period) {
    for (std::size_t i = 0; i < pattern_.size(); ++i) pattern_[i] = static_cast<char>(i % period);
  }
  virtual ~Crowd() = default;

  void run() {
    const Time end = start_ + milliseconds(static_cast<std::int64_t>(options_.limit * 1000));
    std::vector<epoll_event> events(512);
    Time ticked;
    while (!done() && !told_to_end_ && Clock::now() < end) {
      const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 10);
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        if (event.data.ptr == nullptr) {
          char byte = 0;
          told_to_end_ = read(STDIN_FILENO, &byte, 1) <= 0;
          if (!told_to_end_) report();
          std::fflush(stdout);
        } else if (Client& c = *static_cast<Client*>(event.data.ptr); c.fd >= 0) {
          on_ready(c, event.events);
        }
      }
      if (Clock::now() - ticked < milliseconds(10)) continue;
      ticked = Clock::now();
      on_tick(ticked);
    }
  }
  virtual void report() = 0;

 protected:
  const Options options_;
  std::vector<Client> clients_{options_.clients};
  const Time start_ = Clock::now();
  const int epoll_ = epoll_create1(EPOLL_CLOEXEC);
  std::size_t opened_ = 0;  // connections

  static constexpr std::uint64_t chunk = std::uint64_t{1} << 16;

  virtual bool done() const { return false; }
  virtual void on_ready(Client& c, std::uint32_t events) = 0;
  virtual void on_tick(Time now) = 0;

  std::size_t count_open() const {
    const auto is_open = [](const Client& c) { return c.fd >= 0; };
    return static_cast<std::size_t>(std::ranges::count_if(clients_, is_open));
  }

  // For null, stdin is read.
  void watch(int fd, std::uint32_t events, Client* client) {
    epoll_event event{.events = events, .data = {.ptr = client}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
  }

  void open(Client& c) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const auto set = [fd](int level, int name, int value) {
      if (setsockopt(fd, level, name, &value, sizeof value) != 0) fail("setsockopt");
    };
    if (options_.small) {
      set(SOL_SOCKET, SO_RCVBUF, 2304);
      set(SOL_SOCKET, SO_SNDBUF, 4608);
      set(IPPROTO_TCP, TCP_MAXSEG, 536);
    }
    // Several addresses: one has not enough ports for those that come again and again.
    set(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    if (at(bind, fd, 2 + opened_ % 50, 0) != 0) fail("bind");
    if (at(connect, fd, 1, options_.port) != 0 && errno != EINPROGRESS) fail("connect");
    c = Client{};
    c.fd = fd;
    c.opened = c.moved = Clock::now();
    ++opened_;
    watch(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, &c);
  }

  static void close(Client& c) { ::close(std::exchange(c.fd, -1)); }

  // Sends what goes, `total` bytes in all at most, and half-closes when they have gone.
  void send_up_to(Client& c, std::uint64_t total) {
    while (c.sent < total) {
      const std::size_t size = std::min(total - c.sent, chunk);
      const ssize_t sent = send(c.fd, &pattern_[c.sent % period], size, MSG_NOSIGNAL);
      if (sent <= 0) return;
      c.sent += static_cast<std::uint64_t>(sent);
      c.moved = Clock::now();
    }
    if (c.sent == total) half_close(c);
  }

  static void half_close(Client& c) {
    if (!c.half_closed) c.half_closed = shutdown(c.fd, SHUT_WR) == 0;
  }

  // What recv returns for so many bytes at most.
  ssize_t receive(Client& c, std::size_t size) {
    const ssize_t got = recv(c.fd, buffer_, std::min(size, sizeof buffer_), 0);
    if (got <= 0) return got;
    const auto bytes = static_cast<std::size_t>(got);
    c.exact = c.exact && std::memcmp(buffer_, &pattern_[c.received % period], bytes) == 0;
    c.received += bytes;
    return got;
  }

 private:
  static constexpr std::uint64_t period = 251;  // prime, so that a shift shows

  // bind or connect, to 127.0.0.HOST.
  static int at(decltype(connect) call, int fd, std::size_t host, std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(static_cast<std::uint32_t>((127U << 24) + host));
    address.sin_port = htons(port);
    return call(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }

  std::vector<char> pattern_;
  bool told_to_end_ = false;
  char buffer_[chunk]{};
};

double seconds(Clock::duration span) { return std::chrono::duration<double>(span).count(); }

// Those that have no end of their own: they stay until stdin ends.
class Staying : public Crowd {
 public:
  explicit Staying(const Options& options) : Crowd(options) {
    watch(STDIN_FILENO, EPOLLIN, nullptr);
  }
  void report() override {
    std::printf("{\"open\":%zu,\"opened\":%zu,\"cut\":%zu}\n", count_open(), opened_, cut_);
  }

 protected:
  bool all_placed() const { return placed_ == clients_.size(); }
  void place_one() {
    ++placed_;
    if (!all_placed()) return;
    std::printf("{\"placed\":%zu}\n", placed_);
    std::fflush(stdout);
  }

  std::size_t placed_ = 0;
  std::size_t cut_ = 0;
};

class Never : public Staying {
 public:
  using Staying::Staying;

 private:
  void on_ready(Client& c, std::uint32_t events) override {
    if ((events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) != 0) {
      ++cut_;
      close(c);
      open(c);
    } else if ((events & EPOLLOUT) != 0) {
      send_up_to(c, UINT64_MAX);
    }
  }

  void on_tick(Time now) override {
    // 10,000 a second.
    for (int i = 0; i < 100 && !all_placed(); ++i) {
      open(clients_[placed_]);
      place_one();
    }
    if (options_.read_rate == 0) return;
    for (std::size_t i = 0; i < placed_; ++i) {
      Client& c = clients_[i];
      if (c.due == Time{}) c.due = c.opened + milliseconds(1000);
      if (now < c.due) continue;
      receive(c, options_.read_rate);
      c.due = now + milliseconds(1000);
    }
  }
};

class Orphans : public Staying {
 public:
  using Staying::Staying;

 private:
  void on_ready(Client& c, std::uint32_t events) override {
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
      ++cut_;
      close(c);
    } else if ((events & EPOLLOUT) != 0 && !c.half_closed) {
      send_up_to(c, options_.size > 0 ? options_.size : UINT64_MAX);
    }
  }

  void on_tick(Time now) override {
    if (all_placed()) return;
    Client& c = clients_[placed_];
    if (c.fd < 0 && c.opened == Time{}) return open(c);
    if (c.fd >= 0 && now - c.moved < milliseconds(100)) return;
    if (c.fd >= 0) leave(c);
    place_one();
  }

  // Nothing has gone for a while, or all has gone.
  void leave(Client& c) {
    half_close(c);
    if (!options_.vanish) return;
    // A machine that is off: packets to the socket are dropped without an answer.
    sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    const sock_fprog program{.len = 1, .filter = &drop};
    if (setsockopt(c.fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0) {
      fail("SO_ATTACH_FILTER");
    }
  }
};

class Steady : public Crowd {
 public:
  using Crowd::Crowd;
  void report() override {
    std::uint64_t most = 0, all = 0;
    for (const Client& c : clients_) {
      const std::uint64_t lost = options_.size - std::min(options_.size, c.received);
      most = std::max(most, lost);
      all += lost;
    }
    std::printf("{\"whole\":%zu,\"lost_most\":%zu,\"lost\":%zu,\"seconds\":%.1f}\n", whole_, most,
                all, seconds(Clock::now() - start_));
  }

 private:
  bool done() const override { return ended_ == clients_.size(); }

  void on_ready(Client& c, std::uint32_t events) override {
    if ((events & EPOLLOUT) != 0 && !c.half_closed) send_up_to(c, options_.size);
  }

  // One read each 50 ms, as a client that plays or shows what comes.
  void on_tick(Time now) override {
    const bool hurry = seconds(now - start_) > options_.hurry_after;
    const std::size_t wanted = hurry ? chunk : std::max<std::size_t>(options_.read_rate / 20, 1);
    for (Client& c : clients_) {
      if (c.opened == Time{}) open(c);
      if (c.fd < 0 || (now < c.due && !hurry)) continue;
      c.due = now + milliseconds(50);
      ssize_t got = receive(c, wanted);
      while (hurry && got > 0) got = receive(c, wanted);
      if (got > 0 || (got < 0 && (errno == EAGAIN || errno == ENOTCONN))) continue;
      ++ended_;
      if (got == 0 && c.exact && c.received == options_.size) ++whole_;
      close(c);
    }
  }

  std::size_t ended_ = 0, whole_ = 0;
};

class Honest : public Crowd {
 public:
  using Crowd::Crowd;
  void report() override {
    std::ranges::sort(latencies_);
    const auto quantile = [this](double q) {
      if (latencies_.empty()) return 0.0;
      return 1000 *
             latencies_[static_cast<std::size_t>(q * static_cast<double>(latencies_.size() - 1))];
    };
    std::printf(
        "{\"whole\":%zu,\"failed\":%zu,\"median_ms\":%.2f,\"p99_ms\":%.2f,\"worst_ms\":%.2f}\n",
        latencies_.size(), failed_ + count_open(), quantile(0.5), quantile(0.99), quantile(1));
  }

 private:
  bool over() const { return seconds(Clock::now() - start_) > options_.seconds; }
  bool done() const override { return over() && count_open() == 0; }

  void on_ready(Client& c, std::uint32_t events) override {
    if ((events & EPOLLOUT) != 0 && !c.half_closed) send_up_to(c, options_.size);
    ssize_t got = 1;
    while (got > 0) got = receive(c, chunk);
    if (got < 0 && (errno == EAGAIN || errno == ENOTCONN)) return;
    const bool whole = got == 0 && c.exact && c.received == options_.size;
    if (whole) latencies_.push_back(seconds(Clock::now() - c.opened));
    if (!whole) ++failed_;
    close(c);
    c.due = Clock::now() + pause;
  }

  void on_tick(Time now) override {
    if (over()) return;
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      Client& c = clients_[i];
      // Not all at the same time.
      if (c.due == Time{}) c.due = start_ + pause * i / clients_.size();
      if (c.fd < 0 && now >= c.due) open(c);
    }
  }

  static constexpr milliseconds pause{200};  // between two echoes of a client
  std::vector<double> latencies_;            // seconds
  std::size_t failed_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Crowds of clients of an echo server on 127.0.0.1", "crowd");
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--port", options.port)->required();
  app.add_option("--clients", options.clients)->check(CLI::Range(1, 19900));
  app.add_option("--size", options.size, "Bytes that each client sends; 0: until nothing goes");
  app.add_option("--limit", options.limit, "Seconds after which it ends, whatever happens");
  app.add_flag("--small", options.small, "The clients' windows are as small as can be");
  app.add_option("--rate", options.read_rate, "Bytes that each client reads a second");
  app.add_option("--hurry-after", options.hurry_after, "Seconds; then `steady` reads all it can");
  app.add_option("--seconds", options.seconds, "For which honest clients begin anew");
  app.add_flag("--vanish", options.vanish, "Orphans answer nothing any more");
  const auto* never = app.add_subcommand("never", "send until nothing goes, come again when cut");
  const auto* orphans = app.add_subcommand("orphans", "in turn: send, half-close, never read");
  const auto* steady = app.add_subcommand("steady", "send, half-close, read at a rate");
  app.add_subcommand("honest", "an echo each, and again after a pause");
  CLI11_PARSE(app, argc, argv);

  const auto play = [](auto&& crowd) {
    crowd.run();
    crowd.report();
    return 0;
  };
  if (never->parsed()) return play(Never(options));
  if (orphans->parsed()) return play(Orphans(options));
  if (steady->parsed()) return play(Steady(options));
  return play(Honest(options));
}
