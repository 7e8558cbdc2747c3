// The simulated kernel alone: what the scripts of differential.cpp leave out because Linux's clock
// or buffers decide it, and what the world is asked. A program of its own, for MemorySanitizer too.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#include <cerrno>

#include "../sim/check.hpp"
#include "kernel/process.hpp"

namespace {

using kernel::blocked;
using kernel::Machine;
using kernel::Options;
using kernel::Process;
using kernel::Question;
using kernel::unsimulated;

constexpr uint64_t second = 1'000'000'000;

// Answers one question with one number, the others kindly.
class Asked final : public kernel::Chooser {
 public:
  Asked(Question question, unsigned answer) : question_(question), answer_(answer) {}
  unsigned pick(unsigned n, Question question) override {
    return question == question_ && answer_ < n ? answer_ : 0;
  }

 private:
  Question question_;
  unsigned answer_;
};

Options small_buffers() {
  Options options;
  options.tcp_send_buffer = 9000;
  options.tcp_receive_buffer = 4000;
  return options;
}

// A machine with a connection: `client` and `server`.
struct Connection {
  explicit Connection(const Options& options = {}, kernel::Chooser* chooser = nullptr)
      : machine(options, chooser), process(machine, 3) {
    listener = static_cast<int>(process.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    process.listen(listener, 0);
    connect();
    server = static_cast<int>(process.accept4(listener, nullptr, nullptr, SOCK_NONBLOCK));
  }
  long connect() {
    client = static_cast<int>(process.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    sockaddr_in address{};
    socklen_t size = sizeof address;
    process.getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    return process.connect(client, reinterpret_cast<sockaddr*>(&address), size);
  }
  short ready(int fd, short events = POLLIN | POLLOUT | POLLRDHUP | POLLPRI) {
    pollfd one{fd, events, 0};
    process.poll(&one, 1, 0);
    return one.revents;
  }
  int error_of(int fd) {
    int error = 0;
    socklen_t size = sizeof error;
    process.getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
  }
  Machine machine;
  Process process;
  int listener = -1;
  int client = -1;
  int server = -1;
};

char bytes[100'000];

void room_is_told_when_a_third_is_free() {
  Connection net(small_buffers());
  CHECK(net.process.write(net.client, bytes, sizeof bytes) == 13'000);
  CHECK(net.process.write(net.client, bytes, 1) == -EAGAIN);
  CHECK(net.ready(net.client) == 0);
  CHECK(net.process.read(net.server, bytes, 2000) == 2000);  // of the 9,000, 2,000 leave
  CHECK(net.ready(net.client) == 0);
  CHECK(net.process.write(net.client, bytes, 1) == 1);  // but there is some
  CHECK(net.process.read(net.server, bytes, 2000) == 2000);
  CHECK(net.ready(net.client) == POLLOUT);
}

void a_window_that_was_shut_opens_by_a_large_piece() {
  Connection net(small_buffers());
  net.process.write(net.client, bytes, sizeof bytes);
  int count = 0;
  CHECK(net.process.read(net.server, bytes, 1999) == 1999);
  net.process.ioctl(net.client, SIOCOUTQ, &count);
  CHECK(count == 9000);
  CHECK(net.process.read(net.server, bytes, 1) == 1);
  net.process.ioctl(net.client, SIOCOUTQ, &count);
  CHECK(count == 7000);
  net.process.ioctl(net.server, FIONREAD, &count);
  CHECK(count == 4000);
}

// Linux may wait for an acknowledgement before it sends a little more, for up to 40 ms.
void the_wire_is_instant() {
  Connection net;
  int count = 0;
  for (int i = 0; i < 3; ++i) CHECK(net.process.write(net.client, bytes, 1) == 1);
  net.process.ioctl(net.server, FIONREAD, &count);
  CHECK(count == 3);
  net.process.ioctl(net.client, SIOCOUTQ, &count);
  CHECK(count == 0);
}

// Linux tells also of room that came and went while acknowledgements were on their way.
void an_edge_is_told_once_when_a_full_buffer_empties() {
  Connection net(small_buffers());
  const int epoll = static_cast<int>(net.process.epoll_create1(0));
  epoll_event event{};
  event.events = EPOLLOUT | EPOLLET;
  net.process.epoll_ctl(epoll, EPOLL_CTL_ADD, net.client, &event);
  CHECK(net.process.epoll_wait(epoll, &event, 1, 0) == 1);
  net.process.write(net.client, bytes, sizeof bytes);
  CHECK(net.process.epoll_wait(epoll, &event, 1, 0) == 0);
  while (net.process.read(net.server, bytes, sizeof bytes) > 0) continue;
  CHECK(net.process.epoll_wait(epoll, &event, 1, 0) == 1);
  CHECK(net.process.epoll_wait(epoll, &event, 1, 0) == 0);
}

void a_syn_that_found_no_place_is_sent_again() {
  Connection net;
  CHECK(net.connect() == -EINPROGRESS);  // waits to be accepted
  const int second_client = net.client;
  CHECK(net.connect() == -EINPROGRESS);  // finds the queue full
  CHECK(net.ready(second_client) == POLLOUT);
  CHECK(net.ready(net.client) == 0);
  CHECK(net.process.accept4(net.listener, nullptr, nullptr, 0) >= 0);
  CHECK(net.machine.next_deadline() == net.machine.now() + second);
  net.machine.advance(second - 1);
  CHECK(net.ready(net.client) == 0);
  net.machine.advance(1);
  CHECK(net.ready(net.client) == POLLOUT);
}

void a_syn_that_is_never_answered_times_out() {
  Connection net;
  net.connect();
  net.connect();
  net.machine.advance(200 * second);
  CHECK(net.error_of(net.client) == ETIMEDOUT);
  CHECK(net.machine.next_deadline() == kernel::never);
}

void a_port_in_time_wait_is_taken_for_a_minute() {
  Connection net;
  sockaddr_in address{};
  socklen_t size = sizeof address;
  auto* const at = reinterpret_cast<sockaddr*>(&address);
  net.process.getsockname(net.server, at, &size);
  net.process.close(net.listener);
  net.process.close(net.server);  // the first to close: its end waits
  net.process.close(net.client);
  const int other = static_cast<int>(net.process.socket(AF_INET, SOCK_STREAM, 0));
  CHECK(net.process.bind(other, at, size) == -EADDRINUSE);
  net.machine.advance(60 * second);
  CHECK(net.process.bind(other, at, size) == 0);
}

void a_timer_counts_what_was_not_read() {
  Machine machine;
  Process process(machine, 3);
  const int timer = static_cast<int>(process.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
  const itimerspec value{{1, 0}, {2, 0}};
  uint64_t times = 0;
  CHECK(process.timerfd_settime(timer, 0, &value, nullptr) == 0);
  machine.advance(2 * second - 1);
  CHECK(process.read(timer, &times, sizeof times) == -EAGAIN);
  machine.advance(3 * second + 1);
  CHECK(process.read(timer, &times, sizeof times) == 8);
  CHECK(times == 4);
  itimerspec rest{};
  CHECK(process.timerfd_gettime(timer, &rest) == 0 && rest.it_value.tv_sec == 1);
}

void a_call_that_would_wait_says_so_and_does_nothing() {
  Machine machine;
  Process process(machine, 3);
  int pair[2];
  CHECK(process.socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  CHECK(process.read(pair[0], bytes, 1) == blocked);
  CHECK(process.recv(pair[0], bytes, 0, 0) == blocked);  // Linux waits for a byte here too
  CHECK(process.recv(pair[0], bytes, 1, MSG_DONTWAIT) == -EAGAIN);
  const int epoll = static_cast<int>(process.epoll_create1(0));
  epoll_event event{};
  CHECK(process.epoll_wait(epoll, &event, 1, -1) == blocked);
  CHECK(process.epoll_wait(epoll, &event, 1, 0) == 0);
}

void limits_have_their_own_errors() {
  Options options;
  options.descriptors = 5;
  Machine machine(options);
  Process process(machine, 3);
  int pair[2];
  CHECK(process.eventfd2(0, 0) == 3);
  CHECK(process.pipe2(pair, 0) == -EMFILE);
  CHECK(process.eventfd2(0, 0) == 4);
  CHECK(process.eventfd2(0, 0) == -EMFILE);
  CHECK(process.dup(3) == -EMFILE);
  options.files = 2;
  Machine crowded(options);
  Process first(crowded, 3);
  Process second_process(crowded, 3);
  CHECK(first.eventfd2(0, 0) == 3 && second_process.eventfd2(0, 0) == 3);
  CHECK(second_process.eventfd2(0, 0) == -ENFILE);
}

void the_world_may_refuse_or_give_less() {
  Asked no_file(Question::file, 1);
  Machine full(Options{}, &no_file);
  CHECK(Process(full, 3).socket(AF_INET, SOCK_STREAM, 0) == -ENFILE);
  Asked no_memory(Question::memory, 1);
  Machine poor(Options{}, &no_memory);
  CHECK(Process(poor, 3).socket(AF_INET, SOCK_STREAM, 0) == -ENOBUFS);
  Asked refused(Question::accept, 2);
  Connection net({}, &refused);
  CHECK(net.server == -ENOBUFS && net.ready(net.listener) == POLLIN);
  Asked short_read(Question::received, 1);
  Connection slow({}, &short_read);
  CHECK(slow.process.write(slow.client, bytes, 10) == 10);
  CHECK(slow.process.read(slow.server, bytes, 10) == 1);
  Asked short_write(Question::sent, 2);
  Connection half({}, &short_write);
  CHECK(half.process.write(half.client, bytes, 10) == 5);
}

void two_processes_share_a_connection() {
  Machine machine;
  Process server(machine, 0);
  Process client(machine, 0);
  const int listener = static_cast<int>(server.socket(AF_INET6, SOCK_STREAM, 0));
  CHECK(listener == 0 && server.listen(listener, 1) == 0);
  sockaddr_in6 address{};
  socklen_t size = sizeof address;
  auto* const at = reinterpret_cast<sockaddr*>(&address);
  server.getsockname(listener, at, &size);
  // An IPv6 listener for every address hears IPv4 too.
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = address.sin6_port;
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int socket = static_cast<int>(client.socket(AF_INET, SOCK_STREAM, 0));
  CHECK(socket == 0);
  CHECK(client.connect(socket, reinterpret_cast<const sockaddr*>(&v4), sizeof v4) == 0);
  size = sizeof address;
  const int accepted = static_cast<int>(server.accept4(listener, at, &size, 0));
  CHECK(accepted == 1 && IN6_IS_ADDR_V4MAPPED(&address.sin6_addr));
  CHECK(client.write(socket, "x", 1) == 1);
  CHECK(server.read(accepted, bytes, 2) == 1);
}

void what_is_not_simulated_says_so() {
  Connection net;
  msghdr message{};
  char control[64] = {};
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  CHECK(net.process.sendmsg(net.client, &message, 0) == unsimulated);
  CHECK(net.process.recv(net.client, bytes, 1, MSG_WAITALL) == unsimulated);
  CHECK(net.process.socket(AF_INET, SOCK_DGRAM, 0) == unsimulated);
  sockaddr nobody{};
  CHECK(net.process.connect(net.client, &nobody, sizeof nobody) == unsimulated);
  int pair[2];
  net.process.socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
  CHECK(net.process.send(pair[0], bytes, 1, MSG_OOB) == unsimulated);
  epoll_event event{};
  const int outer = static_cast<int>(net.process.epoll_create1(0));
  const int inner = static_cast<int>(net.process.epoll_create1(0));
  CHECK(net.process.epoll_ctl(outer, EPOLL_CTL_ADD, inner, &event) == unsimulated);
  // A connection to itself.
  const int self = static_cast<int>(net.process.socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  socklen_t size = sizeof address;
  auto* const at = reinterpret_cast<sockaddr*>(&address);
  net.process.bind(self, at, size);
  net.process.getsockname(self, at, &size);
  CHECK(net.process.connect(self, at, size) == unsimulated);
  // Another attempt of an IPv6 socket after one to IPv4, which Linux never forgets.
  const int v6 = static_cast<int>(net.process.socket(AF_INET6, SOCK_STREAM, 0));
  sockaddr_in6 mapped{};
  mapped.sin6_family = AF_INET6;
  mapped.sin6_port = htons(9);
  inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
  const auto* const to = reinterpret_cast<const sockaddr*>(&mapped);
  CHECK(net.process.connect(v6, to, sizeof mapped) == -ECONNREFUSED);
  CHECK(net.process.connect(v6, to, sizeof mapped) == unsimulated);
}

void names_that_the_kernel_chooses_are_free() {
  Machine machine;
  Process process(machine, 3);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  for (int i = 0; i < 2; ++i) {
    const int socket = static_cast<int>(process.socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK(process.bind(socket, reinterpret_cast<sockaddr*>(&name), sizeof name.sun_family) == 0);
    sockaddr_un bound{};
    socklen_t size = sizeof bound;
    process.getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &size);
    CHECK(size == 8 && bound.sun_path[0] == 0 && bound.sun_path[5] == '0' + i);
  }
}

constexpr Test tests[] = {
    {"room is told when a third is free", room_is_told_when_a_third_is_free},
    {"a window that was shut opens by a large piece",
     a_window_that_was_shut_opens_by_a_large_piece},
    {"the wire is instant", the_wire_is_instant},
    {"an edge is told once when a full buffer empties",
     an_edge_is_told_once_when_a_full_buffer_empties},
    {"a SYN that found no place is sent again", a_syn_that_found_no_place_is_sent_again},
    {"a SYN that is never answered times out", a_syn_that_is_never_answered_times_out},
    {"a port in TIME-WAIT is taken for a minute", a_port_in_time_wait_is_taken_for_a_minute},
    {"a timer counts what was not read", a_timer_counts_what_was_not_read},
    {"a call that would wait says so and does nothing",
     a_call_that_would_wait_says_so_and_does_nothing},
    {"limits have their own errors", limits_have_their_own_errors},
    {"the world may refuse or give less", the_world_may_refuse_or_give_less},
    {"two processes share a connection", two_processes_share_a_connection},
    {"what is not simulated says so", what_is_not_simulated_says_so},
    {"names that the kernel chooses are free", names_that_the_kernel_chooses_are_free},
};

}  // namespace

int main(int argc, char** argv) { return run_tests(tests, argc, argv); }
