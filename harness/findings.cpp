#include "harness/findings.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <cstdlib>

namespace harness {
namespace {

constexpr std::size_t words_max = 6;

// Words that add nothing to a name.
bool is_filler(std::string_view word) {
  static constexpr std::array fillers{"a",   "an",  "the",    "its",  "it",     "to",  "which",
                                      "was", "is",  "that",   "of",   "in",     "on",  "had",
                                      "has", "and", "client", "been", "bytes",  "by",  "step",
                                      "got", "did", "whose",  "at",   "server", "with"};
  return std::ranges::find(fillers, word) != fillers.end();
}

bool is_word(std::string_view word) {
  return !word.empty() &&
         std::ranges::none_of(word, [](unsigned char c) { return std::isdigit(c) != 0; });
}

// Short names for frequent findings.
struct Known {
  std::string_view words, name;
};
constexpr std::array known{
    Known{"did not get its whole echo", "lost-tail"},
    Known{"saw an ordinary end", "lost-tail-untold"},
    Known{"bytes that it is not owed", "wrong-bytes"},
    Known{"received more than it is owed", "too-many-bytes"},
    Known{"ended a connection to which nothing had happened", "cut"},
    Known{"raises SIGPIPE", "SIGPIPE"},
    Known{"more is allocated than before", "leak"},
    Known{"allocation(s) leaked", "leak"},
    Known{"kept while no client is there grows", "growth-at-rest"},
    Known{"double free", "double-free"},
    Known{"no allocator returned", "free-of-foreign-pointer"},
    Known{"freed while lent", "freed-while-lent"},
    Known{"waits for its echo for ever", "no-answer"},
    Known{"never ended the connection", "connection-never-ended"},
    Known{"although its client is gone", "connection-kept"},
    Known{"own assertion failed", "assertion"},
    Known{"called abort()", "abort"},
    Known{"no handle waits: it would die", "dies-of-signal"},
    Known{"the server spins", "spins"},
    Known{"without ever listening", "never-listened"},
    Known{"neither listens nor ends", "never-listened"},
};

// Otherwise the first clause, without names of handles and clients, numbers and fillers.
std::string brief(std::string_view message) {
  for (const Known& one : known) {
    if (message.find(one.words) != std::string_view::npos) return std::string(one.name);
  }
  if (message.starts_with("client ")) {
    const std::size_t end = message.find("): ");
    if (end != std::string_view::npos) message.remove_prefix(end + 3);
  }
  std::string text;
  std::string word;
  std::size_t words = 0;
  const auto finish = [&] {
    if (is_word(word) && !is_filler(word) && words < words_max) {
      text += (text.empty() ? "" : "-") + word;
      ++words;
    }
    word.clear();
  };
  for (const char c : message) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '#') {
      word += c;
      continue;
    }
    finish();
    if ((c == ';' || c == ',') && words > 1) break;
  }
  finish();
  return text;
}

}  // namespace

std::string name_of(const Verdict& verdict, std::string_view where) {
  if (verdict.message.find("uvsim cannot run this") != std::string::npos ||
      verdict.message.find("not simulated by uvsim") != std::string::npos) {
    return "cannot-run";
  }
  std::string name = verdict.rule.empty() ? name_of(verdict.broken) : verdict.rule;
  const std::string words = brief(verdict.message);
  if (!words.empty()) name += "-" + words;
  for (const char c : where.empty() ? std::string() : "-" + std::string(where)) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
    if (plain || name.back() != '.') name += plain ? c : '.';
  }
  while (name.back() == '.') name.pop_back();
  name.resize(std::min(name.size(), std::size_t{100}));
  return name;
}

Findings* Findings::wanted() {
  static Findings* const findings = []() -> Findings* {
    const char* const folder = std::getenv("HARNESS_FINDINGS");
    if (folder == nullptr || *folder == '\0') return nullptr;
    return new Findings(folder);  // as long as the process
  }();
  return findings;
}

namespace {

// Writes a file whole or not at all, even if other processes write the same file.
void write_file(const std::string& path, const void* bytes, std::size_t size) {
  const std::string part = path + "." + std::to_string(getpid()) + ".part";
  std::FILE* const file = std::fopen(part.c_str(), "wb");
  const bool written = file != nullptr && std::fwrite(bytes, 1, size, file) == size;
  if (file != nullptr && std::fclose(file) == 0 && written &&
      std::rename(part.c_str(), path.c_str()) == 0) {
    return;
  }
  std::fprintf(stderr, "a finding cannot be written to %s\n", path.c_str());
}

}  // namespace

void Findings::keep(const std::string& name, const std::uint8_t* data, std::size_t size,
                    const std::string& what) const {
  const std::string path = folder_ + "/" + name;
  struct stat there = {};
  if (stat(path.c_str(), &there) == 0) {
    if (static_cast<std::size_t>(there.st_size) <= size) return;
  } else {
    std::fprintf(stderr, "found: %s: %s", name.c_str(), what.c_str());
  }
  write_file(path + ".what", what.data(), what.size());
  write_file(path, data, size);
}

}  // namespace harness
