#include "core/service.hpp"

#include <algorithm>
#include <utility>

#include "core/assert.hpp"

namespace echoproof {
namespace {

// An active connection would move to the end of its line at every echo, touching its neighbours'
// memory each time. It moves only when this fraction of the limit has passed; in return an idle
// connection is closed that much later than the limit, never earlier.
constexpr int idle_slack_divisor = 16;

Time plus(Time a, Time b) { return a < Time::max() - b ? a + b : Time::max(); }

std::size_t blocks_of(const Limits& limits) {
  ECHOPROOF_ASSERT(limits.block_size >= 1);
  ECHOPROOF_ASSERT(limits.block_size <= block_size_max);
  // A connection holds at most one block, so more blocks than connections are never needed.
  return std::min(limits.buffer_memory / limits.block_size, limits.connections);
}

Connection& connection_of(DeadlineList::Entry& entry) { return static_cast<Connection&>(entry); }

}  // namespace

Service::Service(const Limits& limits)
    : limits_(limits), pool_(blocks_of(limits), limits.block_size) {}

Service::~Service() { ECHOPROOF_ASSERT(open_ == 0); }

void Service::on_open(Connection& connection, Time now) {
  ECHOPROOF_ASSERT(has_room());
  ++open_;
  idle_.enter(connection, now);
  schedule();
}

std::span<std::byte> Service::on_alloc(Connection& connection, Time now) {
  // Nobody overtakes those who wait.
  if (connection.buffer().empty() && waiting_.empty()) {
    if (Block block = pool_.acquire()) {
      const State before = connection.state();
      settle(connection, before, connection.on_block(std::move(block)), now);
    }
  }
  return connection.buffer();
}

Action Service::on_data(Connection& connection, std::size_t size, Time now) {
  const State before = connection.state();
  const Action action = connection.on_data(size);
  if (now - connection.since() > limits_.idle / idle_slack_divisor) {
    idle_.leave(connection);
    idle_.enter(connection, now);
  }
  return settle(connection, before, action, now);
}

Action Service::on_wrote(Connection& connection, std::size_t size, Time now) {
  const State before = connection.state();
  bytes_echoed_ += size;
  return settle(connection, before, connection.on_wrote(size), now);
}

Action Service::on(Connection& connection, Event event, Time now) {
  const State before = connection.state();
  if (event == Event::write_done) bytes_echoed_ += connection.unsent().size();
  return settle(connection, before, connection.on(event), now);
}

// Puts the connection into the line of its new state, and the books in order.
Action Service::settle(Connection& connection, State before, Action action, Time now) {
  const State after = connection.state();
  if (before == State::cancelling) --cancelling_;
  if (after == State::cancelling) ++cancelling_;
  if (after == State::closed) --open_;
  DeadlineList* const from = line_of(before);
  DeadlineList* const to = line_of(after);
  if (from != to) {
    from->leave(connection);  // not null: no state without a line leads back to one with
    if (to != nullptr) to->enter(connection, now);
    schedule();
  }
  invariants();
  return action;
}

void Service::stop_at(Time when) {
  stop_at_ = std::min(stop_at_, when);
  schedule();
}

Service::Due Service::next_due(Time now) {
  if (!waiting_.empty() && pool_.available() > 0) {
    Connection& next = connection_of(waiting_.first());
    const State before = next.state();
    return {&next, settle(next, before, next.on_block(pool_.acquire()), now)};
  }
  if (now < wake_at_) return {};
  if (Connection* const overdue = first_overdue(now)) {
    return {overdue, on(*overdue, now >= stop_at_ ? Event::stop : Event::deadline, now)};
  }
  wake_at_ = earliest();
  return {};
}

Connection* Service::first_overdue(Time now) const {
  const bool stopping = now >= stop_at_;
  if (stopping && !waiting_.empty()) return &connection_of(waiting_.first());
  if (!idle_.empty() && (stopping || now >= idle_end())) return &connection_of(idle_.first());
  if (!writing_.empty() && (stopping || now >= writing_end())) {
    return &connection_of(writing_.first());
  }
  return nullptr;
}

// Waking too early is cheap, setting the timer at every write is not: so the time is only ever
// brought forward here, until nobody is left to wake up for.
void Service::schedule() {
  const Time next = earliest();
  wake_at_ = next == Time::max() ? next : std::min(wake_at_, next);
}

Time Service::earliest() const {
  Time when = Time::max();
  if (!idle_.empty()) when = std::min({when, stop_at_, idle_end()});
  if (!writing_.empty()) when = std::min({when, stop_at_, writing_end()});
  if (!waiting_.empty()) when = std::min(when, stop_at_);
  return when;
}

Time Service::idle_end() const {
  return plus(idle_.first().since(), plus(limits_.idle, limits_.idle / idle_slack_divisor));
}

Time Service::writing_end() const {
  // Closing one more than there are blocks on their way back helps nobody.
  const bool contended = waiting_.size() > cancelling_;
  return plus(writing_.first().since(),
              contended ? std::min(limits_.write, limits_.write_contended) : limits_.write);
}

void Service::invariants() const {
  ECHOPROOF_ASSERT(idle_.size() + writing_.size() + waiting_.size() + cancelling_ <= open_);
  ECHOPROOF_ASSERT(writing_.size() + cancelling_ <= pool_.capacity() - pool_.available());
}

}  // namespace echoproof
