// Explores the real core exhaustively and breadth first: every possible step in every state, with
// every answer to every question of the step, until no new state is found.
//
// The objects cannot be copied, and need not be. A state is stored as the shortest path of steps to
// it, and is reached by playing that path on new objects. Two states are equal if nothing in the
// objects differs that matters (CoreModel::key). From every state all connections are ended twice,
// by a stop and by time alone, and the destructors check that nothing is left.
//
// Because the search is breadth first, the printed path to a fault is a shortest one. This program
// also prints the path when an assertion of the core fails, because it defines assertion_failed.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "model/core_model.hpp"
#include "model/names.hpp"

namespace model {
namespace {

using Key = CoreModel::Key;

// One step, and the answers to its questions.
struct Played {
  static constexpr std::size_t answers_max = 12;
  Step step;
  std::uint8_t answered = 0;
  std::array<std::uint8_t, answers_max> answers{};
};

// Answers the questions of one step: first as a Played says, then with all answers in turn.
class InTurn final : public Answers {
 public:
  explicit InTurn(const Played& played) : played_(played) {}

  std::size_t pick(std::size_t n) override {
    if (n < 2) return 0;
    expect(asked_ < Played::answers_max, "a step asks no more questions than can be held");
    if (asked_ == played_.answered) played_.answers[played_.answered++] = 0;
    widths_[asked_] = static_cast<std::uint8_t>(n);
    return played_.answers[asked_++];
  }
  bool fails() override { return pick(2) == 1; }

  // Goes on to the next combination, varying the last question first. Returns false at the end.
  bool next() {
    played_.answered = std::exchange(asked_, std::uint8_t{0});
    while (played_.answered > 0) {
      std::uint8_t& last = played_.answers[played_.answered - 1U];
      if (last + 1U < widths_[played_.answered - 1U]) {
        ++last;
        return true;
      }
      last = 0;
      --played_.answered;
    }
    return false;
  }
  const Played& played() const { return played_; }

 private:
  Played played_;
  std::array<std::uint8_t, Played::answers_max> widths_{};
  std::uint8_t asked_ = 0;
};

struct Reached {
  Key key;
  std::uint32_t parent;
  Played played;  // the step from the parent to this state
};

std::uint64_t hash_of(const Key& key) {  // FNV-1a
  std::uint64_t hash = 14695981039346656037U;
  for (const std::uint8_t byte : key) hash = (hash ^ byte) * 1099511628211U;
  return hash;
}

class Explorer {
 public:
  explicit Explorer(const CoreShape& shape)
      : shape_(shape), known_(1024, Hash{*this}, Same{*this}) {}

  // Returns false if there are more states than that.
  bool explore(std::size_t states_max);
  void print() const;
  // Plays the current path once more, and prints it.
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

  bool add(const Key& key, std::uint32_t parent, const Played& played);
  void follow(CoreModel& model) const;
  std::vector<Step> possible(const CoreModel& model) const;
  void expand(std::uint32_t state);

  CoreShape shape_;
  std::vector<Reached> states_;
  std::unordered_set<std::uint32_t, Hash, Same> known_;
  std::vector<Played> path_;  // to the state being expanded
  std::uint64_t transitions_ = 0;
  std::size_t depth_ = 0;

