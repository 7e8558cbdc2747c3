// One connection: where it is in its life, the block it holds, and which bytes of it are unsent.
//
// Performs nothing. Each on_*() tells it what happened and returns what the adapter is to do next;
// the table in transitions.hpp decides. An event that the table does not list is a programmer error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/block_pool.hpp"
#include "core/deadline_list.hpp"
#include "core/transitions.hpp"

namespace echoproof {

// Always in one of the Service's lines while it is open, hence an Entry.
class Connection : public DeadlineList::Entry {
 public:
  State state() const { return state_; }

  // Where the next read may put its bytes; empty while no block is held. Valid until the event
  // that ends the read.
  std::span<std::byte> buffer() const {
    return block_ ? block_.bytes() : std::span<std::byte>();
  }

  // REQUIRES: a block is held. What the client sent and has not got back yet; valid and unchanged
  // until the event that ends the write, also after a close (R12).
  std::span<const std::byte> unsent() const;

  // REQUIRES: a block is held.
  std::uint32_t block_index() const { return block_.index(); }

  // A block was lent; the connection owns it until the table says that it holds none.
  Action on_block(Block block);
  // REQUIRES: 0 < size <= buffer().size(). So many bytes were read into the buffer.
  Action on_data(std::size_t size);
  // REQUIRES: size <= unsent().size(). So many of the unsent bytes were written at once.
  Action on_wrote(std::size_t size);
  // Every event that carries nothing.
  Action on(Event event);

 private:
  void invariants() const;

  Block block_;
  std::uint32_t sent_ = 0;  // sent_ <= received_ <= buffer().size()
  std::uint32_t received_ = 0;
  State state_ = State::reading;
};

}  // namespace echoproof
