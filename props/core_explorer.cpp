// Explores the real core exhaustively: breadth first, every event that is possible in every state,
// every answer to every question that comes up in it, until nothing new is found.
//
// The objects cannot be copied, and need not be: a state is the shortest path of events that leads
// to it, and is reached by playing that path again on new objects. Two states are one when nothing
// in the objects tells them apart (CoreWorld::key). From every state the connections are brought to
// their end twice, by a stop and by time alone, and the destructors see that nothing is left.
//
// Breadth first, so the path to a fault is a shortest one; it is told in words. An assertion of the
// core comes here, too: this program defines what it calls.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "core_world.hpp"

namespace props {
namespace {

struct Reached {
  Key key;
  std::uint32_t parent;
  Step step;  // by which it was reached from there
};

std::uint64_t hash_of(const Key& key) {  // FNV-1a
  std::uint64_t hash = 14695981039346656037U;
  for (const std::uint8_t byte : key) hash = (hash ^ byte) * 1099511628211U;
  return hash;
}

class Explorer {
 public:
  explicit Explorer(const Shape& shape) : shape_(shape), known_(1024, Hash{*this}, Same{*this}) {}

  // False if there are more states than that.
  bool explore(std::size_t states_max);
  void print() const;
  // Plays what was being played once more, in words.
  void tell_current();

 private:
  struct Hash {
    const Explorer& explorer;
    std::size_t operator()(std::uint32_t i) const { return hash_of(explorer.states_[i].key); }
  };
  struct Same {
    const Explorer& explorer;
    bool operator()(std::uint32_t a, std::uint32_t b) const {
      return explorer.states_[a].key == explorer.states_[b].key;
    }
  };
  enum class End { none, by_stop, by_time };

  bool add(const Key& key, std::uint32_t parent, const Step& step);
  void follow(CoreWorld& world) const;
  void expand(std::uint32_t state);

  Shape shape_;
  std::vector<Reached> states_;
  std::unordered_set<std::uint32_t, Hash, Same> known_;
  std::vector<Step> path_;  // to the state that is expanded
  std::uint64_t transitions_ = 0;
  std::size_t depth_ = 0;

