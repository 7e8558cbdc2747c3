// Proves, when it is compiled, that the table of transitions.hpp frees everything exactly once.
//
// The table says what the server does. This file says, independently of the table, what libuv and
// the kernel do (rules R1 to R40): which events may come next, and what an action does to the four
// things that are acquired and released: the block, the queued write, the open handle, the session.
// The compiler runs both together through every sequence of events. This file produces no code.
#include "core/transitions.hpp"

namespace echoproof {
namespace {

using enum State;
using enum Event;

// What libuv and the kernel know of one connection.
struct Surroundings {
  State state = reading;
  Action asked = Action::read;  // the last action; read, write, flush and finish await an answer
  bool armed = true;            // libuv may call on_read
  bool block = false;           // a block is lent to the connection
  bool queued = false;          // a write callback is owed
  bool owed = false;            // some echo is, or may be, unacknowledged
  bool open = true;             // uv_close was not called yet
  bool live = true;             // the session is not freed yet

  constexpr bool operator==(const Surroundings&) const = default;
};

// Whether libuv, the clock or the operator can bring about this event now.
constexpr bool possible(const Surroundings& w, Event event) {
  if (!w.live) return false;
  const bool failed = event == Event::reset || event == error;
  if (w.asked == Action::write) return event == wrote_all || event == wrote_part || failed;
  if (w.asked == Action::flush && failed) return true;
  const bool looked_at = w.open;
  const bool finished = w.open && !w.armed && !w.queued;  // both sides have sent FIN
  switch (event) {
    case data:
    case empty_read:
    case eof: return w.armed;
    case eof_owed: return w.armed && w.owed;
    case Event::reset:
    case error: return w.armed || w.queued || finished;
    case refused: return w.asked == Action::read;
    case wrote_all:
    case wrote_part: return false;  // answers, above
    case write_done: return w.queued;
    case taking:
    case deadline:
    case stop_owed: return looked_at && w.owed;
    case caught_up: return looked_at && w.owed && !w.queued;
    case idle: return looked_at && !w.owed && w.state == quiet;
    case stop: return looked_at && !w.queued && (!finished && (w.owed || w.state == quiet));
    case close_done: return !w.open && !w.queued;
  }
  return false;
}

// The surroundings after the event. `broken` if something was acquired twice, released twice,
// released while libuv has it, or asked for when libuv forbids it, or if a client cannot tell that
// its echo was cut.
struct Outcome {
  Surroundings surroundings;
  bool broken = false;
};

constexpr Outcome step(Surroundings w, Event event) {
  const Cell& cell = cell_of(w.state, event);
  if (!cell.legal) return {w, true};  // it can happen, and the table does not list it

  // What the event itself does to the surroundings. A look shows what is owed.
  if (event == data) w.owed = true;
  if (event == caught_up || event == stop) w.owed = false;
  if (event == eof || event == eof_owed) w.armed = false;  // libuv stops by itself (R8)
  if (event == refused) w.armed = false;
  if (event == Event::reset || event == error) w.armed = w.queued = false;  // likewise (R10)
  if (event == write_done) w.queued = false;
  if (event == wrote_part) w.block = true;

  // What the table does: the state decides whether the connection holds the block.
  bool broken = holds_block(cell.to) && !w.block;
  if (!holds_block(cell.to)) {
    broken = broken || w.queued;  // libuv still reads from it (R12)
    w.block = false;
  }
  w.state = cell.to;
  w.asked = cell.action;
  switch (cell.action) {
    case Action::none: break;
    case Action::read:
      broken = broken || !w.open || w.armed || w.queued;
      w.armed = true;
      break;
    case Action::write: broken = broken || !w.open || w.queued; break;
    case Action::flush:
      broken = broken || !w.open || !w.block || w.queued;
      w.armed = false;
      w.queued = true;
      break;
    case Action::finish: broken = broken || !w.open || w.armed || w.queued; break;
    case Action::close:
      // With FIN the kernel still delivers a small share; for more the connection lingers.
      broken = broken || !w.open || (w.owed && event != eof);
      w.open = w.armed = false;
      break;
    case Action::reset:
      // A client that has all of its echo is never reset.
      broken =
          broken || !w.open || event == eof || event == idle || event == stop || event == caught_up;
      w.open = w.armed = false;
      break;
    case Action::release:
      broken = broken || w.open || w.queued || w.block || event != close_done;
      w.live = false;
      break;
  }
  if (!w.live != (w.state == closed)) broken = true;
  if ((w.state == reading || w.state == quiet) && !w.armed) broken = true;  // deaf for ever
  if (w.open != is_open(w.state)) broken = true;
  return {w, broken};
}

// Every sequence of events of any length keeps every rule: the number of surroundings is finite,
// and each is checked once. From each surroundings the connection can still end. Each row of the
// table is used.
constexpr bool walk_all() {
  constexpr std::size_t surroundings_max = 64;
  std::array<Surroundings, surroundings_max> seen{};  // the first is a connection just accepted
  std::array<bool, surroundings_max> ends{};
  std::array<std::array<bool, event_count>, state_count> used{};
  std::size_t count = 1;
  const auto index_of = [&](const Surroundings& surroundings) {
    std::size_t known = 0;
    while (known < count && !(seen[known] == surroundings)) ++known;
    return known;
  };
  for (std::size_t at = 0; at < count; ++at) {
    for (std::size_t i = 0; i < event_count; ++i) {
      if (!possible(seen[at], static_cast<Event>(i))) continue;
      const Outcome next = step(seen[at], static_cast<Event>(i));
      if (next.broken) return false;
      used[static_cast<std::size_t>(seen[at].state)][i] = true;
      if (index_of(next.surroundings) == count) seen[count++] = next.surroundings;
    }
  }
  for (std::size_t round = 0; round < count; ++round) {
    for (std::size_t at = 0; at < count; ++at) {
      ends[at] = ends[at] || !seen[at].live;
      for (std::size_t i = 0; i < event_count && !ends[at]; ++i) {
        if (!possible(seen[at], static_cast<Event>(i))) continue;
        ends[at] = ends[index_of(step(seen[at], static_cast<Event>(i)).surroundings)];
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

static_assert(walk_all());

}  // namespace
}  // namespace echoproof
