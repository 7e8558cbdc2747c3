// The echo service (RFC 862) without a socket: all connections, the blocks they share, and the time
// limits they run against. Every decision of the server is made here.
//
// An open connection stands in exactly one line. `idle` holds those that read; when its time limit
// passes, the client has said nothing for too long. `writing` holds those whose echo is queued;
// when its limit passes, the client has not read for too long and its block is taken back by
// closing it. `waiting` holds those that were refused a block; they are served in the order in
// which they came. So a client that never reads holds at most one block, and at most until its time
// is up.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/block_pool.hpp"
#include "core/connection.hpp"
#include "core/deadline_list.hpp"

namespace echoproof {

// What one read or write may carry: libuv counts the bytes of a write in an int.
inline constexpr std::size_t block_size_max = std::size_t{1} << 30;

struct Limits {
  std::size_t connections;    // at once, at least 1
  std::size_t buffer_memory;  // bytes for blocks, at least block_size
  std::size_t block_size;     // bytes, at least 1, at most block_size_max
  Time idle;                  // since the last data; Time::max() for ever
  Time write;                 // to take what was queued
  Time write_contended;       // the same, while others wait for a block
};

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

  // REQUIRES: has_room(), a new connection.
  void on_open(Connection& connection, Time now);
  // Memory for a read that is about to be tried; empty when the connection has to wait for it (R7).
  std::span<std::byte> on_alloc(Connection& connection, Time now);
  // The events of Connection, for a connection of this service.
  Action on_data(Connection& connection, std::size_t size, Time now);
  Action on_wrote(Connection& connection, std::size_t size, Time now);
  Action on(Connection& connection, Event event, Time now);

  // Every connection is to be closed at `when`; the earliest wish counts.
  void stop_at(Time when);

  // What is due without an event: a block for the first in the waiting line, a time limit, the
  // stop. To be asked at wake_at() and after every event, once the action that followed it and any
  // event that answered it are done with, until the answer is that nothing is due.
  struct Due {
    Connection* connection = nullptr;  // null: nothing
    Action action = Action::none;
  };
  Due next_due(Time now);

  // When to ask next_due() again if nothing happens before; Time::max() for never.
  Time wake_at() const { return wake_at_; }

  const BlockPool& pool() const { return pool_; }
  std::size_t open() const { return open_; }
  std::size_t waiting() const { return waiting_.size(); }
  std::uint64_t bytes_echoed() const { return bytes_echoed_; }

 private:
  DeadlineList* line_of(State state) const { return lines_[static_cast<std::size_t>(state)]; }
  Action settle(Connection& connection, State before, Action action, Time now);
  Connection* first_overdue(Time now) const;
  void schedule();
  Time earliest() const;
  Time idle_end() const;
  Time writing_end() const;
  void invariants() const;

  Limits limits_;
  BlockPool pool_;
  DeadlineList idle_;
  DeadlineList writing_;
  DeadlineList waiting_;
  // The line of each state, in the order of State.
  const std::array<DeadlineList*, state_count> lines_{&idle_,    &idle_,  &idle_,  &writing_,
                                                      &waiting_, nullptr, nullptr, nullptr};
  std::size_t open_ = 0;
  std::size_t cancelling_ = 0;  // blocks on their way back: closed, write callback still to come
  Time stop_at_ = Time::max();
  Time wake_at_ = Time::max();
  std::uint64_t bytes_echoed_ = 0;
};

}  // namespace echoproof
