// How much memory the kernel may use for the sockets of all connections, and who was given how
// much of it.
//
// What a connection's client does not take lies in the kernel, in the socket's two buffers. Left to
// itself the kernel lets each grow to megabytes, and a crowd that never reads uses up the TCP
// memory of the machine. So a connection is granted a part of the budget when it is accepted, and
// the sizes of its buffers follow from that. The first few are left to the kernel's own tuning, and
// are counted at the most that it may come to. Each later one gets a fixed fraction of what is
// left, so the first hundreds have buffers that are as fast as large ones; `least` is set aside for
// every connection that may still come.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "core/assert.hpp"

namespace echoproof {

class KernelBudget {
 public:
  // Bytes for sockets that are not to be bounded.
  static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();
  // What a connection is granted when nothing else is left, in bytes: a bulk transfer crawls.
  static constexpr std::size_t least = std::size_t{24} << 10;

  // A part of the budget; it is its holder's until it is given back. None: 0 bytes.
  struct Grant {
    std::size_t bytes = 0;
    bool tuned = false;  // by the kernel; else set the buffers to these sizes, which it doubles:
    int receive_buffer() const { return static_cast<int>(bytes / 4); }
    int send_buffer() const { return static_cast<int>(bytes / 4); }
  };

  // `total` bytes for so many connections at once; `tuned_cost` is the most that a socket may come
  // to that is left to the kernel. REQUIRES: `least` for each of the connections fits.
  KernelBudget(std::size_t total, std::size_t connections, std::size_t tuned_cost)
      : total_(total), tuned_cost_(tuned_cost) {
    if (total == unlimited) return;
    ECHOPROOF_ASSERT(total / least >= connections);
    rest_ = total - least * connections;
    tuned_left_ = total / tuned_part / tuned_cost;
    tuned_left_ = std::min({tuned_left_, rest_ / tuned_cost, connections});
    rest_ -= tuned_left_ * tuned_cost;
  }

  // For a new connection, of which there are never more than was said.
  Grant grant() {
    if (total_ == unlimited) return {.tuned = true};
    if (tuned_left_ > 0) {
      --tuned_left_;
      granted_ += least + tuned_cost_;
      return {.bytes = least + tuned_cost_, .tuned = true};
    }
    const std::size_t wanted = std::clamp(rest_ / fraction, little - least, plenty - least);
    const std::size_t beyond = wanted <= rest_ ? wanted : 0;
    rest_ -= beyond;
    granted_ += least + beyond;
    return {.bytes = least + beyond};
  }

  void give_back(const Grant& grant) {
    if (total_ == unlimited) return;
    ECHOPROOF_ASSERT(granted_ >= grant.bytes);
    ECHOPROOF_ASSERT(grant.bytes >= least);
    granted_ -= grant.bytes;
    if (grant.tuned) {
      ++tuned_left_;
    } else {
      rest_ += grant.bytes - least;
    }
  }

  std::size_t total() const { return total_; }
  std::size_t granted() const { return granted_; }

 private:
  // An eighth of the budget at most for sockets that the kernel tunes.
  static constexpr std::size_t tuned_part = 8;
  static constexpr std::size_t fraction = 1024;
  // With less than this a bulk transfer falls to a tenth and below: see bench/README.
  static constexpr std::size_t little = std::size_t{64} << 10;
  // More makes no transfer faster, and slower from here on: see bench/README.
  static constexpr std::size_t plenty = std::size_t{768} << 10;

  std::size_t total_;
  std::size_t tuned_cost_;
  std::size_t rest_ = 0;  // beyond `least` for each connection that may be open
  std::size_t tuned_left_ = 0;
  std::size_t granted_ = 0;
};

}  // namespace echoproof
