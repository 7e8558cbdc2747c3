// One client, played from outside the server's loop: it sends a message, reads the echo of it, and
// again; then it leaves, and the server is told to stop. For counting and for measuring what an
// echo costs; what clients may do otherwise is harness/world.hpp's.
#pragma once

#include <csignal>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "uvsim/uvsim.hpp"

namespace harness {

class OneClient {
 public:
  // `message` in bytes, at least 1; `echoes` of it, at least 1; `tell` takes the signal to stop,
  // unless a uv_signal_t waits for it. Takes the simulation's poll hook, and must outlive the run.
  OneClient(uvsim::Simulation& simulation, std::size_t message, std::size_t echoes,
            std::function<void(int)> tell = {})
      : tell_(std::move(tell)),
        bytes_(message, 'x'),
        echoes_left_(echoes),
        to_send_(message),
        to_read_(message) {
    simulation.on_poll(
        [this](uvsim::Network& network, uvsim::Wait) { return take_a_turn(network); });
  }
  OneClient(const OneClient&) = delete;
  OneClient& operator=(const OneClient&) = delete;

  // 0 after a run in which all went well.
  std::size_t echoes_left() const { return echoes_left_; }

 private:
  uvsim::Progress take_a_turn(uvsim::Network& network) {
    if (network.listeners() == 0 || stopped_) return uvsim::Progress::nothing;
    if (!peer_) peer_ = network.connect(0);
    const std::size_t sent = network.send(peer_, bytes_.data(), to_send_);
    to_send_ -= sent;
    if (sent > 0) return uvsim::Progress::made;
    // It reads when it can send no more: by then both have to wait.
    const std::size_t got = network.read(peer_, bytes_.data(), to_read_);
    to_read_ -= got;
    if (to_read_ > 0) return got > 0 ? uvsim::Progress::made : uvsim::Progress::nothing;
    if (--echoes_left_ == 0) {
      network.close(peer_);
      if (tell_) tell_(SIGTERM);
      stopped_ = tell_ || network.signal(SIGTERM);
      return uvsim::Progress::made;
    }
    to_send_ = to_read_ = bytes_.size();
    return uvsim::Progress::made;
  }

  std::function<void(int)> tell_;
  std::vector<char> bytes_;
  std::size_t echoes_left_;
  std::size_t to_send_;  // of the message under way
  std::size_t to_read_;  // of it, that has not come back
  uvsim::Peer peer_;
  bool stopped_ = false;
};

}  // namespace harness
