// Oracle, for the whole server on the real libuv and on real sockets:
//
// * Every client gets a prefix of what it sent.
// * A client that half-closed and kept reading gets all of it, and then FIN, unless its connection
//   broke. Short and interrupted calls break no connection.
// * A client whose echo was cut is reset.
// * At the end nothing is open.
//
// Input: a byte for the shape of the server, then actions of the clients, of the kernel (see
// system_calls.hpp) and of the clock. After the input the run goes on without faults. Because a
// real kernel takes part, an execution is slower than server_fuzzer's. It shows whether uvsim is
// too friendly.
#include <arpa/inet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "fuzz.hpp"
#include "harness/payload.hpp"
#include "system_calls.hpp"
#include "uv/address.hpp"
#include "uv/server.hpp"

namespace {

namespace payload = harness::payload;
namespace system_calls = fuzz::system_calls;
using echoproof::Time;
using fuzz::oracle;

constexpr std::size_t client_count = 4;
constexpr std::size_t said_max = std::size_t{256} << 10;  // bytes, by all clients
constexpr std::size_t actions_max = 128;
// More than the clients of a run, because a kernel drops connected clients from a full queue.
constexpr int backlog = 2 * actions_max;
constexpr Time idle_limit{2000};
constexpr Time write_limit{1000};
constexpr Time drain_limit{500};
// Turns in a row in which nothing moves, a millisecond each, until it is certain that nothing will.
constexpr int patience = 3000;
constexpr int turns_at_once = 3;  // of those

void no_log(echoproof::Severity, const char*, int) {}

struct Client {
  int fd = -1;  // -1: not there
  std::uint16_t port = 0;
  std::uint32_t name = 0;
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  std::uint64_t spoke_at_ms = 0;
  std::uint64_t took_at_ms = 0;  // when it last took something, or was owed nothing
  bool half_closed = false;
  bool ended = false;      // the server has ended the connection
  bool excused = false;    // it may get less than everything
  bool broken = false;     // because the kernel was told to break its connection
  bool was_reset = false;  // it was told so when it sent; its kernel says that only once
};

enum class Action : std::uint8_t {
  turn,
  connect,
  send,
  read,
  half_close,
  close,
  reset,
  fault,
  time,
  stop,
  last = stop,
};

class LoopbackRun {
 public:
  explicit LoopbackRun(const echoproof::Limits& limits) : server_(limits, no_log) {}

  bool start();
  void happen(Action action, std::size_t who, fuzz::Input& input);
  void end();

 private:
  void turn();
  void connect(Client& client);
  void send(Client& client, std::size_t size);
  bool read(Client& client, std::size_t size);
  void half_close(Client& client);
  void leave(Client& client, bool by_reset);
  void advance(std::uint64_t ms);
  void stop();
  bool all_gone() const;
  bool go_on();
  void wait_for_kernel(int ms);
  void close_server();

  static void on_broken(void* run, std::uint16_t port);

