// echo-server: options, limits, what is said and when, exit status. What serves is the Program;
// here is what a process owes to its operator.
#include <fcntl.h>
#include <fmt/chrono.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "lines.hpp"
#include "options.hpp"
#include "program.hpp"
#include "signals.hpp"
#include "uv/address.hpp"

namespace echoproof {
namespace {

// Descriptors of our own beside the connections: loop, listener, libuv's spare, a parked client,
// and some room; and what each further thread needs.
constexpr std::size_t own_descriptors = 24;
constexpr std::size_t thread_descriptors = 10;

// How long a queued echo may hold its block while other clients wait for one.
constexpr Time write_timeout_contended{1000};

// --- What is said. ------------------------------------------------------------------------------

constexpr std::array<std::string_view, 3> severities{"debug", "info", "warning"};

// The first that is logged; beyond the last: nothing is.
std::size_t log_level = 0;

template <class... Values>
void log_line(Severity severity, fmt::format_string<const Values&...> form,
              const Values&... values) {
  const auto level = static_cast<std::size_t>(severity);
  if (level < log_level) return;
  std::array<char, 512> text{};
  fmt::format_to_n(text.data(), text.size() - 1, form, values...);
  const auto now = std::chrono::system_clock::now();
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(now.time_since_epoch()).count();
  errors.print("{:%Y-%m-%dT%H:%M:%S}.{:03} {} {}",
               fmt::localtime(std::chrono::system_clock::to_time_t(now)), ms % 1000,
               severities[level], text.data());
}

void log(Severity severity, const char* what, int status) {
  if (status == 0) {
    log_line(severity, "{}", what);
  } else {
    log_line(severity, "{}: {} ({})", what, uv_strerror(status), uv_err_name(status));
  }
}

template <class... Values>
int fail(ExitCode code, fmt::format_string<const Values&...> form, const Values&... values) {
  errors.print("echo-server: {}", fmt::format(form, values...));
  return code;
}

// Since when uptime counts.
const std::uint64_t started_ns = uv_hrtime();

void print_statistics(Lines& stream, const Statistics& all) {
  constexpr std::uint64_t ns_per_second = 1'000'000'000;
  stream.print(
      R"({{"event":"statistics","version":"{}","uptime":{},"connections":{},"blocks_lent":{},)"
      R"("blocks":{},"accepted":{},"turned_away":{},"listener_failures":{},"bytes_echoed":{},)"
      R"("lines_dropped":{}}})",
      version, (uv_hrtime() - started_ns) / ns_per_second, all.connections, all.blocks_lent,
      all.blocks, all.connections_accepted, all.connections_turned_away, all.listener_failures,
      all.bytes_echoed, output.dropped() + errors.dropped());
}

void print_ledger(const Ledger& ledger) {
  errors.print(R"({{"event":"ledger","sessions":{{"acquired":{},"released":{}}},)"
               R"("blocks":{{"acquired":{},"released":{}}},"outstanding":{}}})",
               ledger.sessions_acquired, ledger.sessions_released, ledger.blocks_acquired,
               ledger.blocks_released, ledger.outstanding());
}

// A text of several lines, on stdout.
int print_text(std::string_view text) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (const int error = output.print("{}", line); error != 0) {
      return fail(exit_runtime, "cannot write to stdout: {}", std::strerror(error));
    }
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return exit_ok;
}

// --- What is there. -----------------------------------------------------------------------------

// A descriptor 0, 1 or 2 that is not open would be given to a socket, and a client would read our
// log.
bool open_standard_streams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDWR) != fd) return false;
  }
  return true;
}

// How many descriptors below `limit` are open, as poll() tells without /proc. Nobody who was
// started with more than a million has hidden one behind them.
std::size_t descriptors_in_use(std::size_t limit) {
  constexpr std::size_t at_once = 1024;
  const std::size_t end = std::min(limit, std::size_t{1} << 20);
  std::size_t in_use = 0;
  std::vector<pollfd> some;
  for (std::size_t begin = 0; begin < end; begin += some.size()) {
    some.clear();
    for (std::size_t fd = begin; fd < std::min(begin + at_once, end); ++fd) {
      some.push_back({.fd = static_cast<int>(fd), .events = 0, .revents = 0});
    }
    if (poll(some.data(), some.size(), 0) < 0) return limit;
    in_use += static_cast<std::size_t>(std::ranges::count_if(
        some, [](const pollfd& each) { return (each.revents & POLLNVAL) == 0; }));
  }
  return in_use;
}

// How many connections the descriptor limit leaves room for.
std::size_t connections_possible(std::size_t descriptors, std::size_t threads) {
  const std::size_t own =
      descriptors_in_use(descriptors) + own_descriptors + (threads - 1) * thread_descriptors;
  return descriptors > own ? descriptors - own : 0;
}

// --- The service. -------------------------------------------------------------------------------

