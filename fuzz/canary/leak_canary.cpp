// Must fail: the memory of a connection is not freed.
#include <cstddef>
#include <cstdint>

#include "subjects/canary.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return canary::run(canary::Defect::leak, data, size);
}
