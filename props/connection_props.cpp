// Property: whatever libuv, the clients, the clock and the operator do, in whatever order, the
// Service answers as the model foretells, and in the end nothing is left.
//
// The model is exact: it knows every line and every limit, and foretells each answer before the
// Service is asked. Its events interleave more freely than libuv's do: between on_alloc and on_read
// of one connection anything may happen to another.
#include <rapidcheck.h>
#include <rapidcheck/state.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <numeric>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/service.hpp"
#include "property.hpp"

namespace {

using echoproof::Action;
using echoproof::Connection;
using echoproof::Event;
using echoproof::Limits;
using echoproof::Service;
using echoproof::Time;

constexpr std::size_t client_count = 5;
constexpr std::size_t connections_max = 4;
constexpr std::size_t block_count = 2;
constexpr std::uint32_t block_size = 6;
constexpr Limits limits{.connections = connections_max,
                        .buffer_memory = block_count * block_size,
                        .block_size = block_size,
                        .idle = Time(160),
                        .write = Time(60),
                        .write_contended = Time(20)};
constexpr Time idle_slack = limits.idle / 16;

// Every way a connection can end, and what is rare. All of it has to be reached.
const std::vector<std::string> paths = {
    "closed: EOF",
    "closed: EOF with a block in hand",
    "closed: read error",
    "closed: read error with a block in hand",
    "closed: read refused at the start",
    "closed: read refused after a write",
    "closed: read refused after waiting",
    "closed: uv_try_write refused",
    "closed: uv_write refused",
    "closed: write callback failed",
    "closed: idle too long",
    "closed: idle too long with a block in hand",
    "closed: write too long",
    "closed: write too long while others wait",
    "closed: stop while idle",
    "closed: stop while a write is queued",
    "closed: stop while waiting",
    "after close: write callback with 0",
    "after close: write callback with an error",
    "no room for a client",
    "waited and got a block",
    "two waited at once",
    "refused a block that came back before it waited",
    "tried for more and was refused a block",
};

enum class Life { absent, idle, holding, queued, waiting, cancelling, closing };

struct Client {
  Life life = Life::absent;
  bool refused = false;   // on_alloc had nothing; on_read with UV_ENOBUFS comes next
  bool on_trial = false;  // the last read filled the block: libuv tries again, for what may not be
  Time since{};           // of entering its line
  std::uint32_t said = 0;
  std::uint32_t heard = 0;
};

struct Sut;

struct Model {
  Time now{0};
  Time stop = Time::max();
  bool refuse_read = false;
  bool refuse_try_write = false;
  bool refuse_write = false;
  std::array<Client, client_count> clients;
  std::vector<std::size_t> idle, writing, waiting;
  std::uint64_t loans = 0;
  std::uint64_t echoed = 0;
  std::set<std::string> reached;
  std::string last_end = "nobody was closed";

  std::size_t count(Life life) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(clients, [&](const Client& c) { return c.life == life; }));
  }
  std::size_t here() const { return client_count - count(Life::absent); }
  std::size_t lent() const {
    return count(Life::holding) + count(Life::queued) + count(Life::cancelling);
  }
  bool contended() const { return waiting.size() > count(Life::cancelling); }
  Time write_limit() const { return contended() ? limits.write_contended : limits.write; }
  Time idle_end() const { return clients[idle.front()].since + limits.idle + idle_slack; }
  Time writing_end() const { return clients[writing.front()].since + write_limit(); }

  void enter(std::vector<std::size_t>& line, std::size_t who) {
    std::erase(idle, who);
    std::erase(writing, who);
    std::erase(waiting, who);
    line.push_back(who);
    clients[who].since = now;
  }
  void reach(const std::string& path) { reached.insert(path); }
};

std::uint8_t byte_of(std::size_t who, std::uint32_t offset) {
  return static_cast<std::uint8_t>(who * 50 + offset);
}

// The Service, and the sessions that the adapter would hold.
struct Sut {
  Service service{limits};
  std::array<std::unique_ptr<Connection>, client_count> sessions;

  Connection& of(std::size_t who) { return *sessions[who]; }
};

// One story for both: what happens to the model, and what the Service must answer. Without a
// Service it only tells what will happen.
class Play {
 public:
  Play(Model& to, Sut* on) : model(to), sut(on) {}

  void event(std::size_t who, Event event, Action answer) const {
    if (sut != nullptr) RC_ASSERT(sut->service.on(sut->of(who), event, model.now) == answer);
  }

