// One connection: its state, its unsent bytes, and the block that keeps them.
//
// A Connection makes no calls. Each on*() reports an event and returns the row of the table in
// transitions.hpp that tells what follows. An event that the table does not list is a programmer
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

// An Entry, because each open connection is in one of the Service's lists.
class Connection : public DeadlineList::Entry {
 public:
  State state() const { return state_; }

  // The bytes that were read and that the kernel has not taken. In `writing` they lie in the
  // scratch buffer, until the event that reports the write. In `flushing` and `cancelling` they lie
  // in the block, unchanged until the write callback, also after a close (R12).
  std::span<const std::byte> unsent() const { return unsent_; }

  // Empty in the states that hold no block.
  const Block& block() const { return block_; }

  // The event that started the close. REQUIRES: the close is under way.
  Event ended_by() const {
    ECHOPROOF_ASSERT(!is_open(state_));
    return ended_by_;
  }

  Time opened_at() const { return opened_at_; }

  // How many bytes of echo the kernel has taken.
  std::uint64_t bytes_echoed() const { return bytes_echoed_; }

  // Bytes were read. REQUIRES: not empty, and unchanged until the event that reports the write.
  const Cell& on_data(std::span<const std::byte> bytes) {
    ECHOPROOF_ASSERT(!bytes.empty());
    unsent_ = bytes;
    return on(Event::data);
  }

  // uv_try_write took every unsent byte.
  const Cell& on_wrote_all() {
    bytes_echoed_ += unsent_.size();
    return on(Event::wrote_all);
  }

  // uv_try_write took `size` bytes; the block keeps the rest, and the connection owns the block.
  // REQUIRES: size < unsent().size(), and the rest fits into the block.
  const Cell& on_wrote_part(std::size_t size, Block block) {
    bytes_echoed_ += size;
    const std::span<const std::byte> rest = unsent_.subspan(size);
    std::ranges::copy(rest, block.bytes().begin());
    unsent_ = block.bytes().first(rest.size());
    block_ = std::move(block);
    return on(Event::wrote_part);
  }

  // The write callback: the kernel has taken every unsent byte.
  const Cell& on_write_done() {
    bytes_echoed_ += unsent_.size();
    return on(Event::write_done);
  }

  // An event without data.
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

  // No look has counted yet. Every count is less.
  static constexpr std::size_t unknown = std::numeric_limits<std::size_t>::max();

  void invariants() const {
    ECHOPROOF_ASSERT(static_cast<bool>(block_) == holds_block(state_));
    ECHOPROOF_ASSERT(unsent_.empty() != holds_bytes(state_));
  }

  std::span<const std::byte> unsent_;
  Block block_;
  std::uint64_t bytes_echoed_ = 0;

  // The Service's notes.
  Time opened_at_{};
  Time moved_at_{};  // the last time that the client is known to have sent or taken something
  std::size_t unacknowledged_ = unknown;  // bytes, at the last look
  KernelBudget::Grant grant_;

  State state_ = State::reading;
  Event ended_by_{};
};

}  // namespace echoproof
