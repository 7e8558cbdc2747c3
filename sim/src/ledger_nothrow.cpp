// The nothrow forms of operator new under AddressSanitizer; nothing in any other build.
//
// An allocation that is made to fail under a sanitizer fails by an exception (ledger_heap.cpp),
// which must not pass a nothrow form. AddressSanitizer's operators are weak: here its nothrow forms
// are defined through its throwing ones, as the standard describes its own defaults. The other
// sanitizers do not let themselves be overridden; there the ledger counts such a failure as one it
// could not deliver.
#include <new>

#include "ledger_book.hpp"

#if defined(__has_feature)
#define UVSIM_HAS_FEATURE(feature) __has_feature(feature)
#else
#define UVSIM_HAS_FEATURE(feature) 0
#endif

namespace uvsim::ledger::detail {
// Referred to by ledger.cpp, so that the linker takes this file although a sanitizer's
// runtime, earlier on the command line, has defined the operators.
bool nothrow_forms_are_ours() noexcept {
#if defined(__SANITIZE_ADDRESS__) || UVSIM_HAS_FEATURE(address_sanitizer)
  return true;
#else
  return false;
#endif
}
}  // namespace uvsim::ledger::detail

#if defined(__SANITIZE_ADDRESS__) || UVSIM_HAS_FEATURE(address_sanitizer)

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

#endif