  void close(std::size_t who, const std::string& why) const {
    Client& client = model.clients[who];
    std::erase(model.idle, who);
    std::erase(model.writing, who);
    std::erase(model.waiting, who);
    client.life = client.life == Life::queued ? Life::cancelling : Life::closing;
    client.refused = false;
    model.reach("closed: " + why);
    model.last_end = why;
  }

  void start_reading(std::size_t who, const std::string& when) const {
    if (!std::exchange(model.refuse_read, false)) return;
    event(who, Event::read_refused, Action::close);
    close(who, "read refused " + when);
  }

  // What is unsent is what the client said and has not heard.
  void check_unsent(std::size_t who) const {
    if (sut == nullptr) return;
    const Client& client = model.clients[who];
    const auto unsent = sut->of(who).unsent();
    RC_ASSERT(unsent.size() == client.said - client.heard);
    for (std::uint32_t i = 0; i < unsent.size(); ++i) {
      RC_ASSERT(unsent[i] == std::byte{byte_of(who, client.heard + i)});
    }
  }

  // Everything that is due, in order, until nothing is.
  void settle() const {
    while (due()) {
    }
    if (sut == nullptr) return;
    RC_ASSERT(sut->service.next_due(model.now).connection == nullptr);
    Time earliest = model.here() > model.count(Life::closing) + model.count(Life::cancelling)
                        ? model.stop
                        : Time::max();
    if (!model.idle.empty()) earliest = std::min(earliest, model.idle_end());
    if (!model.writing.empty()) earliest = std::min(earliest, model.writing_end());
    RC_ASSERT(sut->service.wake_at() <= earliest);
    RC_ASSERT(sut->service.wake_at() > model.now);
    RC_ASSERT(sut->service.open() == model.here());
    RC_ASSERT(sut->service.waiting() == model.waiting.size());
    RC_ASSERT(sut->service.bytes_echoed() == model.echoed);
    RC_ASSERT(sut->service.has_room() == (model.here() < connections_max));
    RC_ASSERT(sut->service.pool().available() == block_count - model.lent());
    RC_ASSERT(sut->service.pool().acquired() == model.loans);
    RC_ASSERT(sut->service.pool().released() == model.loans - model.lent());
  }

  Model& model;
  Sut* sut;

 private:
  void answer(std::size_t who, Action action) const {
    if (sut == nullptr) return;
    const Service::Due due = sut->service.next_due(model.now);
    RC_ASSERT(due.connection == sut->sessions[who].get());
    RC_ASSERT(due.action == action);
  }

  bool due() const {
    if (!model.waiting.empty() && model.lent() < block_count) {
      const std::size_t who = model.waiting.front();
      answer(who, Action::read);
      model.clients[who].life = Life::holding;
      model.enter(model.idle, who);
      ++model.loans;
      model.reach("waited and got a block");
      start_reading(who, "after waiting");
      return true;
    }
    if (model.now >= model.stop) {
      if (!model.waiting.empty()) return expire(model.waiting.front(), "stop while waiting");
      if (!model.idle.empty()) return expire(model.idle.front(), "stop while idle");
      if (!model.writing.empty()) {
        return expire(model.writing.front(), "stop while a write is queued");
      }
      return false;
    }
    if (!model.idle.empty() && model.now >= model.idle_end()) {
      const bool holds = model.clients[model.idle.front()].life == Life::holding;
      return expire(model.idle.front(),
                    holds ? "idle too long with a block in hand" : "idle too long");
    }
    if (!model.writing.empty() && model.now >= model.writing_end()) {
      return expire(model.writing.front(),
                    model.contended() ? "write too long while others wait" : "write too long");
    }
    return false;
  }

  bool expire(std::size_t who, const std::string& why) const {
    answer(who, Action::close);
    close(who, why);
    return true;
  }
};

// --- Commands, named after libuv's callbacks. ---------------------------------------------------

struct Command : rc::state::Command<Model, Sut> {
  virtual void play(const Play& play) const = 0;
  void apply(Model& model) const override {
    const Play told(model, nullptr);
    play(told);
    told.settle();
  }
  void run(const Model& before, Sut& sut) const override {
    Model model = before;
    const Play played(model, &sut);
    play(played);
    played.settle();
  }
};

// Somebody of whom `fits` holds; anybody if there is nobody, and then the precondition says no.
template <class Fits>
std::size_t some_client(const Model& model, const Fits& fits) {
  std::vector<std::size_t> candidates;
  for (std::size_t who = 0; who < client_count; ++who) {
    if (fits(model.clients[who])) candidates.push_back(who);
  }
  return candidates.empty() ? 0 : *rc::gen::elementOf(candidates);
}

