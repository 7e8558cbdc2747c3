// The same server without a defect: this target must not fail.
#include <cstddef>
#include <cstdint>

#include "subjects/canary.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return canary::run(canary::Defect::none, data, size);
}
