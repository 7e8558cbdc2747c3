// How long a run takes, and whether the millionth takes longer or needs more memory than the first.
// Not a test: the figures are of the machine, and of a moment. Build without a sanitizer.
//
//   uvsim_speed [RUNS]
#include <sys/resource.h>
#include <uv.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <uvsim/uvsim.hpp>
#include <vector>

namespace {

constexpr int rounds = 8;  // of ping and pong, six callbacks each

uv_tcp_t server;
uv_tcp_t client;
uv_tcp_t peer;
uv_connect_t connect_request;
uv_write_t ping;
uv_write_t pong;
char buffer[64];
int left;

template <class Handle>
uv_stream_t* stream(Handle* handle) {
  return reinterpret_cast<uv_stream_t*>(handle);
}

template <class Handle>
void close_handle(Handle* handle) {
  uv_close(reinterpret_cast<uv_handle_t*>(handle), [](uv_handle_t*) {});
}

void send_four(uv_write_t* request, uv_stream_t* to) {
  static char text[] = "four";
  const uv_buf_t buf = uv_buf_init(text, 4);
  uv_write(request, to, &buf, 1, [](uv_write_t*, int) {});
}

void on_alloc(uv_handle_t*, size_t, uv_buf_t* buf) { *buf = uv_buf_init(buffer, sizeof buffer); }

void on_ping(uv_stream_t* from, ssize_t count, const uv_buf_t*) {
  if (count > 0) send_four(&pong, from);
  if (count < 0) close_handle(&peer);
}

void on_pong(uv_stream_t* from, ssize_t, const uv_buf_t*) {
  if (--left > 0) {
    send_four(&ping, from);
    return;
  }
  close_handle(&client);
  close_handle(&server);
}

void on_connection(uv_stream_t* listener, int) {
  uv_tcp_init(listener->loop, &peer);
  uv_accept(listener, stream(&peer));
  uv_read_start(stream(&peer), on_alloc, on_ping);
}

void on_connect(uv_connect_t* request, int) {
  uv_read_start(request->handle, on_alloc, on_pong);
  send_four(&ping, request->handle);
}

int play_ping_pong() {
  uv_loop_t loop;
  sockaddr_in address;
  left = rounds;
  uv_loop_init(&loop);
  uv_ip4_addr("127.0.0.1", 7000, &address);
  const auto* const to = reinterpret_cast<const sockaddr*>(&address);
  uv_tcp_init(&loop, &server);
  uv_tcp_bind(&server, to, 0);
  uv_listen(stream(&server), 8, on_connection);
  uv_tcp_init(&loop, &client);
  uv_tcp_connect(&connect_request, &client, to, on_connect);
  uv_run(&loop, UV_RUN_DEFAULT);
  return uv_loop_close(&loop);
}

// Kilobytes.
long peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

// Microseconds of processor time: others that use the machine do not count.
double processor_time() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

}  // namespace

int main(int argc, char** argv) {
  constexpr long batch = 10'000;
  const long runs = argc > 1 ? std::strtol(argv[1], nullptr, 10) : 1'000'000;
  uvsim::Simulation simulation;
  std::vector<double> per_run;
  long memory_at_first = 0;
  for (long done = 0; done < runs; done += batch) {
    const double begun = processor_time();
    for (long i = 0; i < batch; ++i) {
      const uvsim::Report& report = simulation.run(play_ping_pong);
      if (report.ok() && report.finished && report.result == 0) continue;
      std::fputs(report.summary().c_str(), stderr);
      return 1;
    }
    per_run.push_back((processor_time() - begun) / static_cast<double>(batch));
    if (done == 0) memory_at_first = peak_memory();
  }
  if (per_run.empty()) return 2;
  const auto callbacks = static_cast<double>(simulation.report().callbacks);
  std::vector<double> sorted = per_run;
  std::sort(sorted.begin(), sorted.end());
  const double median = sorted[sorted.size() / 2];
  std::printf("%.0f callbacks in %.2f us (median of %zu batches of %ld runs): 50 in %.2f us\n",
              callbacks, median, per_run.size(), batch, median * 50 / callbacks);
  std::printf("first batch %.2f us per run, last %.2f us\n", per_run.front(), per_run.back());
  std::printf("peak memory after the first batch %ld KiB, after %ld runs %ld KiB\n",
              memory_at_first, runs, peak_memory());
  return 0;
}
