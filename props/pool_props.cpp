// Property: blocks go to those who want one in the order in which they asked, never more than there
// are, and each comes back once; whoever holds one too long is the next to expire.
//
// BlockPool and two DeadlineLists together, as the Service uses them, but without its connections:
// one line of those who wait for a block, one of those who hold one.
#include <rapidcheck.h>
#include <rapidcheck/state.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/block_pool.hpp"
#include "core/deadline_list.hpp"
#include "property.hpp"

namespace {

using echoproof::Block;
using echoproof::BlockPool;
using echoproof::DeadlineList;
using echoproof::Time;

constexpr std::size_t holder_count = 6;
constexpr std::size_t block_count = 3;
constexpr std::size_t block_size = 24;
constexpr Time limit{50};

const std::vector<std::string> paths = {
    "got a block at once", "waited for a block",    "got a block after waiting", "gave up waiting",
    "gave a block back",   "held a block too long", "block handed over",         "three waited",
};

struct Model {
  Time now{0};
  std::vector<std::size_t> holding, waiting;  // in order
  std::array<Time, holder_count> since{};
  std::uint64_t loans = 0;
  std::set<std::string> reached;

  bool holds(std::size_t who) const { return std::ranges::count(holding, who) > 0; }
  bool waits(std::size_t who) const { return std::ranges::count(waiting, who) > 0; }
};

struct Holder : DeadlineList::Entry {
  Block block;
};

struct Sut {
  ~Sut() {
    while (!holding.empty()) give_back(static_cast<Holder&>(holding.first()));
    while (!waiting.empty()) waiting.leave(waiting.first());
  }
  void take(Holder& holder, Time now) {
    holder.block = pool.acquire();
    RC_ASSERT(static_cast<bool>(holder.block));
    mark(holder);
    holding.enter(holder, now);
  }
  void give_back(Holder& holder) {
    holding.leave(holder);
    holder.block = Block();
  }
  // Every byte of a block says whose it is.
  void mark(Holder& holder) { std::ranges::fill(holder.block.bytes(), mark_of(holder)); }
  std::byte mark_of(const Holder& holder) const {
    return static_cast<std::byte>(1 + (&holder - holders.data()));
  }

  BlockPool pool{block_count, block_size};
  std::array<Holder, holder_count> holders;
  DeadlineList holding;
  DeadlineList waiting;
};

struct Command : rc::state::Command<Model, Sut> {
  // Changes the model; and the Sut, if there is one, which must agree.
  virtual void play(Model& model, Sut* sut) const = 0;

  void apply(Model& model) const override {
    play(model, nullptr);
    serve(model, nullptr);
  }
  void run(const Model& before, Sut& sut) const override {
    Model model = before;
    play(model, &sut);
    serve(model, &sut);
    agree(model, sut);
  }

 private:
  // What came back goes to who has waited longest.
  static void serve(Model& model, Sut* sut) {
    while (!model.waiting.empty() && model.holding.size() < block_count) {
      const std::size_t who = model.waiting.front();
      model.waiting.erase(model.waiting.begin());
      model.holding.push_back(who);
      model.since[who] = model.now;
      ++model.loans;
      model.reached.insert("got a block after waiting");
      if (sut == nullptr) continue;
      RC_ASSERT(&sut->waiting.first() == &sut->holders[who]);
      sut->waiting.leave(sut->holders[who]);
      sut->take(sut->holders[who], model.now);
    }
  }