  // What is being played, in case it fails.
  Step current_{};
  bool stepping_ = false;
  End ending_ = End::none;
};

bool Explorer::add(const Key& key, std::uint32_t parent, const Step& step) {
  states_.push_back({key, parent, step});
  if (known_.insert(static_cast<std::uint32_t>(states_.size() - 1)).second) return true;
  states_.pop_back();
  return false;
}

void Explorer::follow(CoreWorld& world) const {
  for (const Step& step : path_) {
    Answers answers(step);
    world.play(step.deed, step.who, answers, false);
  }
}

void Explorer::expand(std::uint32_t state) {
  path_.clear();
  for (std::uint32_t at = state; at != 0; at = states_[at].parent)
    path_.push_back(states_[at].step);
  std::ranges::reverse(path_);
  depth_ = std::max(depth_, path_.size());

  stepping_ = false;
  CoreWorld here(shape_);
  follow(here);
  const std::vector<Step> steps = here.possible();
  if (shape_.ends_by_time()) {
    ending_ = End::by_time;
    here.end_by_time();
  } else {
    ending_ = End::by_stop;
    here.end_by_stop();
  }

  stepping_ = true;
  for (const Step& first : steps) {
    Answers answers(first);
    do {
      ending_ = End::none;
      CoreWorld world(shape_);
      follow(world);
      current_ = answers.step();
      world.play(first.deed, first.who, answers, true);
      current_ = answers.step();
      ++transitions_;
      add(world.key(), state, current_);
      ending_ = End::by_stop;
      world.end_by_stop();
    } while (answers.next());
  }
}

bool Explorer::explore(std::size_t states_max) {
  const CoreWorld world(shape_);
  add(world.key(), 0, Step{});
  for (std::uint32_t state = 0; state < states_.size(); ++state) {
    if (states_.size() > states_max) return false;
    expand(state);
  }
  return true;
}

void Explorer::print() const {
  std::uint64_t hash = 0;
  for (const Reached& state : states_) hash = hash * 31 + hash_of(state.key);
  std::printf(
      "%zu connection(s), %zu block(s) of %zu byte(s), idle %d, write %d, contended %d, drain %d:\n"
      "  %zu states, %llu transitions, depth %zu, hash %016llx\n",
      shape_.clients, shape_.blocks, shape_.block_size, static_cast<int>(shape_.idle.count()),
      static_cast<int>(shape_.write.count()), static_cast<int>(shape_.write_contended.count()),
      static_cast<int>(shape_.drain.count()), states_.size(),
      static_cast<unsigned long long>(transitions_), depth_, static_cast<unsigned long long>(hash));
}

void Explorer::tell_current() {
  std::fprintf(stderr, "After %zu event(s):\n", path_.size() + (stepping_ ? 1U : 0U));
  auto* const world = new CoreWorld(shape_);  // left as it is: it cannot be destroyed any more
  world->telling = true;
  follow(*world);
  if (stepping_) {
    Answers answers(current_);
    world->play(current_.deed, current_.who, answers, true);
  }
  if (ending_ == End::by_stop) world->end_by_stop();
  if (ending_ == End::by_time) world->end_by_time();
}

Explorer* exploring = nullptr;

// What was broken is broken once more while it is told, and that is the end of it.
[[noreturn]] void fail(const std::string& words) {
  static bool telling = false;
  if (!std::exchange(telling, true) && exploring != nullptr) exploring->tell_current();
  std::fprintf(stderr, "%s\n", words.c_str());
  std::_Exit(EXIT_FAILURE);
}

// --- The program. -------------------------------------------------------------------------------

constexpr const char* usage =
    "usage: core_explorer [--clients N] [--blocks N] [--block-size N] [--idle MS] [--write MS]\n"
    "                     [--contended MS] [--drain MS] [--states-max N] [--all-rows]\n"
    "\n"
    "Explores the core exhaustively within this bound; MS may be \"never\". With --all-rows it is "
    "an\n"
    "error if a row of the transition table was never used that the Service can use.\n";

std::size_t number(const char* text, std::size_t least, std::size_t most) {
  char* end = nullptr;
  const unsigned long long value = std::strtoull(text == nullptr ? "" : text, &end, 10);
  if (text == nullptr || *text == '\0' || *end != '\0' || value < least || value > most) {
    std::fputs(usage, stderr);
    std::exit(2);
  }
  return value;
}

// Returns how many rows were never used.
std::size_t print_rows() {
  std::size_t unused = 0;
  for (const echoproof::Transition& row : echoproof::transitions) {
    const auto from = static_cast<std::size_t>(row.from);
    const auto event = static_cast<std::size_t>(row.event);
    if (CoreWorld::rows_used[from][event]) continue;
    // The table says what would follow; the Service sets no limit to waiting.
    if (row.from == echoproof::State::waiting && row.event == echoproof::Event::deadline) continue;
    ++unused;
    std::printf("  never used: state %zu, event %zu\n", from, event);
  }
  std::printf("  %zu of %zu rows of the transition table used that the Service can use\n",
              echoproof::transitions.size() - 1 - unused, echoproof::transitions.size() - 1);
  return unused;
}

int main(int argc, char** argv) {
  Shape shape;
  std::size_t states_max = 50'000'000;
  bool all_rows = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    const auto value = [&](std::size_t least, std::size_t most) {
      return number(argv[++i], least, most);
    };
    const auto time = [&] {
      if (i + 1 < argc && std::string_view(argv[i + 1]) == "never")
        return ++i, echoproof::Time::max();
      return echoproof::Time(value(0, 120));
    };
    if (option == "--clients") {
      shape.clients = value(1, clients_max);
    } else if (option == "--blocks") {
      shape.blocks = value(1, clients_max);
    } else if (option == "--block-size") {
      shape.block_size = value(1, 7);
    } else if (option == "--idle") {
      shape.idle = time();
    } else if (option == "--write") {
      shape.write = time();
    } else if (option == "--contended") {
      shape.write_contended = time();
    } else if (option == "--drain") {
      shape.drain = time();
    } else if (option == "--states-max") {
      states_max = value(1, 1'000'000'000);
    } else if (option == "--all-rows") {
      all_rows = true;
    } else {
      const bool help = option == "--help" || option == "-h";
      std::fputs(usage, help ? stdout : stderr);
      return help ? 0 : 2;
    }
  }

  Explorer explorer(shape);
  exploring = &explorer;
  const auto start = std::chrono::steady_clock::now();
  const bool complete = explorer.explore(states_max);
  explorer.print();
  const std::size_t unused = print_rows();
  std::printf("  %s; every state ends by a stop%s; %.1f s\n",
              complete ? "complete" : "NOT COMPLETE: more states than --states-max",
              shape.ends_by_time() ? ", and by time alone" : "",
              std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  return complete && (unused == 0 || !all_rows) ? 0 : 1;
}

}  // namespace

void broken(const char* words) { fail(std::string("broken: ") + words); }

}  // namespace props

// In place of the product's, which only aborts.
void echoproof::assertion_failed(const char* condition, const char* file, int line) noexcept {
  props::fail("assertion failed: " + std::string(condition) + ", " + file + ":" +
              std::to_string(line));
}

// AddressSanitizer asks here before it reports, if it is there.
extern "C" void __asan_on_error() {
  if (props::exploring != nullptr) props::exploring->tell_current();
}

int main(int argc, char** argv) { return props::main(argc, argv); }
