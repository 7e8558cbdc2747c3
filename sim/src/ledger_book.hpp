// What the hooks (ledger_heap.cpp, ledger_new.cpp) and the book (ledger.cpp) know of each other.
//
// Everything declared here is compiled without instrumentation: it runs inside the allocator, on
// any thread, before main and after it. It must not allocate, and must not assume that the memory a
// caller passes has been marked initialised by MemorySanitizer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

#include "uvsim/ledger.hpp"

namespace uvsim::ledger::detail {

// Which hooks have been seen by the self-test.
struct Probe {
  bool running;
  unsigned interposed_allocations;
  unsigned interposed_frees;
  unsigned sanitizer_allocations;
  unsigned sanitizer_frees;
};
extern Probe probe;

enum class Freeing : std::uint8_t {
  forward,  // Not ours, or nothing to object to.
  keep,     // The ledger holds it for a while, so that a second free is recognised.
  refuse,   // An incident was reported and its handler returned.
};

// True while a run is in progress and this thread is inside the program under test.
bool watching() noexcept;

// True if the failure oracle wants this allocation to fail.
bool refuses(std::size_t size) noexcept;
void failure_was_not_delivered() noexcept;

void on_allocated(void* address, std::size_t size, const void* caller, const void* frame) noexcept;
// A sanitizer's allocator returned an address to code outside the program.
void on_allocated_outside(void* address) noexcept;
Freeing on_freeing(void* address) noexcept;

// The size of a live allocation of this run; false if there is none at this address.
bool tracked(const void* address, std::size_t* size) noexcept;

bool run_in_progress() noexcept;

// Whether one of the callers that are known, as the ledger shows them, contains `name`: a function,
// a file or a shared library. Defined in ledger_report.cpp.
bool was_called_through(const Allocation& allocation, const char* name) noexcept;

// A live allocation, and from where it is still reached.
struct Live {
  const Allocation* allocation;
  Live* next;  // of the reached allocations that were not scanned yet
  bool made_by_library;
  bool reached_by_library;
  bool reached_by_program;
  bool kept;  // it is a library's, and no leak
};

// Once, before the first run.
void prepare_for_leaks() noexcept;

// Where the program's own static data is, if that is known better than "in the executable": next to
// a sanitizer's megabytes it is little. Must live on.
struct DataRange {
  const void* begin;
  std::size_t size;
};
void set_program_data(const DataRange* ranges, std::size_t count) noexcept;

// Both sort, and are defined in ledger_leaks.cpp. The first says which are a library's, given the
// last identity that belongs to the program's start (mark_baseline); the second,
// called after it, which ones the program still reaches, also from its frames between `stack` and
// `stack_end`, if there are any.
void find_kept(Live* live, std::size_t count, std::uint64_t start) noexcept;
void find_reached(Live* live, std::size_t count, const void* stack, const void* stack_end) noexcept;

// Before the allocation is freed: the C library forgets a stream that the program left open in it.
void unchain_streams(const Allocation& allocation) noexcept;

// Defined in ledger_heap.cpp.
void free_for_real(void* address) noexcept;
void free_whatever(void* address) noexcept;
bool install_sanitizer_hooks() noexcept;
extern Backend active_backend;

// malloc on behalf of another allocation function. REQUIRES: watching().
void* malloc_for(std::size_t size, const void* caller, const void* frame) noexcept;

// memalign on behalf of an aligned operator new, in the run or not.
void* memalign_for(std::align_val_t alignment, std::size_t size, const void* caller,
                   const void* frame) noexcept;

// Defined in ledger_asan_new.cpp.
bool asan_forms_are_ours() noexcept;

// Return address of the allocation function that is under way on this thread, if one of ours is.
extern constinit thread_local const void* wrapper_caller __attribute__((tls_model("initial-exec")));

}  // namespace uvsim::ledger::detail
