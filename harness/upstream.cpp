#include "harness/upstream.hpp"

#include <array>

namespace harness {

void Upstream::begin(uvsim::Network& network, const Subject& subject) {
  network_ = &network;
  subject_ = &subject;
  links_.clear();
  for (const std::uint16_t port : subject.upstreams) network.listen(port);
}

bool Upstream::play() {
  if (subject_ == nullptr || subject_->upstreams.empty()) return false;
  bool played = false;
  for (const std::uint16_t port : subject_->upstreams) {
    while (const uvsim::Peer peer = network_->accept(port)) {
      links_.push_back({.peer = peer, .said = {}, .unsent = {}});
      played = true;
    }
  }
  for (Link& link : links_) played = (!link.over && play(link)) || played;
  return played;
}

bool Upstream::play(Link& link) {
  bool played = !link.stalled && hear(link);
  if (!link.unsent.empty()) {
    const std::size_t sent = network_->send(link.peer, link.unsent.data(), link.unsent.size());
    link.unsent.erase(0, sent);
    played = played || sent > 0;
  }
  const uvsim::PeerView view = network_->view(link.peer);
  if (view.reset || (view.program_closed && link.ended)) {
    network_->close(link.peer);
    link.over = true;
    return true;
  }
  if (link.ended && link.unsent.empty() && !link.finished) {
    network_->half_close(link.peer);
    link.finished = true;
    return true;
  }
  return played;
}

// Reads what the server said, and its end.
bool Upstream::hear(Link& link) {
  bool heard = false;
  std::array<char, 4096> bytes;
  // Reads only what it can answer, so an echo that is not taken bounds what is kept.
  while (link.unsent.size() < bytes.size()) {
    const std::size_t size = network_->read(link.peer, bytes.data(), bytes.size());
    if (size == 0) break;
    answer(link, bytes.data(), size);
    heard = true;
  }
  const uvsim::PeerView view = network_->view(link.peer);
  if (!view.fin || view.readable > 0 || link.ended) return heard;
  link.ended = true;
  answer(link, nullptr, 0);
  return true;
}

void Upstream::answer(Link& link, const char* bytes, std::size_t size) {
  if (!subject_->upstream_answer) {
    link.unsent.append(bytes, size);
    return;
  }
  link.said.append(bytes, size);
  const std::string all = subject_->upstream_answer(link.said, link.ended);
  link.unsent.append(all, link.answered, std::string::npos);
  link.answered = all.size();
}

bool Upstream::resume() {
  bool resumed = false;
  for (Link& link : links_) {
    resumed = resumed || (link.stalled && !link.over);
    link.stalled = false;
  }
  return resumed;
}

}  // namespace harness
