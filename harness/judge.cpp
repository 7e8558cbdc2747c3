#include "harness/judge.hpp"

#include <uv.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "harness/marks.hpp"
#include "harness/time.hpp"

namespace harness {
namespace {

// The events that the Judge uses. Their numbers are looked up by name.
enum class HeardEvent : std::uint8_t {
  unknown,
  other,
  read,
  close,
  write,
  try_write,
  written,
  shutdown,
  signal,
  connection,
  connect
};

HeardEvent event_of(const uvsim::EventView& view) {
  static std::array<HeardEvent, Marks::events_max> events{};
  HeardEvent& event = events[view.what % events.size()];
  if (event == HeardEvent::unknown) {
    const auto is = [&view](const char* name) { return std::strcmp(view.name, name) == 0; };
    event = is("read_cb") || is("read")                                 ? HeardEvent::read
            : is("uv_close") || is("uv_tcp_close_reset") || is("close") ? HeardEvent::close
            : is("uv_write")                                            ? HeardEvent::write
            : is("uv_try_write") || is("write")                         ? HeardEvent::try_write
            : is("write_cb")                                            ? HeardEvent::written
            : is("uv_shutdown") || is("shutdown")                       ? HeardEvent::shutdown
            : is("signal_cb")                                           ? HeardEvent::signal
            : is("connection_cb")                                       ? HeardEvent::connection
            : is("uv_tcp_connect") || is("uv_pipe_connect") || is("connect") ? HeardEvent::connect
                                                                             : HeardEvent::other;
  }
  return event;
}

}  // namespace

void Judge::begin(uvsim::Simulation& simulation, const Subject& subject, const Terms& terms,
                  Client* clients) {
  *this = Judge();
  simulation_ = &simulation;
  subject_ = &subject;
  terms_ = terms;
  clients_ = clients;
}

void Judge::broken(Oracle oracle, const Client* client, std::string_view words) {
  if (terms_.forgiven != nullptr && terms_.forgiven->has("", name_of(oracle), words)) {
    verdict_.evidence.clear();
    return;
  }
  verdict_.broken = oracle;
  verdict_.message = words;
  if (client != nullptr) {
    verdict_.message = "client " + std::to_string(client->number + 1) + " (" +
                       std::to_string(client->sent) + " bytes sent, " +
                       std::to_string(client->received) + " received): " + verdict_.message;
  }
  // The trace keeps no copy.
  static std::string note;
  note = words;
  simulation_->note(note.c_str(), client == nullptr ? 0 : client->number + 1);
  throw Left();
}

Client* Judge::client_of(uvsim::Peer peer) {
  for (std::uint32_t i = 0; i < count_ && peer; ++i) {
    if (clients_[i].peer.id == peer.id) return &clients_[i];
  }
  return nullptr;
}

// The client of the peer, or the client for which the server made the connection to the peer.
Client* Judge::concerned_by(uvsim::Peer peer) {
  if (Client* const client = client_of(peer)) return client;
  for (const Own& own : own_) {
    if (peer && own.peer.id == peer.id && own.client < count_) return &clients_[own.client];
  }
  return nullptr;
}

// Notes a connection that the server makes, and later the peer at its other end.
void Judge::heard_of_own(const uvsim::EventView& view, bool asks) {
  if (asks) {
    const Client* const client = concerned_by(called_back_for_);
    own_.push_back({view.subject_id, client == nullptr ? clients_none : client->number, {}});
  }
  if (!view.peer || client_of(view.peer) != nullptr) return;
  for (Own& own : own_) {
    if (own.handle == view.subject_id) own.peer = view.peer;
  }
}

void Judge::upstream_disturbed(uvsim::Peer peer) {
  if (Client* const client = concerned_by(peer)) return client->excuse(Excuse::fault);
  excuse_all(Excuse::fault);
}

// --- Excuses: what a server may do to a client. -------------------------------------------------

// A fault is an excuse for the connection that it concerns. A fault that concerns no connection
// excuses all clients that were not served yet: they may never be served.
void Judge::chosen(uvsim::ChoicePoint point, uvsim::Peer about) {
  using enum uvsim::ChoicePoint;
  switch (point) {
    case turn_time: ++slow_turns_; [[fallthrough]];
    case ready_order:
    case ready_count:
    case thread_turn:
    case thread_order:
    case worker_start:
    case read_again: delayed_ = true; return;
    case read_size:
    case write_size:
    case write_again:
    case action:
    case detail: return;  // unkind, but no fault: everything still has to end
    case call_timer_start:
    case call_timer_init: timer_fault_ = true; break;
    case call_accept: ++accepts_failed_; break;
    default: break;
  }
  ++faults_;
  if (network_ == nullptr) return;
  if (deaf_since_ns_ != 0) deaf_since_ns_ = network_->now_ns();  // it may have tried to listen
  // Memory and timers belong to no connection. Their failure concerns the client of the current
  // callback, or a client that the server accepts in it.
  if (Client* const client = concerned_by(about ? about : called_back_for_)) {
    client->excuse(Excuse::fault);
    if (point == write_error) {
      client->write_error_untold = true;
      if (client->writes_queued > 1) client->hole = true;
    }
  }
  // A connection that the server made for no client concerns all clients.
  if (about && concerned_by(about) == nullptr) excuse_all(Excuse::fault);
  // The server may do the work for an arriving client when another client has left.
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

// Adds excuses that come with time, until the server closes the connection.
void Judge::age(Client& client, bool overslept) {
  if (client.closed) return;
  const std::uint64_t now = network_->now_ns() + slack_ms * ms;
  const auto passed = [now](std::uint64_t since_ns, std::uint64_t limit_ms) {
    return limit_ms != Subject::unlimited && now - since_ns >= times_ms(limit_ms);
  };
  if (grace_ends_ns_ != 0 && now >= grace_ends_ns_) client.excuse(Excuse::stop);
  if (passed(client.connected_at_ns, subject_->session_ms)) client.excuse(Excuse::age);
  // A server on a slow machine takes a client for silent if it has not yet read from it, and for
  // stalling if the client took something after the server's last look.
  const bool slow = delayed_ || overslept;
  // A client that reads and is owed bytes is neither silent nor stalling, whatever the server's
  // timers say.
  if (!slow && client.waits_for_server()) return;
  const std::uint64_t spoke =
      slow ? std::min(client.spoke_at_ns, client.heard_at_ns) : client.spoke_at_ns;
  if (!subject_->notices_taking) {
    if (passed(spoke, subject_->idle_ms)) client.excuse(Excuse::silence);
    if (!client.has_everything() && passed(client.caught_up_at_ns, subject_->write_ms)) {
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

// --- What the Judge is told. --------------------------------------------------------------------

void Judge::on_event(const uvsim::EventView& view) {
  if (view.kind == uvsim::EventKind::callback) called_back_for_ = view.peer;
  const HeardEvent event = event_of(view);
  if (!subject_->upstreams.empty()) heard_of_own(view, event == HeardEvent::connect);
  if (event == HeardEvent::other || event == HeardEvent::connect) return;
  if (event == HeardEvent::signal) {
    if (view.value != subject_->stop_signal) return;
    (stopped_at_ns_ == 0 ? stopped_at_ns_ : stopped_again_at_ns_) = view.time_ns;
    return;
  }
  if (event == HeardEvent::connection) {
    if (view.value >= 0 || view.subject_id != refusing_) refusals_ = 0;
    refusing_ = view.subject_id;
    if (view.value < 0) ++refusals_;
    return;
  }
  Client* const client = client_of(view.peer);
  if (client == nullptr) return;
  switch (event) {
    case HeardEvent::read:
      // A client that speaks when it is owed nothing begins to be owed. The server learns of it
      // only here; until then the client was silent to it. A slow machine may take any time for
      // that.
      if (view.value <= 0) return;
      client->heard_at_ns = client->known_took_at_ns = view.time_ns;
      // Silence ends when the client speaks, unless the server has begun to end the connection.
      if (!client->closed && !client->ending) client->expect_again(Excuse::silence);
      return;
    case HeardEvent::close:
      if (view.has_result && view.result != 0) return;
      age(*client, false);
      client->closed = true;
      return;
    case HeardEvent::shutdown:
      if (view.result == 0) client->ending = true;
      if (view.result == 0 && client->half_closed && client->owed() > 0) {
        Marks::hit(Mark::stayed_after_half_close);
      }
      return;
    case HeardEvent::write:
      if (view.result != 0) return;
      if (client->writes_queued++ == 0) client->write_queued_at_ns = view.time_ns;
      if (client->write_error_untold && client->writes_queued > 1) client->hole = true;
      return;
    case HeardEvent::try_write:
      if (view.result > 0 && client->write_error_untold) client->hole = true;
      if (view.result < 0) client->write_error_untold = false;  // the server was told just now
      return;
    case HeardEvent::written:
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
  check_start();
  simulation_->ledger_baseline();
  bytes_at_start_ = simulation_->ledger_live_bytes();
  rests_.begin(measure(), subject_->remembers, terms_.rests);
}

void Judge::connected(Client& client, bool named) {
  count_ = client.number + 1;
  const std::uint64_t now = network_->now_ns();
  client.connected_at_ns = client.spoke_at_ns = client.heard_at_ns = client.caught_up_at_ns = now;
  client.took_at_ns = client.known_took_at_ns = client.waits_since_ns = now;
  client.named = named;
  client.promised = named && subject_->echoes;
  if (!client.promised) client.excuse(Excuse::own);
  if (stops_ > 0) client.excuse(Excuse::stop);
  owe(client);
}

// Sets what the client is owed for what it has said.
void Judge::owe(Client& client) {
  client.due = client.sent;
  if (client.words == nullptr) return;
  if (!client.promised) {
    client.words->known = known_answer_to(client);
    if (client.words->known != nullptr) client.due = client.words->known->bytes.size();
    return;
  }
  if (!subject_->speech.answer) return;
  client.words->answer = subject_->speech.answer(client.words->said, client.half_closed);
  client.due = client.words->answer.size();
}

const KnownAnswer* Judge::known_answer_to(const Client& client) const {
  if (!client.named) return nullptr;
  for (const KnownAnswer& known : subject_->speech.known) {
    if (known.said == client.words->said) return &known;
  }
  return nullptr;
}

void Judge::spoke(Client& client, std::size_t size) {
  const std::uint64_t now = network_->now_ns();
  if (client.has_everything()) client.caught_up_at_ns = now;
  if (size == 0) return;
  client.spoke_at_ns = client.waits_since_ns = now;
  if (client.owed() == 0) client.took_at_ns = now;
  client.sent += size;
  owe(client);
}

void Judge::half_closed(Client& client) {
  client.half_closed = true;
  client.half_closed_at_ns = client.waits_since_ns = network_->now_ns();
  owe(client);
  client.owed_at_half_close = !client.has_everything();
  if (client.owed_at_half_close && !subject_->answers_half_close) client.excuse(Excuse::own);
}

void Judge::received(Client& client, const std::uint8_t* bytes, std::size_t size) {
  check_prefix(client, bytes, size);
  if (client.words != nullptr && !subject_->speech.known.empty()) {
    client.words->heard.append(bytes, bytes + size);
  }
  client.received += size;
  if (size > 0) Marks::hit(Mark::answered);
  if (size > 0 && client.promised && client.received == client.due) Marks::hit(Mark::echoed);
  if (client.has_everything()) client.caught_up_at_ns = network_->now_ns();
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

// The server has ended the connection, and the client has read everything before that.
void Judge::saw_end(Client& client, bool by_reset) {
  client.seen_end = true;
  const bool everything = client.has_everything();
  const bool answered = client.half_closed || (subject_->ends_when_answered && client.due > 0);
  if (answered && everything && !by_reset) {
    client.whole = true;
    if (client.due == 0) return;
    Marks::hit(client.owed_at_half_close ? Mark::whole_echo_late : Mark::whole_echo);
    if (client.kind == Kind::half_closes) Marks::hit(Mark::lingered_for);
    return;
  }
  if (client.received == 0 && client.due > 0) Marks::hit(Mark::turned_away);
  if (!everything) Marks::hit(by_reset ? Mark::cut_by_reset : Mark::cut_by_end);
  if (client.excused(Excuse::silence)) Marks::hit(Mark::closed_for_silence);
  if (client.excused(Excuse::stalling)) Marks::hit(Mark::closed_for_stalling);
  check_whole(client, by_reset);
  check_known_answer(client, by_reset);
}

// --- When it checks. ----------------------------------------------------------------------------

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

void Judge::at_rest() { check_waiting(); }

void Judge::while_waiting(uvsim::Wait wait) {
  if (!timer_fault_) {
    const std::uint64_t now = network_->now_ns();
    // Without a timer no deadline will ever come.
    const bool for_ever = wait.ns == uvsim::Wait::forever && !somebody_connects();
    check_stop(now, for_ever);
    for (const Client& client : clients()) {
      check_client_in_time(client, now, for_ever);
      check_answered_in_time(client, now, for_ever);
    }
  }
  check_counts();
}

void Judge::alone() { rests_.rested(measure(), past_.clients + count_); }

void Judge::played_again() {
  for (const Client& client : clients()) add(past_, client);
  count_ = 0;
  own_.clear();
  called_back_for_ = {};
}

void Judge::long_alone() {
  check_gone();
  check_growth();
}

void Judge::at_the_very_end() {
  check_end();
  check_growth();
}

void Judge::when_ended(int status) {
  Marks::hit(network_ == nullptr ? Mark::failed_to_start : Mark::ended);
  check_ended(status);
  if (network_ == nullptr) return;
  check_status(status);
  check_counts();
}

// --- What follows from what it was told. --------------------------------------------------------

Rests::Measure Judge::measure() const {
  return {.blocks = simulation_->ledger_live(),
          .bytes = simulation_->ledger_live_bytes(),
          .handles = network_->open_handles(),
          .descriptors = network_->open_descriptors()};
}

// A client that was never answered may not have been accepted, if there is no room for all.
bool Judge::must_be_served(const Client& client) const {
  return client.view.accepted && (client.received > 0 || count_ <= subject_->connections_max);
}

// Whether it is the server's turn: it has not echoed what the client said, and no unread bytes are
// in the way.
bool Judge::waits(const Client& client) const {
  if (client.over || client.seen_end || client.view.unread > 0) return false;
  if (client.has_everything() && !client.half_closed) return false;
  return client.received > 0 || (faults_ == 0 && must_be_served(client));
}

bool Judge::somebody_connects() const {
  return std::ranges::any_of(clients(), [](const Client& client) {
    return !client.over && client.view.state == uvsim::PeerState::connecting;
  });
}

bool Judge::is_over(std::uint64_t now, bool for_ever, std::uint64_t since_ns,
                    std::uint64_t limit_ms) const {
  if (limit_ms == Subject::unlimited) return false;
  // Each slow turn makes the server later.
  return for_ever || now > since_ns + times_ms(limit_ms + slack_ms * (1 + slow_turns_));
}

// A server that does not reopen a failed listener serves no client any more, and keeps the client
// that the listener had announced (R37, R38).
bool Judge::may_be_left_waiting(const Client& client) const {
  if ((faults_ == 0 && !terms_.few_descriptors) || subject_->reopens_listener) return false;
  return !client.view.accepted || (accepts_failed_ > 0 && client.received == 0);
}

// The connections that the program has: all but those that wait to be accepted.
std::size_t Judge::connections() const {
  std::size_t open = network_->open_connections();
  for (std::size_t i = 0; i < network_->listeners(); ++i) open -= network_->listener(i).queued;
  return open;
}

// The connections that clients have made and the server has not closed.
std::size_t Judge::connections_of_clients() const {
  return network_->open_connections() - network_->own_connections();
}

}  // namespace harness
