// Proves, when it is compiled, that the table of transitions.hpp frees everything exactly once.
//
// The table says what the server does. This file says, apart from it and in a few lines, what libuv
// does (the rules R1 to R40): which events may come next, and what an action then does to the four
// things that are taken and given back: the block, the queued write, the open handle, the session.
// The compiler walks the two against each other, through every sequence of events. Nothing here
// becomes code.
#include "core/transitions.hpp"

namespace echoproof {
namespace {

using enum State;
using enum Event;

// The world around one connection.
struct World {
  State state = reading;
  Action asked = Action::read;  // what was asked last: only read, write and flush await an answer
  bool armed = false;           // libuv may call on_alloc and on_read
  bool block = false;           // a block is lent to the connection
  bool queued = false;          // a write callback is owed
  bool open = true;             // uv_close was not called yet
  bool live = true;             // the session is not freed yet

  constexpr bool operator==(const World&) const = default;
};

// uv_read_start was called for a connection just accepted; its outcome is not known yet.
constexpr World accepted{.armed = true};

// Whether libuv, the clock or the operator can bring about this event now.
constexpr bool possible(const World& w, Event event) {
  if (!w.live) return false;
  if (w.asked == Action::write) {
    return event == wrote_all || event == wrote_part || event == write_refused;
  }
  if (w.asked == Action::flush && event == write_refused) return true;
  if (w.asked == Action::read && event == read_refused) return true;
  switch (event) {
    case block_lent: return w.open && !w.block && (w.armed || w.state == waiting);
    case no_buffer: return w.open && w.armed && !w.block;
    case data: return w.open && w.armed && w.block;
    case empty_read: return w.open && w.armed;
    case eof:
    case read_error: return w.open && w.armed;
    case read_refused:
    case wrote_all:
    case wrote_part:
    case write_refused: return false;  // answers, above
    case write_done:
    case write_failed: return w.queued;
    case deadline:
    case stop: return w.open;
    case close_done: return !w.open && !w.queued;
  }
  return false;
}

// The world after the event; `broken` when anything was taken twice, given back twice, given back
// while libuv has it, or asked for when libuv forbids it.
struct Step {
  World world;
  bool broken = false;
};

constexpr Step step(World w, Event event) {
  const Cell& cell = cell_of(w.state, event);
  if (!cell.legal) return {w, true};  // it can happen, and nobody thought of it

  // What the event itself does to the world.
  if (event == block_lent) w.block = true;
  if (event == eof || event == read_error) w.armed = false;  // libuv stops by itself (R8, R10)
  if (event == read_refused) w.armed = false;
  if (event == write_done || event == write_failed || event == write_refused) w.queued = false;

  // What the table does: the state decides who has the block.
  if (holds_block(cell.to) && !w.block) return {w, true};
  if (!holds_block(cell.to)) {
    if (w.queued) return {w, true};  // libuv still reads from it (R12)
    w.block = false;
  }
  w.state = cell.to;
  w.asked = cell.action;

  bool broken = false;
  switch (cell.action) {
    case Action::none: break;
    case Action::read:
      broken = !w.open || w.armed || w.queued;
      w.armed = true;
      break;
    case Action::wait:
      broken = !w.open;
      w.armed = false;
      break;
    case Action::write: broken = !w.open || !w.block || w.queued; break;
    case Action::flush:
      broken = !w.open || !w.block || w.queued;
      w.armed = false;
      w.queued = true;
      break;
    case Action::close:
      broken = !w.open;  // twice (R27)
      w.open = false;
      w.armed = false;
      break;
    case Action::release:
      broken = !w.live || w.open || w.queued || w.block || event != close_done;
      w.live = false;
      break;
  }
  if (!w.live != (w.state == closed)) broken = true;
  if ((w.state == reading || w.state == filling) && !w.armed) broken = true;  // deaf for ever
  return {w, broken};
}

// Every sequence of at most `depth` events keeps every rule.
constexpr bool walk(const World& world, int depth) {
  if (depth == 0) return true;
  for (std::size_t i = 0; i < event_count; ++i) {
    const Event event = static_cast<Event>(i);
    if (!possible(world, event)) continue;
    const Step next = step(world, event);
    if (next.broken || !walk(next.world, depth - 1)) return false;
  }
  return true;
}

// So does every sequence of any length: there are only so many worlds, and each is looked at once.
// From each of them, too, the connection can still end; and each row of the table is used.
constexpr bool walk_all() {
  std::array<World, 64> seen{accepted};
  std::array<bool, 64> ends{};
  std::array<std::array<bool, event_count>, state_count> used{};
  std::size_t count = 1;
  for (std::size_t at = 0; at < count; ++at) {
    for (std::size_t i = 0; i < event_count; ++i) {
      const Event event = static_cast<Event>(i);
      if (!possible(seen[at], event)) continue;
      const Step next = step(seen[at], event);
      if (next.broken) return false;
      used[static_cast<std::size_t>(seen[at].state)][i] = true;
      std::size_t known = 0;
      while (known < count && !(seen[known] == next.world)) ++known;
      if (known == count) seen[count++] = next.world;
    }
  }
  for (std::size_t round = 0; round < count; ++round) {
    for (std::size_t at = 0; at < count; ++at) {
      ends[at] = ends[at] || !seen[at].live;
      for (std::size_t i = 0; i < event_count && !ends[at]; ++i) {
        const Event event = static_cast<Event>(i);
        if (!possible(seen[at], event)) continue;
        const World next = step(seen[at], event).world;
        for (std::size_t k = 0; k < count; ++k) ends[at] = ends[at] || (seen[k] == next && ends[k]);
      }
    }
  }
  for (std::size_t at = 0; at < count; ++at) {
    if (!ends[at]) return false;
  }
  for (const Transition& t : transitions) {
    if (!used[static_cast<std::size_t>(t.from)][static_cast<std::size_t>(t.event)]) return false;
  }
  return true;
}

static_assert(walk(accepted, 11));
static_assert(walk_all());

}  // namespace
}  // namespace echoproof
