// A server that does everything right, in thousands of random worlds: no rule is broken, nothing is
// leaked, every run repeats exactly, and memory does not grow. A program of its own, so that it
// also runs where GoogleTest cannot.
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "check.hpp"
#include "uvsim/ledger.hpp"
#include "uvsim/uvsim.hpp"

namespace {

using namespace uvsim;

// ---- The subject: one buffer and one write per connection
// ----------------------------------------

struct Connection {
  uv_tcp_t tcp;
  uv_write_t write;
  uv_shutdown_t shutdown;
  char bytes[64];
};

void freed(uv_handle_t* handle) { std::free(handle); }

void end(Connection* connection) {
  auto* const handle = reinterpret_cast<uv_handle_t*>(&connection->tcp);
  if (uv_is_closing(handle) == 0) uv_close(handle, freed);
}

void on_alloc(uv_handle_t* handle, size_t, uv_buf_t* buf) {
  auto* const connection = reinterpret_cast<Connection*>(handle);
  *buf = uv_buf_init(connection->bytes, sizeof connection->bytes);
}

void on_read(uv_stream_t* stream, ssize_t nread, const uv_buf_t* buf);

void on_write(uv_write_t* req, int status) {
  auto* const connection = static_cast<Connection*>(req->data);
  uv_stream_t* const stream = req->handle;
  if (uv_is_closing(reinterpret_cast<uv_handle_t*>(stream)) != 0) return;
  if (status != 0 || uv_read_start(stream, on_alloc, on_read) != 0) end(connection);
}

void on_read(uv_stream_t* stream, ssize_t nread, const uv_buf_t* buf) {
  auto* const connection = reinterpret_cast<Connection*>(stream);
  if (nread == 0) return;
  uv_read_stop(stream);
  if (nread == UV_EOF) {
    const auto shut = [](uv_shutdown_t* req, int) {
      end(reinterpret_cast<Connection*>(req->handle));
    };
    if (uv_shutdown(&connection->shutdown, stream, shut) != 0) end(connection);
    return;
  }
  const uv_buf_t answer = uv_buf_init(buf->base, static_cast<unsigned>(nread));
  connection->write.data = connection;
  if (nread < 0 || uv_write(&connection->write, stream, &answer, 1, on_write) != 0) end(connection);
}

void on_connection(uv_stream_t* server, int status) {
  if (status != 0) return;
  auto* const connection = static_cast<Connection*>(std::calloc(1, sizeof(Connection)));
  if (uv_tcp_init(server->loop, &connection->tcp) != 0) {
    std::free(connection);
    uv_close(reinterpret_cast<uv_handle_t*>(server), nullptr);
    return;
  }
  auto* const stream = reinterpret_cast<uv_stream_t*>(&connection->tcp);
  if (uv_accept(server, stream) != 0 || uv_read_start(stream, on_alloc, on_read) != 0)
    end(connection);
}

void close_each(uv_handle_t* handle, void*) {
  if (uv_is_closing(handle) != 0) return;
  const bool is_connection = handle->type == UV_TCP &&
                             reinterpret_cast<uv_stream_t*>(handle)->connection_cb == nullptr &&
                             handle->data == nullptr;
  uv_close(handle, is_connection ? freed : nullptr);
}

int finish(uv_loop_t* loop) {
  uv_walk(loop, close_each, nullptr);
  uv_run(loop, UV_RUN_DEFAULT);
  return uv_loop_close(loop);
}

int serve() {
  uv_loop_t loop;
  uv_tcp_t server;
  uv_signal_t stop;
  if (uv_loop_init(&loop) != 0) return 0;
  sockaddr_in address;
  uv_ip4_addr("127.0.0.1", 7000, &address);
  if (uv_tcp_init(&loop, &server) == 0) {
    server.data = &loop;
    if (uv_tcp_bind(&server, reinterpret_cast<sockaddr*>(&address), 0) == 0 &&
        uv_listen(reinterpret_cast<uv_stream_t*>(&server), 4, on_connection) == 0 &&
        uv_signal_init(&loop, &stop) == 0 &&
        uv_signal_start(&stop, [](uv_signal_t* s, int) { uv_stop(s->loop); }, SIGINT) == 0)
      uv_run(&loop, UV_RUN_DEFAULT);
  }
  return finish(&loop);
}

// ---- The Hook
// -----------------------------------------------------------------------------------

class Hook {
 public:
  explicit Hook(Choices& choices) : choices_(choices) {}

