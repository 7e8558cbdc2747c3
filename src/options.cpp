#include "options.hpp"

#include <CLI/CLI.hpp>
#include <cmath>
#include <map>

#ifndef ECHOPROOF_VERSION
#define ECHOPROOF_VERSION "unknown"
#endif

namespace echoproof {
namespace {

constexpr const char* description =
    "Echo server (RFC 862): sends back to each TCP client what it receives, in bounded memory.\n"
    "SIGTERM or SIGINT drains, a second one ends at once, SIGUSR1 prints statistics on stdout.";

constexpr const char* exit_codes =
    "Sizes take K, M, G or KiB, MiB, GiB (1024). Times take ms, s, m or h; without a unit, "
    "seconds.\n"
    "Exit status: 0 ended as asked; 1 could not listen or start; 2 wrong usage; 3 memory or "
    "handles\n"
    "were not given back, which is a bug.";

// Seconds, as "10", "0.5", "500ms" or "2m".
const CLI::AsNumberWithUnit duration(
    std::map<std::string, double>{{"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}},
    CLI::AsNumberWithUnit::CASE_SENSITIVE, "TIME");

// A week: longer than any sensible limit, and far from where a sum of times could overflow.
constexpr double seconds_max = 7 * 24 * 3600;

Time milliseconds(double seconds) { return Time(std::llround(seconds * 1000)); }

}  // namespace

std::variant<Options, Exit> parse_options(int argc, const char* const* argv) {
  Options options;
  double idle = 300;
  double write = 30;
  double drain = 10;
  std::size_t connections = 0;
  int port = options.port;

  CLI::App app(description, "echo-server");
  app.footer(exit_codes);
  app.set_version_flag("--version", "echo-server " ECHOPROOF_VERSION);
  app.option_defaults()->always_capture_default()->multi_option_policy(
      CLI::MultiOptionPolicy::TakeLast);
  const CLI::AsSizeValue size(false);
  const CLI::Range block_sizes(std::size_t{1}, block_size_max);

  app.add_option("--host", options.host, "Numeric address to listen on; :: is IPv6 and IPv4");
  app.add_option("--port", port, "Port; 0 picks a free one")->check(CLI::Range(0, 65535));
  app.add_option("--backlog", options.backlog, "Clients that may wait in the kernel")
      ->check(CLI::Range(1, 65535));
  auto* const limit =
      app.add_option("--max-connections", connections, "Clients served at once; more wait")
          ->default_str("as descriptors allow")
          ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 30));
  app.add_option("--buffer-memory", options.buffer_memory, "Limit on memory for data")
      ->default_str("64MiB")
      ->transform(size);
  app.add_option("--block-size", options.block_size, "Most that one client may hold of it")
      ->default_str("64KiB")
      ->transform(size)
      ->check(block_sizes);
  app.add_option("--idle-timeout", idle, "Close a client that is silent this long; 0: never")
      ->transform(duration)
      ->check(CLI::Range(0.0, seconds_max));
  app.add_option("--write-timeout", write,
                 "Close a client that does not read for this long (at most a second while others "
                 "wait for memory)")
      ->transform(duration)
      ->check(CLI::Range(0.001, seconds_max));
  app.add_option("--drain-timeout", drain, "Give clients this long to end after SIGTERM")
      ->transform(duration)
      ->check(CLI::Range(0.0, seconds_max));
  app.add_option("--log-level", options.log_level, "What to log on stderr")
      ->check(CLI::IsMember({"debug", "info", "warning", "error", "off"}));

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return Exit{exit_ok, app.help()};
  } catch (const CLI::CallForVersion&) {
    return Exit{exit_ok, app.version()};
  } catch (const CLI::ParseError& error) {
    return Exit{exit_usage, error.what()};
  }

  if (options.buffer_memory < options.block_size) {
    return Exit{exit_usage, "--buffer-memory: " + std::to_string(options.buffer_memory) +
                                " is less than one block (--block-size " +
                                std::to_string(options.block_size) + ")"};
  }
  if (limit->count() > 0) options.max_connections = connections;
  options.port = static_cast<std::uint16_t>(port);
  options.idle_timeout = idle == 0 ? Time::max() : milliseconds(idle);
  options.write_timeout = milliseconds(write);
  options.drain_timeout = milliseconds(drain);
  return options;
}

}  // namespace echoproof
