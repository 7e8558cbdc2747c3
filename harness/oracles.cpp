// The oracles, in the order of verdict.hpp. Each section states its property and contains all code
// of the oracle. judge.cpp notes what the oracles need.
#include <algorithm>
#include <cstring>

#include "harness/evidence.hpp"
#include "harness/judge.hpp"
#include "harness/marks.hpp"
#include "harness/payload.hpp"
#include "harness/time.hpp"

namespace harness {
namespace {

// The errors in a row that a listener may report to a server that promises to reopen it.
constexpr std::uint32_t refusals_max = 16;

std::uint64_t sum(std::uint64_t a, std::uint64_t b) {
  return a > Subject::unlimited - b ? Subject::unlimited : a + b;
}

}  // namespace

// --- prefix -------------------------------------------------------------------------------------
// What a client received is a prefix of what it is owed, and nothing else.

void Judge::check_prefix(const Client& client, const std::uint8_t* bytes, std::size_t size) {
  if (size == 0 || !client.promised) return;
  if (client.received + size > client.due) {
    verdict_.evidence = wrong_bytes(client, expected_by(client), bytes, size, clients());
    broken(Oracle::prefix, &client, "a client received more than it is owed");
    return;
  }
  if (client.hole) return;
  const void* const expected = expected_by(client);
  if (std::memcmp(bytes, expected, size) != 0) {
    verdict_.evidence = wrong_bytes(client, expected, bytes, size, clients());
    broken(Oracle::prefix, &client, "a client received bytes that it is not owed, or not there");
  }
}

// The bytes that the client has to receive next.
const void* Judge::expected_by(const Client& client) const {
  if (client.words == nullptr) return payload::bytes(client.number, client.received);
  if (!client.promised) return client.words->known->bytes.data() + client.received;
  const std::string& all = subject_->speech.answer ? client.words->answer : client.words->said;
  return all.data() + client.received;
}

// --- whole --------------------------------------------------------------------------------------
// A client that takes what it is owed gets every byte, and then FIN. A cut client sees RST. If
// another client or a fault may be the cause, the broken oracle is `apart`.

void Judge::check_whole(const Client& client, bool by_reset) {
  const bool everything = client.has_everything();
  const bool turned_away = client.received == 0 && may_reject();
  // A failure in libuv or the kernel may end a connection without the server's knowledge. A client
  // that is turned away gets no echo.
  const bool knew = !client.excused(Excuse::fault) && !client.excused(Excuse::own) && !turned_away;
  if (subject_->tells_of_cuts && !everything && !by_reset && knew) {
    verdict_.evidence = missing_bytes(client, expected_by(client), by_reset);
    broken(Oracle::whole, &client, "a client whose echo was cut saw an ordinary end");
  }
  if (client.excused() || turned_away) return;
  const bool others = std::ranges::any_of(clients(), [&client](const Client& other) {
    return &other != &client && (other.over || other.stalled || other.excused());
  });
  if (!everything) verdict_.evidence = missing_bytes(client, expected_by(client), by_reset);
  broken(others || faults_ > 0 ? Oracle::apart : Oracle::whole, &client,
         everything ? "the server ended a connection to which nothing had happened"
                    : "a client to which nothing had happened did not get its whole echo");
}

// The same, of a server that does not echo, for the answers that are known. A client that has ended
// its output may be cut: many such servers take that for a goodbye. A reset is no finding either:
// the kernel sends it in place of the rest when a server closes without having read all of a
// request.
void Judge::check_known_answer(const Client& client, bool by_reset) {
  if (by_reset) return;
  if (client.promised || client.words == nullptr || client.words->known == nullptr) return;
  if (client.half_closed || client.excuses != static_cast<std::uint8_t>(Excuse::own)) return;
  if (!client.words->known->is_cut(client.words->heard)) return;
  verdict_.evidence = missing_bytes(client, expected_by(client), false);
  broken(Oracle::whole, &client,
         "a client got only the beginning of an answer that others got whole");
}

// --- ledger -------------------------------------------------------------------------------------
// Every allocation is freed exactly once: uvsim's ledger checks that, and trial.cpp reports it.
// This section checks what the server has and counts while it runs.

// At rest, without clients, the server has no more than at the last rest, except for a bounded
// amount.
void Judge::check_growth() {
  const std::string words = rests_.verdict(measure());
  if (!words.empty()) broken(Oracle::ledger, nullptr, words);
}

// The server's counters agree with what clients saw: it has accepted each answered client, and
// echoed each byte that came back.
void Judge::check_counts() {
  if (!subject_->counts) return;
  const Subject::Counts counts = subject_->counts();
  Seen seen = past_;
  for (const Client& client : clients()) add(seen, client);
  if (counts.accepted < seen.answered || counts.accepted + accepts_failed_ > seen.clients) {
    broken(Oracle::ledger, nullptr, "the server counted other connections than there were");
  }
  if (counts.echoed < seen.whole || counts.echoed > seen.taken) {
    broken(Oracle::ledger, nullptr, "the server counted other bytes than it echoed");
  }
  // One more may be accepted by libuv, and not yet by the server (R37).
  const std::size_t open = connections();
  if (counts.open > open || counts.open + 1 < open) {
    broken(Oracle::ledger, nullptr, "the server counted other open connections than there are");
  }
}

void Judge::add(Seen& seen, const Client& client) const {
  const uvsim::PeerView view = network_->view(client.peer);
  ++seen.clients;
  seen.answered += client.received > 0 ? 1U : 0U;
  seen.whole += client.whole ? client.received : 0;
  // After a close or a reset the exact count is gone, so all that the client sent counts.
  seen.taken += client.over || view.reset ? client.sent : client.received + view.unread;
}

// --- contract -----------------------------------------------------------------------------------
// No rule of libuv's contract is broken: uvsim checks that, and trial.cpp reports it.

// --- bound --------------------------------------------------------------------------------------
// Live bytes and open connections stay within the limits at every step.

void Judge::check_start() {
  if (subject_->start_bytes_max < bytes_at_start_) {
    broken(Oracle::bound, nullptr, "more memory is in use at the start than the limit allows");
  }
}

void Judge::check_bounds() {
  // One more may be accepted by libuv, and not yet by the server (R37).
  const std::uint64_t most = subject_->connections_max;
  if (most != Subject::unlimited && network_->open_connections() > most + 1 &&
      connections() > most + 1) {
    broken(Oracle::bound, nullptr, "more connections are open than the limit allows");
  }
  if (subject_->live_bytes_max == Subject::unlimited) return;
  if (simulation_->ledger_live_bytes() > bytes_at_start_ + subject_->live_bytes_max) {
    broken(Oracle::bound, nullptr, "more memory is in use than the limit allows");
  }
}

// --- alive --------------------------------------------------------------------------------------
// Once faults stop, everything ends in bounded time, without spinning.

void Judge::spins() {
  broken(Oracle::alive, nullptr, "the server spins");
  throw Left();  // the run would not end, even if the finding is forgiven
}

// Checks limits of time. The server rests, so all its due timers have run.
void Judge::check_stop(std::uint64_t now, bool for_ever) {
  const auto over = [&](std::uint64_t since_ns, std::uint64_t limit_ms) {
    return is_over(now, for_ever, since_ns, limit_ms);
  };
  const bool asked_again = stopped_again_at_ns_ > 0 && over(stopped_again_at_ns_, subject_->end_ms);
  if (asked_again || (stopped_at_ns_ > 0 && over(stopped_at_ns_, subject_->drain_ms))) {
    broken(Oracle::alive, nullptr, "the server was told to end, and takes too long");
  }
  if (deaf_since_ns_ != 0 && stops_ == 0 && over(deaf_since_ns_, subject_->reopens_ms)) {
    broken(Oracle::alive, nullptr, "the server does not listen again in time");
  }
}

void Judge::check_client_in_time(const Client& client, std::uint64_t now, bool for_ever) {
  if (client.over || client.seen_end || client.view.program_closed) return;
  const auto over = [&](std::uint64_t since_ns, std::uint64_t limit_ms) {
    return is_over(now, for_ever, since_ns, limit_ms);
  };
  // The server learns of a client's actions only after the machine lets it work again.
  const std::uint64_t took_at = std::max(client.took_at_ns, woke_at_ns_);
  if (client.writes_queued > 0 &&
      over(std::max(client.write_queued_at_ns, took_at), subject_->write_at_most_ms)) {
    broken(Oracle::alive, &client, "a client that takes nothing is not closed in time");
  }
  if (!must_be_served(client)) return;
  const std::uint64_t quiet_since = std::max({client.spoke_at_ns, took_at, client.accepted_at_ns});
  if (client.half_closed) {
    // A half-close is data, too: the server has to read it.
    if (client.owed() > subject_->linger_bytes &&
        over(std::max(client.half_closed_at_ns, quiet_since), subject_->write_at_most_ms)) {
      broken(Oracle::alive, &client,
             "a client that has ended takes nothing, and is not closed in time");
    }
  } else if (client.owed() == 0) {
    if (over(quiet_since, subject_->idle_at_most_ms)) {
      broken(Oracle::alive, &client, "a silent client is not closed in time");
    }
  } else if (over(quiet_since, sum(subject_->idle_at_most_ms, subject_->write_at_most_ms))) {
    broken(Oracle::alive, &client, "a silent client that takes nothing is not closed in time");
  }
}

// Whether the server listens at its first port; if not, since when.
void Judge::check_listener() {
  if (!subject_->reopens_listener || stops_ > 0) return;
  if (refusals_ > refusals_max) {
    broken(Oracle::alive, nullptr,
           "the server bears the same error of its listener without end (R39)");
  }
  if (network_->listeners() == 0) {
    if (deaf_since_ns_ == 0) deaf_since_ns_ = network_->now_ns();
  } else if (deaf_since_ns_ != 0) {
    deaf_since_ns_ = 0;
    if (network_->listener(0).port != port_) {
      broken(Oracle::alive, nullptr, "the server listens again, but on another port");
    }
  }
}

// All clients are gone, and the server has had all the time that it may need.
void Judge::check_gone() {
  std::size_t left_waiting = 0;
  for (const Client& client : clients()) left_waiting += may_be_left_waiting(client) ? 1U : 0U;
  if (connections_of_clients() > left_waiting) {
    broken(Oracle::alive, nullptr, "a connection is left open although its client is gone");
  }
}

// Nothing can happen any more.
void Judge::check_end() {
  for (const Client& client : clients()) {
    if (client.over || may_be_left_waiting(client)) continue;
    broken(Oracle::alive, &client,
           client.half_closed ? "the server never ended the connection of a client that had ended"
                              : "a client waits for its echo for ever");
  }
  if (stops_ > 0) broken(Oracle::alive, nullptr, "the server was told to end, and never does");
  if (network_->listeners() == 0 && subject_->reopens_listener) {
    broken(Oracle::alive, nullptr, "the server does not listen any more");
  }
  check_gone();
}

// The server ended by itself.
void Judge::check_ended(int status) {
  if (network_ == nullptr) {
    if (subject_->ends_clean && status == 0) {
      broken(Oracle::alive, nullptr, "the server ended without ever listening, with exit status 0");
    }
    return;
  }
  const bool survives_faults = subject_->reopens_listener && !timer_fault_;
  if (stops_ == 0 && (faults_ == 0 || survives_faults)) {
    broken(Oracle::alive, nullptr, "the server ended without being asked to");
  }
}

// --- apart --------------------------------------------------------------------------------------
// What happens to one connection changes nothing for the others: no other client is cut because of
// it (check_whole), and none waits because of it.

// The server rests, so it must have answered every client.
void Judge::check_waiting() {
  if (!subject_->answers_at_once || stops_ > 0) return;
  for (const Client& client : clients()) {
    if (waits(client)) {
      broken(Oracle::apart, &client,
             "a client waits for the server, with nothing of its own in the way");
    }
  }
}

void Judge::check_answered_in_time(const Client& client, std::uint64_t now, bool for_ever) {
  if (waits(client) && is_over(now, for_ever, client.waits_since_ns, subject_->answer_ms)) {
    broken(Oracle::apart, &client, "a client is not answered because of what others do not do");
  }
}

// --- clean --------------------------------------------------------------------------------------
// After a stop nothing is left open (trial.cpp asks uvsim), and the exit status is 0, or says which
// signal ended the program.

void Judge::check_status(int status) {
  const int of_the_signal = 128 + subject_->stop_signal;  // as a shell would say it
  if (stops_ > 0 && subject_->ends_clean && status != 0 && status != of_the_signal) {
    broken(Oracle::clean, nullptr, "the exit status is not 0");
  }
}

}  // namespace harness
