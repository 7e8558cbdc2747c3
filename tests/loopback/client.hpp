// Clients for the loopback tests: plain POSIX sockets and poll(2), no libuv and nothing of the
// product. A client's faults live here (half-close, reset, never reading); what the server must
// make of them lives in the tests.
//
// The happy path is: a Client connects, a Conversation sends its bytes and reads the echo.
// Failure modes are: a deadline passes or a system call fails unexpectedly, and then these
// functions throw; a connection that ends is no failure here but a value, see Ending.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace loopback {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// How long a test waits before it calls a thing lost: long enough for a sanitizer build on a busy
// machine. No passing test waits this long, so the number can be generous.
inline constexpr std::chrono::seconds patience{60};

[[noreturn]] inline void fail_system(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

class Deadline {
 public:
  explicit Deadline(Clock::duration length = patience) : end_(Clock::now() + length) {}

  // What poll(2) takes: milliseconds left, rounded up, never negative.
  int poll_timeout() const {
    const auto left = std::chrono::ceil<milliseconds>(end_ - Clock::now()).count();
    return static_cast<int>(std::clamp<milliseconds::rep>(left, 0, 1'000'000));
  }
  bool passed() const { return Clock::now() >= end_; }
  void require(const char* what) const {
    if (passed()) throw std::runtime_error(std::string("deadline passed: ") + what);
  }

 private:
  Clock::time_point end_;
};

// Asks again until the answer is yes. For states that announce themselves by no event.
template <typename Predicate>
bool eventually(Predicate predicate, Clock::duration length = patience) {
  const Deadline deadline(length);
  while (!predicate()) {
    if (deadline.passed()) return false;
    ::poll(nullptr, 0, 5);
  }
  return true;
}

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { close(); }

  int get() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

// The bytes a client sends are a function of its seed, so that a byte of another client's stream,
// or one from the wrong place, shows.
inline std::string payload(std::uint64_t seed, std::size_t size) {
  std::mt19937_64 random(seed);
  std::string bytes(size, '\0');
  for (std::size_t at = 0; at < size; at += sizeof(std::uint64_t)) {
    const std::uint64_t word = random();
    bytes.replace(at, std::min(sizeof word, size - at), reinterpret_cast<const char*>(&word),
                  std::min(sizeof word, size - at));
  }
  return bytes;
}

enum class Ending { open, fin, reset };

class Client {
 public:
  struct Shape {
    const char* address = "127.0.0.1";
    int receive_buffer = 0;  // 0: what the kernel gives
    int send_buffer = 0;
    int segment = 0;  // TCP_MAXSEG: a small one keeps the server's kernel buffers small, too
  };

  explicit Client(std::uint16_t port) : Client(port, Shape()) {}
  Client(std::uint16_t port, Shape shape) {
    const bool ipv6 = std::string_view(shape.address).find(':') != std::string_view::npos;
    socket_ = Descriptor(::socket(ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (socket_.get() < 0) fail_system("socket");
    // Buffers are set before connecting: the window that the peer sees is agreed on then.
    if (shape.receive_buffer > 0) set_option(SOL_SOCKET, SO_RCVBUF, shape.receive_buffer);
    if (shape.send_buffer > 0) set_option(SOL_SOCKET, SO_SNDBUF, shape.send_buffer);
    if (shape.segment > 0) set_option(IPPROTO_TCP, TCP_MAXSEG, shape.segment);
    set_option(IPPROTO_TCP, TCP_NODELAY, 1);
    connect_to(ipv6, shape.address, port);
    if (::fcntl(socket_.get(), F_SETFL, O_NONBLOCK) != 0) fail_system("fcntl");
  }

  int descriptor() const { return socket_.get(); }
  Ending ending() const { return ending_; }

  // The connection as the client's kernel sees it.
  struct KernelView {
    bool open;                   // not reset, nor closed by both sides
    std::uint64_t acknowledged;  // bytes, to the server's kernel, since the beginning
    milliseconds silence;        // since bytes arrived
  };
  KernelView kernel_view() const {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(socket_.get(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) {
      fail_system("getsockopt");
    }
    constexpr unsigned closed = 7;  // TCP_CLOSE of the kernel
    return {info.tcpi_state != closed, info.tcpi_bytes_received,
            milliseconds(info.tcpi_last_data_recv)};
  }

  // Until nothing has arrived for so long, or the connection is over.
  void await_silence(milliseconds length) const {
    const Deadline deadline;
    for (KernelView now = kernel_view(); now.open && now.silence < length; now = kernel_view()) {
      deadline.require("await_silence");
      ::poll(nullptr, 0, static_cast<int>((length - now.silence).count()));
    }
  }

  // True when one of `events` (or an error, or a hang-up) is there before the time is over.
  bool wait(short events, Clock::duration length = patience) const {
    pollfd entry{socket_.get(), events, 0};
    const Deadline deadline(length);
    for (;;) {
      const int ready = ::poll(&entry, 1, deadline.poll_timeout());
      if (ready > 0) return true;
      if (ready < 0 && errno != EINTR) fail_system("poll");
      if (deadline.passed()) return false;
    }
  }

  // As many bytes as the kernel takes now; 0 when it takes none or the connection has ended.
  std::size_t send_some(std::string_view bytes) {
    const ssize_t count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count >= 0) return static_cast<std::size_t>(count);
    note_error("send");
    return 0;
  }

  void send_all(std::string_view bytes) {
    const Deadline deadline;
    while (!bytes.empty()) {
      bytes.remove_prefix(send_some(bytes));
      if (ending_ != Ending::open) throw std::runtime_error("connection ended while sending");
      if (!bytes.empty()) wait(POLLOUT);
      deadline.require("send_all");
    }
  }

  // Sends until the kernel has taken nothing for `quiet`, because the other end does not read.
  // Returns how many of the `limit` bytes went.
  std::size_t send_until_blocked(std::size_t limit, Clock::duration quiet = milliseconds(500)) {
    const std::string piece(std::size_t{64} * 1024, 'x');
    std::size_t sent = 0;
    while (sent < limit && ending_ == Ending::open && wait(POLLOUT, quiet)) {
      sent += send_some(std::string_view(piece).substr(0, limit - sent));
    }
    return sent;
  }

  // One byte of urgent data: see tcp(7).
  void send_urgent(char byte) {
    if (::send(socket_.get(), &byte, 1, MSG_OOB | MSG_NOSIGNAL) != 1) fail_system("send");
  }

  // What is there now, maybe nothing. Sets ending() when the stream has ended.
  std::string receive_some(std::size_t most = std::size_t{64} * 1024) {
    std::string bytes(most, '\0');
    const ssize_t count = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
    if (count == 0) ending_ = Ending::fin;
    if (count < 0) note_error("recv");
    bytes.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return bytes;
  }

  std::string receive(std::size_t size, Clock::duration length = patience) {
    std::string bytes;
    const Deadline deadline(length);
    while (bytes.size() < size && ending_ == Ending::open) {
      if (wait(POLLIN, milliseconds(deadline.poll_timeout()))) bytes += receive_some();
      deadline.require("receive");
    }
    return bytes;
  }

  // Everything up to FIN or reset; ending() says which.
  std::string receive_to_end() { return receive(std::numeric_limits<std::size_t>::max()); }

  // One small message and its echo.
  bool answers(std::string_view message) {
    send_all(message);
    return receive(message.size()) == message;
  }

  // Whether a reset comes before the time is over. What arrived before it is not read for that.
  bool was_reset(Clock::duration length) const {
    if (!wait(0, length)) return false;
    pollfd entry{socket_.get(), 0, 0};
    return ::poll(&entry, 1, 0) == 1 && (entry.revents & POLLERR) != 0;
  }

  void shutdown_write() {
    if (::shutdown(socket_.get(), SHUT_WR) != 0) note_error("shutdown");
  }

  void close() { socket_.close(); }

  // Ends the connection by RST instead of FIN.
  void reset() {
    const linger now{1, 0};
    if (::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now) != 0) {
      fail_system("setsockopt");
    }
    socket_.close();
  }

 private:
  void set_option(int level, int name, int value) {
    if (::setsockopt(socket_.get(), level, name, &value, sizeof value) != 0) {
      fail_system("setsockopt");
    }
  }

  void connect_to(bool ipv6, const char* address, std::uint16_t port) {
    sockaddr_in four{};
    sockaddr_in6 six{};
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    void* const place = ipv6 ? static_cast<void*>(&six.sin6_addr) : &four.sin_addr;
    if (::inet_pton(ipv6 ? AF_INET6 : AF_INET, address, place) != 1) {
      throw std::invalid_argument(address);
    }
    const auto* const target =
        ipv6 ? reinterpret_cast<const sockaddr*>(&six) : reinterpret_cast<const sockaddr*>(&four);
    const auto size = static_cast<socklen_t>(ipv6 ? sizeof six : sizeof four);
    if (::connect(socket_.get(), target, size) != 0) fail_system("connect");
  }

  void note_error(const char* what) {
    if (errno == EAGAIN || errno == EINTR) return;
    if (errno != ECONNRESET && errno != EPIPE && errno != ENOTCONN) fail_system(what);
    ending_ = Ending::reset;
  }

  Descriptor socket_;
  Ending ending_ = Ending::open;
};

// One client that sends its bytes and reads the echo at the same time, as poll(2) allows.
class Conversation {
 public:
  struct Behaviour {
    std::size_t piece_max = std::numeric_limits<std::size_t>::max();
    milliseconds read_after{0};  // a client that is slow to begin reading
    bool half_close = true;      // or: done when as much came back as went out
  };

  Conversation(Client client, std::string bytes, Behaviour behaviour, std::uint64_t seed = 1)
      : client_(std::move(client)),
        bytes_(std::move(bytes)),
        behaviour_(behaviour),
        random_(seed),
        read_from_(Clock::now() + behaviour.read_after) {
    if (bytes_.empty()) finish_sending();
  }

  bool done() const {
    if (client_.ending() != Ending::open) return true;
    return !behaviour_.half_close && received_.size() >= bytes_.size();
  }

  int descriptor() const { return client_.descriptor(); }
  short wanted_events() const {
    const bool reads = Clock::now() >= read_from_;
    const bool sends = sent_ < bytes_.size();
    return static_cast<short>((reads ? POLLIN : 0) | (sends ? POLLOUT : 0));
  }

  void on_ready(short events) {
    if ((events & POLLOUT) != 0 && sent_ < bytes_.size()) {
      const auto piece =
          std::uniform_int_distribution<std::size_t>(1, behaviour_.piece_max)(random_);
      sent_ += client_.send_some(std::string_view(bytes_).substr(sent_, piece));
      if (sent_ == bytes_.size()) finish_sending();
    }
    if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 && Clock::now() >= read_from_) {
      received_ += client_.receive_some();
    }
  }

  Ending ending() const { return client_.ending(); }
  const std::string& received() const { return received_; }
  bool echoed_exactly() const { return received_ == bytes_; }
  std::size_t bytes_lost() const { return bytes_.size() - received_.size(); }
  Client& client() { return client_; }

 private:
  void finish_sending() {
    if (behaviour_.half_close) client_.shutdown_write();
  }

  Client client_;
  std::string bytes_;
  Behaviour behaviour_;
  std::mt19937_64 random_;
  Clock::time_point read_from_;
  std::size_t sent_ = 0;
  std::string received_;
};

// Runs all conversations to their ends side by side.
inline void run(std::span<Conversation> conversations, Clock::duration length = patience) {
  const Deadline deadline(length);
  for (;;) {
    std::vector<pollfd> entries;
    std::vector<Conversation*> open;
    for (Conversation& each : conversations) {
      if (each.done()) continue;
      entries.push_back({each.descriptor(), each.wanted_events(), 0});
      open.push_back(&each);
    }
    if (open.empty()) return;
    deadline.require("conversations");
    // A conversation that does not read yet makes no event when its time comes: look again soon.
    if (::poll(entries.data(), entries.size(), 20) < 0 && errno != EINTR) fail_system("poll");
    for (std::size_t index = 0; index < open.size(); ++index) {
      if (entries[index].revents != 0) open[index]->on_ready(entries[index].revents);
    }
  }
}

}  // namespace loopback
