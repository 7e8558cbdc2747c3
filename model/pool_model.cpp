#include "model/pool_model.hpp"

#include <algorithm>
#include <utility>

FUZZ_UNWATCHED_BEGIN
namespace model {

using echoproof::Block;
using echoproof::KernelBudget;

std::array<std::uint32_t, PoolModel::kind_count> PoolModel::kinds_played{};

PoolShape PoolShape::pick(Answers& answers) {
  PoolShape shape;
  shape.capacity = 1 + answers.pick(5);
  shape.block_size = std::array<std::size_t, 4>{1, 7, 64, 100}[answers.pick(4)];
  const std::size_t memory = answers.pick(4);
  if (memory == 0) return shape;
  // The least; a little for some; some tuned by the kernel, and plenty for others.
  const std::size_t beyond = std::array<std::size_t, 4>{0, 0, 90'000, 9'000'000'000}[memory];
  shape.budget = shape.capacity * KernelBudget::least + beyond;
  shape.tuned_socket = memory == 3 ? std::size_t{700'000'000} : std::size_t{50'000'000'000};
  return shape;
}

PoolModel::PoolModel(const Shape& shape)
    : shape_(shape),
      pool_(shape.capacity, shape.block_size),
      budget_(shape.budget, shape.capacity, shape.tuned_socket) {}

PoolModel::~PoolModel() {
  while (listed_ > 0) leave(order_[listed_ / 2]);
}

bool PoolModel::possible(Kind kind, const Holder& holder, std::size_t who) const {
  switch (kind) {
    case Kind::acquire: return holder.filling == 0;
    case Kind::release:
    case Kind::move:
    case Kind::move_by_construction:
    case Kind::clock: return true;
    case Kind::enter: return !in_list(who);
    case Kind::leave: return in_list(who);
    case Kind::grant: return !holder.granted && grants_ < shape_.capacity;
    case Kind::give_back: return holder.granted;
  }
  return false;
}

bool PoolModel::play(Step& step, Answers& answers) {
  step.kind = static_cast<std::uint8_t>(step.kind % kind_count);
  step.who = static_cast<std::uint8_t>(step.who % holders);
  const Kind kind = static_cast<Kind>(step.kind);
  const std::size_t who = step.who;
  Holder& holder = holders_[who];
  if (!possible(kind, holder, who)) return false;
  ++kinds_played[step.kind];
  switch (kind) {
    case Kind::acquire: acquire(holder); break;
    case Kind::release: release(holder); break;
    case Kind::move: move(holder, holders_[(who + answers.pick(holders)) % holders]); break;
    case Kind::move_by_construction: move_by_construction(holder); break;
    case Kind::enter: enter(who); break;
    case Kind::leave: leave(who); break;
    case Kind::clock: now_ += Time(1 + who); break;
    case Kind::grant: grant(holder); break;
    case Kind::give_back:
      budget_.give_back(holder.grant);
      granted_ -= holder.grant.bytes;
      holder.granted = false;
      --grants_;
      break;
  }
  return true;
}

void PoolModel::acquire(Holder& holder) {
  holder.block = pool_.acquire();
  expect(static_cast<bool>(holder.block) == (lent_ < shape_.capacity),
         "the limit is exactly the capacity");
  if (!holder.block) return;
  ++lent_;
  ++loans_;
  expect(holder.block.is_of(pool_), "a block knows whose it is");
  expect(holder.block.bytes().size() == shape_.block_size,
         "a block has the size that was asked for");
  expect(holder.block.index() < shape_.capacity, "an index is less than the capacity");
  for (const Holder& other : holders_) {
    expect(other.filling == 0 || other.block.index() != holder.block.index(),
           "no two loans share an index");
  }
  holder.filling = static_cast<std::uint8_t>(loans_ % 255 + 1);
  std::ranges::fill(holder.block.bytes(), std::byte{holder.filling});
}

void PoolModel::release(Holder& holder) {
  holder.block = Block();
  forget(holder);
}

// `to` releases the block that it held, unless that is the moved one.
void PoolModel::move(Holder& from, Holder& to) {
  to.block = std::move(from.block);
  if (&from == &to) return;
  forget(to);
  to.filling = std::exchange(from.filling, std::uint8_t{0});
}

void PoolModel::move_by_construction(Holder& holder) {
  Block taken(std::move(holder.block));
  expect(!holder.block, "a block that was moved from is empty");
  holder.block = std::move(taken);
}

void PoolModel::forget(Holder& holder) {
  if (std::exchange(holder.filling, std::uint8_t{0}) != 0) --lent_;
}

bool PoolModel::in_list(std::size_t who) const {
  const auto end = order_.begin() + static_cast<std::ptrdiff_t>(listed_);
  return std::find(order_.begin(), end, who) != end;
}

void PoolModel::enter(std::size_t who) {
  list_.enter(entries_[who], now_);
  order_[listed_++] = who;
  since_[who] = now_;
}

void PoolModel::leave(std::size_t who) {
  list_.leave(entries_[who]);
  const auto end = order_.begin() + static_cast<std::ptrdiff_t>(listed_--);
  const auto place = std::find(order_.begin(), end, who);
  std::move(place + 1, end, place);
}

void PoolModel::grant(Holder& holder) {
  holder.grant = budget_.grant();
  holder.granted = true;
  ++grants_;
  granted_ += holder.grant.bytes;
  if (shape_.budget == KernelBudget::unlimited) {
    return expect(holder.grant.tuned, "the kernel tunes what is not bounded");
  }
  expect(holder.grant.bytes >= KernelBudget::least, "every client is granted enough to be served");
  expect(!holder.grant.tuned || holder.grant.bytes >= shape_.tuned_socket,
         "a socket that the kernel tunes is counted at its most");
  if (grants_ > 1) return;
  // A client that comes while no other is there gets the first grant again, after any number of
  // clients.
  if (first_grant_ == 0) first_grant_ = holder.grant.bytes;
  expect(holder.grant.bytes == first_grant_, "what came back can be granted again");
}

void PoolModel::check() const {
  expect(pool_.capacity() == shape_.capacity, "the capacity never changes");
  expect(pool_.available() == shape_.capacity - lent_, "what is not lent is available");
  expect(pool_.lent() == lent_, "what is lent is counted");
  expect(pool_.acquired() == loans_, "every loan is in the ledger");
  expect(pool_.released() == loans_ - lent_, "every return is in the ledger, once");
  for (const Holder& holder : holders_) {
    expect(static_cast<bool>(holder.block) == (holder.filling != 0),
           "a block that was lent is still held");
    if (holder.filling == 0) continue;
    expect(std::ranges::all_of(holder.block.bytes(),
                               [&](std::byte b) { return b == std::byte{holder.filling}; }),
           "nothing else writes into a block on loan");
  }
  expect(list_.empty() == (listed_ == 0), "a list without entries is empty");
  expect(list_.size() == listed_, "the size is the number of entries");
  if (listed_ > 0) {
    expect(&list_.first() == &entries_[order_[0]], "the first entry has been there longest");
    expect(list_.first().since() == since_[order_[0]], "since is the time of entry");
  }
  for (std::size_t who = 0; who < holders; ++who) {
    expect(entries_[who].linked() == in_list(who), "exactly the entries in the list are linked");
  }
  const bool bounded = shape_.budget != KernelBudget::unlimited;
  expect(budget_.granted() == (bounded ? granted_ : 0),
         "every grant is counted, and comes back once");
  expect(budget_.granted() <= shape_.budget, "no more is granted than there is");
}

void PoolModel::end() {
  for (Holder& holder : holders_) {
    release(holder);
    if (!std::exchange(holder.granted, false)) continue;
    budget_.give_back(holder.grant);
    granted_ -= holder.grant.bytes;
  }
  check();
  expect(lent_ == 0, "every block came back");
}

}  // namespace model
FUZZ_UNWATCHED_END
