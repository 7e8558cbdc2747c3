// Which thread holds the baton: see scheduler.hpp.
#include "scheduler.hpp"

#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csetjmp>
#include <ctime>
#include <memory>
#include <vector>

#include "foreign.hpp"
#include "periphery.hpp"

namespace uvsim {

struct Thread {
  uv_thread_t id = 0;
  std::array<void*, keys_max> values{};
  pthread_t native{};
  std::atomic<pid_t> tid{0};
  Context** current_slot = nullptr;  // what its calls work on
  const int* inside = nullptr;       // positive while it runs the program
  // Waits for what uvsim knows nothing of, without the baton; and has come back from there.
  std::atomic<bool> outside{false};
  std::atomic<bool> comes_back{false};
  sem_t baton;
  std::jmp_buf base;  // where the thread began: who is abandoned goes back there
  bool abandoned = false;
  std::atomic<bool> ended{false};
  bool joined = false;
  void (*entry)(void*) = nullptr;
  void* argument = nullptr;
  Context* context = nullptr;
  // What it waits for; null: only for the time.
  Over over = nullptr;
  void* what = nullptr;
  uint64_t until_ns = 0;
  // Of the context, while another thread runs.
  uint8_t depth = 0;
  const void* owner = nullptr;
  uint64_t calls_here = 0;
  uint32_t clock_looks = 0;

