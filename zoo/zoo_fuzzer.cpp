// Holds the server that ZOO_SPECIMEN names to the eight oracles: a specimen must fail, a fixed
// version must not.
//
// Input: two bytes for the machine and the crowd of clients, the rest is a harness::Plan.
#include <cstddef>
#include <cstdint>

#include "harness/plan.hpp"
#include "target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  zoo::Target& target = zoo::wanted();
  constexpr std::size_t header = 2;
  target.set_up(size > 0 ? data[0] : 0, size > 1 ? data[1] : 0);
  const std::size_t used = size < header ? size : header;
  harness::Plan plan(data + used, size - used, target.faults());
  target.run(plan);
  return 0;
}
