// What an echo costs without a kernel: the core alone, the adapter and the core on uvsim, and a
// server of a few lines on uvsim, whose time is uvsim's own. The difference between the last two is
// what this server does for an echo. CPU time, with Google Benchmark; ci/bench puts it in its
// report.
#include <benchmark/benchmark.h>
#include <uv.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <functional>

#include "core/service.hpp"
#include "one_client.hpp"
#include "subjects/server_subject.hpp"
#include "uvsim/uvsim.hpp"

namespace {

constexpr std::size_t block_size = 65536;

constexpr echoproof::Limits limits{.connections = 4,
                                   .buffer_memory = 4 * block_size,
                                   .block_size = block_size,
                                   .kernel_memory = echoproof::KernelBudget::unlimited,
                                   .tuned_socket = 1,
                                   .idle = echoproof::Time(60'000),
                                   .write = echoproof::Time(60'000)};

// --- The core: the decisions, and nothing that carries them out. --------------------------------

void core(benchmark::State& state) {
  using enum echoproof::Event;
  echoproof::Service service(limits);
  echoproof::Connection connection;
  echoproof::Time now{};
  service.on_open(connection, now);
  for (auto _ : state) {
    ++now;
    benchmark::DoNotOptimize(service.read_buffer());
    benchmark::DoNotOptimize(service.on_data(connection, 64, now));
    benchmark::DoNotOptimize(service.on_wrote(connection, 64, now));
    benchmark::DoNotOptimize(service.next_due(now, now));
  }
  service.stop_at(now);
  service.next_due(now, now);
  service.on(connection, close_done, now);
}
BENCHMARK(core);

// --- Servers on uvsim. --------------------------------------------------------------------------

// So many that what a server takes to start and to end does not count.
constexpr std::size_t echoes_in_a_run = 10'000;

template <class Start>
void serve(benchmark::State& state, const Start& start, const std::function<void(int)>& tell = {}) {
  uvsim::Options options;
  options.max_steps = options.max_callbacks = options.max_turns = 100 * echoes_in_a_run;
  uvsim::Simulation simulation(options);
  for (auto _ : state) {
    harness::OneClient client(simulation, static_cast<std::size_t>(state.range(0)), echoes_in_a_run,
                              tell);
    const uvsim::Report& report = simulation.run(start);
    if (!report.ok() || client.echoes_left() != 0) state.SkipWithError(report.summary().c_str());
  }
  state.counters["per_echo"] = benchmark::Counter(
      static_cast<double>(echoes_in_a_run),
      benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void adapter_and_core(benchmark::State& state) {
  const subjects::ServerShape shape{.limits = limits, .drain = echoproof::Time(1000)};
  const harness::Subject subject = subjects::server_subject(shape);
  serve(state, [&] { return subject.start(); }, subject.tell);
}
BENCHMARK(adapter_and_core)->Arg(64)->Arg(1024)->Arg(65536);

// As little as can echo to one client: no limit, no check, no second client.
class Least {
 public:
  static int run() {
    Least server;
    sockaddr_in address;
    uv_loop_init(&server.loop_);
    server.loop_.data = &server;
    uv_ip4_addr("127.0.0.1", 7000, &address);
    uv_tcp_init(&server.loop_, &server.listener_);
    uv_tcp_bind(&server.listener_, reinterpret_cast<const sockaddr*>(&address), 0);
    uv_listen(stream(server.listener_), 8, on_connection);
    uv_signal_init(&server.loop_, &server.signal_);
    uv_signal_start(&server.signal_, on_signal, SIGTERM);
    uv_run(&server.loop_, UV_RUN_DEFAULT);
    return uv_loop_close(&server.loop_);
  }

 private:
  static Least& of(uv_handle_t* handle) { return *static_cast<Least*>(handle->loop->data); }
  static Least& of(uv_stream_t* handle) { return *static_cast<Least*>(handle->loop->data); }
  static uv_stream_t* stream(uv_tcp_t& tcp) { return reinterpret_cast<uv_stream_t*>(&tcp); }

  static void on_connection(uv_stream_t* listener, int) {
    Least& server = of(listener);
    uv_tcp_init(listener->loop, &server.client_);
    uv_accept(listener, stream(server.client_));
    uv_read_start(stream(server.client_), on_alloc, on_read);
  }
  static void on_alloc(uv_handle_t* handle, std::size_t, uv_buf_t* buf) {
    Least& server = of(handle);
    *buf = uv_buf_init(server.buffer_.data(), static_cast<unsigned>(server.buffer_.size()));
  }
  static void on_read(uv_stream_t* client, ssize_t size, const uv_buf_t* buf) {
    if (size > 0) {
      const uv_buf_t echo = uv_buf_init(buf->base, static_cast<unsigned>(size));
      uv_try_write(client, &echo, 1);
    }
    if (size < 0) uv_close(reinterpret_cast<uv_handle_t*>(client), nullptr);
  }
  static void on_signal(uv_signal_t* signal, int) {
    Least& server = of(reinterpret_cast<uv_handle_t*>(signal));
    uv_close(reinterpret_cast<uv_handle_t*>(&server.listener_), nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(signal), nullptr);
  }

  uv_loop_t loop_{};
  uv_tcp_t listener_{};
  uv_tcp_t client_{};
  uv_signal_t signal_{};
  std::array<char, block_size> buffer_{};
};

void least_server(benchmark::State& state) {
  serve(state, [] { return Least::run(); });
}
BENCHMARK(least_server)->Arg(64)->Arg(1024)->Arg(65536);

}  // namespace

BENCHMARK_MAIN();
