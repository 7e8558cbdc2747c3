// What names.cpp, system.cpp, threads.cpp, pool.cpp and work.cpp offer to the rest of uvsim.
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

// The name and index of the one network interface that there is.
constexpr char interface_name[] = "lo";
constexpr unsigned interface_index = 1;
unsigned interface_index_of(const char* name) noexcept;  // 0: there is none

// Work for the thread pool (pool.cpp): uv_queue_work, uv_getaddrinfo, uv_getnameinfo, uv_random,
// uv_fs_unlink. What libuv's private uv__work holds: `work` does it and `done` reports it.
using Work = struct uv__work;
void submit_work(Context& context, uv_loop_t* loop, Work* work, void (*do_it)(Work*),
                 void (*done)(Work*, int));
size_t idle_workers() noexcept;
bool work_is_queued() noexcept;                      // and no worker has taken it
void start_workers(Context& context);                // as many as the queue needs and there may be
bool work_is_done(const LoopState& state) noexcept;  // and not reported
int call_back_work(LoopState& state);                // how many callbacks could run
int cancel_work(Work* work);
int cancel_request(uv_req_t* request);
void reset_pool() noexcept;

}  // namespace uvsim

#endif  // UVSIM_PERIPHERY_HPP
