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
#include <bit>
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
    bool tuned = false;  // by the kernel
    // Else each of the two buffers is to be set to so many bytes. The kernel doubles them, and
    // takes up to a quarter more: see bench/README.
    int buffer() const { return static_cast<int>(bytes / 5); }
  };

  // `total` bytes for so many connections at once; `tuned_cost` is the most that a socket may come
  // to that is left to the kernel. REQUIRES: `least` for each of the connections fits.
  KernelBudget(std::size_t total, std::size_t connections, std::size_t tuned_cost)
      : total_(total), tuned_cost_(tuned_cost) {
    if (total == unlimited) return;
    ECHOPROOF_ASSERT(total / least >= connections);
    ECHOPROOF_ASSERT(tuned_cost >= 1);
    rest_ = total - least * connections;
    tuned_left_ = total / tuned_part / tuned_cost;
    tuned_left_ = std::min({tuned_left_, rest_ / tuned_cost, connections});
    rest_ -= tuned_left_ * tuned_cost;
  }

  // The receive buffer, in bytes, that a listener is to have for the next connection: what a client
  // sends before it is accepted goes into one of that size. 0: sized by the kernel.
  int listener_buffer() const {
    const Grant grant = next();
    return grant.tuned ? 0 : std::max(grant.buffer(), listener_least);
  }

  // For a new connection, of which there are never more than was said.
  Grant grant() {
    const Grant grant = next();
    granted_ += grant.bytes;
    if (total_ == unlimited) return grant;
    if (grant.tuned) {
      --tuned_left_;
    } else {
      rest_ -= grant.bytes - least;
    }
    return grant;
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
  // What the next connection is to be granted.
  Grant next() const {
    if (total_ == unlimited) return {.tuned = true};
    if (tuned_left_ > 0) return {.bytes = least + tuned_cost_, .tuned = true};
    const std::size_t times_little = std::bit_floor(rest_ / fraction / little);
    const std::size_t wanted = little * std::clamp(times_little, std::size_t{1}, little_max);
    return {.bytes = wanted - least <= rest_ ? wanted : least};
  }

  // An eighth of the budget at most for sockets that the kernel tunes.
  static constexpr std::size_t tuned_part = 8;
  static constexpr std::size_t fraction = 512;
  // With less than this a bulk transfer falls to a tenth, and more than eight times as much makes
  // none faster: see bench/README.
  static constexpr std::size_t little = std::size_t{80} << 10;
  static constexpr std::size_t little_max = 8;

  // With less, a crowd that sends comes in many small steps, and honest clients wait for its turn.
  static constexpr int listener_least = 32 << 10;

  std::size_t total_;
  std::size_t tuned_cost_;
  std::size_t rest_ = 0;  // beyond `least` for each connection that may be open
  std::size_t tuned_left_ = 0;
  std::size_t granted_ = 0;
};

}  // namespace echoproof
