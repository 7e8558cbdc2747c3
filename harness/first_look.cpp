#include "harness/first_look.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

#include "harness/child.hpp"
#include "harness/subject.hpp"
#include "harness/time.hpp"
#include "harness/upstream.hpp"
#include "uvsim/uvsim.hpp"

namespace harness {
namespace {

constexpr std::uint32_t busy_max = 200;
constexpr std::uint32_t timers_max = 20;
constexpr std::size_t heard_max = std::size_t{64} << 10;
constexpr std::size_t known_bytes_max = std::size_t{2} << 20;
constexpr std::size_t listeners_max = 4;
constexpr std::uint32_t timers_when_settled = 5;
constexpr unsigned seconds_max = 20;
// Two moments that differ in each part of a date.
constexpr std::uint64_t day_s = 86'400;
constexpr std::array<std::uint64_t, 2> later_s{day_s + 37'111, 11 * day_s + 44'999};
constexpr std::array signals{SIGTERM, SIGINT, SIGHUP, SIGQUIT};

// The server once, with these visitors.
class Visit {
 public:
  Visit(std::vector<std::string> said, std::size_t listener,
        const std::vector<std::uint16_t>& upstreams, std::uint64_t waits_s)
      : said_(std::move(said)),
        heard_(said_.size()),
        peers_(said_.size()),
        listener_(listener),
        waits_ns_(waits_s * 1000 * ms) {
    subject_.upstreams = upstreams;
  }

  void pay(const Startable& server, bool checks) {
    server.before();
    uvsim::Options options;
    options.checks = checks;
    options.on_violation = uvsim::OnViolation::leave;
    options.max_turns = 10'000;
    options.fresh_statics = true;
    uvsim::Simulation simulation(options);
    simulation.on_poll(
        [this](uvsim::Network& network, uvsim::Wait wait) { return on_poll(network, wait); });
    simulation.on_event(on_event, this);
    simulation.run([&] {
      network_ = &simulation.network();
      upstream_.begin(*network_, subject_);
      return server.start();
    });
    server.after();
  }

  bool all_echoed() const { return said_ == heard_; }
  std::size_t heard() const {
    std::size_t size = 0;
    for (const std::string& one : heard_) size += one.size();
    return size;
  }
  // It has said all that it is going to say, and nothing was too long to be heard.
  bool has_settled() const {
    return timers_ - timers_before_ >= timers_when_settled || rests_for_ever_;
  }
  const std::vector<std::string>& all_heard() const { return heard_; }
  std::size_t listeners() const { return names_.size(); }
  const std::string& name() const { return names_[listener_]; }
  int stop_signal() const { return stop_signal_; }
  const std::vector<std::uint16_t>& connected_to() const { return connected_to_; }

 private:
  uvsim::Progress on_poll(uvsim::Network& network, uvsim::Wait wait) {
    if (network.listeners() == 0) return uvsim::Progress::nothing;
    if (upstream_.play()) return uvsim::Progress::made;
    if (const std::uint64_t waits_ns = std::exchange(waits_ns_, 0); waits_ns > 0) {
      network.advance(waits_ns);
      return uvsim::Progress::made;
    }
    if (visitors_ < said_.size() && listener_ < network.listeners()) {
      peers_[visitors_] = network.connect(listener_);
      network.send(peers_[visitors_], said_[visitors_].data(), said_[visitors_].size());
      ++visitors_;
      return uvsim::Progress::made;
    }
    // Some servers never rest, because they turn the loop themselves.
    if ((wait.ready || wait.ns == 0) && ++busy_ < busy_max) return uvsim::Progress::nothing;
    if (read(network)) return uvsim::Progress::made;
    // Others take their time to answer.
    const bool waits = wait.ns != 0 && wait.ns != uvsim::Wait::forever;
    if (waits && !all_echoed() && ++timers_ < timers_max) return uvsim::Progress::nothing;
    rests_for_ever_ = !wait.ready && wait.ns == uvsim::Wait::forever;
    leave(network);
    return uvsim::Progress::nothing;
  }

