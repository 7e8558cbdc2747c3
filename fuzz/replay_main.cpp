// Replays inputs without a fuzzing engine: `connection_replay FILE_OR_DIRECTORY...`.
//
// Needs nothing but a compiler, so it runs under every sanitizer, under valgrind and with g++. Each
// input lies in a heap block of exactly its size, so that reading one byte too many is seen. An
// input that fails ends the program; the last line before says which it was.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
// In builds with LeakSanitizer: asked after each input, so that a leak is blamed on the right one.
extern "C" [[gnu::weak]] int __lsan_do_recoverable_leak_check();

namespace {

namespace fs = std::filesystem;

// In the same order on every machine.
std::vector<std::string> files_in(const std::string& path) {
  std::vector<std::string> files;
  std::error_code error;
  if (fs::is_directory(path, error)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
      if (entry.is_regular_file()) files.push_back(entry.path().string());
    }
    std::sort(files.begin(), files.end());
  } else {
    files.push_back(path);
  }
  return files;
}

bool replay(const std::string& path) {
  std::error_code error;
  const std::size_t size = fs::file_size(path, error);
  std::FILE* const file = error ? nullptr : std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    static_cast<void>(std::fprintf(stderr, "cannot read %s\n", path.c_str()));
    return false;
  }
  const auto bytes = std::make_unique_for_overwrite<std::uint8_t[]>(size);
  const std::size_t got = std::fread(bytes.get(), 1, size, file);
  static_cast<void>(std::fclose(file));
  static_cast<void>(std::fprintf(stderr, "replaying %s (%zu bytes)\n", path.c_str(), size));
  if (got != size) return false;
  LLVMFuzzerTestOneInput(bytes.get(), size);
  return __lsan_do_recoverable_leak_check == nullptr || __lsan_do_recoverable_leak_check() == 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t replayed = 0;
  for (int i = 1; i < argc; ++i) {
    for (const std::string& path : files_in(argv[i])) {
      if (!replay(path)) {
        static_cast<void>(std::fprintf(stderr, "FAILED: %s\n", path.c_str()));
        return 1;
      }
      ++replayed;
    }
  }
  static_cast<void>(std::fprintf(stderr, "%zu inputs replayed, none failed\n", replayed));
  return replayed == 0 ? 2 : 0;  // a corpus that is not there proves nothing
}
