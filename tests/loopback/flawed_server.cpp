// An echo server that does what a client is owed, but for one fault that its environment names
// (FAULT): what the judges of judges.hpp are tried on. Without a fault it proves that they can be
// satisfied, with one that they can fail. Plain epoll, no libuv and nothing of the product; short
// rather than fast. Not a part of the product.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

// After <netinet/in.h>, with which they do not get along in another order.
#include <linux/sockios.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// What half-closed clients may leave in the kernel and still be closed at once.
constexpr std::size_t little = 16384;
constexpr milliseconds tick{10};

std::string_view fault() {
  const char* const name = std::getenv("FAULT");
  return name != nullptr ? name : "";
}

// What a fault is, beside the right behaviour at the place where it is asked for.
bool has(std::string_view name) {
  static const std::string_view planted = fault();
  return planted == name;
}

struct Limits {
  milliseconds write{30'000}, idle{300'000}, drain{10'000};
};

struct Connection {
  std::vector<char> pending = {};    // read, and not yet taken by the kernel
  std::size_t written = 0;           // to the kernel, since the beginning
  std::size_t taken = 0;             // by the client's kernel, when it was last asked
  Clock::time_point progress = {};   // of the write limit: begins when something is owed
  Clock::time_point last_word = {};  // of the idle limit
  bool owed = false;
  bool end_of_input = false;
  bool lingers = false;
};

class Server {
 public:
  explicit Server(const Limits& limits) : limits_(limits) {}

