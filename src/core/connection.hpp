// One connection: where it is in its life, the block it holds, and which bytes of it are unsent.
//
// Performs nothing. Each on_*() says what happened and returns what the adapter is to do next; the
// table in transitions.hpp decides. An event that the table does not list is a programmer error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "core/block_pool.hpp"
#include "core/deadline_list.hpp"
#include "core/transitions.hpp"

namespace echoproof {

// An Entry, because as long as it is open it stands in one of the Service's lines.
class Connection : public DeadlineList::Entry {
 public:
  State state() const { return state_; }

  // Where the next read may put its bytes; empty while no block is held.
  std::span<std::byte> buffer() const { return block_ ? block_.bytes() : std::span<std::byte>(); }

  // What the client sent and has not got back yet. Valid and unchanged until the event that ends
  // the write, also after a close (R12).
  std::span<const std::byte> unsent() const { return buffer().subspan(sent_, received_ - sent_); }

  // REQUIRES: a block is held.
  std::uint32_t block_index() const { return block_.index(); }

  // A block was lent; the connection owns it until the table says that it holds none.
  Action on_block(Block block) {
    ECHOPROOF_ASSERT(!block_);
    block_ = std::move(block);
    return on(Event::block_lent);
  }

  // REQUIRES: 0 < size <= buffer().size(). So many bytes were read into the buffer.
  Action on_data(std::size_t size) {
    ECHOPROOF_ASSERT(size > 0);
    received_ = static_cast<std::uint32_t>(size);
    return on(Event::data);
  }

  // REQUIRES: size <= unsent().size(). So many of the unsent bytes were written at once.
  Action on_wrote(std::size_t size) {
    sent_ += static_cast<std::uint32_t>(size);
    const bool all = sent_ == received_;
    read_on_trial_ = all && received_ == buffer().size();
    return on(all ? Event::wrote_all : Event::wrote_part);
  }

  // Every event that carries nothing.
  Action on(Event event) {
    // Only who has something to read may wait for a block: it is kept for him until he reads.
    if (event == Event::no_buffer && read_on_trial_) event = Event::empty_read;
    if (event == Event::empty_read) read_on_trial_ = false;
    const Cell& cell = cell_of(state_, event);
    ECHOPROOF_ASSERT(cell.legal);
    state_ = cell.to;
    if (!holds_block(state_)) {
      block_ = Block();
      sent_ = received_ = 0;
    }
    invariants();
    return cell.action;
  }

 private:
  void invariants() const {
    ECHOPROOF_ASSERT(static_cast<bool>(block_) == holds_block(state_));
    ECHOPROOF_ASSERT(sent_ <= received_);
    ECHOPROOF_ASSERT(received_ <= buffer().size());
  }

  Block block_;
  std::uint32_t sent_ = 0;  // sent_ <= received_ <= buffer().size()
  std::uint32_t received_ = 0;
  // The last read filled its buffer: libuv tries again at once, whether there is more or not (R3).
  bool read_on_trial_ = false;
  State state_ = State::reading;
};

}  // namespace echoproof
