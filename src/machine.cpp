#include "machine.hpp"

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <vector>

namespace echoproof {
namespace {

// Descriptors beside those of connections: loop, listener, libuv's spare, a parked client, and some
// room. And those of each further thread.
constexpr std::size_t own_descriptors = 24;
constexpr std::size_t thread_descriptors = 10;

// How many descriptors below `limit` are open. poll() tells, also without /proc. It looks at the
// first million at most.
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

// The three numbers in a file, or `otherwise`. tcp_mem is not visible in every network namespace.
std::array<std::size_t, 3> read_three(const char* path, std::array<std::size_t, 3> otherwise) {
  std::array<std::size_t, 3> numbers{};
  std::ifstream file(path);
  for (std::size_t& number : numbers) {
    if (!(file >> number)) return otherwise;
  }
  return numbers;
}

}  // namespace

std::size_t descriptors_for_connections(std::size_t limit, std::size_t threads) {
  const std::size_t own =
      descriptors_in_use(limit) + own_descriptors + (threads - 1) * thread_descriptors;
  return limit > own ? limit - own : 0;
}

TcpMemory tcp_memory() {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const auto pages = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES));
  // Linux: pressure begins at a sixteenth of the memory.
  const auto all = read_three("/proc/sys/net/ipv4/tcp_mem", {0, pages / 16, 0});
  const auto receive = read_three("/proc/sys/net/ipv4/tcp_rmem", {0, 0, std::size_t{6} << 20});
  const auto send = read_three("/proc/sys/net/ipv4/tcp_wmem", {0, 0, std::size_t{4} << 20});
  // A third is left for clients on this machine, for the backlog, and for other programs.
  return {.budget = all[1] / 3 * 2 * page, .tuned_socket = receive[2] + send[2]};
}

std::string processes_limit() {
  rlimit limit{};
  const bool limited = getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  return limited ? std::to_string(limit.rlim_cur) : "unlimited";
}

}  // namespace echoproof
