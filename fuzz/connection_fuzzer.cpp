// Oracle: each client gets back its own bytes, each block comes back once, nothing is early or
// late.
//
// The Service alone, driven as libuv, the clock and the operator may drive it and in no other way:
// the bytes of an input are their deeds (see Deed), those that are impossible now are passed over.
// What must follow is said here in words, apart from the table of transitions.hpp: which client is
// read from, who has which block, who waits behind whom, which bytes are owed to whom, until when.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "core/service.hpp"
#include "fuzz.hpp"

FUZZ_UNWATCHED_BEGIN
namespace {

using echoproof::Action;
using echoproof::Connection;
using echoproof::Event;
using echoproof::Limits;
using echoproof::Service;
using echoproof::Time;
using fuzz::oracle;

constexpr std::size_t client_count = 4;
constexpr int no_block = -1;

// When `limit` has passed since `since`; some limits are for ever.
Time after(Time since, Time limit) {
  return limit > Time::max() - since ? Time::max() : since + limit;
}

// A few people in the order in which they came.
class Queue {
 public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  std::size_t first() const { return who_[0]; }
  void join(std::size_t who) { who_[size_++] = static_cast<std::uint8_t>(who); }
  void leave(std::size_t who) {
    std::size_t at = 0;
    while (who_[at] != who) ++at;
    --size_;
    for (; at < size_; ++at) who_[at] = who_[at + 1];
  }

 private:
  std::array<std::uint8_t, client_count + 1> who_{};
  std::size_t size_ = 0;
};

// A client, its connection, and what libuv knows of it.
struct Client {
  std::unique_ptr<Connection> connection;  // null: nobody here
  bool open = false;                       // uv_close was not called yet
  bool reading = false;                    // uv_read_start was called, uv_read_stop was not
  bool queued = false;                     // a write callback is owed
  bool waiting = false;                    // for a block
  bool on_trial = false;                   // its last read filled the block: there may be no more
  int block = no_block;                    // the index of the one it holds
  std::uint8_t name = 0;                   // of nobody else who is here
  std::uint8_t said = 0;                   // bytes we read from it
  std::uint8_t heard = 0;                  // bytes it was sent
  Time active{};                           // the last time that its being idle began anew
  Time queued_at{};
};

// What comes first in a byte of the input; who it happens to is in the rest of the byte.
enum class Deed : std::uint8_t {
  clock,             // time passes
  data,              // the kernel has bytes: on_alloc, on_read; the next byte says how many
  data_again,        // the same, so that it is more frequent
  nothing,           // on_read with 0
  eof,               // on_read with UV_EOF
  reset,             // on_read with ECONNRESET
  hang_up,           // on_read with UV_EOF and no on_alloc before it (R4)
  written,           // on_write with 0, also after uv_close (R24)
  write_broken,      // on_write with an error, also ECANCELED after uv_close
  closed,            // on_close
  accept,            // a new client
  refuse_read,       // the next uv_read_start fails
  refuse_try_write,  // the next uv_try_write fails
  refuse_write,      // the next uv_write fails
  stop,              // the operator
  timer,             // time passes until wake_at(), or for so long as is still early
};

class World {
 public:
  World(const Limits& limits, std::size_t blocks)
      : service_(limits), limits_(limits), blocks_(blocks) {}

  void happen(Deed deed, std::size_t who, fuzz::Input& input);
  void end();

 private:
  std::uint8_t byte_of(const Client& client, std::size_t offset) const {
    return static_cast<std::uint8_t>(client.name * 31 + offset * 7 + 1);
  }

  void accept(Client& client);
  bool alloc(Client& client);
  void data(Client& client, std::uint8_t how);
  void read_nothing(Client& client);
  void read_end(Client& client, Event event, bool alloc_first);
  void write_callback(Client& client, Event event);
  void close_callback(Client& client);

  void started_reading(Client& client);
  void try_write(Client& client, std::size_t accepted);
  void write(Client& client);
  void close(Client& client, Action action);
  void gave_back(Client& client);
  void took(Client& client);
  void settle();
  void due(std::size_t who, Action action);
  void nothing_due();

  std::size_t index_of(const Client& client) const {
    return static_cast<std::size_t>(&client - clients_.data());
  }
  bool contended() const { return waiting_.size() > returning_; }
  Time write_limit() const {
    return contended() ? std::min(limits_.write, limits_.write_contended) : limits_.write;
  }
  void owed(const Client& client) const;
  void agree() const;

