// Clients that take their echo at a pace of their own, and any number of them side by side.
//
// A server learns of reads only by acknowledgements of the client's kernel. The kernel sends them
// in steps of at most one segment or half its buffer (RFC 1122, 4.2.3.3): 64 KiB on loopback by
// default. On a busy machine a step can come seconds late, when the server's kernel has to probe a
// closed window. So each reader measures for how long its kernel acknowledged nothing.
#pragma once

#include "client.hpp"

namespace loopback {

// Why a test of readers may have tested nothing.
inline constexpr const char* held_up = "this machine held the clients up";

class SlowReader {
 public:
  struct Behaviour {
    std::size_t bytes;       // that it sends
    std::size_t piece;       // that it reads at a time
    milliseconds pause;      // from one read to the next, and before the first
    bool half_close = true;  // or it stays when it has got everything
    Client::Shape shape = {};
  };

  // What it sends outlives it.
  SlowReader(std::uint16_t port, const Behaviour& behaviour, std::string_view bytes)
      : client_(port, behaviour.shape),
        behaviour_(behaviour),
        bytes_(bytes),
        last_read_(Clock::now()) {}

  // Sends what goes, and reads what is due.
  void turn() {
    if (sent_ < bytes_.size()) {
      sent_ += client_.send_some(bytes_.substr(sent_));
      if (sent_ == bytes_.size() && behaviour_.half_close) client_.shutdown_write();
    }
    const Clock::time_point now = Clock::now();
    if (!done()) note_silence(now);
    if (done() || now - last_read_ < behaviour_.pause) return;
    last_read_ = now;
    for (std::size_t left = behaviour_.piece; left > 0 && !done();) {
      const std::string got = client_.receive_some(std::min(left, std::size_t{64} * 1024));
      if (got.empty()) break;
      exact_ = exact_ && bytes_.compare(received_, got.size(), got) == 0;
      received_ += got.size();
      left -= got.size();
    }
  }

  // From here it counts for how long nothing was acknowledged.
  void begin_pause() {
    last_read_ = last_turn_ = last_told_ = Clock::now();
    acknowledged_ = client_.kernel_view().acknowledged;
  }

  // It has waited long enough, and reads whatever is there.
  void hurry() {
    behaviour_.piece = bytes_.size() + 1;
    behaviour_.pause = milliseconds(0);
  }

  int descriptor() const { return client_.descriptor(); }
  short wanted_events() const {
    return static_cast<short>(POLLIN | (sent_ < bytes_.size() ? POLLOUT : 0));
  }
  bool done() const {
    if (client_.ending() != Ending::open) return true;
    return !behaviour_.half_close && received_ == bytes_.size();
  }
  bool whole() const {
    const Ending right = behaviour_.half_close ? Ending::fin : Ending::open;
    return exact_ && received_ == bytes_.size() && client_.ending() == right;
  }
  // Nothing is wrong so far.
  bool intact() const {
    if (client_.ending() != Ending::open) return whole();
    return exact_ && !client_.was_reset(Clock::duration::zero());
  }
  // The longest that the server's kernel may have heard nothing of it.
  Clock::duration longest_silence() const { return longest_silence_; }

 private:
  // An acknowledgement that is seen now may be as old as the turn before, and a cut as young as
  // this turn: a silence is never longer than it is counted here.
  void note_silence(Clock::time_point now) {
    if (!open_) return;
    const Client::KernelView view = client_.kernel_view();
    longest_silence_ = std::max(longest_silence_, now - last_told_);
    if (view.acknowledged != acknowledged_) last_told_ = last_turn_;
    acknowledged_ = view.acknowledged;
    open_ = view.open;
    last_turn_ = now;
  }

  Client client_;
  Behaviour behaviour_;
  std::string_view bytes_;
  std::size_t sent_ = 0;
  std::size_t received_ = 0;
  bool exact_ = true;
  bool open_ = true;  // to the client's kernel
  Clock::time_point last_read_;
  Clock::time_point last_turn_, last_told_;
  std::uint64_t acknowledged_ = 0;
  Clock::duration longest_silence_{0};
};

class SlowReaders {
 public:
  SlowReaders(std::uint16_t port, std::size_t count, const SlowReader::Behaviour& behaviour)
      : text_(payload(count, behaviour.bytes + count * shift)), size_(count) {
    for (std::size_t number = 0; number < count; ++number) {
      const std::string_view bytes(text_.data() + number * shift, behaviour.bytes);
      readers_.emplace_back(port, behaviour, bytes);
    }
  }
  SlowReaders(const SlowReaders&) = delete;
  SlowReaders& operator=(const SlowReaders&) = delete;

  // Each at its pace.
  void go_on(Clock::duration length) {
    for (SlowReader& each : readers_) each.begin_pause();
    const Deadline deadline(length);
    while (!deadline.passed()) {
      for (SlowReader& each : readers_) each.turn();
      ::poll(nullptr, 0, 5);
    }
  }

  // Some readers that were not cut read the rest as fast as they can; the others leave.
  void finish(std::size_t some = 8) {
    std::erase_if(readers_, [&](const SlowReader& each) {
      if (each.intact()) return some == 0 || some-- == 0;
      cut_.push_back(each.longest_silence());
      return true;
    });
    const Deadline deadline;
    for (SlowReader& each : readers_) each.hurry();
    for (;;) {
      std::vector<pollfd> entries;
      for (SlowReader& each : readers_) {
        each.turn();
        if (!each.done()) entries.push_back({each.descriptor(), each.wanted_events(), 0});
      }
      if (entries.empty()) break;
      deadline.require("the rest of an echo");
      ::poll(entries.data(), entries.size(), 20);
    }
    for (const SlowReader& each : readers_) {
      if (!each.whole()) cut_.push_back(each.longest_silence());
    }
  }

  std::size_t size() const { return size_; }
  std::size_t whole() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(readers_, [](const SlowReader& each) { return each.whole(); }));
  }
  // How many did not get all of what was theirs, although the server's kernel heard something of
  // them within each `limit`.
  std::size_t cut(Clock::duration limit) const { return cut_.size() - cut_silent(limit); }
  // How many did not, and were not heard for so long: the machine held them up.
  std::size_t cut_silent(Clock::duration limit) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(cut_, [&](Clock::duration silence) { return silence >= limit; }));
  }
  void close() { readers_.clear(); }

 private:
  // Each sends another part of one text, so that a byte of another's stream shows.
  static constexpr std::size_t shift = 1021;
  std::string text_;
  std::vector<SlowReader> readers_;
  std::size_t size_;
  std::vector<Clock::duration> cut_;  // the longest silence of each
};

}  // namespace loopback
