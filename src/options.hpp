// The command line of echo-server. It knows nothing of libuv, opens nothing and prints nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "core/service.hpp"

namespace echoproof {

extern const char* const version;

enum ExitCode : int { exit_ok = 0, exit_runtime = 1, exit_usage = 2, exit_ledger = 3 };

struct Options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 7000;
  int backlog = 4096;
  std::size_t threads = 1;
  std::optional<std::size_t> max_connections;         // absent: as many as the system allows
  std::size_t buffer_memory = std::size_t{64} << 20;  // bytes
  std::optional<std::size_t> kernel_memory;           // bytes; absent: as the system allows
  std::size_t block_size = std::size_t{64} << 10;     // bytes
  Time idle_timeout{300'000};                         // Time::max(): no limit
  Time write_timeout{30'000};
  Time drain_timeout{10'000};
  std::string log_level = "info";
};

// The program prints `text` and exits with `code`: on stdout if the code is exit_ok, else on
// stderr.
struct Exit {
  ExitCode code;
  std::string text;
};

std::variant<Options, Exit> parse_options(int argc, const char* const* argv);

}  // namespace echoproof
