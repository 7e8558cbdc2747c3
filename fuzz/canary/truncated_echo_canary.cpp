// Must fail: the last byte of an echo is missing.
#include <cstddef>
#include <cstdint>

#include "subjects/canary.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return canary::run(canary::Defect::truncated_echo, data, size);
}
