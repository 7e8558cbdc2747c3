// A random script on real libuv, on the simulated kernel. What libuv allocates is counted, and must
// be freed at the end of a script.
#include <uv.h>

#include <cstdlib>

#include "floor2.hpp"
#include "scripts_arm.hpp"

namespace conformance {

namespace {

long allocated = 0;

void* counted(void* block) {
  if (block != nullptr) ++allocated;
  return block;
}

void* counted_malloc(std::size_t size) { return counted(std::malloc(size)); }

void* counted_calloc(std::size_t count, std::size_t size) {
  return counted(std::calloc(count, size));
}

void* counted_realloc(void* block, std::size_t size) {
  return block == nullptr ? counted_malloc(size) : std::realloc(block, size);
}

void counted_free(void* block) {
  if (block != nullptr) --allocated;
  std::free(block);
}

}  // namespace

std::string play_on_floor2(const Script& script) {
  static const bool is_counted =
      uv_replace_allocator(counted_malloc, counted_realloc, counted_calloc, counted_free) == 0;
  long before = 0;
  std::string left = on_a_fresh_machine([&] {
    before = allocated;
    perform(script);
  });
  if (is_counted && allocated == before) return left;
  return left + std::to_string(allocated - before) + " allocations were left\n";
}

}  // namespace conformance
