// Blind search: calls a fuzz target with random inputs from a fixed seed, in place of an engine.
//
//   PROGRAM -seed=1 -runs=400000 -max_len=128
//
// Other options are ignored, so that it can be called as an engine is. The inputs are the same on
// every machine and with every compiler. An input that fails ends the program; then it is said how
// many it took.
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

volatile std::uint64_t executions = 0;

void tell(int) {
  char line[64];
  std::snprintf(line, sizeof line, "failed in execution %llu\n",
                static_cast<unsigned long long>(executions));
  std::fputs(line, stderr);
  std::_Exit(EXIT_FAILURE);
}

// SplitMix64.
class Numbers {
 public:
  explicit Numbers(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t word = state_;
    word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9U;
    word = (word ^ word >> 27) * 0x94d049bb133111ebU;
    return word ^ word >> 31;
  }

 private:
  std::uint64_t state_;
};

std::uint64_t option(int argc, char** argv, const char* name, std::uint64_t otherwise) {
  const std::size_t length = std::strlen(name);
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], name, length) == 0) {
      return std::strtoull(argv[i] + length, nullptr, 10);
    }
  }
  return otherwise;
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t runs = option(argc, argv, "-runs=", 100'000);
  const std::uint64_t size_max = option(argc, argv, "-max_len=", 128);
  Numbers numbers(option(argc, argv, "-seed=", 1));
  std::signal(SIGABRT, tell);
  for (std::uint64_t run = 0; run < runs; ++run) {
    executions = run + 1;
    // Short inputs as often as long ones.
    const std::size_t size = numbers.next() % (1 + numbers.next() % (size_max + 1));
    const auto input = std::make_unique_for_overwrite<std::uint8_t[]>(size);
    for (std::size_t i = 0; i < size; ++i) input[i] = static_cast<std::uint8_t>(numbers.next());
    LLVMFuzzerTestOneInput(input.get(), size);
  }
  std::fprintf(stderr, "%llu executions, none failed\n", static_cast<unsigned long long>(runs));
}
