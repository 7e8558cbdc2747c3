#include "options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#ifndef ECHOPROOF_VERSION
#define ECHOPROOF_VERSION "unknown"
#endif

namespace echoproof {

const char* const version = ECHOPROOF_VERSION;

namespace {

constexpr const char* description =
    "Echo server (RFC 862): sends back to each TCP client what it receives, in bounded memory.\n"
    "SIGTERM, SIGINT or SIGHUP drains, a second one ends at once, SIGUSR1 prints statistics on\n"
    "stdout. SIGHUP drains too because there is no configuration to read again, and a terminal\n"
    "that was closed is an end.";

constexpr const char* footer =
    "Numbers are decimal. Sizes take K, M, G or KiB, MiB, GiB (1024). Times take ms, s, m or h;\n"
    "without a unit, seconds; and a fraction.\n"
    "Exit status: 0 ended as asked; 1 could not listen or start; 2 wrong usage; 3 memory or "
    "handles\n"
    "were not given back, which is a bug.";

constexpr std::size_t threads_max = 256;
constexpr std::size_t connections_max = std::size_t{1} << 30;
constexpr std::size_t size_max = std::size_t{1} << 62;

// A week. No sum of such times overflows.
constexpr double seconds_max = 7 * 24 * 3600;

// The factor of each unit. A number without a unit has the factor of "".
template <class Number>
using Units = std::map<std::string_view, Number>;

// The value of `text`, a decimal number with a unit. Nothing if it is none, or not within `min` to
// `max`. Every number of the command line is read here.
template <class Number>
std::optional<Number> amount(std::string_view text, const Units<Number>& units, Number min,
                             Number max) {
  // std::from_chars also takes "-1", ".5" and "inf".
  if (text.empty() || text.front() < '0' || text.front() > '9') return {};
  Number value{};
  std::from_chars_result read{};
  if constexpr (std::is_integral_v<Number>) {
    read = std::from_chars(text.begin(), text.end(), value);
  } else {
    read = std::from_chars(text.begin(), text.end(), value, std::chars_format::fixed);
  }
  const auto unit = units.find({read.ptr, text.end()});
  if (read.ec != std::errc() || unit == units.end() || value > max / unit->second) return {};
  value *= unit->second;
  return value >= min ? std::optional(value) : std::nullopt;
}

// Readers: each makes a function from text to a value within bounds, or nothing.

auto whole(std::size_t min, std::size_t max) {
  return [=](std::string_view text) { return amount<std::size_t>(text, {{"", 1}}, min, max); };
}

auto size(std::size_t max) {
  return [=](std::string_view text) {
    constexpr std::size_t kibi = 1024;
    static const Units<std::size_t> units{
        {"", 1},       {"K", kibi},          {"M", kibi * kibi},         {"G", kibi * kibi * kibi},
        {"KiB", kibi}, {"MiB", kibi * kibi}, {"GiB", kibi * kibi * kibi}};
    return amount<std::size_t>(text, units, 1, max);
  };
}

auto time(double min_seconds) {
  return [=](std::string_view text) -> std::optional<Time> {
    static const Units<double> units{{"", 1}, {"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}};
    const auto seconds = amount<double>(text, units, min_seconds, seconds_max);
    if (!seconds) return {};
    return Time(static_cast<Time::rep>(std::ceil(*seconds * 1000)));
  };
}

// Adds an option that sets `value` to what `read` makes of the text. The error message shows the
// text.
template <class Value, class Read>
void add(CLI::App& app, const std::string& name, const char* type, const char* standard,
         Value& value, Read read, const char* what, const char* help) {
  const auto take = [=, &value](const std::string& text) {
    const auto found = read(text);
    if (!found) throw CLI::ValidationError(name, "'" + text + "' is not " + what);
    value = static_cast<Value>(*found);  // NOLINT(bugprone-optional-value-conversion)
  };
  app.add_option_function<std::string>(name, take, help)->type_name(type)->default_str(standard);
}

void declare_limits(CLI::App& app, Options& options) {
  add(app, "--threads", "N", "1", options.threads, whole(1, threads_max), "a number from 1 to 256",
      "Threads that serve, each with a share of the limits");
  add(app, "--max-connections", "N", "as descriptors and memory allow", options.max_connections,
      whole(1, connections_max), "a number from 1 to 1073741824",
      "Clients served at once; more wait");
  add(app, "--buffer-memory", "SIZE", "64MiB", options.buffer_memory, size(size_max),
      "a size such as 64MiB", "Limit on memory for data");
  add(app, "--kernel-memory", "SIZE", "as the system allows", options.kernel_memory, size(size_max),
      "a size such as 512MiB", "Limit on memory that the kernel may keep for all sockets");
  add(app, "--block-size", "SIZE", "64KiB", options.block_size, size(block_size_max),
      "a size from 1 to 1GiB", "Most that one client may hold of --buffer-memory");
}

void declare_times(CLI::App& app, Options& options) {
  add(app, "--idle-timeout", "TIME", "300s", options.idle_timeout, time(0),
      "a time from 0 to a week",
      "Close a client after this long without data, if it is owed nothing; may fire 1/16 late; 0 "
      "disables it");
  add(app, "--write-timeout", "TIME", "30s", options.write_timeout, time(0.001),
      "a time from 1ms to a week",
      "Reset a client that takes nothing of its echo for this long; may fire 1/8 late");
  add(app, "--drain-timeout", "TIME", "10s", options.drain_timeout, time(0),
      "a time from 0 to a week", "Give clients this long to end after SIGTERM");
}

// Checks whether the values go together. Each is within its own bounds already.
std::variant<Options, Exit> check(const CLI::App& app, Options options) {
  const auto typed = [&app](const char* name) {
    return std::string(name) + ": '" + app[name]->as<std::string>() + "'";
  };
  const std::string each =
      options.threads > 1 ? " for each of --threads " + std::to_string(options.threads) : "";
  if (options.buffer_memory / options.threads < options.block_size) {
    return Exit{exit_usage,
                typed("--buffer-memory") + " is less than one " + typed("--block-size") + each};
  }
  if (Layout::connections_max(options.buffer_memory / options.threads, options.block_size) == 0) {
    return Exit{exit_usage, typed("--buffer-memory") + " is too little for one connection" + each};
  }
  if (options.kernel_memory.value_or(KernelBudget::unlimited) / options.threads <
      KernelBudget::least) {
    return Exit{exit_usage, typed("--kernel-memory") + " is less than " +
                                std::to_string(KernelBudget::least) + " bytes" + each};
  }
  if (options.max_connections.value_or(options.threads) < options.threads) {
    return Exit{exit_usage, typed("--max-connections") + " is less than one" + each};
  }
  if (options.idle_timeout == Time(0)) options.idle_timeout = Time::max();
  return options;
}

}  // namespace

std::variant<Options, Exit> parse_options(int argc, const char* const* argv) {
  Options options;
  CLI::App app(description, "echo-server");
  app.footer(footer);
  app.set_version_flag("--version", "echo-server " ECHOPROOF_VERSION);
  app.option_defaults()->always_capture_default()->multi_option_policy(
      CLI::MultiOptionPolicy::TakeLast);
  app.add_option("--host", options.host, "Numeric address to listen on; :: is IPv6 and IPv4");
  add(app, "--port", "N", "7000", options.port, whole(0, 65535), "a number from 0 to 65535",
      "Port; 0 picks a free one");
  add(app, "--backlog", "N", "4096", options.backlog, whole(1, 65535), "a number from 1 to 65535",
      "Clients that may wait in the kernel");
  declare_limits(app, options);
  declare_times(app, options);
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
  return check(app, options);
}

}  // namespace echoproof