  void run() {
    open();
    while (!done()) {
      std::array<epoll_event, 256> events{};
      // Limits are judged by this clock: what clients did before it is known when they are judged.
      const Clock::time_point asked = Clock::now();
      const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()),
                                     static_cast<int>(tick.count()));
      if (has("limits-before-events")) judge_limits(Clock::now());
      for (int index = 0; index < count; ++index) {
        on_event(events[static_cast<std::size_t>(index)]);
      }
      const bool all_known = count >= 0 && count < static_cast<int>(events.size());
      if (all_known) judge_limits(asked);
    }
    while (!connections_.empty()) end_now(connections_.begin()->first);
    std::fprintf(stderr,
                 "{\"event\":\"ledger\",\"sessions\":{\"acquired\":%zu,\"released\":%zu},"
                 "\"blocks\":{\"acquired\":0,\"released\":0},\"outstanding\":0}\n",
                 accepted_, accepted_ - connections_.size());
  }

 private:
  void open() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    // Accepted sockets inherit it, with what has arrived before they are accepted.
    const int on = has("urgent-out-of-line") ? 0 : 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_OOBINLINE, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 4096) != 0 ||
        ::getsockname(listener_, generic, &size) != 0) {
      std::perror("listen");
      std::exit(1);
    }
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGTERM, SIGUSR1}) sigaddset(&set, number);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    signals_ = ::signalfd(-1, &set, SFD_NONBLOCK);
    epoll_ = ::epoll_create1(0);
    watch(listener_, EPOLLIN, EPOLL_CTL_ADD);
    watch(signals_, EPOLLIN, EPOLL_CTL_ADD);
    std::printf("{\"event\":\"listening\",\"address\":\"127.0.0.1\",\"port\":%d}\n",
                ntohs(address.sin_port));
    std::fflush(stdout);
  }

  bool done() const {
    if (!draining_) return false;
    if (connections_.empty() || (stop_at_once_ && !has("drain-without-end"))) return true;
    return Clock::now() >= drain_end_ && !has("drain-without-end");
  }

  void watch(int fd, std::uint32_t events, int operation) const {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    ::epoll_ctl(epoll_, operation, fd, &event);
  }

  void on_event(const epoll_event& event) {
    const int fd = event.data.fd;
    if (fd == listener_) return accept_all();
    if (fd == signals_) return on_signal();
    const auto found = connections_.find(fd);
    if (found == connections_.end()) return;
    if ((event.events & EPOLLERR) != 0) return remove(fd);
    if (found->second.pending.empty())
      read(fd, found->second);
    else
      write(fd, found->second);
  }

  void accept_all() {
    for (int fd; (fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;) {
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      ++accepted_;
      connections_[fd] = {.last_word = Clock::now()};
      watch(fd, EPOLLIN, EPOLL_CTL_ADD);
    }
  }

  void on_signal() {
    signalfd_siginfo info{};
    while (::read(signals_, &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGUSR1) {
        const auto lent = std::ranges::count_if(
            connections_, [](const auto& entry) { return !entry.second.pending.empty(); });
        std::printf(
            "{\"event\":\"statistics\",\"connections\":%zu,\"blocks_lent\":%td,"
            "\"blocks\":1000000,\"accepted\":%zu}\n",
            connections_.size(), lent, accepted_);
        std::fflush(stdout);
      } else if (draining_) {
        stop_at_once_ = true;
      } else {
        draining_ = true;
        drain_end_ = Clock::now() + limits_.drain;
        ::close(std::exchange(listener_, -1));
      }
    }
  }

  void read(int fd, Connection& connection) {
    std::array<char, 65536> piece;
    for (int turn = 0; turn < 4 && connection.pending.empty(); ++turn) {
      const ssize_t count = ::recv(fd, piece.data(), piece.size(), 0);
      if (count == 0) return on_end_of_input(fd, connection);
      if (count < 0) {
        if (errno != EAGAIN) remove(fd);
        return;
      }
      connection.last_word = Clock::now();
      connection.pending.assign(piece.data(), piece.data() + count);
      if (!write(fd, connection)) return;
    }
  }

  // False when the connection is gone.
  bool write(int fd, Connection& connection) {
    auto& pending = connection.pending;
    while (!pending.empty()) {
      const ssize_t count = ::send(fd, pending.data(), pending.size(), MSG_NOSIGNAL);
      if (count < 0 && errno != EAGAIN) return remove(fd), false;
      if (count < 0) {
        if (!has("waits-for-each-write")) break;
        pollfd entry{fd, POLLOUT, 0};  // no other client is served meanwhile
        if (::poll(&entry, 1, 50) <= 0) break;
        continue;
      }
      pending.erase(pending.begin(), pending.begin() + count);
      connection.written += static_cast<std::size_t>(count);
    }
    if (!connection.owed) {
      connection.owed = true;
      connection.progress = Clock::now();
    }
    watch(fd, pending.empty() ? EPOLLIN : EPOLLOUT, EPOLL_CTL_MOD);
    if (pending.empty() && connection.end_of_input) return on_end_of_input(fd, connection), false;
    return true;
  }

  void on_end_of_input(int fd, Connection& connection) {
    connection.end_of_input = true;
    const std::size_t left = unacknowledged(fd);
    if (has("leaves-it-to-the-kernel") || (left <= little && !has("stays-with-every-client"))) {
      return remove(fd);
    }
    ::shutdown(fd, SHUT_WR);
    connection.lingers = true;
    watch(fd, 0, EPOLL_CTL_DEL);
  }

  void judge_limits(Clock::time_point now) {
    std::vector<int> fds;
    for (const auto& entry : connections_) fds.push_back(entry.first);
    for (const int fd : fds) judge(fd, connections_[fd], now);
  }

  void judge(int fd, Connection& connection, Clock::time_point now) {
    if (has("no-limit-is-kept")) return;
    if (connection.lingers && is_over(fd)) return remove(fd);
    const bool silent = now - connection.last_word >= limits_.idle;
    if (silent && has("owed-is-silent")) return reset(fd);
    if (connection.owed && now - connection.progress >= limits_.write) {
      const std::size_t left = unacknowledged(fd);
      const std::size_t taken = connection.written - std::min(connection.written, left);
      const bool took = taken > connection.taken || has("takes-nothing-for-progress");
      if (left == 0 && connection.pending.empty()) {
        connection.owed = false;
      } else if (took && !has("whole-or-nothing")) {
        connection.progress = now;
      } else {
        return cut(fd);
      }
      connection.taken = taken;
    }
    if (!silent || connection.end_of_input) return;
    if (unacknowledged(fd) > 0 || !connection.pending.empty()) {
      connection.last_word = now;
    } else if (has("resets-the-silent")) {
      reset(fd);
    } else {
      remove(fd);
    }
  }

  // Everything is acknowledged, or nothing will be.
  static bool is_over(int fd) {
    pollfd entry{fd, 0, 0};
    if (::poll(&entry, 1, 0) == 1 && (entry.revents & POLLERR) != 0) return true;
    return unacknowledged(fd) == 0 && !has("stays-with-every-client");
  }

  static std::size_t unacknowledged(int fd) {
    int count = 0;
    ::ioctl(fd, SIOCOUTQ, &count);
    return static_cast<std::size_t>(count);
  }

  void cut(int fd) { has("cut-is-an-end") ? end_as_if_whole(fd) : reset(fd); }

  void end_now(int fd) {
    const bool whole = connections_[fd].pending.empty() && unacknowledged(fd) == 0;
    whole ? remove(fd) : cut(fd);
  }

  // Closing would make a reset of it, if bytes are there that were not read.
  void end_as_if_whole(int fd) {
    ::shutdown(fd, SHUT_WR);
    watch(fd, 0, EPOLL_CTL_DEL);
    connections_.erase(fd);
  }

  void reset(int fd) {
    const linger now{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    remove(fd);
  }

  void remove(int fd) {
    connections_.erase(fd);
    ::close(fd);
  }

  Limits limits_;
  int listener_ = -1, signals_ = -1, epoll_ = -1;
  std::map<int, Connection> connections_;
  std::size_t accepted_ = 0;
  bool draining_ = false, stop_at_once_ = false;
  Clock::time_point drain_end_;
};

milliseconds time_of(const std::string& text) {
  char* unit = nullptr;
  const long count = std::strtol(text.c_str(), &unit, 10);
  const std::string_view name = unit;
  if (name == "ms") return milliseconds(count);
  if (name == "h") return std::chrono::hours(count);
  return std::chrono::seconds(count);
}

}  // namespace

int main(int argc, char** argv) {
  rlimit descriptors{};
  ::getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = descriptors.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &descriptors);
  Limits limits;
  for (int index = 1; index + 1 < argc; index += 2) {  // others are none of its business
    const std::string_view option = argv[index];
    if (option == "--write-timeout") limits.write = time_of(argv[index + 1]);
    if (option == "--idle-timeout") limits.idle = time_of(argv[index + 1]);
    if (option == "--drain-timeout") limits.drain = time_of(argv[index + 1]);
  }
  Server(limits).run();
}