// A command about one client, legal for those in a certain situation.
template <bool (*Fits)(const Client&)>
struct ClientCommand : Command {
  explicit ClientCommand(const Model& model) : who(some_client(model, Fits)) {}
  void checkPreconditions(const Model& model) const override { RC_PRE(Fits(model.clients[who])); }
  void show_as(std::ostream& os, const char* name) const { os << name << "(" << who << ")"; }
  std::size_t who;
};

bool absent(const Client& c) { return c.life == Life::absent; }
bool reads(const Client& c) {
  return (c.life == Life::idle || c.life == Life::holding) && !c.refused;
}
bool was_refused(const Client& c) { return c.refused; }
bool holds(const Client& c) { return c.life == Life::holding; }
bool has_write(const Client& c) { return c.life == Life::queued || c.life == Life::cancelling; }
bool is_closing(const Client& c) { return c.life == Life::closing; }

struct OnConnection : ClientCommand<absent> {
  using ClientCommand::ClientCommand;
  void play(const Play& play) const override {
    Model& model = play.model;
    if (model.here() == connections_max) return model.reach("no room for a client");
    model.clients[who] = Client{.life = Life::idle};
    model.enter(model.idle, who);
    if (play.sut != nullptr) {
      play.sut->sessions[who] = std::make_unique<Connection>();
      play.sut->service.on_open(play.sut->of(who), model.now);
    }
    play.start_reading(who, "at the start");
  }
  void show(std::ostream& os) const override { show_as(os, "OnConnection"); }
};

struct OnAlloc : ClientCommand<reads> {
  using ClientCommand::ClientCommand;
  void play(const Play& play) const override {
    Model& model = play.model;
    Client& client = model.clients[who];
    if (client.life == Life::idle) {
      if (model.waiting.empty() && model.lent() < block_count) {
        client.life = Life::holding;
        ++model.loans;
      } else {
        client.refused = true;
      }
    }
    if (play.sut == nullptr) return;
    const auto buffer = play.sut->service.on_alloc(play.sut->of(who), model.now);
    RC_ASSERT(buffer.size() == (client.refused ? 0 : block_size));
    std::ranges::fill(buffer, std::byte{0xEE});
  }
  void show(std::ostream& os) const override { show_as(os, "OnAlloc"); }
};

struct OnReadNoBuffer : ClientCommand<was_refused> {
  using ClientCommand::ClientCommand;
  void play(const Play& play) const override {
    Model& model = play.model;
    model.clients[who].refused = false;
    if (std::exchange(model.clients[who].on_trial, false)) {
      model.reach("tried for more and was refused a block");
      return play.event(who, Event::no_buffer, Action::none);
    }
    play.event(who, Event::no_buffer, Action::wait);
    model.clients[who].life = Life::waiting;
    if (model.lent() < block_count) model.reach("refused a block that came back before it waited");
    model.enter(model.waiting, who);
    if (model.waiting.size() == 2) model.reach("two waited at once");
  }
  void show(std::ostream& os) const override { show_as(os, "OnRead(ENOBUFS) "); }
};

struct OnReadData : ClientCommand<holds> {
  explicit OnReadData(const Model& model)
      : ClientCommand(model),
        // Often a whole block, often written whole.
        size(std::min(block_size, *rc::gen::inRange<std::uint32_t>(1, 2 * block_size))),
        left(*rc::gen::inRange<std::uint32_t>(0, 2) == 0
                 ? 0
                 : std::min(size, *rc::gen::inRange<std::uint32_t>(0, block_size + 1))) {}

  void play(const Play& play) const override {
    Model& model = play.model;
    Client& client = model.clients[who];
    Sut* const sut = play.sut;
    if (sut != nullptr) {
      const auto buffer = sut->of(who).buffer();
      for (std::uint32_t i = 0; i < size; ++i) buffer[i] = std::byte{byte_of(who, client.said + i)};
      RC_ASSERT(sut->service.on_data(sut->of(who), size, model.now) == Action::write);
    }
    client.said += size;
    if (model.now - client.since > idle_slack) model.enter(model.idle, who);
    play.check_unsent(who);
    if (std::exchange(model.refuse_try_write, false)) {
      play.event(who, Event::write_refused, Action::close);
      return play.close(who, "uv_try_write refused");
    }
    const std::uint32_t wrote = size - left;
    if (sut != nullptr) {
      RC_ASSERT(sut->service.on_wrote(sut->of(who), wrote, model.now) ==
                (left == 0 ? Action::none : Action::flush));
    }
    model.echoed += wrote;
    client.heard += wrote;
    client.on_trial = left == 0 && size == block_size;
    if (left == 0) {
      client.life = Life::idle;
      return;
    }
    play.check_unsent(who);
    client.life = Life::queued;
    model.enter(model.writing, who);
    if (std::exchange(model.refuse_write, false)) {
      play.event(who, Event::write_refused, Action::close);
      client.life = Life::holding;  // nothing was queued
      play.close(who, "uv_write refused");
    }
  }
  void show(std::ostream& os) const override {
    os << "OnRead(" << who << ", " << size << " bytes, " << left << " of them not written at once)";
  }
  std::uint32_t size;
  std::uint32_t left;
};

