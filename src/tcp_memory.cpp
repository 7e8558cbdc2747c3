#include "tcp_memory.hpp"

#include <unistd.h>

#include <array>
#include <fstream>

namespace echoproof {
namespace {

// The three numbers of such a file, or those given. tcp_mem is not to be seen inside a network
// namespace other than the first.
std::array<std::size_t, 3> read_three(const char* path, std::array<std::size_t, 3> otherwise) {
  std::array<std::size_t, 3> numbers{};
  std::ifstream file(path);
  for (std::size_t& number : numbers) {
    if (!(file >> number)) return otherwise;
  }
  return numbers;
}

}  // namespace

TcpMemory tcp_memory() {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const auto pages = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES));
  // Linux: pressure begins at a sixteenth of the memory.
  const auto all = read_three("/proc/sys/net/ipv4/tcp_mem", {0, pages / 16, 0});
  const auto receive = read_three("/proc/sys/net/ipv4/tcp_rmem", {0, 0, std::size_t{6} << 20});
  const auto send = read_three("/proc/sys/net/ipv4/tcp_wmem", {0, 0, std::size_t{4} << 20});
  // A third is left to clients on the same machine, to the backlog, and to other programs.
  return {.budget = all[1] / 3 * 2 * page, .tuned_socket = receive[2] + send[2]};
}

}  // namespace echoproof
