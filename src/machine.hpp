// What the machine allows a server: descriptors, and memory for its sockets.
#pragma once

#include <cstddef>
#include <string>

namespace echoproof {

// Descriptors that the limit of the process leaves for connections, when so many threads serve.
std::size_t descriptors_for_connections(std::size_t limit, std::size_t threads);

struct TcpMemory {
  std::size_t budget;        // bytes that the sockets of one server may use in all
  std::size_t tuned_socket;  // bytes that one socket may come to if the kernel sizes its buffers
};

// Read from the system. Where it does not say, Linux's own rule for its defaults takes the place.
TcpMemory tcp_memory();

// The limit on processes, or "unlimited".
std::string processes_limit();

}  // namespace echoproof