struct OnReadNothing : ClientCommand<holds> {
  using ClientCommand::ClientCommand;
  void play(const Play& play) const override {
    play.event(who, Event::empty_read, Action::none);
    play.model.clients[who].life = Life::idle;
    play.model.clients[who].on_trial = false;
  }
  void show(std::ostream& os) const override { show_as(os, "OnRead(0) "); }
};

template <Event event>
struct OnReadEnd : ClientCommand<reads> {
  using ClientCommand::ClientCommand;
  void play(const Play& play) const override {
    play.event(who, event, Action::close);
    play.close(who,
               std::string(name) + (holds(play.model.clients[who]) ? " with a block in hand" : ""));
  }
  void show(std::ostream& os) const override { os << "OnRead(" << name << ") (" << who << ")"; }
  static constexpr const char* name = event == Event::eof ? "EOF" : "read error";
};

template <Event event>
struct OnWrite : ClientCommand<has_write> {
  using ClientCommand::ClientCommand;
  void play(const Play& play) const override {
    Model& model = play.model;
    Client& client = model.clients[who];
    constexpr bool done = event == Event::write_done;
    play.check_unsent(who);
    if (done) {
      model.echoed += client.said - client.heard;
      client.heard = client.said;
    }
    if (client.life == Life::cancelling) {
      play.event(who, event, Action::none);
      client.life = Life::closing;
      return model.reach(std::string("after close: write callback with ") +
                         (done ? "0" : "an error"));
    }
    play.event(who, event, done ? Action::read : Action::close);
    if (!done) {
      client.life = Life::holding;  // no longer queued
      return play.close(who, "write callback failed");
    }
    client.life = Life::idle;
    model.enter(model.idle, who);
    play.start_reading(who, "after a write");
  }
  void show(std::ostream& os) const override {
    os << "OnWrite(" << (event == Event::write_done ? "0" : "error") << ") (" << who << ")";
  }
};

struct OnClose : ClientCommand<is_closing> {
  using ClientCommand::ClientCommand;
  void play(const Play& play) const override {
    play.event(who, Event::close_done, Action::release);
    play.model.clients[who] = Client{};
    if (play.sut != nullptr) play.sut->sessions[who].reset();
  }
  void show(std::ostream& os) const override { show_as(os, "OnClose"); }
};

struct Tick : Command {
  void play(const Play& play) const override { play.model.now += step; }
  void show(std::ostream& os) const override { os << "Tick(" << step.count() << " ms)"; }
  Time step{
      *rc::gen::weightedOneOf<int>({{6, rc::gen::inRange(1, 25)}, {1, rc::gen::inRange(25, 200)}})};
};

struct Stop : Command {
  void checkPreconditions(const Model& model) const override {
    RC_PRE(model.stop == Time::max() && model.here() >= 3);  // else too few scripts get far
  }
  void play(const Play& play) const override {
    play.model.stop = std::min(play.model.stop, play.model.now + delay);
    if (play.sut != nullptr) play.sut->service.stop_at(play.model.now + delay);
  }
  void show(std::ostream& os) const override { os << "Stop(in " << delay.count() << " ms)"; }
  Time delay{*rc::gen::inRange(0, 60)};
};

struct Fault : Command {
  void play(const Play& play) const override { play.model.*fault.second = true; }
  void show(std::ostream& os) const override { os << "the next " << fault.first << " fails"; }
  std::pair<const char*, bool Model::*> fault =
      *rc::gen::element(std::pair{"uv_read_start", &Model::refuse_read},
                        std::pair{"uv_try_write", &Model::refuse_try_write},
                        std::pair{"uv_write", &Model::refuse_write});
};

// The operator stops, libuv reports what it owes, and the Service must be empty to be destroyed.
void finish(Model& model, Sut& sut) {
  const Play play(model, &sut);
  model.stop = std::min(model.stop, model.now);
  sut.service.stop_at(model.now);
  play.settle();
  for (std::size_t who = 0; who < client_count; ++who) {
    Client& client = model.clients[who];
    if (client.life == Life::cancelling) {
      play.event(who, Event::write_failed, Action::none);
      client.life = Life::closing;
    }
    if (client.life == Life::closing) {
      play.event(who, Event::close_done, Action::release);
      client = Client{};
      sut.sessions[who].reset();
    }
  }
  play.settle();
  RC_ASSERT(model.here() == 0U);
  RC_ASSERT(sut.service.wake_at() == Time::max());
}

