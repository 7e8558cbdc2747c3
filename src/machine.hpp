// What the system allows a server: descriptors, memory for sockets, processes.
#pragma once

#include <cstddef>
#include <string>

namespace echoproof {

// How many descriptors are left for connections, of a process limit of `limit`, with `threads` that
// serve.
std::size_t descriptors_for_connections(std::size_t limit, std::size_t threads);

struct TcpMemory {
  std::size_t budget;        // bytes for all sockets of the program together
  std::size_t tuned_socket;  // the most bytes of one socket whose buffers the kernel sizes
};

// From /proc/sys/net/ipv4. A file that cannot be read is replaced by Linux's rule for its default.
TcpMemory tcp_memory();

// The limit on processes of the user, or "unlimited".
std::string processes_limit();

}  // namespace echoproof
