#include "harness/first_look.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

#include "harness/child.hpp"
#include "harness/time.hpp"

namespace harness {
namespace {

constexpr std::size_t known_bytes_max = std::size_t{2} << 20;
constexpr std::size_t listeners_max = 4;
constexpr std::size_t long_talk = 20'000;  // bytes
constexpr unsigned seconds_max = 20;
// Two moments that differ in each part of a date.
constexpr std::uint64_t day_s = 86'400;
constexpr std::array<std::uint64_t, 2> later_s{day_s + 37'111, 11 * day_s + 44'999};

// What is seen, where another process can see it, too: one field after the other.
class Notes {
 public:
  void take(FirstLook look) {
    reads_ = false;
    pass(look);
    taken_ = true;
  }

  FirstLook read() {
    FirstLook look;
    reads_ = true;
    if (taken_) pass(look);
    return look;
  }

 private:
  // To the memory, or from it.
  void pass(FirstLook& look) {
    end_ = 0;
    pass(look.listens);
    pass(look.echoes);
    pass(look.talk);
    pass(look.stop_signal);
    pass(look.sends_without_end);
    pass(look.echoes_at);
    pass(look.greeting);
    pass(look.echoes_halves);
    pass(look.hears_at_most);
    pass(look.session_ms);
    pass(look.answered);
    pass(look.upstreams);
    pass(look.known);
  }
  void pass(KnownAnswer& known) {
    pass(known.said);
    pass(known.bytes);
    pass(known.varies);
  }
  template <class List>
    requires requires(List& list) { list.resize(0); }
  void pass(List& list) {
    std::size_t size = list.size();
    pass(size);
    list.resize(size);
    for (auto& one : list) pass(one);
  }
  template <class Value>
    requires std::is_trivially_copyable_v<Value>
  void pass(Value& value) {
    if (sizeof value > bytes_.size() - end_) std::abort();
    char* const place = bytes_.data() + end_;
    reads_ ? std::memcpy(&value, place, sizeof value) : std::memcpy(place, &value, sizeof value);
    end_ += sizeof value;
  }

  bool taken_ = false;
  bool reads_ = false;
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
    const Visit silent = visit({.said = {"", ""}});
    listeners_ = silent.listeners();
    look_.listens = !listeners_.empty();
    look_.stop_signal = silent.stop_signal();
    notes_.take(look_);
    if (!look_.listens) return;
    // One that sends without end, unasked, answers nothing.
    look_.sends_without_end = silent.heard()[0].size() >= Visit::heard_max;
    notes_.take(look_);
    if (look_.sends_without_end) return;
    listeners_.resize(std::min(listeners_.size(), listeners_max));
    for (std::size_t i = 0; i < listeners_.size(); ++i) greetings_.push_back(greeting(i));
    // What asks it to connect somewhere may not be what it sends back.
    const std::size_t known = look_.upstreams.size();
    look_for_echoes();
    if (!look_.echoes) look_for_answers(silent.bytes_heard());
    if (look_.upstreams.size() > known) look_for_echoes();
    if (look_.echoes) return;
    if (listeners_.size() > 1) look_.echoes_at = listeners_.front();
    look_.known = known_answers();
    notes_.take(look_);
  }

 private:
  Visit visit(Visit::Plan plan) {
    plan.upstreams = look_.upstreams;
    Visit visit(std::move(plan));
    visit.pay(server_, checks_);
    for (const std::uint16_t port : visit.connected_to()) {
      if (std::ranges::find(look_.upstreams, port) != look_.upstreams.end()) continue;
      look_.upstreams.push_back(port);
    }
    return visit;
  }

  // What the server says to each visitor, whenever it comes, before it says anything; nothing if
  // that varies.
  std::string greeting(std::size_t listener) {
    const Visit early = visit({.said = {"", ""}, .listener = listener});
    const Visit late = visit({.said = {"", ""}, .listener = listener, .waits_s = later_s[0]});
    const std::string& first = early.heard()[0];
    const bool same =
        first == early.heard()[1] && first == late.heard()[0] && first == late.heard()[1];
    return same ? first : "";
  }

  void look_for_echoes() {
    for (std::uint32_t i = 0; i < talk_count && !look_.echoes; ++i) {
      look_.talk = static_cast<Talk>(i);
      std::vector<std::size_t> echoing;
      for (std::size_t listener = 0; listener < listeners_.size(); ++listener) {
        const std::string& greets = greetings_[listener];
        const Visit one = visit({.said = {one_of_each(look_.talk, 0), one_of_each(look_.talk, 1)},
                                 .greeting = greets,
                                 .listener = listener});
        if (!one.all_echoed()) continue;
        if (echoing.empty()) look_.greeting = greets;
        if (greets == look_.greeting) echoing.push_back(listener);
      }
      if (echoing.empty()) continue;
      look_.echoes = true;
      look_.echoes_at = echoing.size() == listeners_.size() ? "" : listeners_[echoing.front()];
      notes_.take(look_);  // it may not survive a closer look
      look_closer(echoing.front());
      notes_.take(look_);
      if (!look_.echoes) return;
    }
  }

  // At a listener that echoes.
  void look_closer(std::size_t listener) {
    // One that says something by itself after a time is no mere echo. One that ends the connection
    // of a client that goes on speaking serves it for so long only.
    const Visit longer = visit({.said = {one_of_each(look_.talk, 0), one_of_each(look_.talk, 1)},
                                .greeting = look_.greeting,
                                .listener = listener,
                                .lingers = true,
                                .again = message(look_.talk, 1, 0, 0)});
    look_.echoes = longer.all_echoed();
    if (longer.was_ended(1)) look_.session_ms = longer.stayed_ns() / ms;
    if (!look_.echoes || look_.talk == Talk::bytes) return;
    const auto hear = [&](std::string said) {
      return visit({.said = {std::move(said)}, .greeting = look_.greeting, .listener = listener});
    };
    std::string half = message(look_.talk, 0, 0, 0);
    half.resize(half.size() / 2);
    look_.echoes_halves = hear(half).all_echoed();
    look_for_a_limit(hear);
  }

  // Some serve a client for so many bytes only, and some answer differently then.
  template <class Hear>
  void look_for_a_limit(Hear hear) {
    std::string said;
    for (std::uint32_t i = 0; said.size() < long_talk; ++i) said += message(look_.talk, 0, i, i);
    const Visit one = hear(said);
    const std::string expected = look_.greeting + said;
    const std::string& heard = one.heard()[0];
    const auto same = std::ranges::mismatch(expected, heard).in1 - expected.begin();
    const auto alike = static_cast<std::size_t>(same);
    if (alike == expected.size() || (alike == heard.size() && !one.was_ended(0))) return;
    look_.hears_at_most = alike > look_.greeting.size() ? alike - look_.greeting.size() : 1;
  }

  // `greeting`: so much it says to two clients that say nothing.
  void look_for_answers(std::size_t greeting) {
    std::size_t most = std::max(greeting, visit({.said = {look_.answered, ""}}).bytes_heard());
    for (const std::string& one : things_to_say()) {
      const std::size_t heard = visit({.said = {one, ""}}).bytes_heard();
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
        const Visit one = visit({.said = std::move(visitors), .waits_s = waits_s});
        heard.insert(heard.end(), one.heard().begin(), one.heard().end());
        return one.has_settled();
      };
      if (!hear({said}, 0) || heard[0].size() < 2 || heard[0].size() >= Visit::heard_max) continue;
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
  std::vector<std::string> listeners_, greetings_;
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
