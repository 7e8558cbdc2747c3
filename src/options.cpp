#include "options.hpp"

#include <CLI/CLI.hpp>
#include <cmath>
#include <map>
#include <optional>
#include <string>

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

constexpr std::size_t threads_max = 256;

// A week: longer than any sensible limit, and far from where a sum of times could overflow.
constexpr double seconds_max = 7 * 24 * 3600;

// Seconds, as "10", "0.5", "500ms" or "2m".
const CLI::AsNumberWithUnit duration(
    std::map<std::string, double>{{"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}},
    CLI::AsNumberWithUnit::CASE_SENSITIVE, "TIME");
const CLI::AsSizeValue size(false);

// What `text` amounts to in the smallest unit, bytes or seconds; nothing if it is no such number.
std::optional<double> amount(const CLI::Validator& unit, std::string text) {
  double value = 0;
  try {
    if (unit(text).empty() && CLI::detail::lexical_cast(text, value)) return value;
    return {};
  } catch (const CLI::ValidationError&) {  // no such unit, or more than can be counted
    return {};
  }
}

// A check of the value as it was typed, so that the complaint can show it.
CLI::Validator within(const CLI::Validator& unit, double min, double max, const char* what) {
  const auto check = [=](const std::string& text) -> std::string {
    const std::optional<double> value = amount(unit, text);
    return value >= min && value <= max ? "" : "'" + text + "' is not " + what;
  };
  return {check, "", "within"};
}

std::size_t bytes_of(const std::string& text) {
  return static_cast<std::size_t>(amount(size, text).value());
}

Time time_of(const std::string& text) {
  return Time(static_cast<Time::rep>(std::ceil(amount(duration, text).value() * 1000)));
}

// What was typed, where it is not yet what the program needs.
struct Typed {
  std::string memory = "64MiB";
  std::string block = "64KiB";
  std::string idle = "300s";
  std::string write = "30s";
  std::string drain = "10s";
  std::size_t connections = 0;  // not given
  int port = Options().port;
};

void declare_limits(CLI::App& app, Options& options, Typed& typed) {
  const CLI::Validator any_size = within(size, 1, 0x1p62, "a size such as 64MiB");
  const CLI::Validator block_size =
      within(size, 1, static_cast<double>(block_size_max), "a size from 1 to 1GiB");

  app.add_option("--threads", options.threads,
                 "Threads that serve, each with a share of the limits")
      ->check(CLI::Range(std::size_t{1}, threads_max));
  app.add_option("--max-connections", typed.connections, "Clients served at once; more wait")
      ->default_str("as descriptors allow")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 30));
  app.add_option("--buffer-memory", typed.memory, "Limit on memory for data")
      ->type_name("SIZE")
      ->check(any_size);
  app.add_option("--block-size", typed.block, "Most that one client may hold of it")
      ->type_name("SIZE")
      ->check(block_size);
}

void declare_times(CLI::App& app, Typed& typed) {
  const CLI::Validator time = within(duration, 0, seconds_max, "a time from 0 to a week");
  const CLI::Validator some_time =
      within(duration, 0.001, seconds_max, "a time from 1ms to a week");

  app.add_option("--idle-timeout", typed.idle, "Close a client that is silent this long; 0: never")
      ->type_name("TIME")
      ->check(time);
  app.add_option("--write-timeout", typed.write,
                 "Close a client that does not read for this long (at most a second while others "
                 "wait for memory)")
      ->type_name("TIME")
      ->check(some_time);
  app.add_option("--drain-timeout", typed.drain, "Give clients this long to end after SIGTERM")
      ->type_name("TIME")
      ->check(time);
}

// Each value is within its own bounds; whether they go together is checked here.
std::variant<Options, Exit> convert(Options options, const Typed& typed) {
  options.port = static_cast<std::uint16_t>(typed.port);
  if (typed.connections > 0) options.max_connections = typed.connections;
  options.buffer_memory = bytes_of(typed.memory);
  options.block_size = bytes_of(typed.block);
  options.idle_timeout = time_of(typed.idle) == Time(0) ? Time::max() : time_of(typed.idle);
  options.write_timeout = time_of(typed.write);
  options.drain_timeout = time_of(typed.drain);
  const std::string each =
      options.threads > 1 ? " for each of --threads " + std::to_string(options.threads) : "";
  if (options.buffer_memory / options.threads < options.block_size) {
    return Exit{exit_usage, "--buffer-memory: '" + typed.memory +
                                "' is less than one --block-size, '" + typed.block + "'" + each};
  }
  if (options.max_connections.value_or(options.threads) < options.threads) {
    return Exit{exit_usage, "--max-connections: '" + std::to_string(typed.connections) +
                                "' is less than one" + each};
  }
  return options;
}

}  // namespace

std::variant<Options, Exit> parse_options(int argc, const char* const* argv) {
  Options options;
  Typed typed;
  CLI::App app(description, "echo-server");
  app.footer(exit_codes);
  app.set_version_flag("--version", "echo-server " ECHOPROOF_VERSION);
  app.option_defaults()->always_capture_default()->multi_option_policy(
      CLI::MultiOptionPolicy::TakeLast);
  app.add_option("--host", options.host, "Numeric address to listen on; :: is IPv6 and IPv4");
  app.add_option("--port", typed.port, "Port; 0 picks a free one")->check(CLI::Range(0, 65535));
  app.add_option("--backlog", options.backlog, "Clients that may wait in the kernel")
      ->check(CLI::Range(1, 65535));
  declare_limits(app, options, typed);
  declare_times(app, typed);
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
  return convert(options, typed);
}

}  // namespace echoproof