  // The path being played, for the report of a failure.
  Played current_{};
  bool stepping_ = false;
  End ending_ = End::none;
};

bool Explorer::add(const Key& key, std::uint32_t parent, const Played& played) {
  states_.push_back({key, parent, played});
  if (known_.insert(static_cast<std::uint32_t>(states_.size() - 1)).second) return true;
  states_.pop_back();
  return false;
}

void Explorer::follow(CoreModel& model) const {
  for (const Played& played : path_) {
    InTurn answers(played);
    Step step = played.step;
    model.play(step, answers);
  }
}

std::vector<Step> Explorer::possible(const CoreModel& model) const {
  std::vector<Step> steps;
  for (std::size_t i = 0; i < kind_count; ++i) {
    const Kind kind = static_cast<Kind>(i);
    // A due timer runs before time passes.
    if (kind == (model.timer_due() ? Kind::clock : Kind::timer)) continue;
    for (std::size_t who = 0; who < shape_.clients; ++who) {
      if (!model.possible(kind, who)) continue;
      steps.push_back({static_cast<std::uint8_t>(kind), static_cast<std::uint8_t>(who)});
      if (kind == Kind::connect) break;  // new clients do not differ
    }
  }
  return steps;
}

void Explorer::expand(std::uint32_t state) {
  path_.clear();
  for (std::uint32_t at = state; at != 0; at = states_[at].parent) {
    path_.push_back(states_[at].played);
  }
  std::ranges::reverse(path_);
  depth_ = std::max(depth_, path_.size());

  stepping_ = false;
  CoreModel here(shape_);
  follow(here);
  const std::vector<Step> steps = possible(here);
  if (shape_.ends_by_time()) {
    ending_ = End::by_time;
    here.end_by_time();
  } else {
    ending_ = End::by_stop;
    here.end();
  }

  stepping_ = true;
  for (const Step& first : steps) {
    InTurn answers({.step = first});
    do {
      ending_ = End::none;
      CoreModel model(shape_);
      follow(model);
      current_ = answers.played();
      Step step = first;
      model.play(step, answers);
      current_ = answers.played();
      model.check();
      ++transitions_;
      add(model.key(), state, current_);
      ending_ = End::by_stop;
      model.end();
    } while (answers.next());
  }
}

bool Explorer::explore(std::size_t states_max) {
  const CoreModel model(shape_);
  add(model.key(), 0, {});
  for (std::uint32_t state = 0; state < states_.size(); ++state) {
    if (states_.size() > states_max) return false;
    expand(state);
  }
  return true;
}

void Explorer::print() const {
  std::uint64_t hash = 0;
  for (const Reached& state : states_) hash = hash * 31 + hash_of(state.key);
  const auto ms = [](Time time) {
    return time == Time::max() ? -1 : static_cast<int>(time.count());
  };
  std::printf(
      "%zu connection(s), blocks of %zu byte(s), %zu large, %zu share(s), idle %d, write %d, drain "
      "%d:\n"
      "  %zu states, %llu transitions, depth %zu, hash %016llx\n",
      shape_.clients, shape_.block_size, shape_.large_blocks, shape_.owed_max, ms(shape_.idle),
      ms(shape_.write), ms(shape_.drain), states_.size(),
      static_cast<unsigned long long>(transitions_), depth_, static_cast<unsigned long long>(hash));
}

void Explorer::tell_current() {
  std::fprintf(stderr, "After %zu step(s):\n", path_.size() + (stepping_ ? 1U : 0U));
  auto* const model = new CoreModel(shape_);  // leaked: after a failure it cannot be destroyed
  model->telling = true;
  follow(*model);
  if (stepping_) {
    InTurn answers(current_);
    Step step = current_.step;
    model->play(step, answers);
    model->check();
    static_cast<void>(model->key());
  }
  if (ending_ == End::by_stop) model->end();
  if (ending_ == End::by_time) model->end_by_time();
}

Explorer* exploring = nullptr;

// The path breaks again while it is printed. That ends the program.
[[noreturn]] void fail(const std::string& words) {
  static bool telling = false;
  if (!std::exchange(telling, true) && exploring != nullptr) exploring->tell_current();
  std::fprintf(stderr, "%s\n", words.c_str());
  std::_Exit(EXIT_FAILURE);
}

// --- The program. -------------------------------------------------------------------------------

constexpr const char* usage =
    "usage: core_explorer [--clients N] [--block-size N] [--large-blocks N] [--shares N] [--idle "
    "MS]\n"
    "                     [--write MS] [--drain MS] [--kernel-memory BYTES] [--tuned BYTES]\n"
    "                     [--states-max N] [--all-rows]\n"
    "\n"
    "Explores the core exhaustively within this bound; MS may be \"never\". With large blocks the\n"
    "size is 2100. Kernel memory is what is there beyond the least. With --all-rows it is an error "
    "if\n"
    "a row of the transition table was never used.\n";

std::size_t number(const char* text, std::size_t least, std::size_t most) {
  char* end = nullptr;
  const unsigned long long value = std::strtoull(text == nullptr ? "" : text, &end, 10);
  if (text == nullptr || *text == '\0' || *end != '\0' || value < least || value > most) {
    std::fputs(usage, stderr);
    std::exit(2);
  }
  return value;
}

// Returns the number of rows that were never used.
std::size_t print_rows() {
  std::size_t unused = 0;
  for (const echoproof::Transition& row : echoproof::transitions) {
    const auto from = static_cast<std::size_t>(row.from);
    const auto event = static_cast<std::size_t>(row.event);
    if (CoreModel::rows_used[from][event] > 0) continue;
    ++unused;
    std::printf("  never used: %s, %s\n", name_of(row.from), name_of(row.event));
  }
  std::printf("  %zu of %zu rows of the transition table used\n",
              echoproof::transitions.size() - unused, echoproof::transitions.size());
  return unused;
}

int main(int argc, char** argv) {
  CoreShape shape;
  std::size_t states_max = 50'000'000;
  bool all_rows = false;
  std::size_t kernel_memory = echoproof::KernelBudget::unlimited;
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
    } else if (option == "--block-size") {
      shape.block_size = value(1, 7);
    } else if (option == "--large-blocks") {
      shape.large_blocks = value(1, clients_max);
      shape.block_size = 2100;
    } else if (option == "--shares") {
      shape.owed_max = value(1, 3);
    } else if (option == "--kernel-memory") {
      kernel_memory = value(0, std::size_t{1} << 40);
    } else if (option == "--tuned") {
      shape.tuned_socket = value(1, std::size_t{1} << 40);
    } else if (option == "--idle") {
      shape.idle = time();
    } else if (option == "--write") {
      shape.write = time();
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

  if (kernel_memory != echoproof::KernelBudget::unlimited) {
    shape.kernel_memory = kernel_memory + echoproof::KernelBudget::least * shape.clients;
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

[[noreturn]] void broken(const char* words) { fail(std::string("broken: ") + words); }

}  // namespace model

// Replaces the product's, which only aborts.
void echoproof::assertion_failed(const char* condition, const char* file, int line) noexcept {
  model::fail("assertion failed: " + std::string(condition) + ", " + file + ":" +
              std::to_string(line));
}

// AddressSanitizer, if linked, calls this before it reports.
extern "C" void __asan_on_error() {
  if (model::exploring != nullptr) model::exploring->tell_current();
}

int main(int argc, char** argv) { return model::main(argc, argv); }
