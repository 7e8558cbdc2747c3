// What the World does by itself, when the run's choices say so (action.hpp).
#include <algorithm>
#include <array>
#include <utility>

#include "harness/marks.hpp"
#include "harness/payload.hpp"
#include "harness/time.hpp"
#include "harness/world.hpp"

namespace harness {
const char* name_of(Action action) {
  switch (action) {
#define HARNESS_ACTION(name, meaning) \
  case Action::name: return #name;
    HARNESS_ACTIONS(HARNESS_ACTION)
#undef HARNESS_ACTION
  }
  return "?";
}

namespace {
constexpr std::uint64_t long_ns = 600'000 * ms;
}  // namespace

bool World::act() {
  holding_ = false;
  bool acted = false;
  while (actions_ < setting_.actions_max) {
    const std::uint32_t answer = ask(action_answers, uvsim::ChoicePoint::action);
    if (answer == 0 || answer >= action_count) break;
    ++actions_;
    const auto action = static_cast<Action>(answer);
    if (action == Action::wait_for_timer) {
      holding_ = true;
      break;
    }
    if (action == Action::wait_long) {
      // Ten more minutes after ten in which nothing was done are nothing new.
      if (std::exchange(moved_before_waiting_, moved_) == moved_) continue;
      Marks::hit(Mark::waited_long);
      waits_until_ns_ = network_->now_ns() + long_ns;
      waited_ns_ = 0;
      fruitless_ = 0;
      acted = true;
      break;
    }
    if (perform(action)) {
      acted = true;
      ++moved_;
      if (action != Action::pass_time) sleeps_for_ns_ = 0;
    }
  }
  return acted;
}

// Returns false if no client can do it.
bool World::perform(Action action) {
  const auto with = [this](auto able, void (World::*act_of)(Client&)) {
    Client* const client = choose(able);
    if (client == nullptr) return false;
    (this->*act_of)(*client);
    return true;
  };
  const auto is_there = [](const Client& c) { return !c.over; };
  const auto can_send = [](const Client& c) { return c.can_send(); };
  const auto can_end = [this](const Client& c) {
    const bool within = subject_->speech.whole_messages && !c.words->unsaid.empty();
    return c.can_send() && !within;
  };
  switch (action) {
    case Action::let_go: return false;
    case Action::connect: return connect();
    case Action::connect_as: return connect_as();
    case Action::send:
    case Action::send_again: return said_ < setting_.said_max && with(can_send, &World::send);
    case Action::send_urgent:
      return subject_->echoes_urgent && said_ < setting_.said_max &&
             with(can_send, &World::send_urgent);
    case Action::read:
      return with([](const Client& c) { return !c.over && c.view.readable > 0; }, &World::read);
    case Action::half_close: return with(can_end, &World::half_close);
    case Action::close: return with(is_there, &World::close);
    case Action::reset: return with(is_there, &World::reset);
    case Action::stall: return with(is_there, &World::stall);
    case Action::shrink: return with(is_there, &World::shrink);
    case Action::pass_time: {
      static constexpr std::array<std::uint64_t, 4> lengths{1, 20, 130, 1100};
      pass_time(lengths[ask(4)] * ms);
      return true;
    }
    case Action::wait_for_timer:
    case Action::wait_long: return false;
    // In a repetition the server has not ended.
    case Action::stop: return repetition_ == 0 && stop();
    case Action::upstream: return disturb_upstream();
    case Action::other_signal: return signal(subject_->other_signal);
  }
  return false;
}

template <class Able>
Client* World::choose(Able able) {
  std::uint32_t choices = 0;
  for (const Client& client : clients()) choices += able(client) ? 1U : 0U;
  if (choices == 0) return nullptr;
  std::uint32_t chosen = ask(choices);
  for (Client* client = clients_.data();; ++client) {
    if (able(*client) && chosen-- == 0) return client;
  }
}

bool World::connect() { return count_ < clients_limit && connect(setting_.kinds[count_]); }

bool World::connect_as() {
  return connect(static_cast<Kind>(1 + ask(static_cast<std::uint32_t>(kinds.size() - 1))));
}

bool World::connect(Kind kind) {
  if (network_->listeners() == 0) return false;
  if (count_ == setting_.clients_max || here() >= setting_.clients) return false;
  const std::uint32_t listener = choose_listener();
  connect(kind, listener);
  for (std::uint32_t i = 0; i < habits_of(kind).companions; ++i) {
    if (count_ < setting_.clients_max && here() < setting_.clients) connect(kind, listener);
  }
  return true;
}

std::uint32_t World::here() const {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(clients(), [](const Client& client) { return !client.over; }));
}

