#include "core/connection.hpp"

#include <utility>

#include "core/assert.hpp"

namespace echoproof {

std::span<const std::byte> Connection::unsent() const {
  return block_.bytes().subspan(sent_, received_ - sent_);
}

Action Connection::on_block(Block block) {
  ECHOPROOF_ASSERT(!block_);
  block_ = std::move(block);
  return on(Event::block_lent);
}

Action Connection::on_data(std::size_t size) {
  ECHOPROOF_ASSERT(size > 0);
  ECHOPROOF_ASSERT(size <= buffer().size());
  received_ = static_cast<std::uint32_t>(size);
  return on(Event::data);
}

Action Connection::on_wrote(std::size_t size) {
  ECHOPROOF_ASSERT(size <= unsent().size());
  sent_ += static_cast<std::uint32_t>(size);
  return on(sent_ == received_ ? Event::wrote_all : Event::wrote_part);
}

Action Connection::on(Event event) {
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

void Connection::invariants() const {
  ECHOPROOF_ASSERT(static_cast<bool>(block_) == holds_block(state_));
  ECHOPROOF_ASSERT(sent_ <= received_);
  ECHOPROOF_ASSERT(received_ <= buffer().size());
}

}  // namespace echoproof
