// The model of the core's parts: block pool, deadline list and kernel budget, each compared with
// plain counters.
//
// Loans never overlap, never exceed the limit and end exactly once. A list keeps its order. The
// grants of a budget never exceed it, are never too small to be served with, and come back. The
// model does not allocate.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/block_pool.hpp"
#include "core/deadline_list.hpp"
#include "core/kernel_budget.hpp"
#include "model/answers.hpp"

namespace model {

using echoproof::Time;

struct PoolShape {
  std::size_t capacity = 1;
  std::size_t block_size = 1;
  std::size_t budget = echoproof::KernelBudget::unlimited;  // bytes
  std::size_t tuned_socket = 1;                             // bytes

  static PoolShape pick(Answers& answers);
};

class PoolModel {
 public:
  using Shape = PoolShape;

  enum class Kind : std::uint8_t {
    acquire,
    release,
    move,  // to another holder or the same; the block held there is released
    move_by_construction,
    enter,
    leave,
    clock,
    grant,
    give_back,
  };
  static constexpr std::size_t kind_count = static_cast<std::size_t>(Kind::give_back) + 1;
  static constexpr std::size_t holders = 8;

  explicit PoolModel(const Shape& shape);
  ~PoolModel();

  bool play(Step& step, Answers& answers);
  void check() const;
  void end();

  // How often each kind of step was played, by any model.
  static std::array<std::uint32_t, kind_count> kinds_played;

 private:
  // `filling` is the byte that the block is full of; 0 for no block.
  struct Holder {
    echoproof::Block block;
    std::uint8_t filling = 0;
    bool granted = false;
    echoproof::KernelBudget::Grant grant;
  };

  bool possible(Kind kind, const Holder& holder, std::size_t who) const;
  void acquire(Holder& holder);
  void release(Holder& holder);
  void move(Holder& from, Holder& to);
  void move_by_construction(Holder& holder);
  void enter(std::size_t who);
  void leave(std::size_t who);
  void grant(Holder& holder);
  bool in_list(std::size_t who) const;
  void forget(Holder& holder);

  Shape shape_;
  echoproof::BlockPool pool_;
  echoproof::DeadlineList list_;
  echoproof::KernelBudget budget_;
  std::array<Holder, holders> holders_;
  std::array<echoproof::DeadlineList::Entry, holders> entries_;
  std::array<std::size_t, holders> order_{};  // the entries in the list: the first `listed_`
  std::array<Time, holders> since_{};
  std::size_t listed_ = 0;
  std::size_t lent_ = 0;
  std::size_t grants_ = 0;
  std::size_t granted_ = 0;
  std::size_t first_grant_ = 0;  // to the first client that came while no other was there
  std::uint64_t loans_ = 0;
  Time now_{0};
};

}  // namespace model
