// Oracle: loans never overlap, never exceed the limit, end exactly once; lines keep their order.
//
// BlockPool and DeadlineList against vectors. The bytes of an input are operations; see run().
// Every loan is filled with a byte of its own, to the last, and looked at again after each
// operation.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/block_pool.hpp"
#include "core/deadline_list.hpp"
#include "fuzz.hpp"

namespace {

using echoproof::Block;
using echoproof::BlockPool;
using echoproof::DeadlineList;
using echoproof::Time;
using fuzz::oracle;

constexpr std::size_t holder_count = 8;

// Somebody who may hold a block. `filling` is the byte that its block is full of; 0 for no block.
struct Holder {
  Block block;
  std::uint8_t filling = 0;
};

class Blocks {
 public:
  Blocks(std::size_t capacity, std::size_t block_size)
      : pool_(capacity, block_size), capacity_(capacity), block_size_(block_size) {}

  void acquire(Holder& holder) {
    if (holder.filling != 0) return;
    holder.block = pool_.acquire();
    oracle(static_cast<bool>(holder.block) == (lent_ < capacity_),
           "the limit is exactly the capacity");
    if (!holder.block) return;
    ++lent_;
    ++loans_;
    oracle(holder.block.bytes().size() == block_size_, "a block has the size that was asked for");
    oracle(holder.block.index() < capacity_, "an index is less than the capacity");
    for (const Holder& other : holders) {
      oracle(other.filling == 0 || other.block.index() != holder.block.index(),
             "no two loans share an index");
    }
    holder.filling = static_cast<std::uint8_t>(loans_ % 255 + 1);
    std::ranges::fill(holder.block.bytes(), std::byte{holder.filling});
  }

  void release(Holder& holder) {
    holder.block = Block();
    forget(holder);
  }

  // Whatever `to` held is given back by it, unless it is what is being moved.
  void move(Holder& from, Holder& to) {
    to.block = std::move(from.block);
    if (&from == &to) return;
    forget(to);
    to.filling = std::exchange(from.filling, std::uint8_t{0});
  }

  void move_by_construction(Holder& holder) {
    Block taken(std::move(holder.block));
    oracle(!holder.block, "a block that was moved from is empty");
    holder.block = std::move(taken);
  }

  void agree() const;

  void end() {
    for (Holder& holder : holders) release(holder);
    agree();
    oracle(lent_ == 0, "every block came back");
  }

 private:
  void forget(Holder& holder) {
    if (std::exchange(holder.filling, std::uint8_t{0}) != 0) --lent_;
  }

  BlockPool pool_;
  std::size_t capacity_;
  std::size_t block_size_;
  std::size_t lent_ = 0;
  std::uint64_t loans_ = 0;

 public:
  std::array<Holder, holder_count> holders;
};

class Line {
 public:
  ~Line() {
    while (!order_.empty()) leave(order_[order_.size() / 2]);
  }

  void enter(std::size_t who, Time now) {
    if (std::ranges::find(order_, who) != order_.end()) return leave(who);
    list_.enter(entries_[who], now);
    order_.push_back(who);
    since_[who] = now;
  }

  void leave(std::size_t who) {
    const auto place = std::ranges::find(order_, who);
    if (place == order_.end()) return;
    list_.leave(entries_[who]);
    order_.erase(place);
  }

  void agree() const;

 private:
  std::vector<std::size_t> order_;
  std::array<Time, holder_count> since_{};
  std::array<DeadlineList::Entry, holder_count> entries_;
  DeadlineList list_;
};

FUZZ_UNWATCHED_BEGIN
void Blocks::agree() const {
  oracle(pool_.capacity() == capacity_, "the capacity never changes");
  oracle(pool_.available() == capacity_ - lent_, "what is not lent is available");
  oracle(pool_.acquired() == loans_, "every loan is in the ledger");
  oracle(pool_.released() == loans_ - lent_, "every return is in the ledger, once");
  for (const Holder& holder : holders) {
    oracle(static_cast<bool>(holder.block) == (holder.filling != 0), "who holds a block holds it");
    if (holder.filling == 0) continue;
    oracle(std::ranges::all_of(holder.block.bytes(),
                               [&](std::byte b) { return b == std::byte{holder.filling}; }),
           "nobody else writes into a block on loan");
  }
}

void Line::agree() const {
  oracle(list_.empty() == order_.empty(), "empty when nobody is in line");
  oracle(list_.size() == order_.size(), "the size is how many are in line");
  if (!order_.empty()) {
    oracle(&list_.first() == &entries_[order_.front()], "first is who has been there longest");
    oracle(list_.first().since() == since_[order_.front()], "since is the time of entry");
  }
  for (std::size_t who = 0; who < holder_count; ++who) {
    oracle(entries_[who].linked() == (std::ranges::find(order_, who) != order_.end()),
           "linked are those in line");
  }
}
FUZZ_UNWATCHED_END

void run(fuzz::Input input) {
  const std::uint8_t shape = input.byte();
  Blocks blocks(1 + shape % 5, std::array<std::size_t, 4>{1, 7, 64, 100}[shape / 5 % 4]);
  Line line;
  Time now{0};
  while (!input.empty()) {
    const std::uint8_t byte = input.byte();
    const std::size_t who = byte / 8 % holder_count;
    Holder& holder = blocks.holders[who];
    switch (byte % 8) {
      case 0: blocks.acquire(holder); break;
      case 1: blocks.release(holder); break;
      case 2: blocks.move(holder, blocks.holders[input.byte() % holder_count]); break;
      case 3: blocks.move(holder, holder); break;
      case 4: blocks.move_by_construction(holder); break;
      case 5: line.enter(who, now); break;
      case 6: line.leave(who); break;
      default: now += Time(byte / 8); break;
    }
    blocks.agree();
    line.agree();
  }
  blocks.end();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  run(fuzz::Input(data, size));
  return 0;
}
