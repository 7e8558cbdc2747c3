#include "core/service.hpp"

#include <algorithm>
#include <utility>

#include "core/assert.hpp"

namespace echoproof {
namespace {

// Looks come at an interval that is a part of the shorter limit, or look_max. A limit fires up to
// two intervals late and never early: the idle limit by up to a sixteenth, the write limit by up to
// an eighth. A lingering connection ends up to two intervals after its last acknowledgement.
constexpr int looks_an_idle_limit = 40;
constexpr int looks_a_write_limit = 20;
constexpr Time look_max{1500};
// Looks at many connections are gathered into this many wake-ups an interval.
constexpr int wakes_a_look = 8;

Time plus(Time a, Time b) { return a < Time::max() - b ? a + b : Time::max(); }

Time part_of(Time limit, int parts) {
  return limit == Time::max() ? limit : std::max(Time(1), limit / parts);
}

}  // namespace

std::size_t Layout::connections_max(std::size_t buffer_memory, std::size_t block_size,
                                    std::size_t small_block) {
  return buffer_memory / 2 / BlockPool::stride_of(std::min(small_block, block_size));
}

Layout::Layout(const Limits& limits)
    : small_size(std::min(limits.small_block, limits.block_size)),
      small_count(limits.connections),
      large_size(limits.block_size),
      scratch_size(small_size) {
  ECHOPROOF_ASSERT(limits.block_size >= 1);
  ECHOPROOF_ASSERT(limits.block_size <= block_size_max);
  ECHOPROOF_ASSERT(limits.connections >= 1);
  ECHOPROOF_ASSERT(limits.connections <=
                   connections_max(limits.buffer_memory, limits.block_size, limits.small_block));
  const std::size_t rest = limits.buffer_memory - small_count * BlockPool::stride_of(small_size);
  const std::size_t large = large_size > small_size ? rest / BlockPool::stride_of(large_size) : 0;
  if (large < 2) return;
  large_count = std::min(large - 1, limits.connections);  // the scratch buffer takes one
  scratch_size = large_size;
}

Reason reason_of(Event ended_by) {
  switch (ended_by) {
    case Event::eof:
    case Event::caught_up: return Reason::eof;
    case Event::reset: return Reason::reset;
    case Event::idle: return Reason::idle;
    case Event::deadline: return Reason::write_limit;
    case Event::stop:
    case Event::stop_owed: return Reason::drain;
    case Event::refused: return Reason::refused;
    default: return Reason::error;
  }
}

Service::Service(const Limits& limits)
    : limits_(limits),
      layout_(limits),
      scratch_(std::make_unique_for_overwrite<std::byte[]>(layout_.scratch_size)),
      small_(layout_.small_count, layout_.small_size),
      large_(layout_.large_count, layout_.large_size),
      kernel_(limits.kernel_memory, limits.connections, limits.tuned_socket),
      watched_(std::min({part_of(limits.idle, looks_an_idle_limit),
                         part_of(limits.write, looks_a_write_limit), look_max})),
      quiet_(limits.idle),
      wake_pause_(part_of(watched_.due_after, wakes_a_look)) {}

Service::~Service() { ECHOPROOF_ASSERT(open_ == 0); }

KernelBudget::Grant Service::on_open(Connection& connection, Time now) {
  ECHOPROOF_ASSERT(has_room());
  open_peak_ = std::max(open_peak_, ++open_);
  connection.opened_at_ = connection.moved_at_ = now;
  connection.grant_ = kernel_.grant();
  enter(watched_, connection, now);
  return connection.grant_;
}

Action Service::keep_rest(Connection& connection, std::size_t size, Time now) {
  const std::size_t rest = connection.unsent().size() - size;
  Block block = rest > layout_.small_size ? large_.acquire() : small_.acquire();
  return follow(connection, connection.on_wrote_part(size, std::move(block)), now);
}

Action Service::on_eof(Connection& connection, std::size_t unacknowledged, Time now) {
  const bool owed = connection.state() == State::reading && unacknowledged >= limits_.linger;
  connection.unacknowledged_ = unacknowledged + 1;  // our FIN is to be acknowledged, too
  if (owed) connection.moved_at_ = now;
  return on(connection, owed ? Event::eof_owed : Event::eof, now);
}

Action Service::on(Connection& connection, Event event, Time now) {
  if (event != Event::write_done) return follow(connection, connection.on(event), now);
  bytes_echoed_ += connection.unsent().size();
  connection.moved_at_ = now;
  return follow(connection, connection.on_write_done(), now);
}

Service::List* Service::list_of(Line line) {
  if (line == Line::none) return nullptr;
  return line == Line::quiet ? &quiet_ : &watched_;
}

// Moves the connection to the list of its new state, and counts.
void Service::settle(Connection& connection, const Cell& cell, Time now) {
  if (cell.ends) ++closed_[static_cast<std::size_t>(reason_of(connection.ended_by()))];
  if (cell.to == State::closed) {
    --open_;
    kernel_.give_back(connection.grant_);
  }
  if (List* const from = list_of(line_of(cell.from))) from->leave(connection);
  if (List* const to = list_of(line_of(cell.to))) enter(*to, connection, now);
  if (watched_.empty() && quiet_.empty()) wake_at_ = Time::max();
  invariants();
}

// The time is only brought forward here: to wake too early is cheap, to set the timer at every
// write is not.
void Service::enter(List& list, Connection& connection, Time now) {
  list.enter(connection, now);
  wake_at_ = std::min({wake_at_, stop_at_, plus(now, list.due_after)});
}

void Service::stop_at(Time when) {
  stop_at_ = std::min(stop_at_, when);
  wake_at_ = std::min(wake_at_, earliest());
}

Connection* Service::next_due(Time as_of, Time now) {
  if (as_of < wake_at_) return nullptr;
  while (Connection* const due = first_due(as_of)) {
    const bool spoke = due->state() != State::quiet && due->moved_at_ > due->since();
    if (!spoke || as_of >= stop_at_) return due;
    watched_.leave(*due);
    watched_.enter(*due, now);
  }
  const Time next = earliest();
  wake_at_ = next < stop_at_ ? std::min(std::max(next, as_of + wake_pause_), stop_at_) : next;
  return nullptr;
}

Action Service::on_look(Connection& connection, std::size_t unacknowledged, Time as_of, Time now) {
  const Event event = judge(connection, unacknowledged, as_of);
  if (event == Event::taking) {
    if (unacknowledged < connection.unacknowledged_) connection.moved_at_ = now;
    connection.unacknowledged_ = unacknowledged;
    watched_.leave(connection);
    watched_.enter(connection, now);
  }
  return on(connection, event, now);
}

// The event that a look amounts to.
Event Service::judge(const Connection& connection, std::size_t unacknowledged, Time as_of) const {
  const State state = connection.state();
  if (state == State::quiet) return as_of >= stop_at_ ? Event::stop : Event::idle;
  const bool owed = state == State::flushing || unacknowledged > 0;
  if (as_of >= stop_at_ && state != State::lingering) return owed ? Event::stop_owed : Event::stop;
  if (!owed) return Event::caught_up;
  if (as_of >= stop_at_) return Event::stop_owed;
  const bool took = unacknowledged < connection.unacknowledged_;
  return took || as_of < plus(connection.moved_at_, limits_.write) ? Event::taking
                                                                   : Event::deadline;
}

// One of the connections whose time has come; any connection when the server stops.
Connection* Service::first_due(Time as_of) const {
  for (const List* const list : {&watched_, &quiet_}) {
    if (list->empty()) continue;
    DeadlineList::Entry& first = list->first();
    if (as_of >= std::min(stop_at_, plus(first.since(), list->due_after))) {
      return &static_cast<Connection&>(first);
    }
  }
  return nullptr;
}

Time Service::earliest() const {
  Time when = Time::max();
  for (const List* const list : {&watched_, &quiet_}) {
    if (list->empty()) continue;
    when = std::min({when, stop_at_, plus(list->first().since(), list->due_after)});
  }
  return when;
}

std::size_t Service::slot_of(const Connection& connection) const {
  const Block& block = connection.block();
  return block.index() + (block.is_of(large_) ? small_.capacity() : 0);
}

void Service::invariants() const {
  ECHOPROOF_ASSERT(watched_.size() + quiet_.size() <= open_);
  ECHOPROOF_ASSERT(small_.lent() + large_.lent() <= open_);
}

}  // namespace echoproof
