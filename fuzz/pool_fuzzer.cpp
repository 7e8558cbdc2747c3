// Oracle: the model of block pool, deadline list and kernel budget: model/pool_model.hpp.
//
// The bytes of an input are the shape of the pool, then steps and the answers to their questions,
// as model/answers.hpp reads them. Impossible steps are skipped.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "model/pool_model.hpp"

[[noreturn]] void model::broken(const char* words) {
  static_cast<void>(std::fprintf(stderr, "broken: %s\n", words));
  std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  model::play_bytes<model::PoolModel>(data, size);
  return 0;
}
