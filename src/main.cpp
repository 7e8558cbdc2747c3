// echo-server: options, signals, log, exit status. What serves is the Server; here is what a
// process owes to its operator.
#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <memory>
#include <new>
#include <string>

#include "options.hpp"
#include "uv/address.hpp"
#include "uv/server.hpp"

namespace echoproof {
namespace {

// Descriptors of our own beside the connections: loop, signals, listener, libuv's spare, a parked
// client, and some room.
constexpr std::size_t own_descriptors = 24;

// How long a queued echo may hold its block while other clients wait for one.
constexpr Time write_timeout_contended{1000};

void log(Severity severity, const char* what, int status) {
  constexpr std::array levels{spdlog::level::debug, spdlog::level::info, spdlog::level::warn};
  const auto level = levels[static_cast<std::size_t>(severity)];
  if (status == 0) {
    spdlog::log(level, "{}", what);
  } else {
    spdlog::log(level, "{}: {} ({})", what, uv_strerror(status), uv_err_name(status));
  }
}

// One whole line. It allocates nothing as long as it is short, and that nobody reads it is no
// error.
template <class... Values>
void print(std::FILE* stream, fmt::format_string<const Values&...> form, const Values&... values) {
  fmt::memory_buffer line;
  fmt::format_to(std::back_inserter(line), form, values...);
  line.push_back('\n');
  if (std::fwrite(line.data(), 1, line.size(), stream) != line.size() || std::fflush(stream) != 0) {
    std::clearerr(stream);
  }
}

// One line, whatever a value holds.
template <class... Values>
int fail(ExitCode code, fmt::format_string<const Values&...> form, const Values&... values) {
  std::string what = fmt::format(form, values...);
  std::replace_if(what.begin(), what.end(), [](unsigned char c) { return c < ' '; }, '?');
  print(stderr, "echo-server: {}", what);
  return code;
}

// A descriptor 0, 1 or 2 that is not open would be given to a socket, and a client would read our
// log.
bool open_standard_streams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDWR) != fd) return false;
  }
  return true;
}

// How many connections the descriptor limit leaves room for.
std::size_t connections_possible() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  std::error_code error;
  const std::filesystem::directory_iterator descriptors("/proc/self/fd", error);
  const auto in_use = static_cast<std::size_t>(std::distance(begin(descriptors), end(descriptors)));
  return limit.rlim_cur > in_use + own_descriptors ? limit.rlim_cur - in_use - own_descriptors : 0;
}

class Program {
 public:
  Program(const Options& options, const Limits& limits) : options_(options), server_(limits, log) {}

  // 0, or the libuv error code for which the program cannot start.
  int start(const sockaddr_storage& address);
  // Serves until the end; returns the exit status.
  int run();
  // Gives everything back, also after start() failed. Whether libuv had nothing left.
  bool finish();

 private:
  static void on_signal(uv_signal_t* handle, int number) noexcept;
  void print_statistics() const;
  void print_ledger() const;

  const Options& options_;
  Server server_;
  uv_loop_t loop_{};
  std::array<uv_signal_t, 3> signals_{};
  std::size_t signals_open_ = 0;
  bool loop_open_ = false;
  bool draining_ = false;
};

int Program::start(const sockaddr_storage& address) {
  int status = uv_loop_init(&loop_);
  if (status != 0) return status;
  loop_open_ = true;
  for (const int number : {SIGTERM, SIGINT, SIGUSR1}) {
    uv_signal_t& handle = signals_[signals_open_];
    status = uv_signal_init(&loop_, &handle);
    if (status != 0) return status;
    ++signals_open_;
    handle.data = this;
    status = uv_signal_start(&handle, on_signal, number);
    if (status != 0) return status;
    uv_unref(reinterpret_cast<uv_handle_t*>(&handle));  // the loop ends with the server
  }
  return server_.listen(loop_, address, options_.backlog);
}

int Program::run() {
  const std::string host = host_of(server_.address());
  const unsigned port = port_of(server_.address());
  spdlog::info("listening on {} port {}", host, port);
  print(stdout, R"({{"event":"listening","address":"{}","port":{}}})", host, port);
  uv_run(&loop_, UV_RUN_DEFAULT);
  const bool clean = finish();
  if (!clean) spdlog::error("libuv still has handles or requests");
  print_ledger();
  return clean && server_.ledger().outstanding() == 0 ? exit_ok : exit_ledger;
}