void any_script(props::Reached& reached) {
  // What is listed more than once is that much more likely: measured by the table that main prints.
  const auto commands = *rc::state::gen::commands(
      Model{},
      rc::state::gen::execOneOfWithArgs<
          OnConnection, OnConnection, OnConnection, OnConnection, OnConnection, OnConnection,
          OnAlloc, OnAlloc, OnAlloc, OnAlloc, OnAlloc, OnAlloc, OnAlloc, OnAlloc, OnAlloc, OnAlloc,
          OnReadNoBuffer, OnReadNoBuffer, OnReadNoBuffer, OnReadNoBuffer, OnReadNoBuffer,
          OnReadData, OnReadData, OnReadData, OnReadData, OnReadData, OnReadData, OnReadData,
          OnReadNothing, OnReadEnd<Event::eof>, OnReadEnd<Event::read_error>,
          OnWrite<Event::write_done>, OnWrite<Event::write_done>, OnWrite<Event::write_failed>,
          OnClose, OnClose, OnClose, Tick, Tick, Tick, Stop, Fault>());
  props::play<Sut>([&](Sut& sut) {
    rc::state::runAll(commands, Model{}, sut);
    Model model;
    rc::state::applyAll(commands, model);
    finish(model, sut);
  });
  Model model;
  rc::state::applyAll(commands, model);
  for (const std::string& path : model.reached) ++reached[path];
  RC_TAG(model.last_end);
}

// A Service for one client.
struct Pair {
  explicit Pair(const Limits& one) : service(one) {}
  Connection connection;
  Service service;
};

// However the input is split into reads, and each echo into what is written at once and what later.
void any_split(const std::vector<std::uint8_t>& sent) {
  Limits one = limits;
  one.connections = 1;
  one.block_size = *rc::gen::inRange<std::size_t>(1, 20);
  one.buffer_memory = one.block_size;
  const auto choice = [](std::size_t below) { return *rc::gen::inRange<std::size_t>(0, below); };
  std::vector<std::size_t> reads;
  std::vector<std::size_t> at_once;
  for (std::size_t offset = 0; offset < sent.size(); offset += reads.back()) {
    reads.push_back(1 + choice(std::min(one.block_size, sent.size() - offset)));
    at_once.push_back(choice(reads.back() + 1));
  }
  const auto play = [&](Pair& pair) {
    auto& [connection, service] = pair;
    std::vector<std::uint8_t> echo;
    const auto deliver = [&](std::span<const std::byte> bytes) {
      for (const std::byte byte : bytes) echo.push_back(std::to_integer<std::uint8_t>(byte));
    };
    service.on_open(connection, Time(0));
    std::size_t offset = 0;
    for (std::size_t i = 0; i < reads.size(); ++i) {
      const auto buffer = service.on_alloc(connection, Time(0));
      std::memcpy(buffer.data(), sent.data() + offset, reads[i]);
      offset += reads[i];
      RC_ASSERT(service.on_data(connection, reads[i], Time(0)) == Action::write);
      deliver(connection.unsent().first(at_once[i]));
      if (service.on_wrote(connection, at_once[i], Time(0)) == Action::none) continue;
      deliver(connection.unsent());
      RC_ASSERT(service.on(connection, Event::write_done, Time(0)) == Action::read);
    }
    RC_ASSERT(service.on(connection, Event::eof, Time(0)) == Action::close);
    RC_ASSERT(service.on(connection, Event::close_done, Time(0)) == Action::release);
    RC_ASSERT(echo == sent);
    RC_ASSERT(service.bytes_echoed() == sent.size());
  };
  props::play<Pair>(play, one);
}

}  // namespace

// --all-paths: fail, too, if one of the paths was not taken by any case.
int main(int argc, char** argv) {
  const bool all_wanted = argc > 1 && std::string_view(argv[1]) == "--all-paths";
  return props::run([&] {
    props::Reached reached;
    for (const std::string& path : paths) reached[path] = 0;
    bool ok = rc::check("the echo is the identity for every split of the input", any_split);
    ok = rc::check("the Service answers as the model foretells, and in the end nothing is left",
                   [&] { any_script(reached); }) &&
         ok;
    if (!ok) return false;
    const bool all = props::print_reached(reached);
    return all || !all_wanted;
  });
}
