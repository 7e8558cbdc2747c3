// Must fail: a buffer is freed twice when its write fails.
#include <cstddef>
#include <cstdint>

#include "subjects/canary.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return canary::run(canary::Defect::double_free, data, size);
}
