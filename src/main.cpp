// echo-server: limits, messages and the exit status. Program does the serving; this file holds what
// a process owes to its operator.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <ctime>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <system_error>

#include "lines.hpp"
#include "machine.hpp"
#include "options.hpp"
#include "program.hpp"
#include "signals.hpp"
#include "uv/address.hpp"

namespace echoproof {
namespace {

// --- Messages. ----------------------------------------------------------------------------------

constexpr std::array<std::string_view, 3> severities{"debug", "info", "warning"};

// The lowest severity that is logged. "error" and "off" log none.
std::size_t log_level = 0;

template <class... Values>
void log_line(Severity severity, fmt::format_string<const Values&...> form,
              const Values&... values) {
  const auto level = static_cast<std::size_t>(severity);
  if (level < log_level) return;
  std::array<char, 512> text{};
  fmt::format_to_n(text.data(), text.size() - 1, form, values...);
  timespec now{};
  static_cast<void>(clock_gettime(CLOCK_REALTIME, &now));  // cannot fail
  tm local{};
  std::array<char, 32> time{};
  if (localtime_r(&now.tv_sec, &local) != nullptr) {
    static_cast<void>(std::strftime(time.data(), time.size(), "%Y-%m-%dT%H:%M:%S", &local));
  }
  constexpr long ns_per_ms = 1'000'000;
  errors.print("{}.{:03} {} {}", time.data(), now.tv_nsec / ns_per_ms, severities[level],
               text.data());
}

void log(Severity severity, const char* what, int status) {
  if (status == 0) {
    log_line(severity, "{}", what);
  } else {
    log_line(severity, "{}: {} ({})", what, uv_strerror(status), uv_err_name(status));
  }
}

constexpr std::array<std::string_view, reason_count> reasons{
    "eof", "reset", "idle", "write limit", "drain", "refused", "error"};

void log_ended(const Ended& ended) {
  const bool known = ended.client.ss_family != AF_UNSPEC;
  log_line(Severity::debug, "closed {} port {}: {}; {} bytes echoed, {} ms old",
           known ? host_of(ended.client) : "?", known ? port_of(ended.client) : 0,
           reasons[static_cast<std::size_t>(ended.reason)], ended.bytes_echoed, ended.age.count());
}

template <class... Values>
int fail(ExitCode code, fmt::format_string<const Values&...> form, const Values&... values) {
  errors.print("echo-server: {}", fmt::format(form, values...));
  return code;
}

// Where uptime begins.
const std::uint64_t started_ns = uv_hrtime();

void print_statistics(Lines& stream, const Statistics& all) {
  constexpr std::uint64_t ns_per_second = 1'000'000'000;
  const auto& closed = all.closed;
  stream.print(
      R"({{"event":"statistics","version":"{}","uptime":{},"connections":{},"waiting":{},)"
      R"("connections_peak":{},"connections_max":{},"accepted":{},"turned_away":{},)"
      R"("closed":{{"eof":{},"reset":{},"idle":{},"write_limit":{},"drain":{},"refused":{},)"
      R"("error":{}}},"blocks_lent":{},"blocks":{},"large_blocks_lent":{},"large_blocks":{},)"
      R"("kernel_memory_granted":{},"kernel_memory":{},"listener_failures":{},)"
      R"("bytes_echoed":{},"lines_dropped":{}}})",
      version, (uv_hrtime() - started_ns) / ns_per_second, all.connections, all.waiting,
      all.connections_peak, all.connections_max, all.connections_accepted,
      all.connections_turned_away, closed[0], closed[1], closed[2], closed[3], closed[4], closed[5],
      closed[6], all.blocks_lent, all.blocks, all.large_blocks_lent, all.large_blocks,
      all.kernel_memory_granted, all.kernel_memory, all.listener_failures, all.bytes_echoed,
      output.dropped() + errors.dropped());
}

void print_ledger(const Ledger& ledger) {
  errors.print(R"({{"event":"ledger","sessions":{{"acquired":{},"released":{}}},)"
               R"("blocks":{{"acquired":{},"released":{}}},"outstanding":{}}})",
               ledger.sessions_acquired, ledger.sessions_released, ledger.blocks_acquired,
               ledger.blocks_released, ledger.outstanding());
}

// Prints a text of several lines on stdout. Returns the exit status.
int print_text(std::string_view text) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (const int error = output.print("{}", line); error != 0) {
      return fail(exit_runtime, "cannot write to stdout: {}",
                  uv_strerror(uv_translate_sys_error(error)));
    }
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return exit_ok;
}

// --- Standard streams. --------------------------------------------------------------------------

// Opens those of the descriptors 0, 1 and 2 that are closed. Otherwise a socket could get one of
// them, and a client would read our log.
bool open_standard_streams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDWR) != fd) return false;
  }
  return true;
}