  Thread() { sem_init(&baton, 0, 0); }
  ~Thread() { sem_destroy(&baton); }
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
};

namespace {

Thread& first() {
  static Thread instance;
  return instance;
}

Thread* running = nullptr;                     // null: the first
std::vector<std::unique_ptr<Thread>> threads;  // beside the first; oldest first
uv_thread_t last_id = 1;
bool leaving = false;

Thread& current_thread() { return running == nullptr ? first() : *running; }

// What the context says of the running thread changes hands.
void change(Context& context, Thread& from, Thread& to) {
  from.depth = context.depth;
  from.owner = context.owner;
  from.calls_here = context.calls_here;
  from.clock_looks = context.clock_looks;
  context.depth = to.depth;
  context.owner = to.owner;
  context.calls_here = to.calls_here;
  context.clock_looks = to.clock_looks;
  running = &to == &first() ? nullptr : &to;
}

void pass_baton(Context& context, Thread& from, Thread& to) {
  change(context, from, to);
  sem_post(&to.baton);
}

void await_baton(Thread& thread) {
  while (sem_wait(&thread.baton) != 0) {
  }
}

bool is_ready(const Context& context, const Thread& thread) {
  if (thread.ended) return false;
  if (thread.outside) return thread.comes_back;
  return thread.until_ns <= context.now_ns || (thread.over != nullptr && thread.over(thread.what));
}

// False: it did not come in time.
bool await_baton(Thread& thread, long patience_ns) {
  timespec until{};  // MemorySanitizer does not see what the call fills in
  syscall(SYS_clock_gettime, CLOCK_REALTIME, &until);
  until.tv_nsec += patience_ns;
  until.tv_sec += until.tv_nsec / 1'000'000'000;
  until.tv_nsec %= 1'000'000'000;
  return sem_timedwait(&thread.baton, &until) == 0;
}

// Another thread's own; it is at rest when it matters.
__attribute__((noinline, no_sanitize("thread"))) bool is_inside(const Thread& thread) {
  return *static_cast<const volatile int*>(thread.inside) > 0;
}

// In code of the program's it waits in the kernel for another thread; and still does a moment
// later.
bool is_stuck(const Thread& thread) {
  constexpr uint64_t moment_ns = 200'000;
  const auto waits = [&thread] {
    return thread.tid != 0 && is_inside(thread) && is_at_rest(thread.tid);
  };
  if (!waits()) return false;
  real::sleep(moment_ns);
  return waits();
}

// The first thread waits in the kernel for a lock of the program that a thread waiting here holds.
// So a ready thread, or the next to become ready, goes on without the baton.
bool must_help_itself(const Context& context, const Thread& thread) {
  return is_stuck(first()) && (is_ready(context, thread) || (thread.until_ns != Wait::forever &&
                                                             thread.until_ns == next_thread_ns()));
}

// Another than the first stops here until it is handed the baton again.
void park(Context& context, Thread& thread) {
  constexpr long patience_ns = 20'000'000;
  pass_baton(context, thread, first());
  while (!await_baton(thread, patience_ns)) {
    if (thread.abandoned || !must_help_itself(context, thread)) continue;
    context.now_ns = std::max(context.now_ns, std::min(thread.until_ns, context.end_ns));
    thread.comes_back = false;
    thread.outside = true;
    *thread.current_slot = nullptr;
    return;
  }
  if (thread.abandoned) std::longjmp(thread.base, 1);
}

// Made first and destroyed last of what is thread-local, so that whatever the program has there is
// gone when the baton goes back.
struct Ending {
  Thread* thread = nullptr;
  ~Ending() {
    if (thread == nullptr) return;
    ledger::detail::inside = 0;
    const bool has_baton = !thread->abandoned && !thread->outside;
    thread->ended = true;
    if (has_baton) pass_baton(*thread->context, *thread, first());
  }
};
thread_local Ending ending;

void* thread_main(void* opaque) {
  auto& thread = *static_cast<Thread*>(opaque);
  thread.tid = static_cast<pid_t>(syscall(SYS_gettid));
  await_baton(thread);
  ending.thread = &thread;
  thread.current_slot = current_slot();
  thread.inside = &ledger::detail::inside;
  *thread.current_slot = thread.context;
  if (!thread.abandoned && setjmp(thread.base) == 0) {
    ledger::detail::inside = 1;
    thread.entry(thread.argument);
  }
  // What is thread-local in the program is destroyed by the program.
  ledger::detail::inside = 1;
  return nullptr;
}

// The baton comes back, or its holder waits in the kernel for another thread, on a std::mutex or a
// std::condition_variable: then it is taken away, and is to be asked for again.
void await_return(Context& context, Thread& thread) {
  constexpr long patience_ns = 2'000'000;
  for (;;) {
    if (await_baton(first(), patience_ns)) return;
    if (thread.inside == nullptr || !is_stuck(thread)) continue;
    if (sem_trywait(&first().baton) == 0) return;
    thread.outside = true;
    thread.comes_back = false;
    *thread.current_slot = nullptr;
    change(context, thread, first());
    return;
  }
}

void resume(Context& context, Thread& thread) {
  const ledger::Outside outside;
  thread.outside = false;
  thread.comes_back = false;
  pass_baton(context, first(), thread);
  await_return(context, thread);
  if (leaving) leave(context);
  if (!thread.ended) return;
  pthread_join(thread.native, nullptr);
  thread.joined = true;
}

bool any_loop_ready(const Context& context) {
  for (LoopState* const state : context.loops)
    if (anything_ready(*state)) return true;
  return false;
}

// The first thread waits: it is the one that lets time pass.
Waited wait_on_first(Context& context, Over over, void* what, uint64_t until_ns) {
  for (;;) {
    take_foreign_sends(context);
    run_threads(context);
    if (over != nullptr && over(what)) return Waited::over;
    if (until_ns <= context.now_ns) return Waited::timed_out;
    if (any_thread_ready(context)) continue;
    uint64_t next = std::min(until_ns, next_thread_ns());
    next = std::min(next, context.kernel.next_timer());
    const bool moved = ask_hook(context, any_loop_ready(context), next) == Progress::made;
    if (context.leave_wanted) leave_as_wanted(context);
    if (moved || wait_for_foreign(context, next)) continue;
    if (next == Wait::forever) return Waited::for_ever;
    if (next > context.now_ns) spend(context, next - context.now_ns);
    if (context.kernel.next_timer() <= context.now_ns) context.kernel.run_timers();
  }
}

}  // namespace

std::array<void*, keys_max>& running_values() noexcept { return current_thread().values; }
uv_thread_t this_thread() noexcept { return running == nullptr ? 1 : running->id; }
bool on_first_thread() noexcept { return running == nullptr; }
bool has_ended(const Thread& thread) noexcept { return thread.ended; }
uv_thread_t id_of(const Thread& thread) noexcept { return thread.id; }

Thread* start_thread(Context& context, size_t stack_size, void (*entry)(void*), void* argument) {
  const ledger::Outside outside;
  threads.push_back(std::make_unique<Thread>());
  Thread& thread = *threads.back();
  thread.id = ++last_id;
  thread.entry = entry;
  thread.argument = argument;
  thread.context = &context;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  if (stack_size != 0) pthread_attr_setstacksize(&attributes, stack_size);
  const int error = pthread_create(&thread.native, &attributes, thread_main, &thread);
  pthread_attr_destroy(&attributes);
  if (error == 0) return &thread;
  threads.pop_back();
  return nullptr;
}

Thread* find_thread(uv_thread_t id) noexcept {
  for (const std::unique_ptr<Thread>& thread : threads)
    if (thread->id == id) return thread.get();
  return nullptr;
}

void join(Thread& thread) {
  const ledger::Outside outside;
  if (!thread.joined) pthread_join(thread.native, nullptr);
  for (size_t i = 0; i < threads.size(); ++i) {
    if (threads[i].get() != &thread) continue;
    threads.erase(threads.begin() + static_cast<std::ptrdiff_t>(i));
    return;
  }
}

Waited wait_until(Context& context, Over over, void* what, uint64_t until_ns) {
  const ledger::Outside outside;
  if (over != nullptr && over(what)) return Waited::over;
  if (on_first_thread()) return wait_on_first(context, over, what, until_ns);
  Thread& thread = current_thread();
  thread.over = over;
  thread.what = what;
  thread.until_ns = until_ns;
  park(context, thread);
  return over != nullptr && over(what) ? Waited::over : Waited::timed_out;
}

void sleep_for(Context& context, uint64_t ns) {
  if (ns > 0) context.calls_here = 0;  // a program that turns its loop itself is not stuck
  // A program that turns its loop itself sleeps between the turns: then the World may act.
  const bool observed = context.hook != nullptr && context.depth == 0;
  if (on_first_thread() && !has_threads() && !any_foreign() && !observed) {
    spend(context, ns);
    return;
  }
  // Some time passes, so that a thread that waits by sleeping for 0 ns makes progress.
  wait_until(context, nullptr, nullptr, context.now_ns + std::max(ns, context.options.clock_ns));
}

bool run_threads(Context& context) {
  const ledger::Outside outside;  // the list below is kept from one run to the next
  start_workers(context);
  if (threads.empty()) return false;
  static std::vector<Thread*> ready;
  ready.clear();
  for (const std::unique_ptr<Thread>& thread : threads)
    if (is_ready(context, *thread)) ready.push_back(thread.get());
  const bool any = !ready.empty();
  while (!ready.empty()) {
    const auto chosen = ready.begin() + context.pick(static_cast<uint32_t>(ready.size()),
                                                     ChoicePoint::thread_order);
    Thread& thread = **chosen;
    ready.erase(chosen);
    // Another one may have taken what it waited for; it looks again itself.
    if (is_ready(context, thread)) resume(context, thread);
  }
  return any;
}

bool any_thread_ready(const Context& context) {
  for (const std::unique_ptr<Thread>& thread : threads)
    if (is_ready(context, *thread)) return true;
  return false;
}

bool has_threads() noexcept { return !threads.empty() || work_is_queued(); }

uint64_t next_thread_ns() {
  uint64_t next = Wait::forever;
  for (const std::unique_ptr<Thread>& thread : threads)
    if (!thread->ended && !thread->outside) next = std::min(next, thread->until_ns);
  return next;
}

size_t waiting_threads() noexcept {
  size_t count = 0;
  for (const std::unique_ptr<Thread>& thread : threads) count += thread->ended ? 0u : 1u;
  return count;
}

bool has_busy_threads() noexcept { return waiting_threads() > idle_workers(); }

size_t held_threads() noexcept {
  size_t count = 0;
  for (const std::unique_ptr<Thread>& thread : threads)
    count += thread->joined || thread->outside ? 0u : 1u;
  return count;
}

bool is_held(pid_t tid) noexcept {
  for (const std::unique_ptr<Thread>& thread : threads)
    if (thread->tid == tid) return !thread->outside;
  return false;
}

Context* come_back() {
  Thread* const thread = ending.thread;
  if (thread == nullptr || !thread->outside) return nullptr;
  const ledger::Outside outside;
  thread->comes_back = true;
  await_baton(*thread);
  if (thread->abandoned) std::longjmp(thread->base, 1);
  *thread->current_slot = thread->context;
  return thread->context;
}

void leave_from_first_thread(Context& context) {
  leaving = true;
  Thread& thread = current_thread();
  park(context, thread);
  give_up();  // a thread that has left never gets the baton back
}

void begin_threads() {
  first().tid = static_cast<pid_t>(syscall(SYS_gettid));
  first().inside = &ledger::detail::inside;
}

void end_threads() {
  const ledger::Outside outside;
  leaving = false;
  for (std::unique_ptr<Thread>& thread : threads) {
    if (thread->outside && !thread->comes_back && !thread->ended) {
      // It waits in the kernel, out of reach, and may come back at any time.
      pthread_detach(thread->native);
      static_cast<void>(thread.release());
      continue;
    }
    if (!thread->ended) {
      thread->abandoned = true;
      sem_post(&thread->baton);
    }
    if (!thread->joined) pthread_join(thread->native, nullptr);
  }
  threads.clear();
  running = nullptr;
  last_id = 1;
  first().values = {};
}

}  // namespace uvsim