// The listener that the Subject names comes first.
std::uint32_t World::choose_listener() {
  const auto count = static_cast<std::uint32_t>(network_->listeners());
  std::uint32_t named = 0;
  while (named < count && !is_named(named)) ++named;
  const std::uint32_t chosen = ask(count);
  if (named == count || chosen > named) return chosen;
  return chosen == 0 ? named : chosen - 1;
}

bool World::is_named(std::uint32_t listener) const {
  if (subject_->echoes_at.empty()) return true;
  const uvsim::Listener one = network_->listener(listener);
  return subject_->echoes_at ==
         (one.family == uvsim::Family::pipe ? one.name : std::to_string(one.port));
}

void World::connect(Kind kind, std::uint32_t listener) {
  Marks::hit(Mark::connected);
  Marks::hit(kind);
  Client& client = clients_[count_];
  client = Client{};
  client.number = count_++;
  client.kind = kind;
  client.patience = client.habits().patience;
  client.returns = client.habits().comes_back ? 2 : 0;
  client.stalled = client.number < setting_.stalled || client.habits().portion == Portion::nothing;
  if (!words_.empty()) {
    client.words = &words_[client.number];
    *client.words = {};
  }
  client.peer = network_->connect(listener);
  judge_.connected(client, is_named(listener));
  const uvsim::Options& machine = simulation_->options();
  client.window = std::min(machine.send_window, machine.receive_window);
  if (client.habits().window > 0) set_window(client, client.habits().window);
  look(client);
}

void World::set_window(Client& client, std::size_t size) {
  client.window = std::min(client.window, size);
  network_->set_buffers(client.peer, size, size);
}

void World::send(Client& client) {
  if (subject_->speech.speaks()) {
    const std::size_t size = begin_message(client).size();
    const std::array<std::size_t, 4> sizes{size, 1, (size + 1) / 2, size - 1};
    speak(client, sizes[ask(sizes.size())]);
    return;
  }
  static constexpr std::array<std::size_t, 8> sizes{10, 1, 16, 64, 200, 2, 5000, 65536};
  send(client, sizes[ask(sizes.size())]);
}

void World::send(Client& client, std::size_t size) {
  if (subject_->speech.speaks()) {
    const std::uint64_t until = client.sent + size;
    bool room = true;
    while (room && client.sent < until) room = speak(client, begin_message(client).size());
    return;
  }
  const std::uint64_t left =
      subject_->hears_at_most - std::min(client.sent, subject_->hears_at_most);
  size = std::min<std::uint64_t>({size, setting_.send_max, client.window * windowfuls, left});
  const std::uint8_t* const bytes = payload::bytes(client.number, client.sent);
  const std::size_t count = network_->send(client.peer, bytes, size);
  if (count < size) Marks::hit(Mark::send_blocked);
  said(client, bytes, count);
}

// The rest of the client's message, or the next message.
std::string& World::begin_message(Client& client) {
  Words& words = *client.words;
  if (!words.unsaid.empty()) return words.unsaid;
  const Speech& speech = subject_->speech;
  constexpr std::uint32_t choices = 256;
  words.unsaid = speech.generator
                     ? speech.generator(client.number, words.messages, ask(choices))
                     : speech.dictionary[ask(static_cast<std::uint32_t>(speech.dictionary.size()))];
  ++words.messages;
  // A run has to end: what need not be whole is cut short.
  const std::size_t most = std::min(setting_.send_max, client.window * windowfuls);
  const bool may_be_cut = !speech.answer && !speech.whole_messages;
  if (may_be_cut && words.unsaid.size() > most) words.unsaid.resize(most);
  const bool too_much =
      client.sent > 0 && client.sent + words.unsaid.size() > subject_->hears_at_most;
  if (too_much) words.unsaid.clear();
  return words.unsaid;
}

// Sends the next bytes of the client's message. Returns false if there was no room for all of them,
// or no byte is left.
bool World::speak(Client& client, std::size_t size) {
  // A connection that ends with the answer takes no second message.
  if (subject_->ends_when_answered && client.due > 0) client.words->unsaid.clear();
  const std::string bytes = client.words->unsaid.substr(0, size);
  const std::size_t count = network_->send(client.peer, bytes.data(), bytes.size());
  if (count < bytes.size()) Marks::hit(Mark::send_blocked);
  client.words->unsaid.erase(0, count);
  said(client, bytes.data(), count);
  return count > 0 && count == bytes.size();
}

