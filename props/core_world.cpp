#include "core_world.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <utility>

#include "revealed.hpp"

namespace props {
namespace {

using echoproof::Action;
using echoproof::Connection;
using echoproof::Event;
using echoproof::Limits;
using echoproof::State;

Limits limits_of(const Shape& shape) {
  return {.connections = shape.clients,
          .buffer_memory = shape.blocks * shape.block_size,
          .block_size = shape.block_size,
          .idle = shape.idle,
          .write = shape.write,
          .write_contended = shape.write_contended};
}

// Time::max() is for ever.
Time plus(Time a, Time b) { return b == Time::max() ? b : a + b; }

// As service.cpp says: an idle connection may be closed a sixteenth later than its limit.
Time idle_at_most(const Shape& shape) { return plus(shape.idle / 16, shape.idle); }

// What a client says: whose byte it is, and where in the block it belongs.
std::byte byte_of(std::size_t who, std::size_t offset) {
  return static_cast<std::byte>(1 + who * 32 + offset);
}

void expect(bool holds, const char* words) {
  if (!holds) broken(words);
}

// A time to come, for a Key: 0 is past, 255 is never.
std::uint8_t until(Time when, Time now) {
  if (when == Time::max()) return 255;
  return static_cast<std::uint8_t>(std::clamp<Time::rep>((when - now).count(), 0, 254));
}

}  // namespace

CoreWorld::Rows CoreWorld::rows_used{};

std::uint8_t Answers::pick(std::size_t n) {
  if (n < 2) return 0;
  expect(asked_ < Step::answers_max, "an event asks no more questions than a Step can hold");
  if (asked_ == step_.answered) step_.answers[step_.answered++] = 0;
  widths_[asked_] = static_cast<std::uint8_t>(n);
  return step_.answers[asked_++];
}

bool Answers::next() {
  step_.answered = std::exchange(asked_, std::uint8_t{0});
  while (step_.answered > 0) {
    std::uint8_t& last = step_.answers[step_.answered - 1U];
    if (last + 1U < widths_[step_.answered - 1U]) {
      ++last;
      return true;
    }
    last = 0;
    --step_.answered;
  }
  return false;
}

CoreWorld::CoreWorld(const Shape& shape) : shape_(shape), service_(limits_of(shape)) {}

// --- What may happen. ---------------------------------------------------------------------------

std::vector<Step> CoreWorld::possible() const {
  std::vector<Step> steps;
  const auto add = [&steps](Deed deed, std::size_t who = 0) {
    steps.push_back({.deed = deed, .who = static_cast<std::uint8_t>(who)});
  };
  bool newcomer = false;  // all of them are alike
  for (std::size_t who = 0; who < shape_.clients; ++who) {
    const Client& client = clients_[who];
    if (client.session == nullptr) {
      if (!std::exchange(newcomer, true)) add(Deed::connect, who);
      continue;
    }
    const bool has_block = !client.session->buffer().empty();
    if (client.armed && client.refused) add(Deed::no_buffer, who);
    if (client.armed && !client.refused) {
      add(Deed::alloc, who);
      add(Deed::eof, who);  // also without a block (R4)
      add(Deed::read_error, who);
      if (has_block) add(Deed::data, who);
      if (has_block) add(Deed::empty_read, who);
    }
    if (client.queued) add(Deed::write_done, who);  // also after uv_close (R24)
    if (client.queued) add(Deed::write_failed, who);
    if (!client.open && !client.queued) add(Deed::close_done, who);  // as the last (R25)
  }
  add(Deed::tick);
  if (now_ >= service_.wake_at()) add(Deed::timer);
  add(Deed::stop_now);
  if (shape_.drain > Time(0)) add(Deed::stop_later);
  return steps;
}

void CoreWorld::play(Deed deed, std::size_t who, Answers& answers, bool checked) {
  Client& client = clients_[who];
  settled_ = deed != Deed::tick;
  const std::size_t number = who + 1;
  switch (deed) {
    case Deed::connect: connect(client, answers); break;
    case Deed::alloc: alloc(client); break;
    case Deed::data: data(client, answers); break;
    case Deed::empty_read:
      tell("client %zu: on_read, nothing now\n", number);
      client.on_trial = false;
      happen(client, Event::empty_read, answers);
      break;
    case Deed::no_buffer:
      tell("client %zu: on_read, UV_ENOBUFS\n", number);
      client.refused = false;
      if (std::exchange(client.on_trial, false)) {
        count(client.session->state(), Event::empty_read);
        const Action action = service_.on(*client.session, Event::no_buffer, now_);
        expect(action == Action::none, "who may have nothing to read does not wait for a block");
        break;
      }
      happen(client, Event::no_buffer, answers);
      break;
    case Deed::eof:
      tell("client %zu: on_read, UV_EOF\n", number);
      client.armed = false;  // libuv stops by itself (R8)
      happen(client, Event::eof, answers);
      break;
    case Deed::read_error:
      tell("client %zu: on_read, UV_ECONNRESET\n", number);
      client.armed = false;  // likewise (R10)
      happen(client, Event::read_error, answers);
      break;
    case Deed::write_done:
      tell("client %zu: on_write, done\n", number);
      client.queued = false;
      client.moved_at = now_;
      check_bytes(client);
      happen(client, Event::write_done, answers);
      break;
    case Deed::write_failed:
      tell("client %zu: on_write, failed\n", number);
      client.queued = false;
      happen(client, Event::write_failed, answers);
      break;
    case Deed::close_done:
      tell("client %zu: on_close\n", number);
      happen(client, Event::close_done, answers);
      break;
    case Deed::tick:
      tell("time passes\n");
      ++now_;
      break;
    case Deed::timer: tell("the timer\n"); break;
    case Deed::stop_now:
      tell("the operator stops\n");
      service_.stop_at(now_);
      break;
    case Deed::stop_later:
      tell("the operator lets it end in %d ms\n", static_cast<int>(shape_.drain.count()));
      service_.stop_at(now_ + shape_.drain);
      break;
  }
  if (settled_) settle(answers);
  if (checked) check();
}

void CoreWorld::count(State from, Event event) {
  rows_used[static_cast<std::size_t>(from)][static_cast<std::size_t>(event)] = true;
}

void CoreWorld::happen(Client& client, Event event, Answers& answers) {
  count(client.session->state(), event);
  perform(client, service_.on(*client.session, event, now_), answers);
}

void CoreWorld::connect(Client& client, Answers& answers) {
  tell("client %zu: on_connection\n", number_of(client));
  expect(service_.has_room(), "there is room while not all are there");
  client.session = std::make_unique<Connection>();
  client.moved_at = now_;
  service_.on_open(*client.session, now_);
  perform(client, Action::read, answers);
}

void CoreWorld::alloc(Client& client) {
  const bool had = !client.session->buffer().empty();
  const bool free = service_.waiting() == 0 && service_.pool().available() > 0;
  if (!had && free) count(client.session->state(), Event::block_lent);
  tell("client %zu: on_alloc\n", number_of(client));
  const auto buffer = service_.on_alloc(*client.session, now_);
  client.refused = buffer.empty();
  tell("    %s\n", client.refused ? "no block" : "a block");
  expect(had || free == !client.refused, "a block is lent unless others wait or none is left");
  expect(client.refused || buffer.size() == shape_.block_size, "a block has its size");
  // What other clients had said is still in it, or something else: nothing may rely on it.
  std::ranges::fill(buffer, std::byte{0});
}

void CoreWorld::data(Client& client, Answers& answers) {
  const std::size_t size = 1U + answers.pick(shape_.block_size);
  tell("client %zu: on_read, %zu byte(s)\n", number_of(client), size);
  const auto buffer = client.session->buffer();
  for (std::size_t i = 0; i < size; ++i) buffer[i] = byte_of(number_of(client), i);
  client.moved_at = now_;
  client.sent = 0;
  count(client.session->state(), Event::data);
  const Action action = service_.on_data(*client.session, size, now_);
  expect(client.session->unsent().size() == size, "all that was read is to be written");
  perform(client, action, answers);
}

// --- What libuv does when it is asked. ----------------------------------------------------------

void CoreWorld::perform(Client& client, Action action, Answers& answers) {
  for (;;) {
    switch (action) {
      case Action::none: return;
      case Action::read:
        expect(client.open && !client.armed, "reading is started once, on an open stream (R9)");
        expect(!client.queued, "nothing is read while a write is queued");
        client.armed = answers.pick(2) == 0;
        tell("    uv_read_start%s\n", client.armed ? "" : " refuses");
        if (client.armed) return;
        count(client.session->state(), Event::read_refused);
        action = service_.on(*client.session, Event::read_refused, now_);
        break;
      case Action::wait:
        expect(client.open, "reading is stopped on an open stream");
        tell("    uv_read_stop\n");
        client.armed = false;
        client.waits_since = ++turns_;
        return;
      case Action::write:
      case Action::flush: {
        const Action asked = action;
        write(client, action, answers);
        if (asked == Action::flush && client.queued) return;
        break;
      }
      case Action::close:
        expect(client.open, "a stream is closed once (R27)");
        tell("    uv_close\n");
        client.open = client.armed = client.refused = false;
        return;
      case Action::release:
        expect(!client.open && !client.queued, "a session is freed when libuv is done with it");
        expect(client.session->buffer().empty(), "a session that is freed holds no block");
        tell("    freed\n");
        client = Client();
        return;
    }
  }
}

// The two writes; `action` becomes what follows.
void CoreWorld::write(Client& client, Action& action, Answers& answers) {
  expect(client.open && !client.queued, "one write at a time, on an open stream");
  check_bytes(client);
  const std::size_t unsent = client.session->unsent().size();
  expect(unsent > 0, "there is something to be written");
  if (action == Action::flush) {
    client.armed = false;
    client.queued = answers.pick(2) == 0;
    client.moved_at = now_;
    tell("    uv_write of %zu %s\n", unsent, client.queued ? "is queued" : "refuses");
    if (client.queued) return;
  } else if (const std::size_t answer = answers.pick(unsent + 2); answer <= unsent) {
    tell("    uv_try_write takes %zu of %zu\n", unsent - answer, unsent);
    count(client.session->state(), answer == 0 ? Event::wrote_all : Event::wrote_part);
    action = service_.on_wrote(*client.session, unsent - answer, now_);
    client.sent += unsent - answer;
    client.on_trial = answer == 0 && unsent == shape_.block_size;
    expect(client.session->unsent().size() == answer, "what was not written is still to be");
    return;
  } else {
    tell("    uv_try_write refuses\n");
  }
  count(client.session->state(), Event::write_refused);
  action = service_.on(*client.session, Event::write_refused, now_);
}

void CoreWorld::settle(Answers& answers) {
  for (;;) {
    const Time limit = write_limit();
    std::array<State, clients_max> before{};
    for (std::size_t i = 0; i < clients_max; ++i) {
      if (clients_[i].session != nullptr) before[i] = clients_[i].session->state();
    }
    const Service::Due due = service_.next_due(now_);
    if (due.connection == nullptr) return;
    const std::size_t who = number_of(client_of(*due.connection)) - 1;
    Client& client = clients_[who];
    if (due.action == Action::read) {
      tell("    client %zu has waited and gets a block\n", number_of(client));
      count(before[who], Event::block_lent);
      for (const Client& other : clients_) {
        if (other.session == nullptr || other.session->state() != State::waiting) continue;
        expect(client.waits_since < other.waits_since, "who has waited longest is first");
      }
      client.moved_at = now_;
    } else {
      const bool stopped = now_ >= service_.*revealed(StopAt{});
      tell("    client %zu %s\n", number_of(client), stopped ? "is stopped" : "has had its time");
      count(before[who], stopped ? Event::stop : Event::deadline);
      expect(due.action == Action::close, "what is due is a block or the end");
      const Time patience = client.queued ? limit : shape_.idle;
      expect(stopped || now_ >= plus(client.moved_at, patience), "nobody is closed early");
    }
    perform(client, due.action, answers);
  }
}

// --- The end. -----------------------------------------------------------------------------------

bool CoreWorld::empty() const {
  return std::ranges::all_of(clients_, [](const Client& c) { return c.session == nullptr; });
}

void CoreWorld::report_owed(Answers& answers) {
  for (Client& client : clients_) {
    if (client.session == nullptr || client.open) continue;
    if (std::exchange(client.queued, false)) happen(client, Event::write_failed, answers);
    happen(client, Event::close_done, answers);
    settle(answers);
  }
}

void CoreWorld::end_by_stop() {
  tell("to end it, the operator stops\n");
  Answers kind((Step()));
  service_.stop_at(now_);
  settle(kind);
  report_owed(kind);
  expect(empty(), "a stop ends everything");
  check();
}

void CoreWorld::end_by_time() {
  tell("to end it, time passes\n");
  Answers kind((Step()));
  // A connection that waits gets a block, then a time limit: two rounds for each.
  for (std::size_t round = 0; !empty() && round <= 3 * shape_.clients; ++round) {
    report_owed(kind);
    if (empty()) break;
    const Time wake = service_.wake_at();
    if (wake == Time::max()) continue;
    now_ = std::max(now_, wake);
    settle(kind);
  }
  expect(empty(), "time ends everything");
  check();
}

// --- What has to hold. --------------------------------------------------------------------------

void CoreWorld::check() const {
  std::size_t here = 0;
  for (const Client& client : clients_) {
    if (client.session == nullptr) continue;
    ++here;
    const State state = client.session->state();
    const bool reads = state == State::reading || state == State::filling;
    expect(reads == client.armed, "who reads is read for, and nobody else");
    expect(client.open == (reads || state == State::flushing || state == State::waiting),
           "who is open is in one of the open states");
    expect(client.queued == (state == State::flushing || state == State::cancelling),
           "who has a write queued knows it");
    if (client.queued) check_bytes(client);
  }
  expect(service_.open() == here, "who is there is counted");
  expect(service_.has_room() == (here < shape_.clients), "there is room for the others");
  check_blocks();
  check_time();
}

// The ledger, from both sides.
void CoreWorld::check_blocks() const {
  std::array<bool, clients_max> held{};
  std::size_t lent = 0;
  for (const Client& client : clients_) {
    if (client.session == nullptr || client.session->buffer().empty()) continue;
    const std::uint32_t index = client.session->block_index();
    expect(index < shape_.blocks, "a block is one of the pool's");
    expect(!std::exchange(held[index], true), "a block has one holder");
    ++lent;
  }
  const auto& pool = service_.pool();
  expect(pool.available() == pool.capacity() - lent, "what nobody holds is available");
  expect(pool.acquired() - pool.released() == lent, "what was lent and is not held came back");
}

void CoreWorld::check_time() const {
  for (const auto& [line, states] :
       {std::pair(&(service_.*revealed(IdleLine{})), std::pair(State::reading, State::filling)),
        std::pair(&(service_.*revealed(WritingLine{})),
                  std::pair(State::flushing, State::flushing)),
        std::pair(&(service_.*revealed(WaitingLine{})),
                  std::pair(State::waiting, State::waiting))}) {
    std::size_t length = 0;
    Time before{0};
    const bool ring = walk(*line, [&](const Connection& connection) {
      const State state = connection.state();
      expect(state == states.first || state == states.second, "who is in a line belongs there");
      expect(connection.since() >= before, "who came first is first in the line");
      before = connection.since();
      ++length;
    });
    expect(ring, "a line is a ring");
    const std::size_t belong =
        count(states.first) + (states.first == states.second ? 0 : count(states.second));
    expect(length == belong, "who belongs in a line is there");
  }
  if (!settled_) return;

  expect(service_.waiting() == 0 || service_.pool().available() == 0,
         "nobody waits while a block is free");
  Time latest = Time::max();
  const Time stop = service_.*revealed(StopAt{});
  for (const Client& client : clients_) {
    if (client.session == nullptr || !client.open) continue;
    latest = std::min(latest, stop);
    if (client.armed) latest = std::min(latest, plus(client.moved_at, idle_at_most(shape_)));
    if (client.queued) latest = std::min(latest, plus(client.moved_at, write_limit()));
  }
  expect(now_ < latest, "nobody is closed late");
  expect(service_.wake_at() <= latest, "the timer is not later than what is due");
  expect(service_.wake_at() > now_, "the timer is not set to the past");
}

void CoreWorld::check_bytes(const Client& client) const {
  const auto unsent = client.session->unsent();
  for (std::size_t i = 0; i < unsent.size(); ++i) {
    expect(unsent[i] == byte_of(number_of(client), client.sent + i),
           "what is to be written is what the client said");
  }
}

std::size_t CoreWorld::count(State state) const {
  return static_cast<std::size_t>(std::ranges::count_if(clients_, [state](const Client& client) {
    return client.session != nullptr && client.session->state() == state;
  }));
}

// Sooner while more wait than blocks are on their way back.
Time CoreWorld::write_limit() const {
  const bool contended = count(State::waiting) > count(State::cancelling);
  return contended ? std::min(shape_.write, shape_.write_contended) : shape_.write;
}

std::size_t CoreWorld::number_of(const Client& client) const {
  return static_cast<std::size_t>(&client - clients_.data()) + 1;
}

const CoreWorld::Client& CoreWorld::client_of(const Connection& connection) const {
  for (const Client& client : clients_) {
    if (client.session.get() == &connection) return client;
  }
  broken("what is due is somebody who is there");
}

// --- The key. -----------------------------------------------------------------------------------

std::uint8_t CoreWorld::age(Time since) const {
  // Beyond the longest limit one age is like another.
  Time longest{0};
  for (const Time limit : {idle_at_most(shape_), shape_.write, shape_.write_contended}) {
    if (limit != Time::max()) longest = std::max(longest, limit);
  }
  return static_cast<std::uint8_t>(std::min(now_ - since, longest).count());
}

void CoreWorld::describe(const Client& client, std::uint8_t* to) const {
  const Connection& session = *client.session;
  const State state = session.state();
  const auto unsent = session.unsent();
  const auto sent =
      unsent.empty() ? 0U : static_cast<unsigned>(unsent.data() - session.buffer().data());
  const bool timed = client.open && state != State::waiting;
  to[0] = static_cast<std::uint8_t>(1U + static_cast<unsigned>(state) + (client.armed ? 16U : 0U) +
                                    (client.refused ? 32U : 0U) + (client.queued ? 64U : 0U) +
                                    (client.open ? 128U : 0U));
  to[1] = timed ? age(session.since()) : std::uint8_t{0};
  to[2] = timed ? age(client.moved_at) : std::uint8_t{0};
  to[3] = static_cast<std::uint8_t>(sent * 16U + unsent.size() +
                                    (session.*revealed(ReadOnTrial{}) ? 128U : 0U));
}

// First who stands in the lines, in their order; then the others, in any that is always the same.
Key CoreWorld::key() const {
  Key key{};
  std::size_t at = 0;
  for (const DeadlineList* const line :
       {&(service_.*revealed(IdleLine{})), &(service_.*revealed(WritingLine{})),
        &(service_.*revealed(WaitingLine{}))}) {
    walk(*line, [&](const Connection& connection) {
      describe(client_of(connection), &key[at]);
      at += 4;
    });
  }
  std::vector<std::array<std::uint8_t, 4>> others;
  for (const Client& client : clients_) {
    if (client.session == nullptr || client.open) continue;
    describe(client, others.emplace_back().data());
  }
  std::ranges::sort(others);
  for (const auto& other : others)
    at += static_cast<std::size_t>(
        std::ranges::copy(other, key.begin() + static_cast<std::ptrdiff_t>(at)).in - other.begin());
  key[key.size() - 2] = until(service_.wake_at(), now_);
  key[key.size() - 1] = until(service_.*revealed(StopAt{}), now_);
  return key;
}

void CoreWorld::tell(const char* form, ...) const {
  if (!telling) return;
  std::va_list values;
  va_start(values, form);
  std::vfprintf(stderr, form, values);
  va_end(values);
}

}  // namespace props
