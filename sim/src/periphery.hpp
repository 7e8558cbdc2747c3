// What names.cpp, system.cpp, threads.cpp and work.cpp offer to the rest of uvsim.
#ifndef UVSIM_PERIPHERY_HPP
#define UVSIM_PERIPHERY_HPP

#include <uv.h>

#include <cstddef>

#include "internal.hpp"

namespace uvsim {

// Memory that a uv_* function hands to the program, or that libuv would take from the allocator
// the program installed. Counted by the ledger as the program's own.
void* program_malloc(size_t size) noexcept;
void program_free(void* memory) noexcept;
// For the start of a run: uv_replace_allocator undone; no thread but the first, and no keys; no
// title or priority of the process.
void reset_program_allocator() noexcept;
void reset_threads() noexcept;
void reset_process() noexcept;

// As uv_thread_self, without being a call of the program.
uv_thread_t this_thread() noexcept;
// What runs until the end of the scope runs on that thread, which has to outlive it.
struct Thread;
Thread& pool_thread() noexcept;  // the only one of the pool
class RunsOn {
 public:
  explicit RunsOn(Thread& thread) noexcept;
  ~RunsOn() noexcept;
  RunsOn(const RunsOn&) = delete;
  RunsOn& operator=(const RunsOn&) = delete;

 private:
  Thread* outer_;
};

// The name and index of the one network interface that there is.
constexpr char interface_name[] = "lo";
constexpr unsigned interface_index = 1;
unsigned interface_index_of(const char* name) noexcept;  // 0: there is none

// Work for the thread pool (uv_queue_work, uv_getaddrinfo, uv_getnameinfo, uv_random,
// uv_fs_unlink). It is queued in the loop by the call, and done and reported, in order, when that
// loop polls next.
bool has_work(const LoopState& state) noexcept;
int run_work(LoopState& state);  // how many callbacks could run
int cancel_work(uv_req_t* request);

}  // namespace uvsim

#endif  // UVSIM_PERIPHERY_HPP
