// What the system says of the memory that its sockets may use.
#pragma once

#include <cstddef>

namespace echoproof {

struct TcpMemory {
  std::size_t budget;        // bytes that the sockets of one server may use in all
  std::size_t tuned_socket;  // bytes that one socket may come to if the kernel sizes its buffers
};

// Read from the system. Where it does not say, Linux's own rule for its defaults takes the place.
TcpMemory tcp_memory();

}  // namespace echoproof