bool Program::finish() {
  if (!loop_open_) return true;
  server_.close();
  for (std::size_t i = 0; i < signals_open_; ++i) {
    uv_close(reinterpret_cast<uv_handle_t*>(&signals_[i]), nullptr);
  }
  signals_open_ = 0;
  const bool idle = uv_run(&loop_, UV_RUN_DEFAULT) == 0;
  loop_open_ = false;
  return uv_loop_close(&loop_) == 0 && idle;
}

void Program::on_signal(uv_signal_t* handle, int number) noexcept {
  Program& program = *static_cast<Program*>(handle->data);
  if (number == SIGUSR1) return program.print_statistics();
  if (program.draining_) {
    spdlog::info("second signal: ending at once");
    return program.server_.drain(Time(0));
  }
  program.draining_ = true;
  spdlog::info("draining, for at most {} ms", program.options_.drain_timeout.count());
  program.server_.drain(program.options_.drain_timeout);
}

void Program::print_statistics() const {
  const Statistics s = server_.statistics();
  print(stdout,
        R"({{"event":"statistics","connections":{},"waiting":{},"blocks_lent":{},"blocks":{},)"
        R"("accepted":{},"turned_away":{},"listener_failures":{},"bytes_echoed":{}}})",
        s.connections, s.waiting, s.blocks_lent, s.blocks, s.connections_accepted,
        s.connections_turned_away, s.listener_failures, s.bytes_echoed);
}

void Program::print_ledger() const {
  const Ledger ledger = server_.ledger();
  print(stderr,
        R"({{"event":"ledger","sessions":{{"acquired":{},"released":{}}},)"
        R"("blocks":{{"acquired":{},"released":{}}},"outstanding":{}}})",
        ledger.sessions_acquired, ledger.sessions_released, ledger.blocks_acquired,
        ledger.blocks_released, ledger.outstanding());
}

int serve(const Options& options) {
  sockaddr_storage address{};
  if (!parse_address(options.host, options.port, address)) {
    return fail(exit_usage, "--host: '{}' is not a numeric address", options.host);
  }
  const std::size_t possible = connections_possible();
  if (possible == 0) {
    return fail(exit_runtime,
                "no descriptor is left for a connection; raise the limit (ulimit -n)");
  }
  const std::size_t connections = std::min(options.max_connections.value_or(possible), possible);
  const Limits limits{.connections = connections,
                      .buffer_memory = options.buffer_memory,
                      .block_size = options.block_size,
                      .idle = options.idle_timeout,
                      .write = options.write_timeout,
                      .write_contended = write_timeout_contended};
  std::unique_ptr<Program> program;
  try {
    program = std::make_unique<Program>(options, limits);
  } catch (const std::bad_alloc&) {
    return fail(exit_runtime, "--buffer-memory: {} bytes are not to be had", options.buffer_memory);
  }
  if (const int status = program->start(address); status != 0) {
    program->finish();
    return fail(exit_runtime, "cannot listen on --host {} --port {}: {} ({})", options.host,
                options.port, uv_strerror(status), uv_err_name(status));
  }
  if (connections < options.max_connections.value_or(0)) {
    spdlog::warn(
        "--max-connections {} lowered to {}: the descriptor limit (ulimit -n) allows no more",
        *options.max_connections, connections);
  }
  return program->run();
}

int main(int argc, char** argv) {
  if (!open_standard_streams()) return exit_runtime;
  const auto parsed = parse_options(argc, argv);
  if (const auto* const exit = std::get_if<Exit>(&parsed)) {
    if (exit->code != exit_ok) return fail(exit->code, "{}", exit->text);
    print(stdout, "{}", exit->text);
    return exit_ok;
  }
  const Options& options = std::get<Options>(parsed);
  spdlog::set_default_logger(spdlog::stderr_logger_st("echo-server"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
  spdlog::set_level(spdlog::level::from_str(options.log_level));
  if (std::signal(SIGPIPE, SIG_IGN) == SIG_ERR) return fail(exit_runtime, "cannot ignore SIGPIPE");
  return serve(options);
}

}  // namespace
}  // namespace echoproof

int main(int argc, char** argv) {
  try {
    return echoproof::main(argc, argv);
  } catch (const std::exception& error) {
    return echoproof::fail(echoproof::exit_runtime, "{}", error.what());
  }
}
