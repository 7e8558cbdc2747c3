// Looks at the server that ZOO_SPECIMEN names by techniques other than a fuzzing engine, until it
// fails:
//
//   zoo_search blind SEED RUNS        random bytes, read as zoo_fuzzer reads its input
//   zoo_search random SEED RUNS       random answers to every question
//   zoo_search exhaustive SEED RUNS   every combination of answers to the first questions, and one
//                                     question more each time; SEED does not matter
//   zoo_search torture SEED RUNS      a kind world in which one question is answered unkindly, each
//                                     in turn; SEED does not matter
//   zoo_search shortest SEED RUNS     every input of zoo_fuzzer, the shortest first; SEED does not
//                                     matter
//   zoo_search replay FILE...         inputs of zoo_fuzzer
//
// Says how many executions it took, and dies as the server did; ends with 0 if nothing was found.
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "harness/plan.hpp"
#include "target.hpp"
#include "uvsim/uvsim.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

// The machines and crowds that techniques without input bytes go through in turn.
constexpr std::uint8_t machines = 32;
constexpr std::uint8_t few_descriptors = 1;

std::uint64_t runs_max = 0;
volatile std::uint64_t executions = 0;

// From a signal handler: the process is about to die of what was found.
void say_and_die(int signal) {
  char line[80];
  const int size = std::snprintf(line, sizeof line, "ended by signal %d in execution %llu\n",
                                 signal, static_cast<unsigned long long>(executions));
  std::fwrite(line, 1, static_cast<std::size_t>(size), stderr);
  std::_Exit(EXIT_FAILURE);
}

bool next_run() {
  if (executions == runs_max) return false;
  executions = executions + 1;
  return true;
}

// SplitMix64.
std::uint64_t next(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15U;
  std::uint64_t word = state;
  word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9U;
  word = (word ^ word >> 27) * 0x94d049bb133111ebU;
  return word ^ word >> 31;
}

void blind(std::uint64_t state) {
  constexpr std::uint64_t size_max = 128;
  std::vector<std::uint8_t> input;
  while (next_run()) {
    input.resize(next(state) % (1 + next(state) % size_max));  // short ones as often as long ones
    for (std::uint8_t& byte : input) byte = static_cast<std::uint8_t>(next(state));
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
}

// What clients do, at random; and what goes wrong, at random, but more rarely.
class Moods final : public uvsim::Choices {
 public:
  Moods(std::uint64_t seed, std::uint32_t kind_world, std::uint32_t kind_machine)
      : world_(seed, kind_world), machine_(seed + 1, kind_machine) {}
  std::uint32_t pick(std::uint32_t n, uvsim::ChoicePoint point) override {
    return (uvsim::is_machines(point) ? machine_ : world_).pick(n, point);
  }

 private:
  uvsim::Random world_;
  uvsim::Random machine_;
};

void random(std::uint64_t state) {
  zoo::Target& target = zoo::wanted();
  while (next_run()) {
    target.set_up(static_cast<std::uint8_t>(next(state)), static_cast<std::uint8_t>(next(state)));
    const auto kind_world = static_cast<std::uint32_t>(32 + next(state) % 192);
    const auto kind_machine = static_cast<std::uint32_t>(224 + next(state) % 33);  // 256: always
    Moods choices(next(state), kind_world, kind_machine);
    target.run(choices);
  }
}

// True when there was nothing that a deeper look could find.
bool exhaust(std::size_t depth, std::uint8_t machine) {
  zoo::Target& target = zoo::wanted();
  target.set_up(machine, machine % 2 == 0 ? 0 : few_descriptors);
  uvsim::Exhaustive all(depth);
  while (all.next()) {
    if (!next_run()) return true;
    target.run(all);
  }
  return !all.truncated();
}

void exhaustive(std::uint64_t) {
  bool done = false;
  for (std::size_t depth = 1; !done && executions < runs_max; ++depth) {
    done = true;
    for (std::uint8_t machine = 0; machine < machines; ++machine) {
      done = exhaust(depth, machine) && done;
    }
  }
}

void torture(std::uint64_t) {
  zoo::Target& target = zoo::wanted();
  constexpr std::uint32_t answers = 20;  // as many as any question has, about
  for (std::uint8_t machine = 0; machine < machines; ++machine) {
    target.set_up(machine, 0);
    std::uint64_t questions = 1;
    for (std::uint64_t nth = 0; nth < questions; ++nth) {
      for (std::uint32_t answer = 1; answer < answers && next_run(); ++answer) {
        uvsim::OneFault choices(nth, answer);
        target.run(choices);
        questions = choices.seen();
      }
    }
  }
}

void shortest(std::uint64_t) {
  for (std::vector<std::uint8_t> input; next_run();) {
    LLVMFuzzerTestOneInput(input.data(), input.size());
    std::size_t i = 0;
    while (i < input.size() && ++input[i] == 0) ++i;
    if (i == input.size()) input.push_back(0);
  }
}

void replay(const char* path) {
  std::FILE* const file = std::fopen(path, "rb");
  if (file == nullptr) {
    std::perror(path);
    std::exit(2);
  }
  std::vector<std::uint8_t> input(4096);
  input.resize(std::fread(input.data(), 1, input.size(), file));
  input.shrink_to_fit();
  std::fclose(file);
  LLVMFuzzerTestOneInput(input.data(), input.size());
}

using Technique = void (*)(std::uint64_t seed);

Technique technique_named(std::string_view name) {
  if (name == "blind") return blind;
  if (name == "random") return random;
  if (name == "exhaustive") return exhaustive;
  if (name == "torture") return torture;
  if (name == "shortest") return shortest;
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  zoo::wanted();
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    std::signal(signal, say_and_die);
  }
  if (argc >= 3 && std::string_view(argv[1]) == "replay") {
    for (int i = 2; i < argc; ++i) {
      executions = executions + 1;
      replay(argv[i]);
    }
  } else {
    const Technique technique = argc == 4 ? technique_named(argv[1]) : nullptr;
    if (technique == nullptr) {
      std::fprintf(stderr,
                   "usage: zoo_search blind|random|exhaustive|torture|shortest SEED RUNS\n"
                   "       zoo_search replay FILE...\n");
      return 2;
    }
    runs_max = std::strtoull(argv[3], nullptr, 10);
    technique(std::strtoull(argv[2], nullptr, 10));
  }
  std::fprintf(stderr, "%llu executions, none failed\n",
               static_cast<unsigned long long>(executions));
}
