#include "harness/world.hpp"

#include <algorithm>
#include <utility>

#include "harness/marks.hpp"
#include "harness/payload.hpp"
#include "harness/time.hpp"
#include "uvsim/ledger.hpp"

namespace harness {
namespace {

// The most polls in a row in which the server has work and nothing moves.
constexpr std::uint32_t busy_polls_max = 3'000;
// A client takes no more from a server that promises no echo, for that may send without end.
constexpr std::uint32_t readings_max = 2'000;
constexpr std::uint64_t received_max = std::uint64_t{1} << 18;  // bytes

alignas(64) std::uint8_t scratch[payload::piece_max];

}  // namespace

void World::begin(uvsim::Simulation& simulation, const Subject& subject, const Setting& setting,
                  const Forgiven& forgiven, uvsim::Choices& source) {
  auto answers = std::move(answers_);  // its memory
  *this = World();
  answers_ = std::move(answers);
  answers_.clear();
  simulation_ = &simulation;
  subject_ = &subject;
  setting_ = setting;
  setting_.clients_max = std::min(setting.clients_max, clients_limit);
  source_ = &source;
  if (subject.speech.any()) words_.resize(clients_limit);
  judge_.begin(
      simulation, subject,
      {.forgiven = &forgiven, .rests = setting.rests, .few_descriptors = setting.descriptors != 0},
      clients_.data());
}

void World::before_start() {
  network_ = &simulation_->network();
  upstream_.begin(*network_, *subject_);
}

// --- Choices. -----------------------------------------------------------------------------------

std::uint32_t World::ask(std::uint32_t n, uvsim::ChoicePoint point) {
  return n < 2 ? 0 : answer(n, point);
}

// The answer of the run's choices, or in a repetition the answer given before.
std::uint32_t World::answer(std::uint32_t n, uvsim::ChoicePoint point) {
  if (repetition_ > 0) {
    return next_answer_ == answers_.size() ? 0 : answers_[next_answer_++] % n;
  }
  const std::uint32_t answer = source_->pick(n, point) % n;
  if (judge_.listening()) answers_.push_back(answer);
  return answer;
}

std::uint32_t World::pick(std::uint32_t n, uvsim::ChoicePoint point) {
  const std::uint32_t answer = this->answer(n, point);
  if (answer == 0) return 0;
  Marks::hit(point, answer);
  if (uvsim::is_machines(point)) simulation_->note(uvsim::name_of(point), answer);
  judge_.chosen(point, network_ == nullptr ? uvsim::Peer{} : network_->asked_about());
  return answer;
}

// --- The hook. ----------------------------------------------------------------------------------

uvsim::Progress World::on_poll(uvsim::Network& network, uvsim::Wait wait) {
  network_ = &network;
  try {
    const uvsim::Progress progress = live(wait);
    polled_at_ns_ = network.now_ns();
    return progress;
  } catch (const Judge::Left&) {
    resting_ = true;
    network.leave();
    return uvsim::Progress::nothing;
  }
}

uvsim::Progress World::live(uvsim::Wait wait) {
  if (resting_) return uvsim::Progress::nothing;
  if (!judge_.listening()) {
    if (network_->listeners() == 0) return uvsim::Progress::nothing;
    judge_.listens(*network_);
    if (setting_.descriptors != 0) network_->leave_descriptors(setting_.descriptors);
  }
  // A program that turns its loop by itself does not wait in poll: it sleeps between two turns.
  const std::uint64_t slept_ns = network_->now_ns() - polled_at_ns_;
  const bool turns_itself =
      wait.ns == 0 && !wait.ready && slept_ns >= ms && !network_->loop_has_work();
  if (turns_itself) wait.ns = slept_ns;
  const bool server_rests = !wait.ready && wait.ns > 0;
  watch(server_rests);
  sleeps_for_ns_ = wait.ready ? 0 : wait.ns;
  if (network_->now_ns() < waits_until_ns_) return server_rests ? wait_long(wait) : busy();
  if (act()) return uvsim::Progress::made;
  if (!server_rests) return busy();
  busy_polls_ = 0;
  judge_.at_rest();
  if (holding_ && wait.ns != uvsim::Wait::forever) {
    Marks::hit(Mark::waited_for_timer);
    return uvsim::Progress::nothing;
  }
  return rest(wait);
}

// The server has work, or says so.
uvsim::Progress World::busy() {
  busy_polls_ = moved_ == moved_before_ ? busy_polls_ + 1 : 0;
  moved_before_ = moved_;
  if (busy_polls_ > busy_polls_max) judge_.spins();
  return uvsim::Progress::nothing;
}

void World::on_event(const uvsim::EventView& event) {
  Marks::hit(event);
  steps_ = event.step;
  judge_.on_event(event);
}

// Runs at the end of the program, but its memory and its faults are not the program's.
void World::on_end(int status) {
  const uvsim::ledger::Outside outside;
  try {
    if (judge_.listening()) {
      watch(false);
      for (Client& client : clients()) receive(client, payload::piece_max);
    }
    judge_.when_ended(status);
  } catch (const Judge::Left&) {
    resting_ = true;
  }
}

void World::leave() { throw Judge::Left(); }

// --- Seeing. ------------------------------------------------------------------------------------

void World::watch(bool server_rests) {
  judge_.before_looking();
  for (Client& client : clients()) {
    if (!client.over) look(client);
  }
  judge_.after_looking(server_rests);
}

void World::look(Client& client) {
  const auto sum = [](const uvsim::PeerView& view) {
    return view.sent + view.readable + view.unread;
  };
  const std::uint64_t seen = sum(client.view);
  client.view = network_->view(client.peer);
  judge_.looked(client);
  if (sum(client.view) != seen) ++moved_;
  if (client.view.state == uvsim::PeerState::refused) Marks::hit(Mark::refused);
  if (client.seen_end || client.view.readable > 0) return;
  if (client.view.reset) return saw_end(client, true);
  if (client.view.fin && client.established()) saw_end(client, false);
}

void World::receive(Client& client, std::size_t size) {
  if (client.over) return;
  const std::size_t count =
      network_->read(client.peer, scratch, std::min(size, payload::piece_max));
  judge_.received(client, scratch, count);
  look(client);
  if (count > 0) ++client.readings;
  const bool enough = client.readings > readings_max || client.received > received_max;
  if (!client.promised && enough && !client.over) close(client);
}

void World::saw_end(Client& client, bool by_reset) {
  ++moved_;
  judge_.saw_end(client, by_reset);
}

}  // namespace harness