// What came of the limits that the operator set.
struct Setup {
  Limits limits;
  std::uint64_t blocks;
  std::size_t descriptors;
};

void log_start(const Setup& setup, const sockaddr_storage& address) {
  log_line(Severity::info, "listening on {} port {}", host_of(address), port_of(address));
  log_line(Severity::info, "limits: {} connections, {} blocks of {} bytes, {} descriptors",
           setup.limits.connections, setup.blocks, setup.limits.block_size, setup.descriptors);
}

// Serves until the end; returns the exit status.
int run(Program& program, const Setup& setup) {
  {
    const Signals signals(program);
    const sockaddr_storage& address = program.address();
    const int error = output.print(R"({{"event":"listening","address":"{}","port":{}}})",
                                   host_of(address), port_of(address));
    if (error != 0) {
      return fail(exit_runtime, "cannot write the ready line to stdout: {}", std::strerror(error));
    }
    log_start(setup, address);
    program.run();
  }
  const bool clean = program.finish();
  if (!clean) fail(exit_ledger, "libuv still has handles or requests");
  const Ledger ledger = program.ledger();
  print_statistics(errors, program.statistics());
  print_ledger(ledger);
  return clean && ledger.outstanding() == 0 ? exit_ok : exit_ledger;
}

// The process limit of that name, or "unlimited".
std::string processes_limit() {
  rlimit limit{};
  const bool limited = getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  return limited ? std::to_string(limit.rlim_cur) : "unlimited";
}

int serve(const Options& options) {
  sockaddr_storage address{};
  if (!parse_address(options.host, options.port, address)) {
    return fail(exit_usage, "--host: '{}' is not a numeric address", options.host);
  }
  rlimit descriptors{};
  if (getrlimit(RLIMIT_NOFILE, &descriptors) != 0) return exit_runtime;
  const std::size_t possible = connections_possible(descriptors.rlim_cur, options.threads);
  if (possible < options.threads) {
    return fail(exit_runtime,
                "no descriptor is left for a connection; raise the limit (ulimit -n)");
  }
  const Limits limits{.connections = std::min(options.max_connections.value_or(possible), possible),
                      .buffer_memory = options.buffer_memory,
                      .block_size = options.block_size,
                      .idle = options.idle_timeout,
                      .write = options.write_timeout,
                      .write_contended = write_timeout_contended};
  std::unique_ptr<Program> program;
  try {
    program = std::make_unique<Program>(
        options, limits, log, [](const Statistics& all) { print_statistics(output, all); });
  } catch (const std::bad_alloc&) {
    return fail(exit_runtime, "--buffer-memory: {} bytes are not to be had", options.buffer_memory);
  }
  const Setup setup{limits, program->statistics().blocks, descriptors.rlim_cur};
  try {
    if (const int status = program->start(address); status != 0) {
      return fail(exit_runtime, "cannot serve on --host {} --port {}: {} ({})", options.host,
                  options.port, uv_strerror(status), uv_err_name(status));
    }
    if (limits.connections < options.max_connections.value_or(0)) {
      log_line(
          Severity::warning,
          "--max-connections {} lowered to {}: the descriptor limit (ulimit -n) allows no more",
          *options.max_connections, limits.connections);
    }
    return run(*program, setup);
  } catch (const std::system_error& error) {
    const int status = uv_translate_sys_error(error.code().value());
    return fail(exit_runtime,
                "--threads {}: a thread cannot be started: {} ({}); the limit on processes "
                "(ulimit -u) is {}",
                options.threads, uv_strerror(status), uv_err_name(status), processes_limit());
  }
}

int main(int argc, char** argv) {
  Signals::block();  // again: within a host, it may have changed what the constructor did
  // Who reads no more, and a file that may not grow, are errors of one write and end nothing (R21).
  for (const int ignored : {SIGPIPE, SIGXFSZ}) {
    if (std::signal(ignored, SIG_IGN) == SIG_ERR) return exit_runtime;
  }
  if (!open_standard_streams()) return exit_runtime;
  output.open();
  errors.open();
  const auto parsed = parse_options(argc, argv);
  if (const auto* const exit = std::get_if<Exit>(&parsed)) {
    return exit->code == exit_ok ? print_text(exit->text) : fail(exit->code, "{}", exit->text);
  }
  const Options& options = std::get<Options>(parsed);
  const auto* const level = std::ranges::find(severities, std::string_view(options.log_level));
  log_level = static_cast<std::size_t>(level - severities.begin());
  return serve(options);
}

// Before main(), and before the C++ objects of any file are made.
__attribute__((constructor(101))) void block_signals() { Signals::block(); }

}  // namespace
}  // namespace echoproof

int main(int argc, char** argv) {
  try {
    return echoproof::main(argc, argv);
  } catch (const std::exception& error) {
    return echoproof::fail(echoproof::exit_runtime, "{}", error.what());
  }
}
