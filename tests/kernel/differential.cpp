// The same scripts of system calls on the simulated kernel and on Linux, answer by answer, and
// after each what poll says of every descriptor.
//
//   kernel_differential               as many scripts as KERNEL_SCRIPTS says, 1,500 without
//   kernel_differential SEED          that one
//   kernel_differential alone         on the simulated kernel only, for a sanitizer to look at
//
// Exit status: 0 no difference, 1 a difference, 77 Linux refuses what the scripts need.
//
// A difference is one that comes three times in succession: Linux is not alone on its machine.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "player.hpp"
#include "systems.hpp"

namespace {

constexpr int steps_of_a_script = 50;
constexpr int batch = 500;     // scripts of one process and one network
constexpr int most_shown = 3;  // differences of a batch
constexpr int skipped = 77;
constexpr uint64_t moment = 1'000'000;  // ns between two calls

struct Seen {
  std::string answer;
  std::vector<short> readiness;
};
using Record = std::vector<Seen>;

class SimulatedRun {
 public:
  explicit SimulatedRun(kernel::Chooser* world = nullptr)
      : machine_(options(), world), process_(machine_, first_fd), player_(process_) {}

  Answer play(const Step& step, Record* record) {
    const Answer answer = player_.play(step);
    machine_.advance(moment);
    if (answer.result != kernel::unsimulated) record->push_back({answer.text, player_.readiness()});
    return answer;
  }

 private:
  static kernel::Options options() {
    kernel::Options options;
    options.descriptors = last_fd + 1;
    return options;
  }
  kernel::Machine machine_;
  Simulated process_;
  Player<Simulated> player_;
};

// One answer in eight is not the kindest.
class RandomWorld final : public kernel::Chooser {
 public:
  explicit RandomWorld(uint64_t seed) : random_(seed) {}
  unsigned pick(unsigned n, kernel::Question) override {
    return random_.one_in(8) ? static_cast<unsigned>(random_.below(static_cast<int>(n))) : 0;
  }

 private:
  Random random_;
};

// What is not simulated is no part of a script.
Script generate(uint64_t seed, bool fills, Record* record, kernel::Chooser* world = nullptr) {
  Generator generator(seed);
  generator.fills = fills;
  SimulatedRun run(world);
  Script script;
  while (script.size() < steps_of_a_script) {
    const Step step = generator.next();
    const Answer answer = run.play(step, record);
    if (answer.result == kernel::unsimulated) continue;
    generator.on_done(step, answer.result, answer.fds);
    script.push_back(step);
  }
  return script;
}

Record simulate(const Script& script) {
  SimulatedRun run;
  Record record;
  for (const Step& step : script)
    if (run.play(step, &record).result == kernel::unsimulated)
      record.push_back({result_text(kernel::unsimulated), {}});
  return record;
}

// Where Linux says something else for the first time, and what; the script's length if nowhere.
size_t difference(Linux& system, const Script& script, const Record& expected, Seen* said) {
  constexpr int patience = 40;  // of what comes in a moment later
  Player<Linux> player(system);
  size_t index = 0;
  for (; index < script.size(); ++index) {
    said->answer = player.play(script[index]).text;
    said->readiness = player.readiness();
    if (said->answer != expected[index].answer) break;
    for (int i = 0; i < patience && said->readiness != expected[index].readiness; ++i) {
      system.settle();
      said->readiness = player.readiness();
    }
    if (said->readiness != expected[index].readiness) break;
  }
  system.clear();
  return index;
}

bool differs(Linux& system, const Script& script) {
  const Record expected = simulate(script);
  for (const Seen& seen : expected)
    if (seen.answer == result_text(kernel::unsimulated)) return false;
  Seen said;
  for (int i = 0; i < 3; ++i)
    if (difference(system, script, expected, &said) == script.size()) return false;
  return true;
}

// Without every step that the difference does not need.
Script shortest(Linux& system, Script script) {
  for (size_t size = script.size() / 2; size > 0; size /= 2) {
    for (size_t begin = 0; begin < script.size();) {
      Script shorter = script;
      const auto from = shorter.begin() + static_cast<long>(begin);
      shorter.erase(from, from + static_cast<long>(std::min(size, shorter.size() - begin)));
      if (differs(system, shorter)) {
        script = shorter;
      } else {
        begin += size;
      }
    }
  }
  return script;
}

std::string ready_text(const std::vector<short>& readiness, const std::vector<short>& other) {
  std::string text;
  for (size_t i = 0; i < readiness.size(); ++i)
    if (i < other.size() && readiness[i] != other[i])
      text += " " + std::to_string(first_fd + static_cast<int>(i)) + ":" +
              events_text(static_cast<uint16_t>(readiness[i]));
  return text;
}

void show(Linux& system, uint64_t seed, const Script& script) {
  const Record expected = simulate(script);
  Seen said;
  const size_t at = difference(system, script, expected, &said);
  std::printf("difference in script %llu:\n", static_cast<unsigned long long>(seed));
  for (size_t i = 0; i < script.size() && i <= at; ++i)
    std::printf("  %-50s %s\n", text_of(script[i]).c_str(), expected[i].answer.c_str());
  if (at == script.size()) return;
  if (said.answer != expected[at].answer) {
    std::printf("    Linux: %s\n", said.answer.c_str());
  } else {
    std::printf("    simulated:%s\n        Linux:%s\n",
                ready_text(expected[at].readiness, said.readiness).c_str(),
                ready_text(said.readiness, expected[at].readiness).c_str());
  }
}

// Exit status of the process that plays the scripts first .. first + count.
int play_batch(uint64_t first, int count) {
  Linux system;
  const char* why = nullptr;
  if (!system.usable(&why)) {
    std::printf("skipped: Linux refuses here: %s\n", why);
    return skipped;
  }
  int shown = 0;
  for (int i = 0; i < count && shown < most_shown; ++i) {
    const uint64_t seed = first + static_cast<uint64_t>(i);
    Record record;
    Script script = generate(seed, system.has_own_network(), &record);
    Seen said;
    const size_t at = difference(system, script, record, &said);
    if (at == script.size()) continue;
    script.resize(at + 1);
    if (!differs(system, script)) continue;
    show(system, seed, shortest(system, script));
    ++shown;
  }
  return shown > 0 ? 1 : 0;
}

int in_a_process(uint64_t first, int count) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    const int status = play_batch(first, count);
    std::fflush(stdout);
    _exit(status);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

// Scripts on a machine whose world answers at random: nothing is asked but that they end.
int play_alone() {
  constexpr uint64_t count = 2000;
  for (uint64_t seed = 0; seed < count; ++seed) {
    Record record;
    RandomWorld world(seed);
    generate(seed, true, &record, &world);
  }
  std::printf("%d scripts alone\n", static_cast<int>(count));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "alone") return play_alone();
  if (argc > 1) return in_a_process(std::strtoull(argv[1], nullptr, 10), 1);
  const char* const wanted = std::getenv("KERNEL_SCRIPTS");
  const int count = wanted == nullptr ? 1500 : std::atoi(wanted);
  int played = 0;
  for (; played < count; played += batch) {
    const int status = in_a_process(static_cast<uint64_t>(played), std::min(batch, count - played));
    if (status != 0) return status;
  }
  std::printf("%d scripts of %d calls, no difference\n", count, steps_of_a_script);
  return 0;
}
