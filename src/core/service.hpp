// The echo service (RFC 862) without a socket: all connections, the blocks and the kernel memory
// that they share, and the time limits they run against. Every decision of the server is made here.
//
// Memory. What is read goes into one scratch buffer and is written at once. What the kernel does
// not take goes into a block: a large one if one is free and the rest is large, else a small one,
// of which there is one for every connection. A read is never larger than what could be kept, so
// nobody waits for memory.
//
// Time. Nobody who reads is cut. A limit is a limit on doing nothing: the adapter is asked to look
// at a connection now and then, and tells how many bytes its client has not acknowledged. One that
// has acknowledged some since the last look begins anew. An open connection stands in exactly one
// list: `watched` holds those that are looked at every so often, `quiet` those that need no look
// before the idle limit has passed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/block_pool.hpp"
#include "core/connection.hpp"
#include "core/deadline_list.hpp"
#include "core/kernel_budget.hpp"

namespace echoproof {

// What one read or write may carry: libuv counts the bytes of a write in an int.
inline constexpr std::size_t block_size_max = std::size_t{1} << 30;
// The size of the blocks of which every connection can have one, unless the others are smaller.
inline constexpr std::size_t small_block_size = 1024;
// After EOF the server stays with a client that has so many bytes yet to acknowledge, or more.
inline constexpr std::size_t linger_share = std::size_t{16} << 10;

struct Limits {
  std::size_t connections;    // at once, at least 1
  std::size_t buffer_memory;  // bytes for scratch and blocks; see Layout
  std::size_t block_size;     // bytes, at least 1, at most block_size_max
  std::size_t kernel_memory;  // bytes for sockets, at least KernelBudget::least a connection
  std::size_t tuned_socket;   // bytes that a socket may come to which the kernel tunes
  Time idle;                  // without a sign of life; Time::max() for ever
  Time write;                 // without taking anything of what is owed
  std::size_t small_block = small_block_size;  // bytes; block_size, if that is less
  std::size_t linger = linger_share;           // bytes
};

// How buffer_memory is divided; in bytes and numbers of blocks.
struct Layout {
  std::size_t small_size;
  std::size_t small_count;  // one for each connection
  std::size_t large_size;
  std::size_t large_count = 0;
  std::size_t scratch_size;  // of one read at most

  // REQUIRES: limits.connections <= connections_max(limits.buffer_memory, limits.block_size).
  explicit Layout(const Limits& limits);
  // For how many connections the memory suffices: half of it, if that is more than nothing, goes
  // to small blocks at most.
  static std::size_t connections_max(std::size_t buffer_memory, std::size_t block_size,
                                     std::size_t small_block = small_block_size);
};

// Why a connection was closed.
enum class Reason : std::uint8_t { eof, reset, idle, write_limit, drain, refused, error };
inline constexpr std::size_t reason_count = static_cast<std::size_t>(Reason::error) + 1;
Reason reason_of(Event ended_by);

class Service {
 public:
  // Throws std::bad_alloc when the memory for blocks is not to be had.
  explicit Service(const Limits& limits);
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // REQUIRES: every connection was closed. (Connections are the caller's; they must outlive their
  // close_done event and may go any time after it.)
  ~Service();

  // Whether one more connection may be opened.
  bool has_room() const { return open_ < limits_.connections; }

  // REQUIRES: has_room(), a new connection. The kernel memory that its socket may use.
  KernelBudget::Grant on_open(Connection& connection, Time now);
  // Where the next read may put its bytes; of the service, until the event that answers the read.
  std::span<std::byte> read_buffer() {
    return {scratch_.get(), large_.available() > 0 ? layout_.scratch_size : layout_.small_size};
  }
  // REQUIRES: 0 < size <= read_buffer().size(). So many bytes were read into read_buffer().
  Action on_data(Connection& connection, std::size_t size, Time now) {
    connection.moved_at_ = now;
    connection.unacknowledged_ = Connection::unknown;  // the echo comes on top of what was found
    return follow(connection, connection.on_data(read_buffer().first(size)), now);
  }
  // REQUIRES: size <= connection.unsent().size(). So many were written at once.
  Action on_wrote(Connection& connection, std::size_t size, Time now) {
    bytes_echoed_ += size;
    if (size == connection.unsent().size()) {
      return follow(connection, connection.on_wrote_all(), now);
    }
    return keep_rest(connection, size, now);
  }
  // The client has ended its output and has so many bytes yet to acknowledge.
  Action on_eof(Connection& connection, std::size_t unacknowledged, Time now);
  // Events that carry nothing.
  Action on(Connection& connection, Event event, Time now);

  // Every connection is to be closed at `when`; the earliest wish counts.
  void stop_at(Time when);

  // The next connection to be looked at, because a limit of its list or the stop has come by
  // `as_of`, or null. What clients did until `as_of` has to be heard before: a limit is judged
  // after the events of a poll. To be asked at wake_at(), each answer to be followed by on_look()
  // or an event that ends the connection, until there is none.
  Connection* next_due(Time as_of, Time now);
  // The answer to next_due(): so many bytes are not acknowledged by the client's kernel yet, in
  // libuv's queue and in the kernel together.
  Action on_look(Connection& connection, std::size_t unacknowledged, Time as_of, Time now);

  // When to ask next_due() again if nothing happens before; Time::max() for never.
  Time wake_at() const { return wake_at_; }

  const BlockPool& small_blocks() const { return small_; }
  const BlockPool& large_blocks() const { return large_; }
  // REQUIRES: a block is held. A number for it, less than how many blocks there are of both sizes;
  // no other loan that is live has it.
  std::size_t slot_of(const Connection& connection) const;
  const KernelBudget& kernel_memory() const { return kernel_; }

  std::size_t open() const { return open_; }
  std::size_t open_peak() const { return open_peak_; }
  std::uint64_t bytes_echoed() const { return bytes_echoed_; }
  std::uint64_t closed(Reason reason) const { return closed_[static_cast<std::size_t>(reason)]; }

 private:
  // Connections that are due when they have been in the list for so long.
  struct List : DeadlineList {
    explicit List(Time limit) : due_after(limit) {}
    Time due_after;
  };

  // Null for Line::none.
  List* list_of(Line line);
  // Follows up on a row of the table that a connection has just taken.
  Action follow(Connection& connection, const Cell& cell, Time now) {
    if (cell.moves) settle(connection, cell, now);
    return cell.action;
  }
  void settle(Connection& connection, const Cell& cell, Time now);
  Action keep_rest(Connection& connection, std::size_t size, Time now);
  void enter(List& list, Connection& connection, Time now);
  Event judge(const Connection& connection, std::size_t unacknowledged, Time as_of) const;
  Connection* first_due(Time as_of) const;
  Time earliest() const;
  void invariants() const;

  Limits limits_;
  Layout layout_;
  std::unique_ptr<std::byte[]> scratch_;
  BlockPool small_;
  BlockPool large_;
  KernelBudget kernel_;
  List watched_;
  List quiet_;
  std::size_t open_ = 0;
  std::size_t open_peak_ = 0;
  Time stop_at_ = Time::max();
  Time wake_at_ = Time::max();
  Time wake_pause_;  // at least, after nothing was due
  std::uint64_t bytes_echoed_ = 0;
  std::array<std::uint64_t, reason_count> closed_{};
};

}  // namespace echoproof
