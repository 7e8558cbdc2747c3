// The memory that the kernel may use for all sockets, and the part that each connection is granted.
//
// Bytes that a client does not take lie in the kernel, in the two buffers of the socket. The kernel
// lets each buffer grow to megabytes, so a crowd that never reads would use up the TCP memory of
// the machine. Therefore each connection is granted a part of one budget when it is accepted, and
// the sizes of its buffers follow from the grant. The kernel tunes the buffers of the first few
// connections; each of these counts as the most that it may come to. A later connection gets a
// fixed fraction of what is left, so hundreds have buffers that are as fast as large ones. `least`
// bytes are set aside for every connection that may still come.
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
  // A budget without a bound.
  static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();
  // The receive buffer, in bytes, that a connection has before it is accepted. The kernel tells its
  // client so. No grant makes a receive buffer smaller: Linux drops what a client then sends beyond
  // the smaller buffer, with the acknowledgements in it. So an echo could wait for ever.
  static constexpr int promised = 8 << 10;
  // Bytes that a connection is granted when nothing else is left. Bulk transfers are slow then.
  static constexpr std::size_t least = std::size_t{30} << 10;

  // A part of the budget. The connection holds it until give_back().
  struct Grant {
    std::size_t bytes = 0;
    bool tuned = false;  // the kernel sizes the buffers
    // If not tuned: the bytes to set the two buffers to. The kernel doubles them, and takes up to a
    // quarter more: see bench/README.
    int receive_buffer() const { return std::max(promised, half()); }
    int send_buffer() const { return bytes > least ? half() : least_send; }

   private:
    int half() const { return static_cast<int>(bytes / 5); }
  };

  // `total` bytes for `connections` at once. `tuned_cost` is the most bytes that a socket can come
  // to that the kernel tunes. REQUIRES: total >= least * connections, tuned_cost >= 1.
  KernelBudget(std::size_t total, std::size_t connections, std::size_t tuned_cost)
      : total_(total), tuned_cost_(tuned_cost) {
    if (total == unlimited) return;
    ECHOPROOF_ASSERT(total / least >= connections);
    ECHOPROOF_ASSERT(tuned_cost >= 1);
    rest_ = total - least * connections;
    tuned_left_ = std::max(total / tuned_part / tuned_cost, std::size_t{1});
    tuned_left_ = std::min({tuned_left_, rest_ / tuned_cost, connections});
    rest_ -= tuned_left_ * tuned_cost;
  }

  // For a new connection. REQUIRES: fewer grants are held than the budget's connections.
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
  // The grant of the next connection.
  Grant next() const {
    if (total_ == unlimited) return {.tuned = true};
    if (tuned_left_ > 0) return {.bytes = least + tuned_cost_, .tuned = true};
    const std::size_t times_little = std::bit_floor(rest_ / fraction / little);
    const std::size_t wanted = little * std::clamp(times_little, std::size_t{1}, little_max);
    return {.bytes = wanted - least <= rest_ ? wanted : least};
  }

  // Sockets that the kernel tunes get at most an eighth of the budget, or one gets what it may
  // need.
  static constexpr std::size_t tuned_part = 8;
  static constexpr std::size_t fraction = 512;
  // With fewer bytes than `little` a bulk transfer falls to a tenth of its speed. More than eight
  // times as many make none faster: see bench/README.
  static constexpr std::size_t little = std::size_t{80} << 10;
  static constexpr std::size_t little_max = 8;
  static constexpr int least_send = 4
                                    << 10;  // bytes of the send buffer of a connection with `least`

  std::size_t total_;
  std::size_t tuned_cost_;
  std::size_t rest_ = 0;        // bytes beyond `least` for each connection that may be open
  std::size_t tuned_left_ = 0;  // connections that the kernel may still tune
  std::size_t granted_ = 0;
};

}  // namespace echoproof
