#include "model/core_model.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <utility>

#include "model/revealed.hpp"

FUZZ_UNWATCHED_BEGIN
namespace model {
namespace {

// Evaluates its arguments only if the model prints what happens.
#define TELL(...) (telling ? say(__VA_ARGS__) : void())

namespace core = echoproof;
using core::Action;
using core::Connection;
using core::Event;
using core::KernelBudget;
using core::Limits;
using core::Reason;
using core::State;

// The kernel's count of owed bytes is given in shares. The server lingers for two shares.
constexpr std::size_t share = core::linger_share / 2;

// How late a look may come: the timer counts milliseconds, the shortest pause between two looks is
// one millisecond, and a look is judged a poll later. At most three looks follow a limit.
constexpr Time grain{9};

// A limit may be Time::max(), which is for ever.
Time after(Time since, Time limit) {
  return limit > Time::max() - since ? Time::max() : since + limit;
}

// A limit plus a part of it, plus the error of a clock that counts milliseconds.
Time with_slack(Time limit, int part) {
  return limit == Time::max() ? limit : limit + limit / part + grain;
}

// The memory for the shape's large blocks beside a small block for each connection.
std::size_t memory_for(const CoreShape& shape, std::size_t small_size) {
  const std::size_t small = core::BlockPool::stride_of(small_size) * shape.clients;
  if (shape.large_blocks == 0) return 2 * small;
  return small +
         std::max(small, core::BlockPool::stride_of(shape.block_size) * (shape.large_blocks + 1));
}

Limits limits_of(const CoreShape& shape, std::size_t small_size) {
  return {.connections = shape.clients,
          .buffer_memory = memory_for(shape, small_size),
          .block_size = shape.block_size,
          .kernel_memory = shape.kernel_memory,
          .tuned_socket = shape.tuned_socket,
          .idle = shape.idle,
          .write = shape.write};
}

// What every client says; each client starts at a place of its own.
constexpr std::size_t period = 251;
constexpr std::size_t block_size_max = 3000;
constexpr auto speech = [] {
  std::array<std::uint8_t, period + block_size_max> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(i % period * (i % period + 3) % 256);
  }
  return bytes;
}();

const std::uint8_t* speech_of(std::uint8_t name, std::uint64_t offset) {
  return &speech[(name * 97U + offset) % period];
}

// Chooses one of the sizes up to `most` that differ in effect.
std::size_t pick_size(std::size_t most, std::size_t small, Answers& answers) {
  if (most <= 16) return 1 + answers.pick(most);
  const std::array<std::size_t, 4> sizes{most, 1, std::min(small, most), std::min(small + 1, most)};
  return sizes[answers.pick(sizes.size())];
}

// Chooses how much of `size` is left; 0 and `size` are among the choices.
std::size_t pick_left(std::size_t size, std::size_t small, Answers& answers) {
  if (size <= 16) return answers.pick(size + 1);
  const std::array<std::size_t, 5> left{0, 1, size, std::min(small, size),
                                        std::min(small + 1, size)};
  return left[answers.pick(left.size())];
}

Event pick_failure(Answers& answers) { return answers.pick(2) == 0 ? Event::reset : Event::error; }

Reason reason_of_failure(Event event) {
  return event == Event::reset ? Reason::reset : Reason::error;
}

// The kindest answers: while only time passes, nothing fails.
struct Kindest final : Answers {
  std::size_t pick(std::size_t) override { return 0; }
  bool fails() override { return false; }
} kindest;

// A future time as part of a key: 0 is past, 255 is never.
std::uint8_t until(Time when, Time now) {
  if (when == Time::max()) return 255;
  return static_cast<std::uint8_t>(std::clamp<Time::rep>((when - now).count(), 0, 254));
}

}  // namespace

CoreModel::Rows CoreModel::rows_used{};