  Progress play(Network& network, Wait wait) {
    if (++steps_ > 40) {
      if (!wait.ready && network.signal(SIGINT)) return Progress::made;
      return Progress::nothing;
    }
    const auto pick = [this](uint32_t n) { return choices_.pick(n, ChoicePoint::detail) % n; };
    if (network.listeners() > 0 && network.peers() < 3 && pick(2) == 0) {
      network.connect(size_t{0});
      return Progress::made;
    }
    if (network.peers() == 0) return Progress::nothing;
    const Peer peer{1 + pick(static_cast<uint32_t>(network.peers()))};
    char bytes[100] = {};
    switch (pick(8)) {
      case 0:
      case 1:
      case 2: network.send(peer, bytes, 1 + pick(99)); break;
      case 3:
      case 4: network.read(peer, bytes, sizeof bytes); break;
      case 5: network.half_close(peer); break;
      case 6: network.close(peer); break;
      default: network.reset(peer); break;
    }
    return Progress::made;
  }

 private:
  Choices& choices_;
  int steps_ = 0;
};

struct Outcome {
  uint64_t hash;
  uint64_t steps;
};

Outcome run(Simulation& simulation, uint64_t seed) {
  Random choices(seed, 200);
  Hook hook(choices);
  simulation.options().version = seed % 2 == 0 ? Version::v1_44 : Version::v1_52;
  simulation.on_poll([&](Network& network, Wait wait) { return hook.play(network, wait); });
  const Report& report = simulation.run(choices, serve);
  if (!report.ok()) {
    std::fprintf(stderr, "seed %llu: %s%s", static_cast<unsigned long long>(seed),
                 report.summary().c_str(), simulation.trace_text().c_str());
  }
  CHECK(report.ok());
  CHECK(!report.finished || report.result == 0);
  return {report.trace_hash, report.steps};
}

void every_random_world_is_survived_and_repeats() {
  Simulation simulation;
  simulation.options().check_sigpipe = false;
  simulation.options().trace_events = 4096;
  for (uint64_t seed = 0; seed < 20'000; ++seed) {
    const Outcome first = run(simulation, seed);
    const Outcome second = run(simulation, seed);
    CHECK(first.hash == second.hash);
    CHECK(first.steps == second.steps);
  }
}

// libFuzzer asks in such a handler how long the run has lasted.
time_t time_in_handler;
uint64_t allocations_in_handler;

void on_alarm(int) {
  time_in_handler = std::time(nullptr);
  const uint64_t before = ledger::totals().allocations;
  std::free(std::malloc(16));
  allocations_in_handler = ledger::totals().allocations - before;
}

void a_signal_handler_of_the_driver_is_outside_the_program() {
  std::signal(SIGALRM, on_alarm);
  const time_t before = std::time(nullptr);
  Simulation simulation;
  time_t virtual_time = 0;
  const Report& report = simulation.run([&] {
    virtual_time = std::time(nullptr);
    // From outside: to raise it would be the program's own end.
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGALRM);
    return 0;
  });
  CHECK(report.ok());
  CHECK(virtual_time < before);
  CHECK(time_in_handler >= before);
  CHECK(allocations_in_handler == 0);
  std::signal(SIGALRM, SIG_DFL);
}

}  // namespace

int main(int argc, char** argv) {
  const Test tests[] = {
      // Before all others: what has a handler at the first run is the driver's.
      {"a signal handler of the driver is outside the program",
       a_signal_handler_of_the_driver_is_outside_the_program},
      {"every random hook is survived and repeats", every_random_world_is_survived_and_repeats},
  };
  return run_tests(tests, argc, argv);
}
