// The hooks of the ledger: malloc and its siblings, and what a sanitizer calls at each allocation.
//
// Compiled without instrumentation (see ledger_book.hpp). Only allocation functions live here.
//
// These definitions win over the C library's because the program is linked with this archive before
// it, and over a sanitizer's because a sanitizer's are weak on purpose and keep a second name,
// __interceptor_malloc and so on, for replacements like these. So the same archive serves both:
//   no sanitizer      each call is booked here and forwarded to __libc_malloc and so on;
//   with a sanitizer  each call is forwarded to the sanitizer, whose hooks book it. Being in front
//                     only serves to make allocations fail on demand, and to know the caller.
// Outside a run, or outside the program under test, a call costs one thread-local load more.
#include <malloc.h>
#include <unistd.h>
#include <unwind.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "ledger_book.hpp"

// The allocator behind this one: the sanitizer's, or the C library's.
extern "C" {
void* __interceptor_malloc(std::size_t) __attribute__((weak));
void* __interceptor_calloc(std::size_t, std::size_t) __attribute__((weak));
void* __interceptor_realloc(void*, std::size_t) __attribute__((weak));
void __interceptor_free(void*) __attribute__((weak));
void* __interceptor_memalign(std::size_t, std::size_t) __attribute__((weak));
void* __interceptor_aligned_alloc(std::size_t, std::size_t) __attribute__((weak));
int __interceptor_posix_memalign(void**, std::size_t, std::size_t) __attribute__((weak));
void* __interceptor_valloc(std::size_t) __attribute__((weak));
void* __interceptor_pvalloc(std::size_t) __attribute__((weak));
char* __interceptor_strdup(const char*) __attribute__((weak));
char* __interceptor_strndup(const char*, std::size_t) __attribute__((weak));
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void __libc_free(void*);
void* __libc_memalign(std::size_t, std::size_t);

int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void*, std::size_t),
                                              void (*)(const volatile void*)) __attribute__((weak));
std::size_t __asan_get_alloc_stack(void*, void**, std::size_t, int*) __attribute__((weak));
}