  uv_loop_t loop_{};
  echoproof::Server server_;
  std::array<Client, client_count> clients_;
  std::uint32_t names_ = 0;
  std::size_t said_ = 0;
  bool stopped_ = false;
};

bool LoopbackRun::start() {
  sockaddr_storage address{};
  oracle(echoproof::parse_address("127.0.0.1", 0, address), "an address is an address");
  system_calls::begin();
  system_calls::on_broken(on_broken, this);
  const system_calls::Inside inside;
  if (uv_loop_init(&loop_) != 0) return false;
  if (server_.listen(loop_, address, backlog) == 0) return true;
  server_.close();
  uv_run(&loop_, UV_RUN_DEFAULT);
  uv_loop_close(&loop_);
  return false;
}

// The kernel was told to break a connection: that of the client at `port`, or, if 0, of any client
// that waits to be accepted.
void LoopbackRun::on_broken(void* run, std::uint16_t port) {
  for (Client& client : static_cast<LoopbackRun*>(run)->clients_) {
    if (port == 0 ? client.received == 0 : client.port == port) {
      client.excused = client.broken = true;
    }
  }
}

void LoopbackRun::turn() {
  const system_calls::Inside inside;
  uv_run(&loop_, UV_RUN_NOWAIT);
}

void LoopbackRun::happen(Action action, std::size_t who, fuzz::Input& input) {
  Client& client = clients_[who];
  switch (action) {
    case Action::turn: return turn();
    case Action::connect: return connect(client);
    case Action::send: {
      static constexpr std::array<std::size_t, 8> sizes{10, 1, 16, 64, 200, 4096, 5000, 65536};
      return send(client, sizes[input.byte() % sizes.size()]);
    }
    case Action::read: {
      static constexpr std::array<std::size_t, 4> sizes{payload::piece_max, 1, 10, 1000};
      read(client, sizes[input.byte() % sizes.size()]);
      return;
    }
    case Action::half_close: return half_close(client);
    case Action::close: return leave(client, false);
    case Action::reset: return leave(client, true);
    case Action::fault: {
      static constexpr std::array<std::uint8_t, 4> times{1, 1, 3, 40};
      const unsigned which = input.byte();
      const unsigned how = input.byte();
      return system_calls::plan(static_cast<system_calls::Call>(which % system_calls::call_count),
                                static_cast<std::uint8_t>(how % 4),
                                static_cast<std::uint8_t>(how / 4 % 8), times[how / 32 % 4]);
    }
    case Action::time: {
      static constexpr std::array<std::uint64_t, 4> lengths{1, 110, 250, 1100};
      return advance(lengths[who]);
    }
    case Action::stop: return stop();
  }
}

void LoopbackRun::connect(Client& client) {
  if (client.fd >= 0 || stopped_) return;
  client = Client{.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
                  .name = names_++,
                  .spoke_at_ms = system_calls::now_ms()};
  oracle(client.fd >= 0, "there is a descriptor for a client");
  const auto* const address = reinterpret_cast<const sockaddr*>(&server_.address());
  const bool here = ::connect(client.fd, address, sizeof(sockaddr_in)) == 0 || errno == EINPROGRESS;
  sockaddr_in own{};
  socklen_t size = sizeof own;
  oracle(::getsockname(client.fd, reinterpret_cast<sockaddr*>(&own), &size) == 0,
         "a client has an address");
  client.port = ntohs(own.sin_port);
  if (!here) leave(client, true);  // the listener is closed for the moment
}

void LoopbackRun::send(Client& client, std::size_t size) {
  if (client.fd < 0 || client.half_closed || client.ended || said_ >= said_max) return;
  const std::uint8_t* const bytes = payload::bytes(client.name, client.sent);
  const ssize_t count = ::send(client.fd, bytes, size, MSG_NOSIGNAL);
  if (count < 0 && (errno == ECONNRESET || errno == EPIPE)) client.was_reset = true;
  if (count < 0 && errno == ECONNREFUSED) leave(client, true);  // the listener is closed for now
  if (count <= 0) return;
  if (client.received == client.sent) client.took_at_ms = system_calls::now_ms();
  client.sent += static_cast<std::uint64_t>(count);
  client.spoke_at_ms = system_calls::now_ms();
  said_ += static_cast<std::size_t>(count);
}

// Whether all that it said has come to the server's end. The clock may have gone on for seconds
// while the kernel, by its own clock, has not sent it yet: to the server the client was silent, and
// of what had come nothing was owed.
bool heard_of(const Client& client) {
  int held = 0;
  return ::ioctl(client.fd, SIOCOUTQ, &held) == 0 && held == 0;
}

// Whether anything was there to be read.
bool LoopbackRun::read(Client& client, std::size_t size) {
  static std::array<std::uint8_t, payload::piece_max> place;
  if (client.fd < 0 || client.ended) return false;
  const ssize_t count = ::recv(client.fd, place.data(), size, 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (count <= 0) {
    client.ended = true;
    // The listener was closed for the moment, as when connect(2) reports it.
    if (count < 0 && errno == ECONNREFUSED) client.excused = true;
    const bool clean = count == 0 && client.half_closed && client.received == client.sent;
    oracle(clean || client.excused, "a client that half-closed gets its whole echo, then FIN");
    const bool cut = client.half_closed && client.received < client.sent && heard_of(client);
    oracle(!cut || count < 0 || client.was_reset || client.broken,
           "a client whose echo is cut is reset");
    return true;
  }
  const auto got = static_cast<std::size_t>(count);
  oracle(client.received + got <= client.sent, "no client receives more than it sent");
  const std::uint8_t* const expected = payload::bytes(client.name, client.received);
  oracle(std::memcmp(place.data(), expected, got) == 0, "each client receives its own bytes");
  client.received += got;
  client.took_at_ms = system_calls::now_ms();
  return true;
}

void LoopbackRun::half_close(Client& client) {
  if (client.fd < 0 || client.half_closed) return;
  // If it was not connected yet, it ends otherwise.
  if (::shutdown(client.fd, SHUT_WR) != 0) client.excused = true;
  client.half_closed = true;
}

void LoopbackRun::leave(Client& client, bool by_reset) {
  if (client.fd < 0) return;
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  if (by_reset) ::setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(client.fd);
  client = Client{};
}

// A client that was silent for the idle limit, or took nothing of its echo for the write limit, may
// have been closed.
void LoopbackRun::advance(std::uint64_t ms) {
  system_calls::advance(ms);
  const auto over = [](std::uint64_t since_ms, Time limit) {
    return system_calls::now_ms() - since_ms >= static_cast<std::uint64_t>(limit.count());
  };
  for (Client& client : clients_) {
    const bool owed = client.received < client.sent;
    if (over(client.spoke_at_ms, idle_limit) || (owed && over(client.took_at_ms, write_limit))) {
      client.excused = true;
    }
  }
}

void LoopbackRun::stop() {
  if (!stopped_) {
    for (Client& client : clients_) client.excused = true;
  }
  stopped_ = true;
  const system_calls::Inside inside;
  server_.drain(drain_limit);
}

bool LoopbackRun::all_gone() const {
  return std::all_of(clients_.begin(), clients_.end(),
                     [](const Client& client) { return client.fd < 0; });
}

// Every client reads, half-closes when it has got everything, and leaves when it has seen the end.
bool LoopbackRun::go_on() {
  bool moved = false;
  for (Client& client : clients_) {
    if (client.fd < 0) continue;
    while (read(client, payload::piece_max)) moved = true;
    if (client.ended) {
      leave(client, true);
    } else if (!client.half_closed && client.received == client.sent) {
      half_close(client);
    } else {
      continue;
    }
    moved = true;
  }
  return moved;
}

// What one end has sent is at the other at once, as a rule; not when the machine is busy.
void LoopbackRun::wait_for_kernel(int ms) {
  pollfd one{.fd = uv_backend_fd(&loop_), .events = POLLIN, .revents = 0};
  ::poll(&one, 1, ms);
}

void LoopbackRun::end() {
  system_calls::stop_failing();
  for (int still = 0; !all_gone(); ++still) {
    turn();
    if (go_on()) {
      still = 0;
      continue;
    }
    oracle(still < patience, "once nothing fails any more, every connection ends");
    wait_for_kernel(still < turns_at_once ? 0 : 1);
    // Then the server waits for its timers, or for a kernel that does.
    if (still > turns_at_once) advance(250);
  }
  close_server();
}

void LoopbackRun::close_server() {
  const system_calls::Inside inside;
  server_.close();
  int turns = 0;
  while (uv_run(&loop_, UV_RUN_NOWAIT) != 0) {
    oracle(++turns < patience, "after a stop the loop ends");
  }
  oracle(uv_loop_close(&loop_) == 0, "after a stop nothing is open");
  oracle(server_.ledger().outstanding() == 0, "what was taken was given back");
}

// The next descriptor to be opened: the same as before, if all that were opened are closed.
int next_descriptor() {
  const int next = ::dup(STDERR_FILENO);
  ::close(next);
  return next;
}

void run(fuzz::Input input) {
  const unsigned shape = input.byte();
  static constexpr std::array<std::size_t, 4> block_sizes{64, 4096, 16, 65536};
  const std::size_t block_size = block_sizes[shape % 4];
  const std::size_t large_blocks = shape / 4 % 4;
  const std::size_t small_size = std::min(block_size, echoproof::small_block_size);
  const std::size_t kernel_memory = shape / 32 % 2 == 0
                                        ? echoproof::KernelBudget::unlimited
                                        : client_count * echoproof::KernelBudget::least;
  LoopbackRun run({.connections = shape / 16 % 2 == 0 ? client_count : 2,
                   .buffer_memory = 2 * client_count * echoproof::BlockPool::stride_of(small_size) +
                                    large_blocks * echoproof::BlockPool::stride_of(block_size),
                   .block_size = block_size,
                   .kernel_memory = kernel_memory,
                   .tuned_socket = std::size_t{8} << 20,
                   .idle = idle_limit,
                   .write = write_limit});
  if (!run.start()) return;
  constexpr auto action_count = static_cast<unsigned>(Action::last) + 1;
  for (std::size_t actions = 0; !input.empty() && actions < actions_max; ++actions) {
    const unsigned byte = input.byte();
    run.happen(static_cast<Action>(byte % action_count), byte / action_count % client_count, input);
  }
  run.end();
}

}  // namespace

extern "C" void fuzz_target_report() {
  std::fprintf(stderr, "%llu system calls of the server, %llu of them made to go wrong\n",
               static_cast<unsigned long long>(system_calls::calls()),
               static_cast<unsigned long long>(system_calls::failures()));
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto ignored = std::signal(SIGPIPE, SIG_IGN);
  static_cast<void>(ignored);
  const int before = next_descriptor();
  run(fuzz::Input(data, size));
  oracle(next_descriptor() == before, "every descriptor is closed again");
  return 0;
}
