#include "harness/world.hpp"

#include <uv.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <span>

#include "harness/marks.hpp"
#include "harness/payload.hpp"
#include "uvsim/ledger.hpp"

namespace harness {
namespace {

constexpr std::uint64_t ms = 1'000'000;
// What the loop's clock may be wrong by, and a turn may take.
constexpr std::uint64_t slack_ms = 60;
// Polls in a row in which the server claims to be busy and nothing moves.
constexpr std::uint32_t busy_polls_max = 3'000;
// Errors in a row that a listener may report to a server that claims to mend it.
constexpr std::uint32_t refusals_max = 3;
// How long the World waits for a server that does things at times and moves nothing.
constexpr std::uint64_t patience_ns = 3'600'000 * ms;

alignas(64) std::uint8_t scratch[payload::piece_max];

// Thrown where the World has found something, or seen enough; caught where it was called.
struct Left {};

std::uint64_t times_ms(std::uint64_t n) {
  return n > std::numeric_limits<std::uint64_t>::max() / ms ? n : n * ms;
}

// The events that the World itself has to do with. Their numbers are learned from their names.
enum class Kind : std::uint8_t {
  unknown,
  other,
  read,
  read_start,
  read_stop,
  close,
  write,
  try_write,
  written,
  signal,
  connection
};

Kind kind_of(const uvsim::EventView& event) {
  static std::array<Kind, Marks::events_max> kinds{};
  Kind& kind = kinds[event.what % kinds.size()];
  if (kind == Kind::unknown) {
    const auto is = [&event](const char* name) { return std::strcmp(event.name, name) == 0; };
    kind = is("read_cb")         ? Kind::read
           : is("uv_read_start") ? Kind::read_start
           : is("uv_read_stop")  ? Kind::read_stop
           : is("uv_close")      ? Kind::close
           : is("uv_write")      ? Kind::write
           : is("uv_try_write")  ? Kind::try_write
           : is("write_cb")      ? Kind::written
           : is("signal_cb")     ? Kind::signal
           : is("connection_cb") ? Kind::connection
                                 : Kind::other;
  }
  return kind;
}

}  // namespace

const char* name_of(Deed deed) {
  switch (deed) {
#define HARNESS_DEED(name, meaning) \
  case Deed::name: return #name;
    HARNESS_DEEDS(HARNESS_DEED)
#undef HARNESS_DEED
  }
  return "?";
}

static_assert(World::clients_limit < deed_answers);

void World::begin(uvsim::Simulation& simulation, const Subject& subject, const Setting& setting,
                  uvsim::Choices& source) {
  *this = World();
  simulation_ = &simulation;
  subject_ = &subject;
  setting_ = setting;
  setting_.clients_max = std::min(setting.clients_max, clients_limit);
  source_ = &source;
}

// --- Choices. -----------------------------------------------------------------------------------

std::uint32_t World::ask(std::uint32_t n) {
  return n < 2 ? 0 : source_->pick(n, uvsim::ChoicePoint::world) % n;
}

// A fault is an excuse for the connection that it concerns, and for those that were not served yet
// where it concerns none: they may never be.
std::uint32_t World::pick(std::uint32_t n, uvsim::ChoicePoint point) {
  using enum uvsim::ChoicePoint;
  const std::uint32_t answer = source_->pick(n, point) % n;
  if (answer == 0) return 0;
  Marks::hit(point, answer);
  if (point != world) simulation_->note(uvsim::name_of(point), answer);
  switch (point) {
    case turn_time: ++slow_turns_; [[fallthrough]];
    case ready_order:
    case ready_count:
    case read_again: delayed_ = true; return answer;
    case read_size:
    case write_size:
    case write_again:
    case world: return answer;  // unkind, but no fault: everything still has to come to its end
    case call_timer_start:
    case call_timer_init: timer_fault_ = true; break;
    case call_accept: ++accepts_failed_; break;
    default: break;
  }
  ++faults_;
  if (network_ == nullptr) return answer;
  if (deaf_since_ns_ != 0) deaf_since_ns_ = network_->now_ns();  // it may have tried to listen
  const uvsim::Peer about = network_->asked_about();
  // Memory and timers are nobody's: what fails concerns who the server is being called back for, or
  // whom it is taking in meanwhile.
  if (Client* const client = client_of(about ? about : called_back_for_)) {
    client->excuse(Excuse::fault);
    if (point == write_error) {
      client->write_error_untold = true;
      if (client->writes_queued > 1) client->hole = true;
    }
  }
  // What is done for who arrives may be done when somebody else has left.
  const bool arriving = point == accept_error || point == call_accept || point == call_tcp_init ||
                        point == allocation;
  if (!about || arriving) excuse_unserved(Excuse::fault);
  return answer;
}

void World::excuse_all(Excuse excuse) {
  for (std::uint32_t i = 0; i < count_; ++i) clients_[i].excuse(excuse);
}

void World::excuse_unserved(Excuse excuse) {
  for (std::uint32_t i = 0; i < count_; ++i) {
    if (clients_[i].received == 0) clients_[i].excuse(excuse);
  }
}

// --- The hook. ----------------------------------------------------------------------------------

uvsim::Progress World::on_poll(uvsim::Network& network, uvsim::Wait wait) {
  network_ = &network;
  try {
    return live(wait);
  } catch (const Left&) {
    resting_ = true;
    network.leave();
    return uvsim::Progress::nothing;
  }
}

uvsim::Progress World::live(uvsim::Wait wait) {
  if (resting_) return uvsim::Progress::nothing;
  if (!serving_) {
    if (network_->listeners() == 0) return uvsim::Progress::nothing;
    serving_ = true;
    port_ = network_->listener(0).port;
    bytes_at_start_ = simulation_->ledger_live_bytes();
    if (subject_->start_bytes_max < bytes_at_start_) {
      fail(Oracle::bound, nullptr, "more memory is in use at the start than the limit allows");
    }
    simulation_->ledger_baseline();
    bytes_at_start_ = simulation_->ledger_live_bytes();
  }
  watch();
  watch_listener();
  sleeps_for_ns_ = wait.ready ? 0 : wait.ns;
  if (act()) return uvsim::Progress::made;
  if (wait.ready || wait.ns == 0) {
    busy_polls_ = moved_ == moved_before_ ? busy_polls_ + 1 : 0;
    moved_before_ = moved_;
    if (busy_polls_ > busy_polls_max) fail(Oracle::alive, nullptr, "the server spins");
    return uvsim::Progress::nothing;
  }
  busy_polls_ = 0;
  check_answers();
  if (holding_ && wait.ns != uvsim::Wait::forever) {
    Marks::hit(Mark::waited_for_timer);
    return uvsim::Progress::nothing;
  }
  return rest(wait);
}

// What the server does, as far as a client cannot see it.
void World::on_event(const uvsim::EventView& event) {
  Marks::hit(event);
  if (event.kind == uvsim::EventKind::callback) called_back_for_ = event.peer;
  switch (kind_of(event)) {
    case Kind::read:
      if (Client* const client = client_of(event.peer)) {
        client->turned_down = event.value == UV_ENOBUFS;
        if (event.value > 0) client->heard_at_ns = event.time_ns;
      }
      return;
    case Kind::read_stop:
      if (Client* const client = client_of(event.peer); client != nullptr && client->turned_down) {
        client->in_line = ++line_;
      }
      return;
    case Kind::read_start:
      if (Client* const client = client_of(event.peer); client != nullptr && client->in_line > 0) {
        note_whom_it_overtakes(*client);
        client->in_line = 0;
      }
      return;
    case Kind::close:
      if (Client* const client = client_of(event.peer)) client->in_line = 0;
      return;
    case Kind::write:
      if (Client* const client = client_of(event.peer); client != nullptr && event.result == 0) {
        if (client->writes_queued++ == 0) client->write_queued_at_ns = event.time_ns;
        if (client->write_error_untold && client->writes_queued > 1) client->hole = true;
      }
      return;
    case Kind::try_write:
      if (Client* const client = client_of(event.peer)) {
        if (event.result > 0 && client->write_error_untold) client->hole = true;
        if (event.result < 0) client->write_error_untold = false;  // it was told just now
      }
      return;
    case Kind::written:
      if (Client* const client = client_of(event.peer)) {
        --client->writes_queued;
        if (event.value != 0) client->write_error_untold = false;
      }
      return;
    case Kind::signal:
      if (event.value == subject_->stop_signal) note_stop(event.time_ns);
      return;
    case Kind::connection:
      if (event.value >= 0 || event.subject_id != refusing_) refusals_ = 0;
      refusing_ = event.subject_id;
      if (event.value < 0) ++refusals_;
      return;
    case Kind::unknown:
    case Kind::other: return;
  }
}

// The server reads again from this client, which had been waiting for memory.
void World::note_whom_it_overtakes(const Client& client) {
  if (!subject_->lends_in_turn) return;
  for (const Client& other : std::span(clients_).first(count_)) {
    if (other.in_line > 0 && other.in_line < client.in_line) overtaken_ = other.number;
  }
}

Client* World::client_of(uvsim::Peer peer) {
  for (std::uint32_t i = 0; i < count_ && peer; ++i) {
    if (clients_[i].peer.id == peer.id) return &clients_[i];
  }
  return nullptr;
}

// Called as the program's last words, but neither its memory nor its faults are meant.
void World::on_end(int status) {
  const uvsim::ledger::Outside outside;
  ended_ = true;
  try {
    look_back(status);
  } catch (const Left&) {
    resting_ = true;
  }
}

void World::look_back(int status) {
  if (network_ == nullptr || !serving_) {
    Marks::hit(Mark::failed_to_start);
    if (subject_->ends_clean && status == 0) {
      fail(Oracle::alive, nullptr, "the server ended without ever listening, with exit status 0");
    }
    return;
  }
  Marks::hit(Mark::ended);
  watch();
  for (std::uint32_t i = 0; i < count_; ++i) receive(clients_[i], payload::piece_max);
  const bool survives_faults = subject_->reopens_listener && !timer_fault_;
  if (stops_ == 0 && (faults_ == 0 || survives_faults)) {
    fail(Oracle::alive, nullptr, "the server ended although nobody had asked it to");
  }
  if (stops_ > 0 && subject_->ends_clean && status != 0) {
    fail(Oracle::clean, nullptr, "the exit status is not 0");
  }
  check_counts();
}

// --- Deeds. -------------------------------------------------------------------------------------

bool World::act() {
  holding_ = false;
  bool acted = false;
  while (deeds_ < setting_.deeds_max) {
    const std::uint32_t answer = ask(deed_answers);
    if (answer == 0 || answer >= deed_count) break;
    ++deeds_;
    if (static_cast<Deed>(answer) == Deed::wait_for_timer) {
      holding_ = true;
      break;
    }
    if (perform(static_cast<Deed>(answer))) {
      acted = true;
      ++moved_;
      if (static_cast<Deed>(answer) != Deed::pass_time) sleeps_for_ns_ = 0;
    }
  }
  return acted;
}

// False if nobody is there who could do it.
bool World::perform(Deed deed) {
  const auto with = [this](auto able, void (World::*deed_to)(Client&)) {
    Client* const client = choose(able);
    if (client == nullptr) return false;
    (this->*deed_to)(*client);
    return true;
  };
  switch (deed) {
    case Deed::let_go: return false;
    case Deed::connect: return connect();
    case Deed::send:
    case Deed::send_again:
      return said_ < setting_.said_max &&
             with([](const Client& c) { return c.can_send(); }, &World::send);
    case Deed::read:
      return with([](const Client& c) { return !c.over && c.view.readable > 0; }, &World::read);
    case Deed::half_close:
      return with([](const Client& c) { return c.can_send(); }, &World::half_close);
    case Deed::close: return with([](const Client& c) { return !c.over; }, &World::close);
    case Deed::reset: return with([](const Client& c) { return !c.over; }, &World::reset);
    case Deed::stall: return with([](const Client& c) { return !c.over; }, &World::stall);
    case Deed::shrink: return with([](const Client& c) { return !c.over; }, &World::shrink);
    case Deed::pass_time: {
      static constexpr std::array<std::uint64_t, 4> lengths{1, 20, 130, 1100};
      pass_time(lengths[ask(4)] * ms);
      return true;
    }
    case Deed::wait_for_timer: return false;
    case Deed::stop: return stop();
    case Deed::other_signal: return signal(subject_->other_signal);
  }
  return false;
}

template <class Able>
Client* World::choose(Able able) {
  std::uint32_t choices = 0;
  for (std::uint32_t i = 0; i < count_; ++i) choices += able(clients_[i]) ? 1U : 0U;
  if (choices == 0) return nullptr;
  std::uint32_t chosen = ask(choices);
  for (std::uint32_t i = 0;; ++i) {
    if (able(clients_[i]) && chosen-- == 0) return &clients_[i];
  }
}

bool World::connect() {
  const std::size_t listeners = network_->listeners();
  if (listeners == 0 || count_ == setting_.clients_max) return false;
  std::uint32_t here = 0;
  for (std::uint32_t i = 0; i < count_; ++i) here += clients_[i].over ? 0U : 1U;
  if (here >= setting_.clients) return false;
  Marks::hit(Mark::connected);
  Client& client = clients_[count_];
  client = Client{};
  client.number = count_++;
  client.peer = network_->connect(ask(static_cast<std::uint32_t>(listeners)));
  client.spoke_at_ns = client.heard_at_ns = client.caught_up_at_ns = network_->now_ns();
  if (!subject_->echoes) client.excuse(Excuse::own);
  if (stops_ > 0) client.excuse(Excuse::stop);
  client.waits_since_ns = network_->now_ns();
  client.stalled = client.number < setting_.stalled;
  look(client);
  return true;
}

void World::send(Client& client) {
  static constexpr std::array<std::size_t, 8> sizes{10, 1, 16, 64, 200, 2, 5000, 65536};
  const std::size_t size = std::min(sizes[ask(sizes.size())], setting_.send_max);
  const std::size_t count =
      network_->send(client.peer, payload::bytes(client.number, client.sent), size);
  if (count < size) Marks::hit(Mark::send_blocked);
  if (count == 1) Marks::hit(Mark::sent_one_byte);
  if (count > 64) Marks::hit(Mark::sent_much);
  if (stops_ > 0) Marks::hit(Mark::sent_after_stop);
  if (count > 0) client.spoke_at_ns = client.waits_since_ns = network_->now_ns();
  if (client.sent == client.received) client.caught_up_at_ns = network_->now_ns();
  client.sent += count;
  said_ += count;
  look(client);
}

void World::read(Client& client) {
  const std::size_t there = client.view.readable;
  const std::array<std::size_t, 3> sizes{there, 1, std::max<std::size_t>(there / 2, 1)};
  const std::size_t size = sizes[ask(sizes.size())];
  Marks::hit(size < there ? Mark::read_some : Mark::read_all);
  receive(client, size);
}

void World::half_close(Client& client) {
  client.owed_at_half_close = client.received < client.sent;
  Marks::hit(client.owed_at_half_close ? Mark::half_closed_owed
             : client.sent == 0        ? Mark::half_closed_at_once
                                       : Mark::half_closed_quiet);
  if (client.owed_at_half_close && !subject_->answers_half_close) client.excuse(Excuse::own);
  client.half_closed = true;
  client.waits_since_ns = network_->now_ns();
  network_->half_close(client.peer);
  look(client);
}

void World::close(Client& client) {
  Marks::hit(client.view.readable > 0        ? Mark::closed_unread
             : client.received < client.sent ? Mark::closed_owed
                                             : Mark::closed_quiet);
  client.over = true;
  network_->close(client.peer);
}

void World::reset(Client& client) {
  Marks::hit(!client.view.accepted           ? Mark::reset_unaccepted
             : client.received < client.sent ? Mark::reset_owed
                                             : Mark::reset_quiet);
  client.over = true;
  network_->reset(client.peer);
}

void World::stall(Client& client) {
  client.stalled = !client.stalled;
  client.waits_since_ns = network_->now_ns();
  Marks::hit(client.stalled ? Mark::stalled : Mark::resumed);
}

void World::shrink(Client& client) {
  static constexpr std::array<std::size_t, 3> sizes{64, 1, 700};
  const std::size_t size = sizes[ask(sizes.size())];
  Marks::hit(Mark::shrunk);
  network_->set_buffers(client.peer, size, size);
  look(client);
}

void World::pass_time(std::uint64_t ns) {
  Marks::hit(Mark::time_passed);
  network_->advance(ns);
  // What passes while something is there for the server to do is a slow machine's doing.
  const std::uint64_t slept_ns = std::min(ns, sleeps_for_ns_);
  const std::uint64_t overslept_ns = ns - slept_ns;
  if (sleeps_for_ns_ != uvsim::Wait::forever) sleeps_for_ns_ -= slept_ns;
  if (stopped_at_ns_ != 0) stopped_at_ns_ += overslept_ns;
  if (stopped_again_at_ns_ != 0) stopped_again_at_ns_ += overslept_ns;
  if (deaf_since_ns_ != 0) deaf_since_ns_ = network_->now_ns();
  for (std::uint32_t i = 0; i < count_; ++i) {
    clients_[i].waits_since_ns = network_->now_ns();
    age(clients_[i], overslept_ns > 0);
  }
}

// Whether somebody heard it.
bool World::tell(int number) {
  if (!subject_->tell) return network_->signal(number);
  subject_->tell(number);
  if (number == subject_->stop_signal) note_stop(network_->now_ns());
  return true;
}

void World::note_stop(std::uint64_t at_ns) {
  (stopped_at_ns_ == 0 ? stopped_at_ns_ : stopped_again_at_ns_) = at_ns;
}

bool World::signal(int number) {
  if (number == 0 || !tell(number)) return false;
  Marks::hit(Mark::other_signal);
  return true;
}

bool World::stop() {
  if (stops_ == 2 || subject_->stop_signal == 0) return false;
  if (!tell(subject_->stop_signal)) return false;
  const bool somebody = std::any_of(clients_.begin(), clients_.begin() + count_,
                                    [](const Client& c) { return !c.over && c.established(); });
  Marks::hit(stops_ > 0 ? Mark::stopped_twice : somebody ? Mark::stopped : Mark::stopped_idle);
  if (++stops_ > 1 || subject_->grace_ms == 0) {
    excuse_all(Excuse::stop);
  } else {
    excuse_unserved(Excuse::stop);
    grace_ends_ns_ = network_->now_ns() + times_ms(subject_->grace_ms);
  }
  return true;
}

// --- Kind steps. --------------------------------------------------------------------------------

uvsim::Progress World::rest(uvsim::Wait wait) {
  if (read_all() || greet() || say_goodbye()) {
    ++moved_;
    waited_ns_ = 0;
    return uvsim::Progress::made;
  }
  return wait_for_server(wait);
}

bool World::read_all() {
  bool read = false;
  for (std::uint32_t i = 0; i < count_; ++i) {
    Client& client = clients_[i];
    if (client.over || client.stalled || client.view.readable == 0) continue;
    receive(client, payload::piece_max);
    read = true;
  }
  return read;
}

// In a world where nobody ever came, one client comes; and who came says something.
bool World::greet() {
  if (count_ == 0 && stops_ == 0) return connect();
  bool greeted = false;
  for (std::uint32_t i = 0; i < count_; ++i) {
    Client& client = clients_[i];
    if (!client.view.accepted && client.established()) Marks::hit(Mark::queued);
    if (client.sent > 0 || !client.can_send() || client.stalled) continue;
    if (client.seen_end || client.view.writable == 0) continue;
    send(client);
    greeted = true;
  }
  return greeted;
}

bool World::say_goodbye() {
  bool said = false;
  for (std::uint32_t i = 0; i < count_; ++i) {
    Client& client = clients_[i];
    if (client.over) continue;
    if (client.seen_end || client.view.state == uvsim::PeerState::refused) {
      close(client);
      said = true;
    } else if (client.can_send() && !client.stalled &&
               (client.received == client.sent || !subject_->echoes)) {
      half_close(client);
      said = true;
    }
  }
  if (said) return true;
  // Not before it listens again.
  if (network_->listeners() == 0 && stops_ == 0 && subject_->reopens_listener) return false;
  return all_gone() && stops_ == 0 && (late_comer() || stop());
}

// After faults, one more client shows whether the server still serves.
bool World::late_comer() {
  if (faults_ == 0 || late_comer_ || !subject_->reopens_listener) return false;
  if (network_->listeners() == 0) return false;
  late_comer_ = true;
  setting_.clients_max = clients_limit;
  return connect();
}

bool World::somebody_connects() const {
  return std::any_of(clients_.begin(), clients_.begin() + count_, [](const Client& client) {
    return !client.over && client.view.state == uvsim::PeerState::connecting;
  });
}

bool World::all_gone() const {
  return std::all_of(clients_.begin(), clients_.begin() + count_,
                     [](const Client& client) { return client.over; });
}

// Everybody who is left waits for the server, and it for a timer or for ever.
uvsim::Progress World::wait_for_server(uvsim::Wait wait) {
  check_deadlines(wait);
  check_counts();
  // A server that cannot be told to end, and where nothing is left to be waited for.
  const bool listens = network_->listeners() > 0 || !subject_->reopens_listener;
  const bool settled = stops_ == 0 && all_gone() && listens && network_->open_connections() == 0 &&
                       simulation_->ledger_live() == 0;
  if (wait.ns != uvsim::Wait::forever && waited_ns_ < patience_ns && !settled) {
    Marks::hit(Mark::waited_for_timer);
    waited_ns_ += wait.ns;
    return uvsim::Progress::nothing;
  }
  if (waited_ns_ < patience_ns && somebody_connects()) {
    // The kernel tries again every now and then, and no timer of the server's says when.
    constexpr std::uint64_t attempt = 1000 * ms;
    waited_ns_ += attempt;
    network_->advance(attempt);
    return uvsim::Progress::made;
  }
  waited_ns_ = 0;
  if (resume()) return uvsim::Progress::made;
  come_to_rest();
  if (wait.ns != uvsim::Wait::forever) leave();
  return uvsim::Progress::nothing;
}

// Those that read no more have been waited for long enough.
bool World::resume() {
  bool resumed = false;
  for (std::uint32_t i = 0; i < count_; ++i) {
    Client& client = clients_[i];
    if (client.over || !client.stalled) continue;
    client.stalled = false;
    client.waits_since_ns = network_->now_ns();
    resumed = true;
  }
  return resumed;
}

// The server rests, so it has answered everybody, unless somebody's unread echo is in the way.
void World::check_answers() {
  if (!subject_->answers_at_once || stops_ > 0) return;
  const auto clients = std::span(clients_).first(count_);
  if (std::ranges::any_of(clients, [](const Client& c) { return !c.over && c.view.unread > 0; })) {
    return;
  }
  for (const Client& client : clients) {
    if (client.over || client.seen_end || client.received == 0) continue;
    if (client.received < client.sent || client.half_closed) {
      fail(Oracle::apart, &client, "a client waits, and nobody is in its way");
    }
  }
}

// The server rests, so all its timers that were due have run.
void World::check_deadlines(uvsim::Wait wait) {
  if (timer_fault_) return;
  const std::uint64_t now = network_->now_ns();
  // Without a timer no deadline will ever come.
  const bool for_ever = wait.ns == uvsim::Wait::forever && !somebody_connects();
  // What takes several turns is later by each that was slow.
  const std::uint64_t allowed_ms = slack_ms * (1 + slow_turns_);
  const auto over = [=](std::uint64_t since_ns, std::uint64_t limit_ms) {
    return limit_ms != Subject::unlimited &&
           (for_ever || now > since_ns + times_ms(limit_ms + allowed_ms));
  };
  const bool asked_again = stopped_again_at_ns_ > 0 && over(stopped_again_at_ns_, subject_->end_ms);
  if (asked_again || (stopped_at_ns_ > 0 && over(stopped_at_ns_, subject_->drain_ms))) {
    fail(Oracle::alive, nullptr, "the server was told to end, and takes too long");
  }
  if (deaf_since_ns_ != 0 && stops_ == 0 && over(deaf_since_ns_, subject_->reopens_ms)) {
    fail(Oracle::alive, nullptr, "the server does not listen again in time");
  }
  for (std::uint32_t i = 0; i < count_; ++i) {
    const Client& client = clients_[i];
    if (client.over || client.seen_end || client.view.program_closed) continue;
    // Who was never answered may not have been taken in, where there is no room for all.
    const bool served = client.received > 0 || count_ <= subject_->connections_max;
    const std::uint64_t silent_since =
        std::max({client.spoke_at_ns, client.caught_up_at_ns, client.accepted_at_ns});
    // Who has ended its output has said something: the server has to read that.
    const bool owed = client.received < client.sent || client.half_closed;
    if (served && client.view.accepted && !owed && over(silent_since, subject_->idle_at_most_ms)) {
      fail(Oracle::alive, &client, "a silent client is not closed in time");
    }
    if (client.writes_queued > 0 && over(client.write_queued_at_ns, subject_->write_at_most_ms)) {
      fail(Oracle::alive, &client, "a client that takes nothing is not closed in time");
    }
    if (owed && !client.stalled && client.received > 0 &&
        over(client.waits_since_ns, subject_->answer_ms)) {
      fail(Oracle::apart, &client, "a client is not answered because of what others do not do");
    }
  }
}

// A server that does not listen anew serves nobody any more when its listener has failed, and whom
// the listener had announced it keeps (R37, R38).
bool World::may_be_left_waiting(const Client& client) const {
  if (faults_ == 0 || subject_->reopens_listener) return false;
  return !client.view.accepted || (accepts_failed_ > 0 && client.received == 0);
}

// What the server counted, against what the clients saw: who was answered was accepted, what went
// back was echoed.
void World::check_counts() {
  if (!subject_->counts) return;
  const Subject::Counts counts = subject_->counts();
  std::uint64_t answered = 0;
  std::uint64_t whole = 0;
  std::uint64_t taken = 0;  // by the kernel, or by one that keeps no account of it any more
  for (std::uint32_t i = 0; i < count_; ++i) {
    const Client& client = clients_[i];
    answered += client.received > 0 ? 1U : 0U;
    whole += client.whole ? client.received : 0;
    const uvsim::PeerView view = network_->view(client.peer);
    taken += client.over || view.reset ? client.sent : client.received + view.unread;
  }
  if (counts.accepted < answered || counts.accepted + accepts_failed_ > count_) {
    fail(Oracle::ledger, nullptr, "the server counted other connections than there were");
  }
  if (counts.echoed < whole || counts.echoed > taken) {
    fail(Oracle::ledger, nullptr, "the server counted other bytes than it echoed");
  }
  if (overtaken_ != nobody) {
    fail(Oracle::apart, &clients_[overtaken_], "a client waits for memory, and another got it");
  }
  // One more may be accepted by libuv, and not yet by the server (R37).
  const std::size_t open = connections();
  if (counts.open > open || counts.open + 1 < open) {
    fail(Oracle::ledger, nullptr, "the server counted other open connections than there are");
  }
}

// Nothing can happen any more, and nobody is stopping it.
void World::come_to_rest() {
  resting_ = true;
  Marks::hit(Mark::quiescent);
  for (std::uint32_t i = 0; i < count_; ++i) {
    const Client& client = clients_[i];
    if (client.over) continue;
    if (may_be_left_waiting(client)) continue;
    fail(Oracle::alive, &client,
         client.half_closed ? "the server never ended the connection of a client that had ended"
                            : "a client waits for its echo for ever");
  }
  if (stops_ > 0) fail(Oracle::alive, nullptr, "the server was told to end, and never does");
  if (network_->listeners() == 0 && subject_->reopens_listener) {
    fail(Oracle::alive, nullptr, "the server does not listen any more");
  }
  std::size_t left_waiting = 0;
  for (std::uint32_t i = 0; i < count_; ++i) {
    clients_[i].view = network_->view(clients_[i].peer);
    if (!clients_[i].view.program_closed && may_be_left_waiting(clients_[i])) ++left_waiting;
  }
  if (network_->open_connections() > left_waiting) {
    fail(Oracle::alive, nullptr, "a connection is left open although its client is gone");
  }
  if (simulation_->ledger_live() > 0) {
    fail(Oracle::ledger, nullptr, "more is allocated than before the first client came");
  }
}

// --- Seeing. ------------------------------------------------------------------------------------

void World::watch() {
  for (std::uint32_t i = 0; i < count_; ++i) {
    Client& client = clients_[i];
    if (client.over) continue;
    age(client);
    look(client);
  }
  if (overtaken_ != nobody) {
    fail(Oracle::apart, &clients_[overtaken_], "a client waits for memory, and another got it");
  }
  // One more may be accepted by libuv, and not yet by the server (R37).
  const std::uint64_t most = subject_->connections_max;
  if (most != Subject::unlimited && network_->open_connections() > most + 1 &&
      connections() > most + 1) {
    fail(Oracle::bound, nullptr, "more connections are open than the limit allows");
  }
  if (subject_->live_bytes_max == Subject::unlimited) return;
  if (simulation_->ledger_live_bytes() > bytes_at_start_ + subject_->live_bytes_max) {
    fail(Oracle::bound, nullptr, "more memory is in use than the limit allows");
  }
}

// That the program has: all but those that wait to be accepted.
std::size_t World::connections() const {
  std::size_t open = network_->open_connections();
  for (std::size_t i = 0; i < network_->listeners(); ++i) open -= network_->listener(i).queued;
  return open;
}

// Whether it listens, and where it did at first; if not, since when.
void World::watch_listener() {
  if (!subject_->reopens_listener || stops_ > 0) return;
  if (refusals_ > refusals_max) {
    fail(Oracle::alive, nullptr,
         "the server bears the same error of its listener without end (R39)");
  }
  if (network_->listeners() == 0) {
    if (deaf_since_ns_ == 0) deaf_since_ns_ = network_->now_ns();
  } else if (deaf_since_ns_ != 0) {
    deaf_since_ns_ = 0;
    if (network_->listener(0).port != port_) {
      fail(Oracle::alive, nullptr, "the server listens again, but on another port");
    }
  }
}

void World::look(Client& client) {
  const std::uint64_t seen = client.view.sent + client.view.readable;
  client.view = network_->view(client.peer);
  if (client.view.accepted && client.accepted_at_ns == 0) {
    client.accepted_at_ns = network_->now_ns();
  }
  if (client.view.sent + client.view.readable != seen) ++moved_;
  if (client.view.state == uvsim::PeerState::refused) Marks::hit(Mark::refused);
  if (client.seen_end || client.view.readable > 0) return;
  if (client.view.reset) return saw_end(client, true);
  if (client.view.fin && client.established()) saw_end(client, false);
}

void World::receive(Client& client, std::size_t size) {
  if (client.over) return;
  const std::size_t count =
      network_->read(client.peer, scratch, std::min(size, payload::piece_max));
  if (count > 0 && subject_->echoes) {
    if (client.received + count > client.sent) {
      fail(Oracle::prefix, &client, "a client received more than it had sent");
    }
    const std::uint8_t* const expected = payload::bytes(client.number, client.received);
    if (!client.hole && std::memcmp(scratch, expected, count) != 0) {
      fail(Oracle::prefix, &client, "a client received bytes that it had not sent, or not there");
    }
  }
  client.received += count;
  if (count > 0) client.waits_since_ns = network_->now_ns();
  if (client.received >= client.sent) client.caught_up_at_ns = network_->now_ns();
  look(client);
}

// Excuses that come with time.
void World::age(Client& client, bool overslept) {
  const std::uint64_t now = network_->now_ns() + slack_ms * ms;
  // To a server on a slow machine a client is silent that it has not got round to hearing.
  const std::uint64_t silent_since =
      delayed_ || overslept ? std::min(client.spoke_at_ns, client.heard_at_ns) : client.spoke_at_ns;
  if (subject_->idle_ms != Subject::unlimited &&
      now - silent_since >= times_ms(subject_->idle_ms)) {
    client.excuse(Excuse::silence);
  }
  const std::uint64_t write_ms =
      count_ > 1 ? subject_->write_ms : std::max(subject_->write_ms, subject_->write_alone_ms);
  if (write_ms != Subject::unlimited && client.received < client.sent &&
      now - client.caught_up_at_ns >= times_ms(write_ms)) {
    client.excuse(Excuse::stalling);
  }
  if (grace_ends_ns_ != 0 && now >= grace_ends_ns_) client.excuse(Excuse::stop);
}

// The server has ended the connection, and the client has read everything before that.
void World::saw_end(Client& client, bool by_reset) {
  client.seen_end = true;
  ++moved_;
  const bool everything = client.received == client.sent;
  if (client.half_closed && everything && !by_reset) {
    client.whole = true;
    if (client.sent > 0) {
      Marks::hit(client.owed_at_half_close ? Mark::whole_echo_late : Mark::whole_echo);
    }
    return;
  }
  if (client.received == 0 && client.sent > 0) Marks::hit(Mark::turned_away);
  if (!everything) Marks::hit(by_reset ? Mark::cut_by_reset : Mark::cut_by_end);
  if (client.excused(Excuse::silence)) Marks::hit(Mark::closed_for_silence);
  if (client.excused(Excuse::stalling)) Marks::hit(Mark::closed_for_stalling);
  if (client.excused() || (client.received == 0 && subject_->may_reject)) return;
  const bool others =
      std::any_of(clients_.begin(), clients_.begin() + count_, [&client](const Client& other) {
        return &other != &client && (other.over || other.stalled || other.excused());
      });
  fail(others || faults_ > 0 ? Oracle::apart : Oracle::whole, &client,
       everything ? "the server ended a connection to which nothing had happened"
                  : "a client to which nothing had happened did not get its whole echo");
}

void World::fail(Oracle oracle, const Client* client, const char* message) {
  verdict_.broken = oracle;
  verdict_.message = message;
  if (client != nullptr) {
    verdict_.message = "client " + std::to_string(client->number + 1) + " (" +
                       std::to_string(client->sent) + " bytes sent, " +
                       std::to_string(client->received) + " received): " + message;
  }
  simulation_->note(message, client == nullptr ? 0 : client->number + 1);
  leave();
}

void World::leave() { throw Left(); }

}  // namespace harness