// --- The service. -------------------------------------------------------------------------------

// What bounds the connections.
struct Bound {
  std::size_t connections;
  const char* set_by;
};

void log_start(const sockaddr_storage& address, const Limits& limits, const Statistics& all,
               const Bound& bound) {
  log_line(Severity::info, "listening on {} port {}", host_of(address), port_of(address));
  log_line(Severity::info,
           "limits: {} connections, by {}; {} small blocks, {} large ones of {} bytes; {} MiB of "
           "kernel memory for sockets",
           limits.connections, bound.set_by, all.blocks - all.large_blocks, all.large_blocks,
           limits.block_size, limits.kernel_memory >> 20);
}

// Serves until the end; returns the exit status.
int run(Program& program, const Limits& limits, const Statistics& at_start, const Bound& bound) {
  {
    const Signals signals(program);
    const sockaddr_storage& address = program.address();
    const int error = output.print(R"({{"event":"listening","address":"{}","port":{}}})",
                                   host_of(address), port_of(address));
    if (error != 0) {
      return fail(exit_runtime, "cannot write the ready line to stdout: {}",
                  uv_strerror(uv_translate_sys_error(error)));
    }
    log_start(address, limits, at_start, bound);
    program.run();
  }
  const bool clean = program.finish();
  if (!clean) fail(exit_ledger, "libuv still has handles or requests");
  const Ledger ledger = program.ledger();
  print_statistics(errors, program.statistics());
  print_ledger(ledger);
  return clean && ledger.outstanding() == 0 ? exit_ok : exit_ledger;
}

int serve(const Options& options) {
  sockaddr_storage address{};
  if (!parse_address(options.host, options.port, address)) {
    return fail(exit_usage, "--host: '{}' is not a numeric address", options.host);
  }
  rlimit descriptors{};
  if (getrlimit(RLIMIT_NOFILE, &descriptors) != 0) return exit_runtime;
  const TcpMemory tcp = tcp_memory();
  const std::size_t kernel_memory = options.kernel_memory.value_or(tcp.budget);
  // Each of these bounds the number of connections. The least one holds, and the log names it.
  const std::array<Bound, 4> bounds{{
      {options.max_connections.value_or(std::numeric_limits<std::size_t>::max()),
       "--max-connections"},
      {descriptors_for_connections(descriptors.rlim_cur, options.threads),
       "the descriptor limit (ulimit -n)"},
      {options.threads *
           Layout::connections_max(options.buffer_memory / options.threads, options.block_size),
       "--buffer-memory"},
      {options.threads * (kernel_memory / options.threads / KernelBudget::least),
       "--kernel-memory, the memory that sockets may use"},
  }};
  const Bound bound = std::ranges::min(bounds, {}, &Bound::connections);
  if (bound.connections < options.threads) {
    return fail(exit_runtime, "there is no connection for each thread; raise {}", bound.set_by);
  }
  const Limits limits{.connections = bound.connections,
                      .buffer_memory = options.buffer_memory,
                      .block_size = options.block_size,
                      .kernel_memory = kernel_memory,
                      .tuned_socket = tcp.tuned_socket,
                      .idle = options.idle_timeout,
                      .write = options.write_timeout};
  Log to(log);
  if (log_level == 0) to.ended = log_ended;
  std::unique_ptr<Program> program;
  try {
    program = std::make_unique<Program>(
        options, limits, to, [](const Statistics& all) { print_statistics(output, all); });
  } catch (const std::bad_alloc&) {
    return fail(exit_runtime, "--buffer-memory: {} bytes are not to be had", options.buffer_memory);
  }
  const Statistics at_start = program->statistics();
  try {
    if (const int status = program->start(address); status != 0) {
      return fail(exit_runtime, "cannot serve on --host {} --port {}: {} ({})", options.host,
                  options.port, uv_strerror(status), uv_err_name(status));
    }
    if (limits.connections < options.max_connections.value_or(0)) {
      log_line(Severity::warning, "--max-connections {} lowered to {}: {} allows no more",
               *options.max_connections, limits.connections, bound.set_by);
    }
    return run(*program, limits, at_start, bound);
  } catch (const std::system_error& error) {
    const int status = uv_translate_sys_error(error.code().value());
    return fail(exit_runtime,
                "--threads {}: a thread cannot be started: {} ({}); the limit on processes "
                "(ulimit -u) is {}",
                options.threads, uv_strerror(status), uv_err_name(status), processes_limit());
  }
}

int main(int argc, char** argv) {
  Signals::block();  // again, because a test host may have changed the mask since the constructor
  // A stream without a reader and a file at its size limit are errors of one write (R21).
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

// Runs before main() and before the constructors of global objects.
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
