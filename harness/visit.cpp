#include "harness/visit.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <utility>

#include "harness/time.hpp"

namespace harness {
namespace {

constexpr std::uint32_t busy_max = 200;
constexpr std::uint32_t timers_max = 20;
constexpr std::uint32_t timers_when_settled = 5;
// A server that says something by itself does so within this time, or before so many timers.
constexpr std::uint64_t lingers_ns = 70'000 * ms;
constexpr std::uint32_t timers_max_when_lingering = 4'000;
// More often than any idle limit, and so that no round limit comes with it.
constexpr std::uint64_t again_ns = 310 * ms;
constexpr std::array signals{SIGTERM, SIGINT, SIGHUP, SIGQUIT};

}  // namespace

Visit::Visit(Plan plan)
    : plan_(std::move(plan)),
      heard_(plan_.said.size()),
      ended_(plan_.said.size()),
      peers_(plan_.said.size()) {
  for (const std::string& said : plan_.said) expected_.push_back(plan_.greeting + said);
  subject_.upstreams = plan_.upstreams;
}

void Visit::pay(const Startable& server, bool checks) {
  server.before();
  uvsim::Options options;
  options.checks = checks;
  options.on_violation = uvsim::OnViolation::leave;
  options.max_turns = 10'000;
  options.fresh_statics = true;
  uvsim::Simulation simulation(options);
  simulation.on_poll(
      [this](uvsim::Network& network, uvsim::Wait wait) { return on_poll(network, wait); });
  simulation.on_event(
      [](void* visit, const uvsim::EventView& event) { static_cast<Visit*>(visit)->hear(event); },
      this);
  simulation.run([&] {
    network_ = &simulation.network();
    upstream_.begin(*network_, subject_);
    return server.start();
  });
  server.after();
}

bool Visit::all_echoed() const { return heard_ == expected_; }

bool Visit::has_settled() const {
  return rests_for_ever_ || timers_ - timers_before_ >= timers_when_settled;
}

std::size_t Visit::bytes_heard() const {
  std::size_t size = 0;
  for (const std::string& one : heard_) size += one.size();
  return size;
}

uvsim::Progress Visit::on_poll(uvsim::Network& network, uvsim::Wait wait) {
  if (network.listeners() == 0) return uvsim::Progress::nothing;
  if (upstream_.play()) return uvsim::Progress::made;
  if (const std::uint64_t waits_s = std::exchange(plan_.waits_s, 0); waits_s > 0) {
    network.advance(waits_s * 1000 * ms);
    return uvsim::Progress::made;
  }
  if (visitors_ < peers_.size() && plan_.listener < network.listeners()) {
    const std::string& said = plan_.said[visitors_];
    peers_[visitors_] = network.connect(plan_.listener);
    network.send(peers_[visitors_], said.data(), said.size());
    ++visitors_;
    came_at_ns_ = said_at_ns_ = network.now_ns();
    return uvsim::Progress::made;
  }
  // Some servers never rest, because they turn the loop themselves.
  if ((wait.ready || wait.ns == 0) && ++busy_ < busy_max) return uvsim::Progress::nothing;
  if (read(network) || says_again(network)) return uvsim::Progress::made;
  if (waits_for(network, wait)) {
    if (!plan_.lingers || wait.ns <= again_ns) return uvsim::Progress::nothing;
    network.advance(again_ns);
    return uvsim::Progress::made;
  }
  rests_for_ever_ = !wait.ready && wait.ns == uvsim::Wait::forever;
  leave(network);
  return uvsim::Progress::nothing;
}

// Whether the visitors wait for the server's next timer. Some take their time to answer.
bool Visit::waits_for(const uvsim::Network& network, uvsim::Wait wait) {
  if (wait.ns == 0 || wait.ns == uvsim::Wait::forever) return false;
  if (plan_.lingers) {
    const uvsim::PeerView view = network.view(peers_.back());
    return !view.fin && !view.reset && network.now_ns() - came_at_ns_ < lingers_ns &&
           ++timers_ < timers_max_when_lingering;
  }
  return !all_echoed() && ++timers_ < timers_max;
}

bool Visit::says_again(uvsim::Network& network) {
  if (plan_.again.empty() || network.now_ns() - said_at_ns_ < again_ns) return false;
  said_at_ns_ = network.now_ns();
  const std::size_t size = plan_.again.size();
  if (network.send(peers_.back(), plan_.again.data(), size) != size) return false;
  expected_.back() += plan_.again;
  return true;
}

bool Visit::read(uvsim::Network& network) {
  bool heard = false;
  for (std::size_t i = 0; i < visitors_; ++i) {
    std::array<char, 4096> bytes{};
    const std::size_t count = network.read(peers_[i], bytes.data(), bytes.size());
    if (heard_[i].size() < heard_max) heard_[i].append(bytes.data(), count);
    heard = heard || (count > 0 && heard_[i].size() < heard_max);
  }
  if (heard) timers_before_ = timers_;
  return heard;
}

void Visit::leave(uvsim::Network& network) {
  for (std::size_t i = 0; i < visitors_; ++i) {
    const uvsim::PeerView view = network.view(peers_[i]);
    ended_[i] = view.fin || view.reset;
  }
  left_at_ns_ = network.now_ns();
  for (std::size_t i = 0; i < network.listeners(); ++i) {
    const uvsim::Listener one = network.listener(i);
    names_.push_back(one.family == uvsim::Family::pipe ? one.name : std::to_string(one.port));
  }
  for (const int signal : signals) {
    if (!network.signal(signal)) continue;
    stop_signal_ = signal;
    break;
  }
  network.leave();
}

// It connects, but not to itself.
void Visit::hear(const uvsim::EventView& event) {
  static const char* const connect = "uv_tcp_connect";
  if (event.value <= 0 || std::strcmp(event.name, connect) != 0) return;
  const auto port = static_cast<std::uint16_t>(event.value);
  for (std::size_t i = 0; i < network_->listeners(); ++i) {
    if (network_->listener(i).port == port) return;
  }
  if (std::ranges::find(connected_to_, port) == connected_to_.end()) {
    connected_to_.push_back(port);
  }
}

}  // namespace harness
