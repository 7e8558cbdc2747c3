// Replays inputs without a fuzzing engine: `connection_replay FILE_OR_DIRECTORY...`.
//
// Needs nothing but a compiler, so it runs under every sanitizer, under valgrind and with g++. Each
// input lies in a heap block of exactly its size, so that reading one byte too many is seen. An
// input that fails ends the program; the last line before says which it was. No std::filesystem:
// what the standard library writes outside of its headers is unknown to MemorySanitizer.
#include <dirent.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
// What a target has to say in the end of all that it was given.
extern "C" [[gnu::weak]] void fuzz_target_report();
// In builds with LeakSanitizer: asked after each input, so that a leak is blamed on the right one.
extern "C" [[gnu::weak]] int __lsan_do_recoverable_leak_check();

namespace {

// The file, or the files in the directory, in the same order on every machine.
std::vector<std::string> files_at(const std::string& path) {
  DIR* const directory = opendir(path.c_str());
  if (directory == nullptr) return {path};
  std::vector<std::string> files;
  while (const dirent* const entry = readdir(directory)) {
    if (entry->d_type != DT_DIR) files.push_back(path + "/" + entry->d_name);
  }
  closedir(directory);
  std::sort(files.begin(), files.end());
  return files;
}

bool replay(const std::string& path) {
  std::FILE* const file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return false;
  const long end = std::fseek(file, 0, SEEK_END) == 0 ? std::ftell(file) : -1;
  std::rewind(file);
  const std::size_t length = end < 0 ? 0 : static_cast<std::size_t>(end);
  const auto bytes = std::make_unique_for_overwrite<std::uint8_t[]>(length);
  const bool whole = std::fread(bytes.get(), 1, length, file) == length;
  static_cast<void>(std::fclose(file));
  static_cast<void>(std::fprintf(stderr, "replaying %s (%zu bytes)\n", path.c_str(), length));
  if (end < 0 || !whole) return false;
  LLVMFuzzerTestOneInput(bytes.get(), length);
  return __lsan_do_recoverable_leak_check == nullptr || __lsan_do_recoverable_leak_check() == 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t replayed = 0;
  for (int i = 1; i < argc; ++i) {
    for (const std::string& path : files_at(argv[i])) {
      if (!replay(path)) {
        static_cast<void>(std::fprintf(stderr, "FAILED: %s\n", path.c_str()));
        return 1;
      }
      ++replayed;
    }
  }
  if (fuzz_target_report != nullptr) fuzz_target_report();
  static_cast<void>(std::fprintf(stderr, "%zu inputs replayed, none failed\n", replayed));
  return replayed == 0 ? 2 : 0;  // a corpus that is not there proves nothing
}