  bool read(uvsim::Network& network) {
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

  void leave(uvsim::Network& network) {
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

  static void on_event(void* visit, const uvsim::EventView& event) {
    static_cast<Visit*>(visit)->hear(event);
  }

  // It connects, but not to itself.
  void hear(const uvsim::EventView& event) {
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

  std::vector<std::string> said_, heard_;
  std::vector<uvsim::Peer> peers_;
  std::size_t listener_;
  std::uint64_t waits_ns_;  // before the visitors come
  uvsim::Network* network_ = nullptr;
  Subject subject_;
  Upstream upstream_;
  std::size_t visitors_ = 0;
  std::uint32_t busy_ = 0;           // polls at which it did not rest
  std::uint32_t timers_ = 0;         // of the server, that were waited for
  std::uint32_t timers_before_ = 0;  // the server last said something
  bool rests_for_ever_ = false;
  std::vector<std::string> names_;  // of its listeners
  int stop_signal_ = 0;
  std::vector<std::uint16_t> connected_to_;
};

// What is seen, where another process can see it, too: one field after the other.
class Notes {
 public:
  void take(const FirstLook& look) {
    end_ = 0;
    put(look.listens);
    put(look.echoes);
    put(look.talk);
    put(look.stop_signal);
    put(look.echoes_at);
    put(look.answered);
    put(look.upstreams.size());
    for (const std::uint16_t port : look.upstreams) put(port);
    put(look.known.size());
    for (const KnownAnswer& known : look.known) {
      put(known.said);
      put(known.bytes);
      for (const bool varies : known.varies) put(varies);
    }
    taken_ = true;
  }

  FirstLook read() {
    FirstLook look;
    if (!taken_) return look;
    end_ = 0;
    get(look.listens);
    get(look.echoes);
    get(look.talk);
    get(look.stop_signal);
    get(look.echoes_at);
    get(look.answered);
    look.upstreams.resize(size());
    for (std::uint16_t& port : look.upstreams) get(port);
    look.known.resize(size());
    for (KnownAnswer& known : look.known) {
      get(known.said);
      get(known.bytes);
      for (std::size_t i = 0; i < known.bytes.size(); ++i) {
        bool varies = false;
        get(varies);
        known.varies.push_back(varies);
      }
    }
    return look;
  }

 private:
  template <class Value>
  void put(const Value& value) {
    put(&value, sizeof(value));
  }
  void put(const std::string& text) {
    put(text.size());
    put(text.data(), text.size());
  }
  void put(const void* bytes, std::size_t size) {
    if (size > bytes_.size() - end_) std::abort();
    std::memcpy(bytes_.data() + end_, bytes, size);
    end_ += size;
  }
  template <class Value>
  void get(Value& value) {
    get(&value, sizeof(value));
  }
  void get(std::string& text) {
    text.resize(size());
    get(text.data(), text.size());
  }
  void get(void* bytes, std::size_t size) {
    std::memcpy(bytes, bytes_.data() + end_, size);
    end_ += size;
  }
  std::size_t size() {
    std::size_t value = 0;
    get(value);
    return value;
  }

  bool taken_ = false;
  std::size_t end_ = 0;
  std::array<char, known_bytes_max * 3> bytes_;
};

class Looker {
 public:
  Looker(const Startable& server, bool checks, std::vector<std::uint16_t> upstreams, Notes& notes)
      : server_(server), checks_(checks), notes_(notes) {
    look_.upstreams = std::move(upstreams);
    look_.answered = message(Talk::lines, 0, 0, 0);
  }

  void look() {
    notes_.take(look_);
    const Visit silent = visit({"", ""}, 0);
    look_.listens = silent.listeners() > 0;
    look_.stop_signal = silent.stop_signal();
    notes_.take(look_);
    if (!look_.listens) return;
    // What asks it to connect somewhere may not be what it sends back.
    const std::size_t known = look_.upstreams.size();
    look_for_echoes(silent.listeners());
    if (!look_.echoes) look_for_answers(silent.heard());
    if (look_.upstreams.size() > known) look_for_echoes(silent.listeners());
    if (look_.echoes) return;
    if (silent.listeners() > 1) look_.echoes_at = silent.name();
    look_.known = known_answers();
    notes_.take(look_);
  }

 private:
  Visit visit(std::vector<std::string> said, std::size_t listener, std::uint64_t waits_s = 0) {
    Visit visit(std::move(said), listener, look_.upstreams, waits_s);
    visit.pay(server_, checks_);
    for (const std::uint16_t port : visit.connected_to()) {
      if (std::ranges::find(look_.upstreams, port) != look_.upstreams.end()) continue;
      look_.upstreams.push_back(port);
    }
    return visit;
  }

  void look_for_echoes(std::size_t listeners) {
    for (std::uint32_t i = 0; i < talk_count && !look_.echoes; ++i) {
      look_.talk = static_cast<Talk>(i);
      std::size_t echoing = 0;
      const std::size_t count = std::min(listeners, listeners_max);
      for (std::size_t listener = 0; listener < count; ++listener) {
        const Visit one = visit({one_of_each(look_.talk, 0), one_of_each(look_.talk, 1)}, listener);
        if (!one.all_echoed()) continue;
        if (echoing++ == 0) look_.echoes_at = one.name();
      }
      look_.echoes = echoing > 0;
      if (echoing == count) look_.echoes_at.clear();
      notes_.take(look_);
    }
  }

  // `greeting`: so much it says to two clients that say nothing.
  void look_for_answers(std::size_t greeting) {
    std::size_t most = std::max(greeting, visit({look_.answered, ""}, 0).heard());
    for (const std::string& one : things_to_say()) {
      const std::size_t heard = visit({one, ""}, 0).heard();
      if (heard <= most) continue;
      most = heard;
      look_.answered = one;
      notes_.take(look_);
    }
  }

  static std::vector<std::string> things_to_say() {
    std::vector<std::string> all = requests();
    for (std::uint32_t i = 0; i < talk_count; ++i) {
      all.push_back(message(static_cast<Talk>(i), 0, 0, 0));
    }
    return all;
  }

  // An answer is known if a client gets it alone, beside others, early and late.
  std::vector<KnownAnswer> known_answers() {
    std::vector<std::string> all = things_to_say();
    all.push_back(look_.answered);
    all.emplace_back();  // a greeting
    std::vector<KnownAnswer> answers;
    std::size_t left = known_bytes_max;
    for (const std::string& said : all) {
      std::vector<std::string> heard;
      const auto hear = [&](std::vector<std::string> visitors, std::uint64_t waits_s) {
        const Visit one = visit(std::move(visitors), 0, waits_s);
        heard.insert(heard.end(), one.all_heard().begin(), one.all_heard().end());
        return one.has_settled();
      };
      if (!hear({said}, 0) || heard[0].size() < 2 || heard[0].size() >= heard_max) continue;
      if (!hear({said, said, said}, later_s[0]) || !hear({said, said}, later_s[1])) continue;
      const auto known = known_answer(said, heard);
      if (!known || known->bytes.size() > left) continue;
      left -= known->bytes.size();
      answers.push_back(*known);
    }
    return answers;
  }

  const Startable& server_;
  bool checks_;
  Notes& notes_;
  FirstLook look_;
};

}  // namespace

FirstLook look_at(const Startable& server, const std::vector<std::uint16_t>& upstreams) {
  void* const memory =
      mmap(nullptr, sizeof(Notes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return {};
  auto* const notes = new (memory) Notes;
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  // What it does wrong is for the Judge, and need not end the look; but some do not survive it.
  for (const bool checks : {false, true}) {
    const int status = do_in_child(seconds_max, nowhere,
                                   [&] { Looker(server, checks, upstreams, *notes).look(); });
    if (status <= 0) break;
  }
  close(nowhere);
  FirstLook look = notes->read();
  munmap(memory, sizeof(Notes));
  return look;
}

}  // namespace harness
