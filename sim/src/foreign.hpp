// Threads of the process that uvsim did not make: std::thread, pthread_create, a library's own.
//
// Theory. They run in real time beside the simulation. They may wake a loop with uv_async_send and
// use libuv's locks and clocks, as libuv allows. Before the first thread lets virtual time jump, or
// says that nothing can happen any more, it checks whether one of them works, and then gives them
// real time. A thread that waits on a lock or a condition without a deadline is at rest: only
// another thread can wake it.
#ifndef UVSIM_FOREIGN_HPP
#define UVSIM_FOREIGN_HPP

#include <sys/types.h>
#include <uv.h>

#include "internal.hpp"

namespace uvsim {

// At the start of a run: threads that exist now are not the program's. To a program without a
// driver belong all threads made since its main() began.
void begin_foreign(const Context& context);
void end_foreign() noexcept;

// Whether the caller is one of them, while a run goes on elsewhere.
bool is_foreign() noexcept;
uint64_t foreign_now_ns() noexcept;  // the run's clock
// From a foreign thread. The loop gets it when the first thread looks.
void send_from_foreign(uv_async_t* handle);
void take_foreign_sends(Context& context);

// Whether there are any. Cheap if there never was one.
bool any_foreign() noexcept;
bool had_foreign() noexcept;  // in any run of this process
// Notes those that there are now: such a thread may come and go while nothing waits.
void look_for_foreign() noexcept;
// If one is at work: a little real time passes, and as much virtual time, up to `until_ns`. False:
// all are at rest, and nothing was sent.
bool wait_for_foreign(Context& context, uint64_t until_ns);

// Whether the thread waits in the kernel for another one, for ever.
bool is_at_rest(pid_t tid) noexcept;

}  // namespace uvsim

#endif  // UVSIM_FOREIGN_HPP