CoreShape CoreShape::pick(Answers& answers) {
  CoreShape shape;
  shape.clients = 1 + (3 + answers.pick(4)) % 4;
  shape.block_size = std::array<std::size_t, 8>{4, 1, 13, 4, 2, 4, 13, 2100}[answers.pick(8)];
  if (shape.block_size > core::small_block_size) shape.large_blocks = 1;
  shape.owed_max = 3;
  const std::size_t patience = answers.pick(5);
  shape.idle =
      std::array<Time, 5>{Time(1600), Time(320), Time(40), Time::max(), Time(1600)}[patience];
  shape.write =
      std::array<Time, 5>{Time(800), Time(960), Time(160), Time(100), Time::max()}[patience];
  shape.drain = Time(70);
  const std::size_t memory = answers.pick(3);
  if (memory > 0) {
    shape.tuned_socket = std::size_t{64} << 10;
    shape.kernel_memory = shape.clients * KernelBudget::least + (memory == 1 ? 0U : 600'000U);
  }
  // From one limit to the next, and beyond each in one go.
  shape.pauses = {Time(1), Time(50), Time(170), Time(1710), Time(3), Time(45), Time(12), Time(910)};
  shape.pause_count = shape.pauses.size();
  return shape;
}

CoreModel::CoreModel(const Shape& shape)
    : shape_(shape),
      small_size_(std::min(core::small_block_size, shape.block_size)),
      service_(limits_of(shape, small_size_)) {
  const core::BlockPool& small = service_.small_blocks();
  const core::BlockPool& large = service_.large_blocks();
  expect(small.capacity() == shape.clients && small.block_size() == small_size_,
         "there is a small block for every connection");
  expect(large.capacity() >= shape.large_blocks && large.capacity() <= shape.clients,
         "what memory is left goes to large blocks");
  expect(large.capacity() == 0 || large.block_size() == shape.block_size,
         "a large block has the size that was asked for");
  const std::size_t scratch = large.capacity() > 0 ? shape.block_size : small_size_;
  const std::size_t all = small.capacity() * core::BlockPool::stride_of(small_size_) +
                          large.capacity() * core::BlockPool::stride_of(shape.block_size) + scratch;
  expect(all <= memory_for(shape, small_size_), "the limit on memory is kept");
}

// --- What may happen. ---------------------------------------------------------------------------

bool CoreModel::possible(Kind kind, std::size_t who) const {
  const Client& client = clients_[who];
  switch (kind) {
    case Kind::connect: return who < shape_.clients && !client.connection;
    case Kind::data: return client.reading && client.owed < shape_.owed_max;
    case Kind::nothing:
    case Kind::eof:
    case Kind::read_failed: return client.reading;
    case Kind::written:
    case Kind::write_failed: return client.queued;
    case Kind::closed: return client.connection && !client.open && !client.queued;
    // Queued bytes are not in the client's kernel yet.
    case Kind::take: return client.open && client.owed > (client.queued ? 1 : 0);
    case Kind::clock: return who == 0;
    case Kind::timer: return who == 0 && timer_at() != Time::max();
    case Kind::stop: return who == 0 && now_ < stop_at_;
  }
  return false;
}

bool CoreModel::play(Step& step, Answers& answers) {
  // Answers that lead further come more often.
  constexpr std::array<Kind, 16> again{Kind::data, Kind::take, Kind::clock, Kind::data};
  const Kind kind =
      step.kind < kind_count ? static_cast<Kind>(step.kind) : again[(step.kind - kind_count) % 4];
  step.kind = static_cast<std::uint8_t>(kind);
  std::size_t who = step.who % shape_.clients;
  for (std::size_t asked = 0; !possible(kind, who); who = (who + 1) % shape_.clients) {
    if (++asked == shape_.clients) return false;
  }
  step.who = static_cast<std::uint8_t>(who);
  Client& client = clients_[who];
  switch (kind) {
    case Kind::clock: clock(shape_.pauses[answers.pick(shape_.pause_count)]); break;
    case Kind::timer:
      now_ = std::max(now_, timer_at());
      run_timer(answers);
      break;
    case Kind::connect: connect(client, answers); break;
    case Kind::data: data(client, answers); break;
    case Kind::take: {
      const std::size_t most = client.owed - (client.queued ? 1U : 0U);
      client.owed = static_cast<std::uint8_t>(client.owed - (most - answers.pick(most)));
      client.sign_at = now_;
      TELL("client %zu: takes some, %d share(s) are left\n", number_of(client), client.owed);
      break;
    }
    case Kind::nothing:
      TELL("client %zu: on_read, nothing now\n", number_of(client));
      expect(on(client, Event::empty_read) == Action::none, "nothing to read is nothing to do");
      break;
    case Kind::eof: eof(client, answers); break;
    case Kind::read_failed:
      TELL("client %zu: on_read fails\n", number_of(client));
      client.reading = false;  // libuv stops by itself (R10)
      fail(client, answers);
      break;
    case Kind::written: written(client, answers); break;
    case Kind::write_failed: write_failed(client, answers); break;
    case Kind::closed: closed(client); break;
    case Kind::stop: stop(answers); break;
  }
  return true;
}

// --- Time. --------------------------------------------------------------------------------------

// libuv runs timers before it polls: limits that have come are judged a poll later, as of then.
Time CoreModel::timer_at() const {
  return due_since_ == Time::max() ? service_.wake_at() : due_since_ + Time(1);
}

void CoreModel::clock(Time pause) {
  TELL("%d ms pass\n", static_cast<int>(pause.count()));
  const Time until = now_ + pause;
  while (timer_at() < until) {
    now_ = std::max(now_, timer_at());
    run_timer(kindest);
  }
  now_ = until;
}

void CoreModel::run_timer(Answers& answers) {
  if (due_since_ == Time::max()) {
    due_since_ = now_;
    TELL("the timer: limits have come\n");
  } else {
    TELL("the timer: limits are judged\n");
    look(std::exchange(due_since_, Time::max()), answers);
  }
}

void CoreModel::stop(Answers& answers) {
  const Time drain = answers.pick(2) == 0 ? shape_.drain : Time(0);
  TELL("the operator stops in %d ms\n", static_cast<int>(drain.count()));
  stop_at_ = std::min(stop_at_, now_ + drain);
  service_.stop_at(now_ + drain);
  if (drain == Time(0)) look(now_, answers);
}

// In bytes. The server's FIN counts as one byte while bytes before it are owed.
std::size_t CoreModel::unacknowledged(const Client& client) {
  return client.owed * share + (client.lingering && client.owed > 0 ? 1U : 0U);
}

void CoreModel::look(Time as_of, Answers& answers) {
  while (Connection* const due = service_.next_due(as_of, now_)) {
    Client& client = client_of(*due);
    expect(client.open, "a closed connection is not looked at");
    const State before = due->state();
    // libuv does not watch a lingering connection, so a look sees its reset.
    if (client.lingering && answers.fails()) {
      fail(client, answers);
      continue;
    }
    const Action action = service_.on_look(*due, unacknowledged(client), as_of, now_);
    TELL("    look at client %zu: %d share(s) owed\n", number_of(client), client.owed);
    if (!is_open(due->state())) {
      used(before, due->ended_by());
      looked(client, action, as_of);
    } else {
      used(before, due->state() == before ? Event::taking : Event::caught_up);
      expect(action == Action::none, "a connection that stays is left alone");
      expect(as_of < stop_at_, "a stop ends everything");
    }
  }
  const Time wake = service_.wake_at();
  bool all_closed = true;
  for (const Client& client : clients_) {
    all_closed = all_closed && !client.open;
    expect(!client.open || as_of < stop_at_, "a stop ends everything");
  }
  expect(!all_closed || wake == Time::max(), "without connections the timer is off");
  expect(all_closed || wake > as_of, "the timer is not set to the past");
  // 20 looks within the write limit and 40 within the idle limit, each of a crowd of 8 wake-ups.
  const Time pause = std::max(Time(1), std::min(shape_.idle, shape_.write) / 320);
  expect(wake >= std::min({stop_at_, after(as_of, pause), as_of + Time(125)}),
         "no connection is looked at all the time");
}

// The look has ended the connection.
void CoreModel::looked(Client& client, Action action, Time as_of) {
  const bool owed = client.owed > 0;
  if (!owed && client.lingering) return ended(client, action, Action::close, Reason::eof);
  if (as_of >= stop_at_) {
    return ended(client, action, owed ? Action::reset : Action::close, Reason::drain);
  }
  if (!owed) {
    expect(as_of >= after(client.sign_at, shape_.idle), "no client is closed early while idle");
    return ended(client, action, Action::close, Reason::idle);
  }
  expect(as_of >= after(client.sign_at, shape_.write),
         "no client is cut that took something in time");
  ended(client, action, Action::reset, Reason::write_limit);
}

// The latest time at which a client that says and takes nothing any more is closed.
Time CoreModel::end_of(const Client& client) const {
  const bool owed = client.owed > 0;
  Time limit = with_slack(shape_.write, 8);
  if (client.lingering && !owed) {
    limit = grain + std::min(shape_.write, Time(24'000)) / 8;  // a look is enough
  } else if (!client.queued && !client.lingering) {
    limit = owed ? with_slack(shape_.write, 8) : with_slack(shape_.idle, 16);
  }
  return after(client.sign_at, limit);
}

// --- What happens to a connection. --------------------------------------------------------------

void CoreModel::used(State from, Event event) {
  ++rows_used[static_cast<std::size_t>(from)][static_cast<std::size_t>(event)];
}

Action CoreModel::on(Client& client, Event event) {
  used(client.connection->state(), event);
  return service_.on(*client.connection, event, now_);
}

void CoreModel::connect(Client& client, Answers& answers) {
  TELL("client %zu: on_connection\n", number_of(client));
  expect(service_.has_room(), "there is room until the limit is reached");
  static_cast<Known&>(client) = {.grant = {}, .open = true, .name = ++names_, .sign_at = now_};
  client.connection.make();
  ++here_;
  client.grant = service_.on_open(*client.connection, now_);
  if (shape_.kernel_memory == KernelBudget::unlimited) {
    expect(client.grant.tuned, "the kernel tunes what is not bounded");
  } else {
    expect(client.grant.bytes >= KernelBudget::least,
           "every client is granted enough to be served");
    const int buffers = client.grant.receive_buffer() + client.grant.send_buffer();
    expect(client.grant.tuned || static_cast<std::size_t>(buffers) * 5 / 2 <= client.grant.bytes,
           "the buffers stay within the grant, although the kernel takes more");
    expect(client.grant.tuned || client.grant.receive_buffer() >= KernelBudget::promised,
           "no window that a client was told of shrinks");
  }
  start_reading(client, answers);
}

// The socket's options may fail, and so may uv_read_start.
void CoreModel::start_reading(Client& client, Answers& answers) {
  expect(client.open && !client.reading && !client.queued, "reading starts once (R9)");
  client.reading = !answers.fails();
  TELL("    uv_read_start%s\n", client.reading ? "" : " is refused");
  if (!client.reading) ended(client, on(client, Event::refused), Action::reset, Reason::refused);
}

// A call or a callback reports that the client is gone, or another error.
void CoreModel::fail(Client& client, Answers& answers) {
  const Event event = pick_failure(answers);
  TELL("    %s\n", event == Event::reset ? "the client is gone" : "an error");
  ended(client, on(client, event), Action::reset, reason_of_failure(event));
}

void CoreModel::data(Client& client, Answers& answers) {
  const std::span<std::byte> buffer = service_.read_buffer();
  const core::BlockPool& large = service_.large_blocks();
  expect(buffer.size() == (large.available() > 0 ? shape_.block_size : small_size_),
         "there is always room for a read, and no more than can be kept");
  const std::size_t size = pick_size(buffer.size(), small_size_, answers);
  TELL("client %zu: on_read, %zu byte(s)\n", number_of(client), size);
  std::memcpy(buffer.data(), speech_of(client.name, client.said), size);
  client.said += size;
  client.sign_at = now_;
  const unsigned shares = size > 1 && size == buffer.size() ? 2 : 1;
  client.owed =
      static_cast<std::uint8_t>(std::min<std::size_t>(client.owed + shares, shape_.owed_max));
  used(client.connection->state(), Event::data);
  expect(service_.on_data(*client.connection, size, now_) == Action::write, "data is written");
  check_bytes(client);
  if (answers.fails()) return fail(client, answers);
  try_write(client, size, answers);
}

void CoreModel::try_write(Client& client, std::size_t size, Answers& answers) {
  const std::size_t left = pick_left(size, small_size_, answers);
  TELL("    uv_try_write takes all but %zu\n", left);
  client.heard += size - left;
  echoed_ += size - left;
  used(State::writing, left == 0 ? Event::wrote_all : Event::wrote_part);
  const Action action = service_.on_wrote(*client.connection, size - left, now_);
  if (left == 0) return expect(action == Action::none, "after the whole echo, reading goes on");
  expect(action == Action::flush, "what the kernel did not take is queued");
  client.reading = false;
  ++loans_;
  client.slot = service_.slot_of(*client.connection);
  expect(client.slot < service_.small_blocks().capacity() + service_.large_blocks().capacity(),
         "a block's number is less than their count");
  for (const Client& other : clients_) {
    expect(!other.queued || other.slot != client.slot, "no two clients share a block");
  }
  check_bytes(client);
  if (answers.fails()) return fail(client, answers);  // nothing was queued (R14)
  client.queued = true;
}

void CoreModel::eof(Client& client, Answers& answers) {
  TELL("client %zu: on_read, UV_EOF\n", number_of(client));
  client.reading = false;  // libuv stops by itself (R8)
  client.sign_at = now_;
  const bool lingers = client.owed * share >= core::linger_share;
  used(client.connection->state(), lingers ? Event::eof_owed : Event::eof);
  const Action action = service_.on_eof(*client.connection, client.owed * share, now_);
  if (!lingers) return ended(client, action, Action::close, Reason::eof);
  expect(action == Action::finish, "a client that is owed much is stayed with after its FIN");
  client.lingering = true;
  if (answers.fails()) fail(client, answers);
}

void CoreModel::written(Client& client, Answers& answers) {
  TELL("client %zu: on_write, done\n", number_of(client));
  check_bytes(client);  // libuv read them until now (R12)
  client.queued = false;
  echoed_ += client.said - client.heard;
  client.heard = client.said;
  const Action action = on(client, Event::write_done);
  if (!client.open) {
    return expect(action == Action::none, "a closed connection is not read from again");
  }
  expect(action == Action::read, "after the whole echo, reading goes on");
  client.sign_at = now_;
  start_reading(client, answers);
}

void CoreModel::write_failed(Client& client, Answers& answers) {
  TELL("client %zu: on_write fails\n", number_of(client));
  check_bytes(client);
  client.queued = false;
  if (client.open) return fail(client, answers);
  expect(on(client, pick_failure(answers)) == Action::none, "no client is closed twice (R27)");
}

// Checks that the connection was ended in the right way and for the counted reason.
void CoreModel::ended(Client& client, Action action, Action wanted, Reason reason) {
  expect(client.open, "no client is closed twice (R27)");
  expect(wanted != Action::reset || action != Action::close, "a cut client gets a reset");
  expect(action == wanted, "this ends the connection, with a FIN or a reset");
  expect(reason_of(client.connection->ended_by()) == reason, "the right reason is counted");
  TELL("    client %zu is closed, by %s\n", number_of(client),
       action == Action::reset ? "a reset" : "FIN");
  ++reasons_[static_cast<std::size_t>(reason)];
  client.open = client.reading = client.lingering = false;
}

void CoreModel::closed(Client& client) {
  TELL("client %zu: on_close\n", number_of(client));
  expect(client.connection->bytes_echoed() == client.heard, "each echo is counted for its client");
  expect(on(client, Event::close_done) == Action::release,
         "a session is freed when libuv has let go of it");
  client.connection.free();
  client.grant = {};
  --here_;
}

// --- What must hold. ----------------------------------------------------------------------------

// The unsent bytes are exactly those that the client said and that were not sent back.
void CoreModel::check_bytes(const Client& client) const {
  const std::span<const std::byte> unsent = client.connection->unsent();
  expect(unsent.size() == client.said - client.heard, "what is owed is unsent");
  const std::uint8_t* const wanted = speech_of(client.name, client.heard);
  bool same = true;
  for (std::size_t i = 0; i < unsent.size(); ++i) same = same && unsent[i] == std::byte{wanted[i]};
  expect(same, "the client's own bytes");
}

void CoreModel::check() const {
  std::size_t held = 0;
  std::size_t granted = 0;
  Time latest = Time::max();
  for (const Client& client : clients_) {
    held += client.queued;
    granted += client.grant.bytes;
    if (!client.open) continue;
    latest = std::min(latest, end_of(client));
  }
  expect(now_ <= latest, "no client is closed late");
  expect(service_.wake_at() <= latest, "the timer is not later than what is due");
  expect(service_.open() == here_, "a connection that was opened and not closed is open");
  expect(service_.has_room() == (here_ < shape_.clients),
         "there is room until the limit is reached");
  expect(service_.bytes_echoed() == echoed_, "every echoed byte is counted");
  const core::BlockPool& small = service_.small_blocks();
  const core::BlockPool& large = service_.large_blocks();
  expect(small.lent() + large.lent() == held,
         "exactly the connections with a queued write hold a block");
  expect(small.acquired() + large.acquired() == loans_, "every loan is in the ledger");
  expect(small.released() + large.released() == loans_ - held,
         "every return is in the ledger, once");
  expect(service_.kernel_memory().granted() == granted, "kernel memory comes back once");
  expect(granted <= shape_.kernel_memory, "no more kernel memory is granted than there is");
  for (std::size_t i = 0; i < reasons_.size(); ++i) {
    expect(service_.closed(static_cast<Reason>(i)) == reasons_[i], "each end is counted once");
  }
}

void CoreModel::report_owed(Answers& answers) {
  for (Client& client : clients_) {
    if (client.open || !client.connection) continue;
    if (client.queued) write_failed(client, answers);
    closed(client);
  }
}

void CoreModel::end() {
  TELL("the operator stops\n");
  stop_at_ = std::min(stop_at_, now_);
  service_.stop_at(now_);
  look(now_, kindest);
  report_owed(kindest);
  check();
  expect(empty(), "nothing is left");
}

void CoreModel::end_by_time() {
  TELL("no client says or takes anything any more\n");
  while (!empty()) {
    report_owed(kindest);
    check();
    if (empty()) break;
    expect(timer_at() != Time::max(), "time alone ends everything");
    now_ = std::max(now_, timer_at());
    run_timer(kindest);
  }
}

std::size_t CoreModel::number_of(const Client& client) const {
  return static_cast<std::size_t>(&client - clients_.data()) + 1;
}

CoreModel::Client& CoreModel::client_of(const Connection& connection) {
  for (Client& client : clients_) {
    if (client.connection && &*client.connection == &connection) return client;
  }
  broken("a due connection is one of the model's");
}

// --- The key. -----------------------------------------------------------------------------------

std::uint8_t CoreModel::age(Time since) const {
  // Ages beyond the longest limit count as one.
  Time longest{0};
  for (const Time limit : {with_slack(shape_.idle, 16), with_slack(shape_.write, 8)}) {
    if (limit != Time::max()) longest = std::max(longest, limit);
  }
  return static_cast<std::uint8_t>(std::clamp(now_ - since, Time(0), longest).count());
}

void CoreModel::describe(const Client& client, std::uint8_t* to) const {
  const Connection& connection = *client.connection;
  const bool large = connection.block() && connection.block().is_of(service_.large_blocks());
  const std::size_t known = connection.*revealed(Unacknowledged{});
  to[0] = static_cast<std::uint8_t>(1U + static_cast<unsigned>(connection.state()) +
                                    (client.reading ? 16U : 0U) + (client.queued ? 32U : 0U) +
                                    (client.open ? 64U : 0U) + (large ? 128U : 0U));
  const KernelBudget::Grant& grant = client.grant;
  to[1] = static_cast<std::uint8_t>(
      (grant.tuned ? 16U : 0U) +
      std::min<std::size_t>(15, grant.tuned ? 0 : (grant.bytes - KernelBudget::least) >> 12));
  if (!client.open) return;
  to[1] = static_cast<std::uint8_t>(to[1] + 32U * client.owed);
  to[2] = age(connection.since());
  to[3] =
      connection.state() == State::quiet ? std::uint8_t{0} : age(connection.*revealed(MovedAt{}));
  to[4] = static_cast<std::uint8_t>(std::min<std::size_t>(known / share, 255));
  to[5] = age(client.sign_at);
}

// First the connections in the lists, in order. Then the others, in a fixed order.
CoreModel::Key CoreModel::key() const {
  Key key{};
  std::size_t at = 0;
  std::size_t listed = 0;
  for (const core::DeadlineList* const list : lists_of(service_)) {
    Time before{};
    const bool ring = walk(*list, [&](const Connection& connection) {
      expect(connection.since() >= before, "a list keeps the order of entry");
      before = connection.since();
      for (const Client& client : clients_) {
        if (client.connection && &*client.connection == &connection) {
          describe(client, &key[at]);
          at += 6;
        }
      }
      ++listed;
    });
    expect(ring, "a list is a ring");
  }
  std::array<std::array<std::uint8_t, 6>, clients_max> others{};
  std::size_t count = 0;
  for (const Client& client : clients_) {
    if (client.open) {
      expect(listed-- > 0, "an open connection is in a list");
    } else if (client.connection) {
      describe(client, others[count++].data());
    }
  }
  std::sort(others.begin(), others.begin() + static_cast<std::ptrdiff_t>(count));
  for (std::size_t i = 0; i < count; ++i, at += 6) std::ranges::copy(others[i], &key[at]);
  key[key.size() - 3] = until(service_.wake_at(), now_);
  key[key.size() - 2] = until(service_.*revealed(StopAt{}), now_);
  key[key.size() - 1] = until(due_since_, now_ - Time(2));
  return key;
}

void CoreModel::say(const char* form, ...) const {
  std::va_list values;
  va_start(values, form);
  std::vfprintf(stderr, form, values);
  va_end(values);
}

}  // namespace model
FUZZ_UNWATCHED_END