void World::send_urgent(Client& client) {
  const std::uint8_t byte = *payload::bytes(client.number, client.sent);
  const bool taken = network_->send_urgent(client.peer, static_cast<char>(byte));
  if (taken) Marks::hit(Mark::sent_urgent);
  said(client, &byte, taken ? 1 : 0);
}

void World::said(Client& client, const void* bytes, std::size_t count) {
  if (count == 1) Marks::hit(Mark::sent_one_byte);
  if (count > 64) Marks::hit(Mark::sent_much);
  if (judge_.stops() > 0) Marks::hit(Mark::sent_after_stop);
  if (client.words != nullptr) client.words->said.append(static_cast<const char*>(bytes), count);
  judge_.spoke(client, count);
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
  Marks::hit(!client.has_everything() ? Mark::half_closed_owed
             : client.sent == 0       ? Mark::half_closed_at_once
                                      : Mark::half_closed_quiet);
  judge_.half_closed(client);
  network_->half_close(client.peer);
  look(client);
}

void World::close(Client& client) {
  Marks::hit(client.view.readable > 0   ? Mark::closed_unread
             : !client.has_everything() ? Mark::closed_owed
                                        : Mark::closed_quiet);
  client.over = true;
  network_->close(client.peer);
}

void World::reset(Client& client) {
  Marks::hit(!client.view.accepted      ? Mark::reset_unaccepted
             : !client.has_everything() ? Mark::reset_owed
                                        : Mark::reset_quiet);
  client.over = true;
  network_->reset(client.peer);
}

void World::stall(Client& client) {
  client.stalled = !client.stalled;
  if (!client.stalled && client.habits().portion == Portion::nothing) client.patience = 0;
  Marks::hit(client.stalled ? Mark::stalled : Mark::resumed);
}

void World::shrink(Client& client) {
  static constexpr std::array<std::uint64_t, 3> sizes{64, 1, 700};
  Marks::hit(Mark::shrunk);
  const std::size_t unsaid = client.words == nullptr ? 0 : client.words->unsaid.size();
  set_window(client, std::max(sizes[ask(sizes.size())], (client.owed() + unsaid) / windowfuls));
  look(client);
}

void World::pass_time(std::uint64_t ns) {
  Marks::hit(Mark::time_passed);
  network_->advance(ns);
  // Time that passes while the server has work is a slow machine's.
  const std::uint64_t slept_ns = std::min(ns, sleeps_for_ns_);
  if (sleeps_for_ns_ != uvsim::Wait::forever) sleeps_for_ns_ -= slept_ns;
  judge_.time_passed(ns - slept_ns);
}

// Disturbs a peer that the server has connected to.
bool World::disturb_upstream() {
  std::vector<Upstream::Link>& links = upstream_.links();
  const auto able = [](const Upstream::Link& link) { return !link.over; };
  const auto count = static_cast<std::uint32_t>(std::ranges::count_if(links, able));
  if (count == 0) return false;
  std::uint32_t chosen = ask(count);
  auto link = std::ranges::find_if(links, able);
  while (chosen-- > 0) link = std::find_if(link + 1, links.end(), able);
  Marks::hit(Mark::upstream_disturbed);
  switch (ask(4)) {
    case 0: link->stalled = !link->stalled; return true;
    case 1:
      network_->half_close(link->peer);
      link->finished = true;
      break;
    case 2:
      network_->close(link->peer);
      link->over = true;
      break;
    default:
      network_->reset(link->peer);
      link->over = true;
      break;
  }
  judge_.upstream_disturbed(link->peer);
  return true;
}

bool World::tell(int number) {
  if (!subject_->tell) return network_->signal(number);
  subject_->tell(number);
  return true;
}

bool World::signal(int number) {
  if (number == 0 || !tell(number)) return false;
  Marks::hit(Mark::other_signal);
  return true;
}

bool World::stop() {
  if (judge_.stops() == 2 || subject_->stop_signal == 0) return false;
  if (!tell(subject_->stop_signal)) return false;
  const bool somebody =
      std::ranges::any_of(clients(), [](const Client& c) { return !c.over && c.established(); });
  Marks::hit(judge_.stops() > 0 ? Mark::stopped_twice
             : somebody         ? Mark::stopped
                                : Mark::stopped_idle);
  judge_.told_to_end();
  return true;
}

}  // namespace harness
