// The program's threads: those that it made with uv_thread_create, and the workers of the pool.
//
// Theory. Each is a thread of the process with its own stack. Only the thread that holds the baton
// runs. The first thread, on which the run began, hands the baton to a ready thread, and gets it
// back when that thread waits, sleeps or ends. So a run is the same every time, whatever the
// machine does. Only the first thread lets virtual time pass.
//
// A thread waits for a condition that can be tested: the first thread calls `over` until it returns
// true or the virtual time `until_ns` has come.
#ifndef UVSIM_SCHEDULER_HPP
#define UVSIM_SCHEDULER_HPP

#include <sys/types.h>
#include <uv.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "internal.hpp"

namespace uvsim {

constexpr size_t keys_max = 1024;

struct Thread;

// The values that uv_key_set has set for the running thread.
std::array<void*, keys_max>& running_values() noexcept;

// Like uv_thread_self, but not a call of the program.
uv_thread_t this_thread() noexcept;
bool on_first_thread() noexcept;

// A new thread, which is ready to run. It runs when the first thread waits, or in run_threads.
// Null: the system refuses a thread. `detached`: no thread joins it. Stack size 0: the system's
// default.
Thread* start_thread(Context& context, size_t stack_size, void (*entry)(void*), void* argument);
// A thread that has not been joined, or null.
Thread* find_thread(uv_thread_t id) noexcept;
bool has_ended(const Thread& thread) noexcept;
uv_thread_t id_of(const Thread& thread) noexcept;
void join(Thread& thread);  // REQUIRES: it has ended. It is forgotten.

using Over = bool (*)(void* what);
enum class Waited : uint8_t { over, timed_out, for_ever };
// Returns when over(what) is true, or at until_ns. for_ever: no thread is left that could make it
// true. Only the first thread gets this answer; another thread keeps waiting.
Waited wait_until(Context& context, Over over, void* what, uint64_t until_ns);

bool has_threads() noexcept;  // beside the first, or work for the pool
void sleep_for(Context& context, uint64_t ns);
// Gives the baton to every ready thread once. Only the first thread calls it. False: none was
// ready.
bool run_threads(Context& context);
// Whether run_threads would do something.
bool any_thread_ready(const Context& context);
// When the next of them wakes up by itself, or Wait::forever.
uint64_t next_thread_ns();
size_t waiting_threads() noexcept;
bool has_busy_threads() noexcept;  // which are in the middle of something

// Those that wait for the baton, or have it; not those that wait outside.
size_t held_threads() noexcept;
bool is_held(pid_t tid) noexcept;
// For a thread that waited outside and calls libuv again: waits for the baton. Null: it is not one.
Context* come_back();

// Gives the baton to the first thread, which leaves the run. REQUIRES: another thread has it.
[[noreturn]] void leave_from_first_thread(Context& context);

// The start of a run: the caller is its first thread.
void begin_threads();
// The end of a run: all threads end where they are; destructors of their frames do not run.
void end_threads();

}  // namespace uvsim

#endif  // UVSIM_SCHEDULER_HPP
