// The program brings an operator new that does not end in malloc: the ledger would miss what it
// allocates, notices that in its self-test, and refuses. With an argument there is no driver: then
// the program is told, and goes on.
#include <uv.h>

#include <cstddef>
#include <cstdio>
#include <new>
#include <uvsim/uvsim.hpp>

namespace {

alignas(std::max_align_t) char arena[1 << 20];
std::size_t used = 0;

void* allocate(std::size_t size) {
  void* const block = arena + used;
  used += (size + 15) / 16 * 16;
  return block;
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void operator delete(void*) noexcept {}
void operator delete[](void*) noexcept {}
void operator delete(void*, std::size_t) noexcept {}
void operator delete[](void*, std::size_t) noexcept {}

int main(int argc, char**) {
  if (argc > 1) {
    if (uv_loop_close(uv_default_loop()) == 0) std::fputs("and went on\n", stderr);
    return 0;
  }
  uvsim::Simulation simulation;
  simulation.run([] { return 0; });
  return 0;
}
