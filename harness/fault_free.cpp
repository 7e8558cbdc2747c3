// The fault-free step: what the World does when the server rests and no action was chosen. Clients
// act as their kind does (kind.hpp). Time passes until the next client acts, and no further.
#include <algorithm>
#include <span>

#include "harness/marks.hpp"
#include "harness/payload.hpp"
#include "harness/time.hpp"
#include "harness/world.hpp"

namespace harness {
namespace {

// How long the World waits for a server that works at times and moves nothing.
constexpr std::uint64_t patience_ns = 3'600'000 * ms;
// After this many such turns, time goes faster. Otherwise a frequent timer would make a run
// endless.
constexpr std::uint32_t turns_in_full = 1'000;

}  // namespace

uvsim::Progress World::rest(uvsim::Wait wait) {
  if (upstream_.play() || read_all() || finish_messages() || greet() || say_goodbye()) {
    ++moved_;
    waited_ns_ = 0;
    fruitless_ = 0;
    return uvsim::Progress::made;
  }
  return wait_for_server(wait);
}

// The unit of the kinds' times: the shorter of the two limits.
std::uint64_t World::limit_ns() const {
  constexpr std::uint64_t without_limits_ms = 1000;
  const std::uint64_t limit = std::min(subject_->idle_ms, subject_->write_ms);
  return (limit == Subject::unlimited ? without_limits_ms : limit) * ms;
}

// Whether this client's waiting time has passed. It begins with the first call.
bool World::is_due(Client& client, std::uint64_t after_ns) {
  if (client.acts_at_ns == 0) client.acts_at_ns = network_->now_ns() + after_ns;
  if (network_->now_ns() < client.acts_at_ns) return false;
  client.acts_at_ns = 0;
  return true;
}

bool World::read_all() {
  bool read = false;
  for (Client& client : clients()) {
    const bool waits = client.seen_end || client.habits().lingers;
    if (client.view.readable == 0 && !waits) client.acts_at_ns = 0;
    if (client.over || client.view.readable == 0) continue;
    const Habits& habits = client.habits();
    // A client that does not read still sees when its connection is cut.
    const bool cut = client.is_itself() && habits.portion == Portion::nothing &&
                     (client.view.reset || client.view.fin);
    if (client.stalled && !cut) continue;
    std::size_t size = payload::piece_max;
    if (client.is_itself() && habits.reads_after > 0) {
      if (!is_due(client, limit_ns() / 16 * habits.reads_after)) continue;
      --client.patience;
      if (habits.portion == Portion::half) size = (client.view.readable + 1) / 2;
      if (habits.portion == Portion::one_byte) size = 1;
    }
    receive(client, size);
    read = true;
  }
  return read;
}

// A client that has begun a message says all of it.
bool World::finish_messages() {
  bool said = false;
  if (words_.empty()) return false;
  for (Client& client : clients()) {
    if (client.words->unsaid.empty() || !client.can_send() || client.view.writable == 0) continue;
    if (client.stalled || client.seen_end) continue;
    speak(client, client.words->unsaid.size());
    said = true;
  }
  return said;
}

// If no client has come, one comes. A client that has said nothing says something.
bool World::greet() {
  if (count_ == 0 && judge_.stops() == 0) return connect();
  bool greeted = false;
  for (Client& client : clients()) {
    if (!client.view.accepted && client.established()) Marks::hit(Mark::queued);
    const bool waits = client.stalled && client.habits().portion != Portion::nothing;
    if (client.sent > 0 || !client.can_send() || waits) continue;
    if (client.seen_end || client.view.writable == 0) continue;
    const std::size_t greeting = client.habits().greeting;
    if (greeting == Habits::nothing && client.is_itself()) continue;
    if (greeting == 0 || greeting == Habits::nothing) {
      send(client);
    } else {
      send(client, greeting);
    }
    if (client.habits().ends_output && client.can_send()) half_close(client);
    greeted = true;
  }
  return greeted;
}

// A client that has seen the end closes.
bool World::leaves(Client& client) {
  if (client.view.state == uvsim::PeerState::refused) return true;
  if (!client.seen_end) return false;
  return !client.habits().stays || !client.is_itself() || is_due(client, 2 * limit_ns());
}

// A client that has got everything half-closes.
bool World::is_content(Client& client) {
  if (!client.can_send() || client.stalled || client.seen_end) return false;
  if (client.promised && !client.has_everything()) return false;
  if (!client.habits().lingers || !client.is_itself()) return true;
  if (!is_due(client, 2 * limit_ns())) return false;
  client.patience = 0;
  return true;
}

bool World::say_goodbye() {
  bool said = false;
  for (Client& client : clients()) {
    if (client.over) continue;
    if (leaves(client)) {
      close(client);
      said = true;
      const std::uint32_t returns = client.returns;
      if (returns > 0 && judge_.stops() == 0 && connect(client.kind)) {
        clients_[count_ - 1].returns = returns - 1;
      }
    } else if (is_content(client)) {
      half_close(client);
      said = true;
    }
  }
  if (said) return true;
  // Not before the server listens again.
  if (network_->listeners() == 0 && judge_.stops() == 0 && subject_->reopens_listener) return false;
  if (!all_gone() || judge_.stops() > 0) return false;
  if (late_comer()) return true;
  // Connections of gone clients have to be closed before the operator ends the server.
  if (judge_.connections_of_clients() > 0) return false;
  if (setting_.rests > 0 && compare_rests()) return true;
  if (judge_.rests().suspects()) return false;
  return stop() || compare_rests();
}

// Compares what the server keeps without clients with what it kept before (rests.hpp). Returns
// whether the World repeats the run's actions.
bool World::compare_rests() {
  if (!compared_) judge_.alone();
  compared_ = true;
  // The comparison must not make the run reach a limit.
  const bool affordable = steps_ < simulation_->options().max_steps / 4;
  if (!judge_.rests().asks_for_more() || !affordable || network_->listeners() == 0) return false;
  Marks::hit(Mark::played_again);
  judge_.played_again();
  count_ = actions_ = 0;
  said_ = next_answer_ = 0;
  ++repetition_;
  compared_ = false;
  return true;
}

// After faults, one more client shows whether the server still serves.
bool World::late_comer() {
  if (judge_.faults() == 0 || late_comer_ || !subject_->reopens_listener) return false;
  if (network_->listeners() == 0) return false;
  late_comer_ = true;
  setting_.clients_max = clients_limit;
  return connect(Kind::ordinary);
}

bool World::all_gone() const {
  return std::ranges::all_of(clients(), [](const Client& client) { return client.over; });
}

// When the first of the waiting clients will act; Wait::forever: there are none. A client that was
// due and did nothing waits for the server.
std::uint64_t World::next_act_ns() const {
  std::uint64_t next = uvsim::Wait::forever;
  for (const Client& client : clients()) {
    const bool decided = client.acts_at_ns > network_->now_ns() && !client.over && !client.stalled;
    if (decided && client.is_itself()) next = std::min(next, client.acts_at_ns);
  }
  return next;
}

// Every client waits for the server. The server waits for a timer, or for ever.
uvsim::Progress World::wait_for_server(uvsim::Wait wait) {
  judge_.while_waiting(wait);
  const std::uint64_t next_act = next_act_ns();
  if (next_act != uvsim::Wait::forever) {
    const std::uint64_t until = next_act - network_->now_ns();
    if (wait.ns == uvsim::Wait::forever || until < wait.ns) {
      network_->advance(until);
      return uvsim::Progress::made;
    }
  }
  // The server cannot be told to end, and nothing is left to wait for.
  const bool listens = network_->listeners() > 0 || !subject_->reopens_listener;
  const bool settled = judge_.stops() == 0 && all_gone() && listens &&
                       judge_.connections_of_clients() == 0 && !judge_.rests().suspects();
  if (wait.ns != uvsim::Wait::forever && waited_ns_ < patience_ns && !settled) {
    wait_a_turn(wait.ns);
    return uvsim::Progress::nothing;
  }
  if (waited_ns_ < patience_ns && judge_.somebody_connects()) {
    // The kernel tries again now and then, without a timer of the server.
    constexpr std::uint64_t attempt = 1000 * ms;
    waited_ns_ += attempt;
    network_->advance(attempt);
    return uvsim::Progress::made;
  }
  waited_ns_ = 0;
  fruitless_ = 0;
  if (resume()) return uvsim::Progress::made;
  if (judge_.stops() == 0 && all_gone()) {
    judge_.long_alone();
    if (stop()) return uvsim::Progress::made;
  }
  come_to_rest();
  if (wait.ns != uvsim::Wait::forever) leave();
  return uvsim::Progress::nothing;
}

// Waits for a timer of the server. A timer that fires often and moves nothing fires late after some
// time, as on a machine that sleeps.
void World::wait_a_turn(std::uint64_t ns) {
  Marks::hit(Mark::waited_for_timer);
  waited_ns_ += ns;
  if (++fruitless_ <= turns_in_full) return;
  const std::uint64_t skipped = std::min(waited_ns_, patience_ns) / 4;
  waited_ns_ += skipped;
  network_->advance(skipped);
  judge_.time_passed(skipped);
}

// The World does nothing, however often timers of the server fire.
uvsim::Progress World::wait_long(uvsim::Wait wait) {
  judge_.while_waiting(wait);
  const std::uint64_t left = waits_until_ns_ - network_->now_ns();
  if (wait.ns >= left) {
    network_->advance(left);
    waits_until_ns_ = waited_ns_ = 0;
    fruitless_ = 0;
    return uvsim::Progress::made;
  }
  wait_a_turn(wait.ns);
  return uvsim::Progress::nothing;
}

// Clients that had stopped reading read again.
bool World::resume() {
  bool resumed = false;
  for (Client& client : clients()) {
    if (client.over || !client.stalled) continue;
    client.stalled = false;
    client.patience = 0;
    resumed = true;
  }
  return upstream_.resume() || resumed;
}

void World::come_to_rest() {
  resting_ = true;
  Marks::hit(Mark::quiescent);
  judge_.at_the_very_end();
}

}  // namespace harness
