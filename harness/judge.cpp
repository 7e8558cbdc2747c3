#include "harness/judge.hpp"

#include <uv.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "harness/marks.hpp"
#include "harness/payload.hpp"

namespace harness {
namespace {

constexpr std::uint64_t ms = 1'000'000;
// What the loop's clock may be wrong by, and a turn may take.
constexpr std::uint64_t slack_ms = 60;
// Errors in a row that a listener may report to a server that claims to mend it.
constexpr std::uint32_t refusals_max = 16;

std::uint64_t times_ms(std::uint64_t n) {
  return n > std::numeric_limits<std::uint64_t>::max() / ms ? n : n * ms;
}

std::uint64_t sum(std::uint64_t a, std::uint64_t b) {
  return a > Subject::unlimited - b ? Subject::unlimited : a + b;
}

// The events that say something to the Judge. Their numbers are learned from their names.
enum class Event : std::uint8_t {
  unknown,
  other,
  read,
  close,
  write,
  try_write,
  written,
  shutdown,
  signal,
  connection
};

Event event_of(const uvsim::EventView& view) {
  static std::array<Event, Marks::events_max> events{};
  Event& event = events[view.what % events.size()];
  if (event == Event::unknown) {
    const auto is = [&view](const char* name) { return std::strcmp(view.name, name) == 0; };
    event = is("read_cb")                                ? Event::read
            : is("uv_close") || is("uv_tcp_close_reset") ? Event::close
            : is("uv_write")                             ? Event::write
            : is("uv_try_write")                         ? Event::try_write
            : is("write_cb")                             ? Event::written
            : is("uv_shutdown") || is("shutdown")        ? Event::shutdown
            : is("signal_cb")                            ? Event::signal
            : is("connection_cb")                        ? Event::connection
                                                         : Event::other;
  }
  return event;
}

}  // namespace

void Judge::begin(uvsim::Simulation& simulation, const Subject& subject, Client* clients) {
  *this = Judge();
  simulation_ = &simulation;
  subject_ = &subject;
  clients_ = clients;
}

void Judge::fail(Oracle oracle, const Client* client, const char* message) {
  verdict_.broken = oracle;
  verdict_.message = message;
  if (client != nullptr) {
    verdict_.message = "client " + std::to_string(client->number + 1) + " (" +
                       std::to_string(client->sent) + " bytes sent, " +
                       std::to_string(client->received) + " received): " + message;
  }
  simulation_->note(message, client == nullptr ? 0 : client->number + 1);
  throw Left();
}

Client* Judge::client_of(uvsim::Peer peer) {
  for (std::uint32_t i = 0; i < count_ && peer; ++i) {
    if (clients_[i].peer.id == peer.id) return &clients_[i];
  }
  return nullptr;
}

// --- Excuses: what a server may do to a client. -------------------------------------------------

// A fault is an excuse for the connection that it concerns, and for those that were not served yet
// where it concerns none: they may never be.
void Judge::chosen(uvsim::ChoicePoint point, uvsim::Peer about) {
  using enum uvsim::ChoicePoint;
  switch (point) {
    case turn_time: ++slow_turns_; [[fallthrough]];
    case ready_order:
    case ready_count:
    case read_again: delayed_ = true; return;
    case read_size:
    case write_size:
    case write_again:
    case action:
    case detail: return;  // unkind, but no fault: everything still has to come to its end
    case call_timer_start:
    case call_timer_init: timer_fault_ = true; break;
    case call_accept: ++accepts_failed_; break;
    default: break;
  }
  ++faults_;
  if (network_ == nullptr) return;
  if (deaf_since_ns_ != 0) deaf_since_ns_ = network_->now_ns();  // it may have tried to listen
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
}

void Judge::excuse_all(Excuse excuse) {
  for (Client& client : clients()) client.excuse(excuse);
}

void Judge::excuse_unserved(Excuse excuse) {
  for (Client& client : clients()) {
    if (client.received == 0) client.excuse(excuse);
  }
}

// Excuses that come with time, until the server closes the connection.
void Judge::age(Client& client, bool overslept) {
  if (client.closed) return;
  const std::uint64_t now = network_->now_ns() + slack_ms * ms;
  const auto passed = [now](std::uint64_t since_ns, std::uint64_t limit_ms) {
    return limit_ms != Subject::unlimited && now - since_ns >= times_ms(limit_ms);
  };
  if (grace_ends_ns_ != 0 && now >= grace_ends_ns_) client.excuse(Excuse::stop);
  // To a server on a slow machine a client is silent that it has not got round to hearing, and one
  // takes nothing that took something since it could last look.
  const bool slow = delayed_ || overslept;
  const std::uint64_t spoke =
      slow ? std::min(client.spoke_at_ns, client.heard_at_ns) : client.spoke_at_ns;
  if (!subject_->notices_taking) {
    if (passed(spoke, subject_->idle_ms)) client.excuse(Excuse::silence);
    if (client.received < client.sent && passed(client.caught_up_at_ns, subject_->write_ms)) {
      client.excuse(Excuse::stalling);
    }
    return;
  }
  const std::uint64_t took =
      slow ? std::min(client.took_at_ns, client.known_took_at_ns) : client.took_at_ns;
  const bool silent = passed(std::max(spoke, took), subject_->idle_ms);
  if (client.owed() == 0) {
    if (silent) client.excuse(Excuse::silence);
  } else if (passed(took, subject_->write_ms)) {
    if (silent) client.excuse(Excuse::silence);
    client.excuse(Excuse::stalling);
  }
}

// --- What is heard. -----------------------------------------------------------------------------

void Judge::on_event(const uvsim::EventView& view) {
  if (view.kind == uvsim::EventKind::callback) called_back_for_ = view.peer;
  const Event event = event_of(view);
  if (event == Event::other) return;
  if (event == Event::signal) {
    if (view.value != subject_->stop_signal) return;
    (stopped_at_ns_ == 0 ? stopped_at_ns_ : stopped_again_at_ns_) = view.time_ns;
    return;
  }
  if (event == Event::connection) {
    if (view.value >= 0 || view.subject_id != refusing_) refusals_ = 0;
    refusing_ = view.subject_id;
    if (view.value < 0) ++refusals_;
    return;
  }
  Client* const client = client_of(view.peer);
  if (client == nullptr) return;
  switch (event) {
    case Event::read:
      // Who speaks when it is owed nothing begins to be owed; the server learns of it only here,
      // and until it does the client has been silent. A slow machine may take as long as it likes.
      if (view.value > 0) client->heard_at_ns = client->known_took_at_ns = view.time_ns;
      return;
    case Event::close:
      if (view.has_result && view.result != 0) return;
      age(*client, false);
      client->closed = true;
      return;
    case Event::shutdown:
      if (view.result == 0 && client->half_closed && client->owed() > 0) {
        Marks::hit(Mark::stayed_after_half_close);
      }
      return;
    case Event::write:
      if (view.result != 0) return;
      if (client->writes_queued++ == 0) client->write_queued_at_ns = view.time_ns;
      if (client->write_error_untold && client->writes_queued > 1) client->hole = true;
      return;
    case Event::try_write:
      if (view.result > 0 && client->write_error_untold) client->hole = true;
      if (view.result < 0) client->write_error_untold = false;  // it was told just now
      return;
    case Event::written:
      --client->writes_queued;
      if (view.value != 0) client->write_error_untold = false;
      return;
    default: return;
  }
}

void Judge::listens(uvsim::Network& network) {
  network_ = &network;
  Marks::hit(Mark::listened);
  port_ = network.listener(0).port;
  bytes_at_start_ = simulation_->ledger_live_bytes();
  if (subject_->start_bytes_max < bytes_at_start_) {
    fail(Oracle::bound, nullptr, "more memory is in use at the start than the limit allows");
  }
  simulation_->ledger_baseline();
  bytes_at_start_ = simulation_->ledger_live_bytes();
}

void Judge::connected(Client& client) {
  count_ = client.number + 1;
  const std::uint64_t now = network_->now_ns();
  client.spoke_at_ns = client.heard_at_ns = client.caught_up_at_ns = now;
  client.took_at_ns = client.known_took_at_ns = client.waits_since_ns = now;
  if (!subject_->echoes) client.excuse(Excuse::own);
  if (stops_ > 0) client.excuse(Excuse::stop);
}

void Judge::spoke(Client& client, std::size_t size) {
  const std::uint64_t now = network_->now_ns();
  if (client.received == client.sent) client.caught_up_at_ns = now;
  if (size == 0) return;
  client.spoke_at_ns = client.waits_since_ns = now;
  if (client.owed() == 0) client.took_at_ns = now;
  client.sent += size;
}

void Judge::half_closed(Client& client) {
  client.half_closed = true;
  client.half_closed_at_ns = client.waits_since_ns = network_->now_ns();
  client.owed_at_half_close = client.received < client.sent;
  if (client.owed_at_half_close && !subject_->answers_half_close) client.excuse(Excuse::own);
}

// Oracle `prefix`.
void Judge::received(Client& client, const std::uint8_t* bytes, std::size_t size) {
  if (size > 0 && subject_->echoes) {
    if (client.received + size > client.sent) {
      fail(Oracle::prefix, &client, "a client received more than it had sent");
    }
    const std::uint8_t* const expected = payload::bytes(client.number, client.received);
    if (!client.hole && std::memcmp(bytes, expected, size) != 0) {
      fail(Oracle::prefix, &client, "a client received bytes that it had not sent, or not there");
    }
  }
  client.received += size;
  if (size > 0) Marks::hit(Mark::answered);
  if (size > 0 && client.received == client.sent) Marks::hit(Mark::echoed);
  if (client.received >= client.sent) client.caught_up_at_ns = network_->now_ns();
}

void Judge::looked(Client& client) {
  const std::uint64_t now = network_->now_ns();
  if (client.view.accepted && client.accepted_at_ns == 0) client.accepted_at_ns = now;
  const std::uint64_t delivered = client.received + client.view.readable;
  if (delivered > client.delivered) {
    client.delivered = delivered;
    client.took_at_ns = now;
  }
  if (!waits(client)) client.waits_since_ns = now;
}

void Judge::told_to_end() {
  if (subject_->tell) {
    (stopped_at_ns_ == 0 ? stopped_at_ns_ : stopped_again_at_ns_) = network_->now_ns();
  }
  if (++stops_ > 1 || subject_->grace_ms == 0) {
    excuse_all(Excuse::stop);
  } else {
    excuse_unserved(Excuse::stop);
    grace_ends_ns_ = network_->now_ns() + times_ms(subject_->grace_ms);
  }
}

void Judge::time_passed(std::uint64_t overslept_ns) {
  if (stopped_at_ns_ != 0) stopped_at_ns_ += overslept_ns;
  if (stopped_again_at_ns_ != 0) stopped_again_at_ns_ += overslept_ns;
  if (deaf_since_ns_ != 0) deaf_since_ns_ = network_->now_ns();
  if (overslept_ns > 0) woke_at_ns_ = network_->now_ns();
  for (Client& client : clients()) {
    client.waits_since_ns = network_->now_ns();
    if (!client.over) age(client, overslept_ns > 0);
  }
}

// --- Oracles `whole` and `apart`: whom the server cuts. -----------------------------------------

// The server has ended the connection, and the client has read everything before that.
void Judge::saw_end(Client& client, bool by_reset) {
  client.seen_end = true;
  const bool everything = client.received == client.sent;
  if (client.half_closed && everything && !by_reset) {
    client.whole = true;
    if (client.sent == 0) return;
    Marks::hit(client.owed_at_half_close ? Mark::whole_echo_late : Mark::whole_echo);
    if (client.kind == Kind::half_closes) Marks::hit(Mark::lingered_for);
    return;
  }
  if (client.received == 0 && client.sent > 0) Marks::hit(Mark::turned_away);
  if (!everything) Marks::hit(by_reset ? Mark::cut_by_reset : Mark::cut_by_end);
  if (client.excused(Excuse::silence)) Marks::hit(Mark::closed_for_silence);
  if (client.excused(Excuse::stalling)) Marks::hit(Mark::closed_for_stalling);
  check_whole(client, by_reset);
}

void Judge::check_whole(const Client& client, bool by_reset) {
  const bool everything = client.received == client.sent;
  // What fails within libuv or the kernel may end a connection without the server's knowledge; and
  // whom it turns away it has no echo for.
  const bool knew = !client.excused(Excuse::fault) && !client.excused(Excuse::own) &&
                    (client.received > 0 || !subject_->may_reject);
  if (subject_->tells_of_cuts && !everything && !by_reset && knew) {
    fail(Oracle::whole, &client, "a client whose echo was cut saw an ordinary end");
  }
  if (client.excused() || (client.received == 0 && subject_->may_reject)) return;
  const bool others = std::ranges::any_of(clients(), [&client](const Client& other) {
    return &other != &client && (other.over || other.stalled || other.excused());
  });
  fail(others || faults_ > 0 ? Oracle::apart : Oracle::whole, &client,
       everything ? "the server ended a connection to which nothing had happened"
                  : "a client to which nothing had happened did not get its whole echo");
}

// --- Oracle `apart`: who waits because of others. -----------------------------------------------

// Who was never answered may not have been taken in, where there is no room for all.
bool Judge::must_be_served(const Client& client) const {
  return client.view.accepted && (client.received > 0 || count_ <= subject_->connections_max);
}

// It is the server's turn: what the client has said is not on its way back, and nothing that it has
// not read is in the way.
bool Judge::waits(const Client& client) const {
  if (client.over || client.seen_end || client.view.unread > 0) return false;
  if (client.received == client.sent && !client.half_closed) return false;
  return client.received > 0 || (faults_ == 0 && must_be_served(client));
}

// The server rests, so it has answered everybody who waits.
void Judge::at_rest() {
  if (!subject_->answers_at_once || stops_ > 0) return;
  for (const Client& client : clients()) {
    if (waits(client)) {
      fail(Oracle::apart, &client,
           "a client waits for the server, with nothing of its own in the way");
    }
  }
}

// --- Oracle `alive`: what has to happen in time. ------------------------------------------------

bool Judge::somebody_connects() const {
  return std::ranges::any_of(clients(), [](const Client& client) {
    return !client.over && client.view.state == uvsim::PeerState::connecting;
  });
}

bool Judge::is_over(std::uint64_t now, bool for_ever, std::uint64_t since_ns,
                    std::uint64_t limit_ms) const {
  if (limit_ms == Subject::unlimited) return false;
  // What takes several turns is later by each that was slow.
  return for_ever || now > since_ns + times_ms(limit_ms + slack_ms * (1 + slow_turns_));
}

// The server rests, so all its timers that were due have run.
void Judge::while_waiting(uvsim::Wait wait) {
  if (!timer_fault_) {
    const std::uint64_t now = network_->now_ns();
    // Without a timer no deadline will ever come.
    const bool for_ever = wait.ns == uvsim::Wait::forever && !somebody_connects();
    check_stop(now, for_ever);
    for (const Client& client : clients()) check_client_in_time(client, now, for_ever);
  }
  check_counts();
}

void Judge::check_stop(std::uint64_t now, bool for_ever) {
  const auto over = [&](std::uint64_t since_ns, std::uint64_t limit_ms) {
    return is_over(now, for_ever, since_ns, limit_ms);
  };
  const bool asked_again = stopped_again_at_ns_ > 0 && over(stopped_again_at_ns_, subject_->end_ms);
  if (asked_again || (stopped_at_ns_ > 0 && over(stopped_at_ns_, subject_->drain_ms))) {
    fail(Oracle::alive, nullptr, "the server was told to end, and takes too long");
  }
  if (deaf_since_ns_ != 0 && stops_ == 0 && over(deaf_since_ns_, subject_->reopens_ms)) {
    fail(Oracle::alive, nullptr, "the server does not listen again in time");
  }
}

void Judge::check_client_in_time(const Client& client, std::uint64_t now, bool for_ever) {
  if (client.over || client.seen_end || client.view.program_closed) return;
  const auto over = [&](std::uint64_t since_ns, std::uint64_t limit_ms) {
    return is_over(now, for_ever, since_ns, limit_ms);
  };
  // What a client did while the machine kept the server from working, it learns of afterwards.
  const std::uint64_t took_at = std::max(client.took_at_ns, woke_at_ns_);
  if (client.writes_queued > 0 &&
      over(std::max(client.write_queued_at_ns, took_at), subject_->write_at_most_ms)) {
    fail(Oracle::alive, &client, "a client that takes nothing is not closed in time");
  }
  if (waits(client) && over(client.waits_since_ns, subject_->answer_ms)) {
    fail(Oracle::apart, &client, "a client is not answered because of what others do not do");
  }
  if (!must_be_served(client)) return;
  const std::uint64_t quiet_since = std::max({client.spoke_at_ns, took_at, client.accepted_at_ns});
  if (client.half_closed) {
    // Who has ended its output has said something: the server has to read that.
    if (client.owed() > subject_->linger_bytes &&
        over(std::max(client.half_closed_at_ns, quiet_since), subject_->write_at_most_ms)) {
      fail(Oracle::alive, &client,
           "a client that has ended takes nothing, and is not closed in time");
    }
  } else if (client.owed() == 0) {
    if (over(quiet_since, subject_->idle_at_most_ms)) {
      fail(Oracle::alive, &client, "a silent client is not closed in time");
    }
  } else if (over(quiet_since, sum(subject_->idle_at_most_ms, subject_->write_at_most_ms))) {
    fail(Oracle::alive, &client, "a silent client that takes nothing is not closed in time");
  }
}

// A server that does not listen anew serves nobody any more when its listener has failed, and whom
// the listener had announced it keeps (R37, R38).
bool Judge::may_be_left_waiting(const Client& client) const {
  if (faults_ == 0 || subject_->reopens_listener) return false;
  return !client.view.accepted || (accepts_failed_ > 0 && client.received == 0);
}

void Judge::at_the_very_end() {
  for (const Client& client : clients()) {
    if (client.over || may_be_left_waiting(client)) continue;
    fail(Oracle::alive, &client,
         client.half_closed ? "the server never ended the connection of a client that had ended"
                            : "a client waits for its echo for ever");
  }
  if (stops_ > 0) fail(Oracle::alive, nullptr, "the server was told to end, and never does");
  if (network_->listeners() == 0 && subject_->reopens_listener) {
    fail(Oracle::alive, nullptr, "the server does not listen any more");
  }
  std::size_t left_waiting = 0;
  for (Client& client : clients()) {
    client.view = network_->view(client.peer);
    if (!client.view.program_closed && may_be_left_waiting(client)) ++left_waiting;
  }
  if (network_->open_connections() > left_waiting) {
    fail(Oracle::alive, nullptr, "a connection is left open although its client is gone");
  }
  if (simulation_->ledger_live() > 0) {
    fail(Oracle::ledger, nullptr, "more is allocated than before the first client came");
  }
}

// Whether it listens, and where it did at first; if not, since when.
void Judge::check_listener() {
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

// --- Oracles `bound`, `ledger`, `clean`: what is there. -----------------------------------------

void Judge::before_looking() {
  for (Client& client : clients()) {
    if (!client.over) age(client, false);
  }
}

void Judge::after_looking(bool server_rests) {
  if (server_rests) {
    for (Client& client : clients()) client.known_took_at_ns = client.took_at_ns;
  }
  check_bounds();
  check_listener();
}

void Judge::check_bounds() {
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
std::size_t Judge::connections() const {
  std::size_t open = network_->open_connections();
  for (std::size_t i = 0; i < network_->listeners(); ++i) open -= network_->listener(i).queued;
  return open;
}

// What the server counted, against what the clients saw: who was answered was accepted, what went
// back was echoed.
void Judge::check_counts() {
  if (!subject_->counts) return;
  const Subject::Counts counts = subject_->counts();
  std::uint64_t answered = 0;
  std::uint64_t whole = 0;
  std::uint64_t taken = 0;  // by the kernel, or by one that keeps no account of it any more
  for (const Client& client : clients()) {
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
  // One more may be accepted by libuv, and not yet by the server (R37).
  const std::size_t open = connections();
  if (counts.open > open || counts.open + 1 < open) {
    fail(Oracle::ledger, nullptr, "the server counted other open connections than there are");
  }
}

void Judge::when_ended(int status) {
  if (network_ == nullptr) {
    Marks::hit(Mark::failed_to_start);
    if (subject_->ends_clean && status == 0) {
      fail(Oracle::alive, nullptr, "the server ended without ever listening, with exit status 0");
    }
    return;
  }
  Marks::hit(Mark::ended);
  const bool survives_faults = subject_->reopens_listener && !timer_fault_;
  if (stops_ == 0 && (faults_ == 0 || survives_faults)) {
    fail(Oracle::alive, nullptr, "the server ended although nobody had asked it to");
  }
  if (stops_ > 0 && subject_->ends_clean && status != 0) {
    fail(Oracle::clean, nullptr, "the exit status is not 0");
  }
  check_counts();
}

}  // namespace harness
