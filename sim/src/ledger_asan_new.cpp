// Replaces forms of AddressSanitizer's operator new that prevent the ledger from working. Empty in
// any other build. AddressSanitizer's operators are weak, so these win. The other sanitizers'
// operators cannot be replaced; there the ledger counts the allocations that it could not make
// fail.
//
// nothrow    An allocation that is made to fail under a sanitizer fails by an exception
//            (ledger_heap.cpp), which must not pass a nothrow form. Here it is defined through the
//            throwing one, as the standard describes its own defaults.
// aligned    AddressSanitizer requires a delete with the same alignment, which it does not
//            disclose. So the ledger could not free what a program left behind. Here the form is
//            memalign and free. A release by free(), or by the wrong form of delete, goes
//            unnoticed.
#include <cstdlib>
#include <new>

#include "ledger_book.hpp"
#include "with_asan.hpp"

namespace uvsim::ledger::detail {
// Referred to by ledger.cpp, so that the linker takes this file although a sanitizer's
// runtime, earlier on the command line, has defined the operators.
bool asan_forms_are_ours() noexcept {
#if UVSIM_WITH_ASAN
  return true;
#else
  return false;
#endif
}
}  // namespace uvsim::ledger::detail

#if UVSIM_WITH_ASAN

#define UVSIM_CALLER __builtin_return_address(0), __builtin_frame_address(0)

using uvsim::ledger::detail::memalign_for;

namespace {

void* or_throw(void* block) {
  if (block == nullptr) throw std::bad_alloc{};
  return block;
}

}  // namespace

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  try {
    return ::operator new(size);
  } catch (...) {
    return nullptr;
  }
}

void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  try {
    return ::operator new[](size);
  } catch (...) {
    return nullptr;
  }
}

void* operator new(std::size_t size, std::align_val_t alignment) {
  return or_throw(memalign_for(alignment, size, UVSIM_CALLER));
}

void* operator new[](std::size_t size, std::align_val_t alignment) {
  return or_throw(memalign_for(alignment, size, UVSIM_CALLER));
}

void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return memalign_for(alignment, size, UVSIM_CALLER);
}

void* operator new[](std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return memalign_for(alignment, size, UVSIM_CALLER);
}

void operator delete(void* block, std::align_val_t) noexcept { std::free(block); }

void operator delete[](void* block, std::align_val_t) noexcept { std::free(block); }

void operator delete(void* block, std::size_t, std::align_val_t) noexcept { std::free(block); }

void operator delete[](void* block, std::size_t, std::align_val_t) noexcept { std::free(block); }

void operator delete(void* block, std::align_val_t, const std::nothrow_t&) noexcept {
  std::free(block);
}

void operator delete[](void* block, std::align_val_t, const std::nothrow_t&) noexcept {
  std::free(block);
}

#endif
