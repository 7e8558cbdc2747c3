// operator new, so that the ledger knows which line of the program asked.
//
// Only the plain throwing forms live here; the standard library's other forms end up in them, and
// its operator delete calls free. The definitions are weak and nothing refers to this file: the
// linker takes it only where neither the program nor a sanitizer's runtime has operators of its
// own.
#include <cstdlib>
#include <new>

#include "ledger_book.hpp"

namespace {

void* allocate(std::size_t size, const void* caller, const void* frame) {
  using namespace uvsim::ledger::detail;
  for (;;) {
    const std::size_t bytes = size == 0 ? 1 : size;
    void* block = watching() ? malloc_for(bytes, caller, frame) : std::malloc(bytes);
    if (block != nullptr) return block;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc{};
    handler();
  }
}

}  // namespace

__attribute__((weak)) void* operator new(std::size_t size) {
  return allocate(size, __builtin_return_address(0), __builtin_frame_address(0));
}

__attribute__((weak)) void* operator new[](std::size_t size) {
  return allocate(size, __builtin_return_address(0), __builtin_frame_address(0));
}
