// Oracle: any command line is accepted or refused. Accepted values are within the bounds that the
// program relies on. A refusal has a message.
//
// Input: the arguments, each ended by a line feed.
#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "fuzz.hpp"
#include "options.hpp"

namespace {

using echoproof::Time;

void check(const echoproof::Options& options) {
  fuzz::oracle(options.backlog >= 1, "a client may wait in the backlog");
  fuzz::oracle(options.threads >= 1, "there is a thread that serves");
  fuzz::oracle(options.block_size >= 1, "a block has room");
  fuzz::oracle(options.block_size <= echoproof::block_size_max, "a write can carry a block");
  fuzz::oracle(options.buffer_memory / options.threads >= options.block_size,
               "there is memory for a block of each thread");
  fuzz::oracle(!options.max_connections || *options.max_connections >= options.threads,
               "each thread may serve a client");
  fuzz::oracle(options.idle_timeout > Time(0), "no client is idle at once");
  fuzz::oracle(options.write_timeout > Time(0), "there is time to write");
  fuzz::oracle(options.write_timeout < Time::max() / 2, "a deadline does not overflow");
  fuzz::oracle(options.drain_timeout >= Time(0), "a drain does not end before it began");
  fuzz::oracle(options.drain_timeout < Time::max() / 2, "a drain does not overflow");
}

void check(const echoproof::Exit& exit) {
  fuzz::oracle(!exit.text.empty(), "a refusal has a message");
  fuzz::oracle(exit.code == echoproof::exit_ok || exit.code == echoproof::exit_usage,
               "a command line is helped with, or wrong");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::string> words{"echo-server"};
  std::string word;
  for (std::size_t i = 0; i < size; ++i) {
    const char letter = static_cast<char>(data[i]);
    if (letter != '\n') {
      if (letter != '\0') word.push_back(letter);
      continue;
    }
    words.push_back(word);
    word.clear();
  }
  if (!word.empty()) words.push_back(word);
  std::vector<const char*> arguments;
  for (const std::string& text : words) arguments.push_back(text.c_str());
  const auto result =
      echoproof::parse_options(static_cast<int>(arguments.size()), arguments.data());
  std::visit([](const auto& outcome) { check(outcome); }, result);
  return 0;
}