namespace uvsim::ledger::detail {

constinit thread_local const void* wrapper_caller __attribute__((tls_model("initial-exec"))) =
    nullptr;

namespace {

// ---- What lies behind -------------------------------------------------------------------------

void* next_malloc(std::size_t size) {
  return __interceptor_malloc != nullptr ? __interceptor_malloc(size) : __libc_malloc(size);
}

void* next_calloc(std::size_t count, std::size_t size) {
  return __interceptor_calloc != nullptr ? __interceptor_calloc(count, size)
                                         : __libc_calloc(count, size);
}

void* next_realloc(void* address, std::size_t size) {
  return __interceptor_realloc != nullptr ? __interceptor_realloc(address, size)
                                          : __libc_realloc(address, size);
}

void next_free(void* address) {
  __interceptor_free != nullptr ? __interceptor_free(address) : __libc_free(address);
}

void* next_memalign(std::size_t alignment, std::size_t size) {
  return __interceptor_memalign != nullptr ? __interceptor_memalign(alignment, size)
                                           : __libc_memalign(alignment, size);
}

// ---- Booking ----------------------------------------------------------------------------------

// True if this library books what it forwards; a sanitizer's hooks do it otherwise.
bool books() noexcept { return active_backend != Backend::sanitizer; }

void* book_allocation(void* address, std::size_t size, const void* caller, const void* frame) {
  if (probe.running) {
    ++probe.interposed_allocations;
  } else if (address != nullptr && books()) {
    on_allocated(address, size, caller, frame);
  }
  return address;
}

// Tells a sanitizer's hook the caller, for the length of one call.
class Caller {
 public:
  explicit Caller(const void* address) noexcept { wrapper_caller = address; }
  ~Caller() { wrapper_caller = nullptr; }
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;
};

void* no_memory() noexcept {
  errno = ENOMEM;
  return nullptr;
}

void* watched_malloc(std::size_t size, const void* caller, const void* frame) {
  if (refuses(size)) return no_memory();
  const Caller noted{caller};
  return book_allocation(next_malloc(size), size, caller, frame);
}

void* watched_calloc(std::size_t count, std::size_t size, const void* caller, const void* frame) {
  if (refuses(count * size)) return no_memory();
  const Caller noted{caller};
  return book_allocation(next_calloc(count, size), count * size, caller, frame);
}

void* watched_memalign(std::size_t alignment, std::size_t size, const void* caller,
                       const void* frame) {
  if (refuses(size)) return no_memory();
  const Caller noted{caller};
  void* const block = book_allocation(next_memalign(alignment, size), size, caller, frame);
  // ThreadSanitizer does not call its hook for aligned memory.
  std::size_t known = 0;
  if (block != nullptr && !probe.running && !books() && !tracked(block, &known)) {
    on_allocated(block, size, caller, frame);
  }
  return block;
}

void release(void* address) {
  if (address == nullptr) return;
  if (probe.running && inside > 0) {
    ++probe.interposed_frees;
  } else if (books() && run_in_progress() && on_freeing(address) != Freeing::forward) {
    return;
  }
  next_free(address);
}

// Always moves, so that a pointer kept from before is wrong every time and not only sometimes.
void* moving_realloc(void* address, std::size_t old_size, std::size_t size, const void* caller,
                     const void* frame) {
  if (refuses(size)) return no_memory();
  void* const moved = book_allocation(next_malloc(size), size, caller, frame);
  if (moved == nullptr) return nullptr;
  std::memcpy(moved, address, old_size < size ? old_size : size);
  release(address);
  return moved;
}

void* watched_realloc(void* address, std::size_t size, const void* caller, const void* frame) {
  if (address == nullptr) return watched_malloc(size, caller, frame);
  if (size == 0 && books()) {
    release(address);
    return nullptr;
  }
  std::size_t old_size = 0;
  if (!tracked(address, &old_size)) {
    // Allocated outside: it stays outside, whatever its size.
    const Outside outside;
    return next_realloc(address, size);
  }
  if (books()) return moving_realloc(address, old_size, size, caller, frame);
  if (refuses(size)) return no_memory();
  // Sanitizers differ in which hooks they call for this, and whether the block moves.
  void* resized = nullptr;
  {
    const Outside outside;
    resized = next_realloc(address, size);
  }
  if (resized == nullptr) return nullptr;
  if (resized != address && tracked(address, &old_size)) on_freeing(address);
  on_allocated(resized, size, caller, frame);
  return resized;
}

char* copy_of(const char* text, std::size_t length, void* block) {
  if (block == nullptr) return nullptr;
  std::memcpy(block, text, length);
  static_cast<char*>(block)[length] = '\0';
  return static_cast<char*>(block);
}

char* watched_copy(const char* text, std::size_t size, const void* caller, const void* frame) {
  const std::size_t length = strnlen(text, size);
  if (__interceptor_strndup == nullptr) {
    return copy_of(text, length, watched_malloc(length + 1, caller, frame));
  }
  if (refuses(length + 1)) return static_cast<char*>(no_memory());
  const Caller noted{caller};
  return __interceptor_strndup(text, length);
}

bool power_of_two(std::size_t number) { return number != 0 && (number & (number - 1)) == 0; }

// ---- A sanitizer's hooks ----------------------------------------------------------------------

using Delete = void (*)(void*);

// What undoes the operator new that `address` lies in; null if it lies in none of the two.
Delete delete_for(void* address) {
  using New = void* (*)(std::size_t);
  auto* const function = _Unwind_FindEnclosingFunction(address);
  if (function == reinterpret_cast<void*>(static_cast<New>(&::operator new))) {
    return &::operator delete;
  }
  if (function == reinterpret_cast<void*>(static_cast<New>(&::operator new[]))) {
    return &::operator delete[];
  }
  return nullptr;
}

_Unwind_Reason_Code look_for_new(_Unwind_Context* context, void* found) {
  const Delete matching = delete_for(reinterpret_cast<void*>(_Unwind_GetIP(context)));
  *static_cast<Delete*>(found) = matching;
  return matching == nullptr ? _URC_NO_REASON : _URC_END_OF_STACK;
}

// A sanitizer's operator new does not call malloc: it has allocated when the hook hears of it, and
// can only be made to fail by an exception that passes through it. Other forms than the two that
// throw, without an alignment, cannot be made to fail.
void fail_sanitizer_new(void* address) {
  Delete matching = nullptr;
  _Unwind_Backtrace(look_for_new, &matching);
  if (matching == nullptr) {
    failure_was_not_delivered();
    return;
  }
  {
    const Outside outside;
    matching(address);
  }
  throw std::bad_alloc{};
}

void on_sanitizer_malloc(const volatile void* address, std::size_t size) {
  if (address == nullptr) return;
  if (probe.running && inside > 0) ++probe.sanitizer_allocations;
  if (!run_in_progress() || books()) return;
  void* const block = const_cast<void*>(address);
  if (inside <= 0) {
    on_allocated_outside(block);
    return;
  }
  if (wrapper_caller == nullptr && refuses(size)) fail_sanitizer_new(block);
  on_allocated(block, size, wrapper_caller, __builtin_frame_address(0));
}

void on_sanitizer_free(const volatile void* address) {
  if (address == nullptr) return;
  if (probe.running && inside > 0) ++probe.sanitizer_frees;
  if (!run_in_progress() || books()) return;
  on_freeing(const_cast<void*>(address));
}

}  // namespace

bool install_sanitizer_hooks() noexcept {
  return __sanitizer_install_malloc_and_free_hooks != nullptr &&
         __sanitizer_install_malloc_and_free_hooks(on_sanitizer_malloc, on_sanitizer_free) > 0;
}

void free_for_real(void* address) noexcept { next_free(address); }

// AddressSanitizer insists on the function that matches; it remembers which one allocated.
void free_whatever(void* address) noexcept {
  void* stack[2] = {nullptr, nullptr};
  int thread = 0;
  if (__asan_get_alloc_stack != nullptr) __asan_get_alloc_stack(address, stack, 2, &thread);
  const Delete matching = stack[0] == nullptr ? nullptr : delete_for(stack[0]);
  matching == nullptr ? next_free(address) : matching(address);
}

void* malloc_for(std::size_t size, const void* caller, const void* frame) noexcept {
  return watched_malloc(size, caller, frame);
}

void* memalign_for(std::align_val_t alignment, std::size_t size, const void* caller,
                   const void* frame) noexcept {
  const auto bytes = static_cast<std::size_t>(alignment);
  return watching() ? watched_memalign(bytes, size, caller, frame) : next_memalign(bytes, size);
}

}  // namespace uvsim::ledger::detail