  static void agree(const Model& model, const Sut& sut) {
    RC_ASSERT(sut.pool.available() == block_count - model.holding.size());
    RC_ASSERT(sut.pool.acquired() == model.loans);
    RC_ASSERT(sut.pool.released() == model.loans - model.holding.size());
    RC_ASSERT(sut.holding.size() == model.holding.size());
    RC_ASSERT(sut.waiting.size() == model.waiting.size());
    std::set<std::uint32_t> indices;
    for (std::size_t who = 0; who < holder_count; ++who) {
      const Holder& holder = sut.holders[who];
      RC_ASSERT(holder.linked() == (model.holds(who) || model.waits(who)));
      RC_ASSERT(static_cast<bool>(holder.block) == model.holds(who));
      if (!model.holds(who)) continue;
      RC_ASSERT(indices.insert(holder.block.index()).second);
      RC_ASSERT(holder.since() == model.since[who]);
      RC_ASSERT(std::ranges::all_of(holder.block.bytes(),
                                    [&](std::byte b) { return b == sut.mark_of(holder); }));
    }
    if (!model.holding.empty()) {
      RC_ASSERT(&sut.holding.first() == &sut.holders[model.holding.front()]);
    }
  }
};

struct Want : Command {
  void checkPreconditions(const Model& model) const override {
    RC_PRE(!model.holds(who) && !model.waits(who));
  }
  void play(Model& model, Sut* sut) const override {
    const bool wait = !model.waiting.empty() || model.holding.size() == block_count;
    (wait ? model.waiting : model.holding).push_back(who);
    model.reached.insert(wait ? "waited for a block" : "got a block at once");
    if (model.waiting.size() == 3) model.reached.insert("three waited");
    if (!wait) {
      model.since[who] = model.now;
      ++model.loans;
    }
    if (sut == nullptr) return;
    if (!wait) return sut->take(sut->holders[who], model.now);
    RC_ASSERT(!sut->pool.acquire());
    sut->waiting.enter(sut->holders[who], model.now);
  }
  void show(std::ostream& os) const override { os << "Want(" << who << ")"; }
  std::size_t who = *rc::gen::inRange<std::size_t>(0, holder_count);
};

struct GiveBack : Command {
  explicit GiveBack(const Model& model)
      : who(model.holding.empty() ? 0 : *rc::gen::elementOf(model.holding)) {}
  void checkPreconditions(const Model& model) const override { RC_PRE(model.holds(who)); }
  void play(Model& model, Sut* sut) const override {
    std::erase(model.holding, who);
    model.reached.insert("gave a block back");
    if (sut != nullptr) sut->give_back(sut->holders[who]);
  }
  void show(std::ostream& os) const override { os << "GiveBack(" << who << ")"; }
  std::size_t who;
};

struct GiveUp : Command {
  explicit GiveUp(const Model& model)
      : who(model.waiting.empty() ? 0 : *rc::gen::elementOf(model.waiting)) {}
  void checkPreconditions(const Model& model) const override { RC_PRE(model.waits(who)); }
  void play(Model& model, Sut* sut) const override {
    std::erase(model.waiting, who);
    model.reached.insert("gave up waiting");
    if (sut != nullptr) sut->waiting.leave(sut->holders[who]);
  }
  void show(std::ostream& os) const override { os << "GiveUp(" << who << ")"; }
  std::size_t who;
};

// The loan goes to somebody else, who is the last in line now; what was in the block stays there.
struct HandOver : Command {
  explicit HandOver(const Model& model)
      : from(model.holding.empty() ? 0 : *rc::gen::elementOf(model.holding)) {}
  void checkPreconditions(const Model& model) const override {
    RC_PRE(model.holds(from) && !model.holds(to) && !model.waits(to));
  }
  void play(Model& model, Sut* sut) const override {
    std::erase(model.holding, from);
    model.holding.push_back(to);
    model.since[to] = model.now;
    model.reached.insert("block handed over");
    if (sut == nullptr) return;
    Holder& giver = sut->holders[from];
    Holder& taker = sut->holders[to];
    sut->holding.leave(giver);
    const std::uint32_t index = giver.block.index();
    Block on_its_way(std::move(giver.block));
    taker.block = std::move(on_its_way);
    RC_ASSERT(taker.block.index() == index);
    RC_ASSERT(taker.block.bytes().back() == sut->mark_of(giver));
    sut->mark(taker);
    sut->holding.enter(taker, model.now);
  }
  void show(std::ostream& os) const override { os << "HandOver(" << from << ", " << to << ")"; }
  std::size_t from;
  std::size_t to = *rc::gen::inRange<std::size_t>(0, holder_count);
};

struct Tick : Command {
  void play(Model& model, Sut* sut) const override {
    model.now += step;
    while (!model.holding.empty() && model.now >= model.since[model.holding.front()] + limit) {
      const std::size_t who = model.holding.front();
      model.holding.erase(model.holding.begin());
      model.reached.insert("held a block too long");
      if (sut == nullptr) continue;
      RC_ASSERT(&sut->holding.first() == &sut->holders[who]);
      sut->give_back(sut->holders[who]);
    }
  }
  void show(std::ostream& os) const override { os << "Tick(" << step.count() << " ms)"; }
  Time step{*rc::gen::inRange(0, 40)};
};

void any_script(props::Reached& reached) {
  const auto commands = *rc::state::gen::commands(
      Model{}, rc::state::gen::execOneOfWithArgs<Want, Want, Want, Want, GiveBack, GiveUp, HandOver,
                                                 Tick>());
  props::play<Sut>([&](Sut& sut) { rc::state::runAll(commands, Model{}, sut); });
  Model model;
  rc::state::applyAll(commands, model);
  for (const std::string& path : model.reached) ++reached[path];
  RC_TAG(std::to_string(model.holding.size()) + " hold, " + std::to_string(model.waiting.size()) +
         " wait");
}

}  // namespace

// --all-paths: fail, too, if one of the paths was not taken by any case.
int main(int argc, char** argv) {
  const bool all_wanted = argc > 1 && std::string_view(argv[1]) == "--all-paths";
  return props::run([&] {
    props::Reached reached;
    for (const std::string& path : paths) reached[path] = 0;
    const bool ok = rc::check("blocks are lent in turn, within the limit, and come back once",
                              [&] { any_script(reached); });
    if (!ok) return false;
    const bool all = props::print_reached(reached);
    return all || !all_wanted;
  });
}
