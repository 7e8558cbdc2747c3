// The echo service (RFC 862) without a socket: all connections, the blocks and the kernel memory
// that they share, and their time limits. The server makes every decision here.
//
// Memory. The server reads into one scratch buffer and writes those bytes at once. A block keeps
// what the kernel does not take. There is one small block for every connection; large blocks are
// shared, for rests that a small one cannot keep. A read is never larger than the block that could
// keep it. So no connection waits for memory.
//
// Time. A client that reads is not cut. A limit is a limit on doing nothing. At a look, the adapter
// counts how many bytes a client has not acknowledged. A client that has acknowledged some since
// the last look starts a new period of its limit. Each open connection is in one of two lists:
// `watched` connections get a look at a fixed interval; `quiet` ones get none before the idle limit
// passes.
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

// The most bytes of one read or write: libuv counts the bytes of a write in an int.
inline constexpr std::size_t block_size_max = std::size_t{1} << 30;
// Bytes of a small block, unless block_size is less.
inline constexpr std::size_t small_block_size = 1024;
// After EOF the server stays with a client that has not acknowledged this many bytes, or more.
inline constexpr std::size_t linger_share = std::size_t{16} << 10;

struct Limits {
  std::size_t connections;    // at once, at least 1
  std::size_t buffer_memory;  // bytes for scratch buffer and blocks; see Layout
  std::size_t block_size;     // bytes of a large block, from 1 to block_size_max
  std::size_t kernel_memory;  // bytes for sockets, at least KernelBudget::least a connection
  std::size_t tuned_socket;   // the most bytes of a socket that the kernel tunes
  Time idle;                  // the longest that a client may do nothing; Time::max(): no limit
  Time write;                 // the longest that a client may take nothing of its echo
  std::size_t small_block = small_block_size;  // bytes; block_size, if that is less
  std::size_t linger = linger_share;           // bytes
};

// How buffer_memory is divided: sizes in bytes, counts in blocks.
struct Layout {
  std::size_t small_size;
  std::size_t small_count;  // one for each connection
  std::size_t large_size;
  std::size_t large_count = 0;
  std::size_t scratch_size;  // the most bytes of one read

  // REQUIRES: limits.connections <= connections_max(limits.buffer_memory, limits.block_size).
  explicit Layout(const Limits& limits);
  // How many connections the memory is enough for. At most half of it goes to small blocks.
  static std::size_t connections_max(std::size_t buffer_memory, std::size_t block_size,
                                     std::size_t small_block = small_block_size);
};

// Why the server closed a connection.
enum class Reason : std::uint8_t { eof, reset, idle, write_limit, drain, refused, error };
inline constexpr std::size_t reason_count = static_cast<std::size_t>(Reason::error) + 1;
Reason reason_of(Event ended_by);

class Service {
 public:
  // Obtains all memory for data. Throws std::bad_alloc.
  explicit Service(const Limits& limits);
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // REQUIRES: every connection had its close_done event. Connections belong to the caller, which
  // may destroy one after that event and not before.
  ~Service();

  // Whether one more connection may be opened.
  bool has_room() const { return open_ < limits_.connections; }

  // A new connection. Returns the kernel memory that its socket may use. REQUIRES: has_room().
  KernelBudget::Grant on_open(Connection& connection, Time now);
  // Where the next read puts its bytes. The service owns it; valid until the event of that read.
  std::span<std::byte> read_buffer() {
    return {scratch_.get(), large_.available() > 0 ? layout_.scratch_size : layout_.small_size};
  }
  // `size` bytes were read into read_buffer(). REQUIRES: 0 < size <= read_buffer().size().
  Action on_data(Connection& connection, std::size_t size, Time now) {
    connection.moved_at_ = now;
    connection.unacknowledged_ = Connection::unknown;  // the echo adds to the last count
    return follow(connection, connection.on_data(read_buffer().first(size)), now);
  }
  // uv_try_write took `size` bytes. REQUIRES: size <= connection.unsent().size().
  Action on_wrote(Connection& connection, std::size_t size, Time now) {
    bytes_echoed_ += size;
    if (size == connection.unsent().size()) {
      return follow(connection, connection.on_wrote_all(), now);
    }
    return keep_rest(connection, size, now);
  }
  // The client has ended its output; its kernel has not acknowledged `unacknowledged` bytes.
  Action on_eof(Connection& connection, std::size_t unacknowledged, Time now);
  // An event without data.
  Action on(Connection& connection, Event event, Time now);

  // Closes every connection at `when`. The earliest of several calls counts.
  void stop_at(Time when);

  // The next connection that needs a look, because its list's interval or the stop has come by
  // `as_of`; null: none. Call it at wake_at(), again and again until it returns null. After each
  // answer, report on_look() or an event that ends the connection. REQUIRES: every event up to
  // `as_of` has been reported, so that limits are judged after the events of a poll.
  Connection* next_due(Time as_of, Time now);
  // The answer to next_due(): the client's kernel has not acknowledged `unacknowledged` bytes. They
  // lie in libuv's queue and in our kernel.
  Action on_look(Connection& connection, std::size_t unacknowledged, Time as_of, Time now);

  // When to call next_due() if no event comes before; Time::max(): never.
  Time wake_at() const { return wake_at_; }

  const BlockPool& small_blocks() const { return small_; }
  const BlockPool& large_blocks() const { return large_; }
  // A number for the connection's block, below the number of all blocks. No other live loan has it.
  // REQUIRES: the connection holds a block.
  std::size_t slot_of(const Connection& connection) const;
  const KernelBudget& kernel_memory() const { return kernel_; }

  std::size_t open() const { return open_; }
  std::size_t open_peak() const { return open_peak_; }
  std::uint64_t bytes_echoed() const { return bytes_echoed_; }
  std::uint64_t closed(Reason reason) const { return closed_[static_cast<std::size_t>(reason)]; }

 private:
  // Its entries are due after a fixed time in it.
  struct List : DeadlineList {
    explicit List(Time limit) : due_after(limit) {}
    Time due_after;
  };

  // Null for Line::none.
  List* list_of(Line line);
  // Does what a row of the table needs beside its action.
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
  Time wake_pause_;  // the least time from one round of looks to the next
  std::uint64_t bytes_echoed_ = 0;
  std::array<std::uint64_t, reason_count> closed_{};
};

}  // namespace echoproof
