// One connection: where it is in its life, which bytes of its client are unsent, and the block that
// keeps them.
//
// Performs nothing. Each on*() says what happened and returns the row of the table in
// transitions.hpp that says what follows. An event that the table does not list is a programmer
// error.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>

#include "core/block_pool.hpp"
#include "core/deadline_list.hpp"
#include "core/kernel_budget.hpp"
#include "core/transitions.hpp"

namespace echoproof {

// An Entry, because as long as it is open it stands in one of the Service's lists.
class Connection : public DeadlineList::Entry {
 public:
  State state() const { return state_; }

  // What the client sent and has not got back yet. In `writing` these bytes lie in the scratch
  // buffer, until the event that answers the write; in `flushing` and `cancelling` in the block,
  // valid and unchanged until the write callback, also after a close (R12).
  std::span<const std::byte> unsent() const { return unsent_; }

  // Empty in all but the states that hold one.
  const Block& block() const { return block_; }

  // Which event ended it. REQUIRES: the close was asked for.
  Event ended_by() const {
    ECHOPROOF_ASSERT(!is_open(state_));
    return ended_by_;
  }

  Time opened_at() const { return opened_at_; }

  // How many bytes were handed to the kernel for it.
  std::uint64_t bytes_echoed() const { return bytes_echoed_; }

  // REQUIRES: not empty; the bytes stay where they are until they are written or kept.
  const Cell& on_data(std::span<const std::byte> bytes) {
    ECHOPROOF_ASSERT(!bytes.empty());
    unsent_ = bytes;
    return on(Event::data);
  }

  // Every unsent byte was written at once.
  const Cell& on_wrote_all() {
    bytes_echoed_ += unsent_.size();
    return on(Event::wrote_all);
  }

  // REQUIRES: size < unsent().size(), and the rest fits into the block. So many bytes were written
  // at once; the block keeps the rest, and is the connection's until the table says otherwise.
  const Cell& on_wrote_part(std::size_t size, Block block) {
    bytes_echoed_ += size;
    const std::span<const std::byte> rest = unsent_.subspan(size);
    std::ranges::copy(rest, block.bytes().begin());
    unsent_ = block.bytes().first(rest.size());
    block_ = std::move(block);
    return on(Event::wrote_part);
  }

  // The queued write is done; every unsent byte went out.
  const Cell& on_write_done() {
    bytes_echoed_ += unsent_.size();
    return on(Event::write_done);
  }

  // Every event that carries nothing. The row of the table that was used.
  const Cell& on(Event event) {
    const Cell& cell = cell_of(state_, event);
    ECHOPROOF_ASSERT(cell.legal);
    state_ = cell.to;
    if (cell.ends) ended_by_ = event;
    if (cell.drops) {
      unsent_ = {};
      if (block_) block_ = Block();
    }
    invariants();
    return cell;
  }

 private:
  friend class Service;

  // Until a look finds out, and any figure is less.
  static constexpr std::size_t unknown = std::numeric_limits<std::size_t>::max();

  void invariants() const {
    ECHOPROOF_ASSERT(static_cast<bool>(block_) == holds_block(state_));
    ECHOPROOF_ASSERT(unsent_.empty() != holds_bytes(state_));
  }

  std::span<const std::byte> unsent_;
  Block block_;
  std::uint64_t bytes_echoed_ = 0;

  // The Service's notes on it. When it was opened; the last time at which it is known to have done
  // something, to have spoken or to have taken some of what it is owed; and the bytes that it was
  // found to owe an acknowledgement for at the last look.
  Time opened_at_{};
  Time moved_at_{};
  std::size_t unacknowledged_ = unknown;
  KernelBudget::Grant grant_;

  State state_ = State::reading;
  Event ended_by_{};
};

}  // namespace echoproof
