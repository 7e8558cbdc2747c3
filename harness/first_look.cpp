#include "harness/first_look.hpp"

#include <array>
#include <csignal>
#include <cstring>
#include <string_view>

#include "uvsim/uvsim.hpp"

namespace harness {
namespace {

// Lines, for servers that wait for the end of one.
constexpr std::array<std::string_view, 2> said{"first\r\n", "the second\r\n"};
constexpr std::uint32_t busy_max = 200;
constexpr std::array signals{SIGTERM, SIGINT, SIGHUP, SIGQUIT};

class Visit {
 public:
  uvsim::Progress on_poll(uvsim::Network& network, uvsim::Wait wait) {
    if (network.listeners() == 0) return uvsim::Progress::nothing;
    look_.listens = true;
    if (visitors_ < said.size()) {
      peers_[visitors_] = network.connect(0);
      network.send(peers_[visitors_], said[visitors_].data(), said[visitors_].size());
      ++visitors_;
      return uvsim::Progress::made;
    }
    // Some never rest: they turn the loop themselves.
    if ((wait.ready || wait.ns == 0) && ++busy_ < busy_max) return uvsim::Progress::nothing;
    read(network);
    for (const int signal : signals) {
      if (!network.signal(signal)) continue;
      look_.stop_signal = signal;
      break;
    }
    network.leave();
    return uvsim::Progress::nothing;
  }

  FirstLook result() const { return look_; }

 private:
  void read(uvsim::Network& network) {
    look_.echoes = true;
    for (std::size_t i = 0; i < said.size(); ++i) {
      std::array<char, 64> bytes{};
      const std::size_t count = network.read(peers_[i], bytes.data(), bytes.size());
      if (std::string_view(bytes.data(), count) != said[i]) look_.echoes = false;
    }
  }

  FirstLook look_;
  std::array<uvsim::Peer, said.size()> peers_{};
  std::size_t visitors_ = 0;
  std::uint32_t busy_ = 0;  // polls at which it did not rest
};

}  // namespace

FirstLook look_at(const std::function<int()>& start) {
  uvsim::Options options;
  options.checks = false;  // what it does wrong is for the Judge
  options.max_turns = 10'000;
  options.fresh_statics = true;
  Visit visit;
  uvsim::Simulation simulation(options);
  simulation.on_poll(
      [&visit](uvsim::Network& network, uvsim::Wait wait) { return visit.on_poll(network, wait); });
  simulation.run(start);
  return visit.result();
}

}  // namespace harness