  Service service_;
  Limits limits_;
  std::size_t blocks_;
  std::array<Client, client_count> clients_;
  Queue waiting_;
  Queue writing_;
  std::size_t lent_ = 0;
  std::size_t returning_ = 0;  // lent to clients that were closed
  std::size_t here_ = 0;
  std::uint64_t loans_ = 0;
  std::uint64_t echoed_ = 0;
  std::uint8_t names_ = 0;
  Time now_{0};
  Time stop_at_ = Time::max();
  bool refuse_read_ = false;
  bool refuse_try_write_ = false;
  bool refuse_write_ = false;
};

// --- What libuv, the clock and the operator do. -------------------------------------------------

void World::happen(Deed deed, std::size_t who, fuzz::Input& input) {
  Client& client = clients_[who];
  switch (deed) {
    case Deed::clock:
      now_ += std::array<Time, client_count>{Time(1), Time(5), Time(33), Time(400)}[who];
      break;
    case Deed::data:
    case Deed::data_again: data(client, input.byte()); break;
    case Deed::nothing: read_nothing(client); break;
    case Deed::eof: read_end(client, Event::eof, true); break;
    case Deed::reset: read_end(client, Event::read_error, true); break;
    case Deed::hang_up: read_end(client, Event::eof, false); break;
    case Deed::written: write_callback(client, Event::write_done); break;
    case Deed::write_broken: write_callback(client, Event::write_failed); break;
    case Deed::closed: close_callback(client); break;
    case Deed::accept: accept(client); break;
    case Deed::refuse_read: refuse_read_ = true; break;
    case Deed::refuse_try_write: refuse_try_write_ = true; break;
    case Deed::refuse_write: refuse_write_ = true; break;
    case Deed::stop: {
      const Time when = now_ + Time(who * who * 20);
      stop_at_ = std::min(stop_at_, when);
      service_.stop_at(when);
      break;
    }
    case Deed::timer:
      if (service_.wake_at() != Time::max()) {
        now_ = std::max(now_, service_.wake_at() - Time(who == 1 ? 1 : 0));
      }
      break;
  }
  settle();
  agree();
}

void World::accept(Client& client) {
  oracle(service_.has_room() == (here_ < limits_.connections), "room until the limit is reached");
  if (client.connection != nullptr || !service_.has_room()) return;
  client = Client{
      .connection = std::make_unique<Connection>(), .open = true, .name = ++names_, .active = now_};
  ++here_;
  service_.on_open(*client.connection, now_);
  started_reading(client);
}

// uv_read_start was asked for; it may fail.
void World::started_reading(Client& client) {
  oracle(client.open && !client.reading && !client.queued, "reading starts once");
  client.reading = true;
  if (!std::exchange(refuse_read_, false)) return;
  close(client, service_.on(*client.connection, Event::read_refused, now_));
}

// Whether the client can be read from: libuv asks for memory first (R1), and there may be none
// (R7).
bool World::alloc(Client& client) {
  const bool had = client.block != no_block;
  const bool lends = !had && lent_ < blocks_ && waiting_.empty();
  const std::span<std::byte> buffer = service_.on_alloc(*client.connection, now_);
  oracle(buffer.empty() == !(had || lends), "a block is lent if one is free and nobody waits");
  if (lends) took(client);
  if (!buffer.empty()) return true;
  if (std::exchange(client.on_trial, false)) {
    oracle(service_.on(*client.connection, Event::no_buffer, now_) == Action::none,
           "who may have nothing to read does not wait for a block");
    return false;
  }
  oracle(service_.on(*client.connection, Event::no_buffer, now_) == Action::wait,
         "who was refused a block waits");
  client.reading = false;
  client.waiting = true;
  waiting_.join(index_of(client));
  return false;
}

void World::data(Client& client, std::uint8_t how) {
  if (!client.reading || !alloc(client)) return;
  const std::span<std::byte> buffer = client.connection->buffer();
  oracle(buffer.size() == limits_.block_size, "a block has the size that was asked for");
  const std::size_t size = 1 + how % buffer.size();
  for (std::size_t i = 0; i < size; ++i) buffer[i] = std::byte{byte_of(client, client.said + i)};
  client.said = static_cast<std::uint8_t>(client.said + size);
  client.active = now_;
  oracle(service_.on_data(*client.connection, size, now_) == Action::write, "data is written");
  owed(client);
  // The kindest answer is that the kernel takes all.
  try_write(client, size - std::min<std::size_t>(how / 16U, size));
}

void World::try_write(Client& client, std::size_t accepted) {
  if (std::exchange(refuse_try_write_, false)) {
    return close(client, service_.on(*client.connection, Event::write_refused, now_));
  }
  client.heard = static_cast<std::uint8_t>(client.heard + accepted);
  echoed_ += accepted;
  const Action action = service_.on_wrote(*client.connection, accepted, now_);
  client.on_trial = client.heard == client.said && accepted == limits_.block_size;
  if (client.heard == client.said) {
    oracle(action == Action::none, "after the whole echo, reading goes on");
    return gave_back(client);
  }
  oracle(action == Action::flush, "what the kernel did not take is queued");
  client.reading = false;
  client.queued = true;
  client.queued_at = now_;
  writing_.join(index_of(client));
  owed(client);
  if (std::exchange(refuse_write_, false)) {
    client.queued = false;
    writing_.leave(index_of(client));
    close(client, service_.on(*client.connection, Event::write_refused, now_));
  }
}

void World::read_nothing(Client& client) {
  if (!client.reading || !alloc(client)) return;
  oracle(service_.on(*client.connection, Event::empty_read, now_) == Action::none,
         "nothing to read is nothing to do");
  client.on_trial = false;
  gave_back(client);
}

void World::read_end(Client& client, Event event, bool alloc_first) {
  if (!client.reading || (alloc_first && !alloc(client))) return;
  oracle(client.heard == client.said, "at the end of input nothing is owed");
  close(client, service_.on(*client.connection, event, now_));
}

void World::write_callback(Client& client, Event event) {
  if (!client.queued) return;
  owed(client);  // libuv read it until now (R12)
  client.queued = false;
  if (event == Event::write_done) {
    echoed_ += static_cast<std::uint8_t>(client.said - client.heard);
    client.heard = client.said;
  }
  if (client.open) writing_.leave(index_of(client));
  const Action action = service_.on(*client.connection, event, now_);
  if (!client.open) {
    --returning_;
    oracle(action == Action::none, "a closed connection is not read from again");
    return gave_back(client);
  }
  if (event == Event::write_failed) return close(client, action);
  oracle(action == Action::read, "after the whole echo, reading goes on");
  gave_back(client);
  client.active = now_;
  started_reading(client);
}

void World::close_callback(Client& client) {
  if (client.connection == nullptr || client.open || client.queued) return;
  oracle(service_.on(*client.connection, Event::close_done, now_) == Action::release,
         "a session is freed when libuv has let go of it");
  client.connection.reset();
  --here_;
}

// --- What follows. ------------------------------------------------------------------------------

void World::took(Client& client) {
  ++lent_;
  ++loans_;
  client.block = static_cast<int>(client.connection->block_index());
  oracle(client.block < static_cast<int>(blocks_), "an index is less than the capacity");
  for (const Client& other : clients_) {
    oracle(&other == &client || other.block != client.block, "no two clients share a block");
  }
}

void World::gave_back(Client& client) {
  if (client.block == no_block) return;
  --lent_;
  client.block = no_block;
}

void World::close(Client& client, Action action) {
  oracle(client.open && action == Action::close, "this ends the connection, once");
  client.open = false;
  client.reading = false;
  if (client.waiting) waiting_.leave(index_of(client));
  client.waiting = false;
  if (client.queued) {
    writing_.leave(index_of(client));
    ++returning_;
  } else {
    gave_back(client);
  }
}

// What the client sent and was not sent back, byte by byte, and nothing else.
void World::owed(const Client& client) const {
  const std::span<const std::byte> unsent = client.connection->unsent();
  oracle(unsent.size() == static_cast<std::uint8_t>(client.said - client.heard),
         "what is owed is unsent");
  for (std::size_t i = 0; i < unsent.size(); ++i) {
    oracle(unsent[i] == std::byte{byte_of(client, client.heard + i)}, "the client's own bytes");
  }
}

void World::settle() {
  for (;;) {
    const Service::Due answer = service_.next_due(now_);
    if (answer.connection == nullptr) return nothing_due();
    std::size_t who = 0;
    while (who < client_count && clients_[who].connection.get() != answer.connection) ++who;
    oracle(who < client_count, "what is due concerns somebody who is here");
    due(who, answer.action);
  }
}

void World::due(std::size_t who, Action action) {
  Client& client = clients_[who];
  if (action == Action::read) {
    oracle(client.waiting && waiting_.first() == who, "who has waited longest is first");
    oracle(lent_ < blocks_, "a block that is lent is not lent again");
    waiting_.leave(who);
    client.waiting = false;
    client.active = now_;
    took(client);
    return started_reading(client);
  }
  oracle(waiting_.empty() || lent_ == blocks_, "who waits comes before a time limit");
  if (now_ < stop_at_) {
    oracle(!client.waiting, "nobody is closed for waiting");
    if (client.queued) {
      oracle(writing_.first() == who, "the write queued longest is the first to expire");
      oracle(now_ >= after(client.queued_at, write_limit()),
             "nobody is closed early while writing");
    } else {
      oracle(now_ >= after(client.active, limits_.idle), "nobody is closed early while idle");
    }
  }
  close(client, action);
}

// No connection has had its time, and wake_at() is not later than the first that will have.
void World::nothing_due() {
  oracle(waiting_.empty() || lent_ == blocks_, "nobody waits beside a free block");
  Time latest = Time::max();
  for (const Client& client : clients_) {
    if (!client.open) continue;
    latest = std::min(latest, stop_at_);
    if (client.waiting) continue;
    const Time idle_end = after(after(client.active, limits_.idle), limits_.idle / 16);
    const Time queued_end = after(client.queued_at, write_limit());
    latest = std::min(latest, client.queued ? queued_end : idle_end);
  }
  oracle(now_ < latest, "nobody is closed late");
  oracle(service_.wake_at() <= latest, "the timer is not later than what is due");
  oracle(service_.wake_at() > now_, "the timer is not set to the past");
  if (latest == Time::max()) oracle(service_.wake_at() == latest, "nobody to wake up for");
}

void World::agree() const {
  oracle(service_.open() == here_, "who was opened and not closed is open");
  oracle(service_.waiting() == waiting_.size(), "who waits is counted");
  oracle(service_.bytes_echoed() == echoed_, "every echoed byte is counted");
  oracle(service_.pool().capacity() == blocks_, "the limit on memory is kept");
  oracle(service_.pool().available() == blocks_ - lent_, "what is not lent is available");
  oracle(service_.pool().acquired() == loans_, "every loan is in the ledger");
  oracle(service_.pool().released() == loans_ - lent_, "every return is in the ledger, once");
}

// The operator stops; libuv reports the rest; then nothing is left.
void World::end() {
  stop_at_ = std::min(stop_at_, now_);
  service_.stop_at(now_);
  settle();
  for (Client& client : clients_) {
    oracle(!client.open, "a stop ends everything");
    write_callback(client, Event::write_failed);
    close_callback(client);
  }
  settle();
  agree();
  oracle(here_ == 0 && lent_ == 0, "nothing is left");
}

void run(fuzz::Input input) {
  const std::uint8_t shape = input.byte();
  const std::size_t connections = 1 + shape % client_count;
  const std::size_t blocks = 1 + shape / 4 % 3;
  const std::size_t block_size = std::array<std::size_t, 4>{4, 1, 2, 13}[shape / 16 % 4];
  const std::size_t patience = shape / 64U;
  World world({.connections = connections,
               .buffer_memory = blocks * block_size,
               .block_size = block_size,
               .idle = std::array<Time, 4>{Time(320), Time(7), Time::max(), Time(320)}[patience],
               .write = std::array<Time, 4>{Time(100), Time(100), Time(100), Time::max()}[patience],
               .write_contended = patience == 1 ? Time(1000) : Time(10)},
              std::min(blocks, connections));
  while (!input.empty()) {
    const std::uint8_t byte = input.byte();
    world.happen(static_cast<Deed>(byte % 16), byte / 16U % client_count, input);
  }
  world.end();
}

}  // namespace
FUZZ_UNWATCHED_END

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  run(fuzz::Input(data, size));
  return 0;
}
