// Random scripts on real libuv, on the simulated kernel. What libuv allocates is counted, and must be freed
// at the end of a script.
#include <uv.h>

#include <csignal>
#include <cstdlib>

#include "floor2.hpp"
#include "scripts_arm.hpp"

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

std::string play(const conformance::Script& script) {
  long before = 0;
  const std::string left = conformance::on_a_fresh_machine([&] {
    before = allocated;
    conformance::perform(script);
  });
  if (allocated == before) return left;
  return left + std::to_string(allocated - before) + " allocations were left\n";
}

}  // namespace

int main() {
  std::signal(SIGPIPE, SIG_IGN);
  uv_replace_allocator(counted_malloc, counted_realloc, counted_calloc, counted_free);
  return conformance::serve_scripts(play);
}
