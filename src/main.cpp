// echo-server: options, log, limits, exit status. What serves is the Program; here is what a
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
#include "print.hpp"
#include "program.hpp"
#include "tcp_memory.hpp"
#include "uv/address.hpp"

namespace echoproof {
namespace {

// Descriptors of our own beside the connections: loop, signals, listener, libuv's spare, a parked
// client, and some room; and what each further thread needs.
constexpr std::size_t own_descriptors = 24;
constexpr std::size_t thread_descriptors = 10;

void log(Severity severity, const char* what, int status) {
  constexpr std::array levels{spdlog::level::debug, spdlog::level::info, spdlog::level::warn};
  const auto level = levels[static_cast<std::size_t>(severity)];
  if (status == 0) {
    spdlog::log(level, "{}", what);
  } else {
    spdlog::log(level, "{}: {} ({})", what, uv_strerror(status), uv_err_name(status));
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
std::size_t connections_possible(std::size_t threads) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  std::error_code error;
  const std::filesystem::directory_iterator descriptors("/proc/self/fd", error);
  const auto in_use = static_cast<std::size_t>(std::distance(begin(descriptors), end(descriptors)));
  const std::size_t own = in_use + own_descriptors + (threads - 1) * thread_descriptors;
  return limit.rlim_cur > own ? limit.rlim_cur - own : 0;
}

void print_ledger(const Ledger& ledger) {
  print(stderr,
        R"({{"event":"ledger","sessions":{{"acquired":{},"released":{}}},)"
        R"("blocks":{{"acquired":{},"released":{}}},"outstanding":{}}})",
        ledger.sessions_acquired, ledger.sessions_released, ledger.blocks_acquired,
        ledger.blocks_released, ledger.outstanding());
}

// Serves until the end; returns the exit status.
int run(Program& program) {
  const std::string host = host_of(program.address());
  const unsigned port = port_of(program.address());
  spdlog::info("listening on {} port {}", host, port);
  print(stdout, R"({{"event":"listening","address":"{}","port":{}}})", host, port);
  program.run();
  const bool clean = program.finish();
  if (!clean) spdlog::error("libuv still has handles or requests");
  const Ledger ledger = program.ledger();
  print_ledger(ledger);
  return clean && ledger.outstanding() == 0 ? exit_ok : exit_ledger;
}

int serve(const Options& options) {
  sockaddr_storage address{};
  if (!parse_address(options.host, options.port, address)) {
    return fail(exit_usage, "--host: '{}' is not a numeric address", options.host);
  }
  const std::size_t possible = connections_possible(options.threads);
  if (possible < options.threads) {
    return fail(exit_runtime,
                "no descriptor is left for a connection; raise the limit (ulimit -n)");
  }
  const TcpMemory tcp = tcp_memory();
  const std::size_t each = options.buffer_memory / options.threads;
  const std::size_t connections =
      std::min({options.max_connections.value_or(possible), possible,
                options.threads * Layout::connections_max(each, options.block_size),
                tcp.budget / KernelBudget::least});
  const Limits limits{.connections = connections,
                      .buffer_memory = options.buffer_memory,
                      .block_size = options.block_size,
                      .kernel_memory = tcp.budget,
                      .tuned_socket = tcp.tuned_socket,
                      .idle = options.idle_timeout,
                      .write = options.write_timeout};
  std::unique_ptr<Program> program;
  try {
    program = std::make_unique<Program>(options, limits, log);
  } catch (const std::bad_alloc&) {
    return fail(exit_runtime, "--buffer-memory: {} bytes are not to be had", options.buffer_memory);
  }
  if (const int status = program->start(address); status != 0) {
    program->finish();
    return fail(exit_runtime, "cannot serve on --host {} --port {}: {} ({})", options.host,
                options.port, uv_strerror(status), uv_err_name(status));
  }
  if (connections < options.max_connections.value_or(0)) {
    spdlog::warn(
        "--max-connections {} lowered to {}: the descriptor limit (ulimit -n) allows no more",
        *options.max_connections, connections);
  }
  return run(*program);
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
  spdlog::set_default_logger(spdlog::stderr_logger_mt("echo-server"));
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