// ---- The functions themselves -----------------------------------------------------------------

using namespace uvsim::ledger::detail;  // NOLINT(google-build-using-namespace): C functions follow.

#define UVSIM_CALLER __builtin_return_address(0), __builtin_frame_address(0)

extern "C" {

void* malloc(std::size_t size) noexcept {
  return watching() ? watched_malloc(size, UVSIM_CALLER) : next_malloc(size);
}

void* calloc(std::size_t count, std::size_t size) noexcept {
  return watching() ? watched_calloc(count, size, UVSIM_CALLER) : next_calloc(count, size);
}

void* realloc(void* address, std::size_t size) noexcept {
  std::size_t old_size = 0;
  // Outside code may resize what the program allocated; the book must not keep the old address.
  if (!watching() && !(books() && tracked(address, &old_size))) return next_realloc(address, size);
  return watched_realloc(address, size, UVSIM_CALLER);
}

void* reallocarray(void* address, std::size_t count, std::size_t size) noexcept {
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes)) return no_memory();
  std::size_t old_size = 0;
  if (!watching() && !(books() && tracked(address, &old_size))) return next_realloc(address, bytes);
  return watched_realloc(address, bytes, UVSIM_CALLER);
}

void free(void* address) noexcept {
  const int saved_errno = errno;
  release(address);
  errno = saved_errno;
}

void* memalign(std::size_t alignment, std::size_t size) noexcept {
  return watching() ? watched_memalign(alignment, size, UVSIM_CALLER)
                    : next_memalign(alignment, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  return watching() ? watched_memalign(alignment, size, UVSIM_CALLER)
                    : next_memalign(alignment, size);
}

int posix_memalign(void** address, std::size_t alignment, std::size_t size) noexcept {
  if (!power_of_two(alignment) || alignment % sizeof(void*) != 0) return EINVAL;
  const int saved_errno = errno;
  void* block =
      watching() ? watched_memalign(alignment, size, UVSIM_CALLER) : next_memalign(alignment, size);
  errno = saved_errno;
  if (block == nullptr) return ENOMEM;
  *address = block;
  return 0;
}

void* valloc(std::size_t size) noexcept {
  const auto page = static_cast<std::size_t>(getpagesize());
  return watching() ? watched_memalign(page, size, UVSIM_CALLER) : next_memalign(page, size);
}

void* pvalloc(std::size_t size) noexcept {
  const auto page = static_cast<std::size_t>(getpagesize());
  if (size > SIZE_MAX - page) return no_memory();
  const std::size_t whole = (size + page - 1) / page * page;
  return watching() ? watched_memalign(page, whole, UVSIM_CALLER) : next_memalign(page, whole);
}

// A sanitizer's strdup does not call malloc, so it has to be failed here.
char* strdup(const char* text) noexcept {
  if (watching()) return watched_copy(text, SIZE_MAX, UVSIM_CALLER);
  if (__interceptor_strdup != nullptr) return __interceptor_strdup(text);
  const std::size_t length = std::strlen(text);
  return copy_of(text, length, next_malloc(length + 1));
}

char* strndup(const char* text, std::size_t size) noexcept {
  if (watching()) return watched_copy(text, size, UVSIM_CALLER);
  if (__interceptor_strndup != nullptr) return __interceptor_strndup(text, size);
  const std::size_t length = strnlen(text, size);
  return copy_of(text, length, next_malloc(length + 1));
}

}  // extern "C"
