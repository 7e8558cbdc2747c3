// uv_thread_*, locks and thread-local data. The scheduler decides which thread runs.
//
// Theory. Only one thread runs at a time, so a lock is either free or not, and a thread that has to
// wait gives the baton away. A wait that no other thread can end is reported and ends the run.
//
// The objects are pthread's, so that a program may also initialise them statically. A barrier is
// ours, because pthread's cannot be asked how many it waits for.
#include <pthread.h>
#include <semaphore.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <mutex>
#include <vector>

#include "foreign.hpp"
#include "internal.hpp"
#include "periphery.hpp"
#include "scheduler.hpp"

namespace uvsim {
namespace {

std::array<bool, keys_max> keys_taken{};

// A foreign thread has its own.
std::array<void*, keys_max>& values_here() {
  static thread_local std::array<void*, keys_max> foreign{};
  return is_foreign() ? foreign : running_values();
}

struct Barrier {
  unsigned count;
  unsigned arrived;
  unsigned round;
};
static_assert(sizeof(Barrier) <= sizeof(uv_barrier_t));

Barrier* barrier_in(uv_barrier_t* barrier) { return reinterpret_cast<Barrier*>(barrier); }

// The threads that wait for a condition, in order.
struct Waiter {
  const uv_cond_t* condition;
  std::atomic<bool> signalled{false};
};
std::vector<Waiter*> waiters;
std::mutex waiters_lock;  // a foreign thread may signal

[[noreturn]] void would_wait(const char* function, const char* what) {
  violate(current(), "", Subject{}, "%s would wait for ever: %s", function, what);
}

// Whether `over` came true before `until_ns`; what never can is a finding.
bool wait_for(const char* function, const char* why, Over over, void* what,
              uint64_t until_ns = Wait::forever) {
  switch (wait_until(look(), over, what, until_ns)) {
    case Waited::over: return true;
    case Waited::timed_out: return false;
    case Waited::for_ever: break;
  }
  would_wait(function, why);
}

// For what fails only in a program that is wrong; libuv aborts too.
void must(int error, const char* function) {
  if (error == 0) return;
  violate(current(), "", Subject{}, "%s failed: %s", function, std::strerror(error));
}

int tried(int error, const char* function) {
  if (error == EBUSY) return UV_EBUSY;
  must(error, function);
  return 0;
}

// The C library's own mark: to try the lock would be to take it, or not, in the asker's name.
// MemorySanitizer does not see that pthread_mutex_init() fills it in.
#ifdef __clang__
__attribute__((no_sanitize("memory")))
#endif
bool is_free(void* mutex) {
  return static_cast<uv_mutex_t*>(mutex)->__data.__lock == 0;
}

bool can_be_read(void* lock) {
  auto* const rwlock = static_cast<uv_rwlock_t*>(lock);
  return pthread_rwlock_tryrdlock(rwlock) == 0 && pthread_rwlock_unlock(rwlock) == 0;
}

bool can_be_written(void* lock) {
  auto* const rwlock = static_cast<uv_rwlock_t*>(lock);
  return pthread_rwlock_trywrlock(rwlock) == 0 && pthread_rwlock_unlock(rwlock) == 0;
}

bool is_posted(void* semaphore) {
  int value = 0;
  return sem_getvalue(static_cast<uv_sem_t*>(semaphore), &value) == 0 && value > 0;
}

bool is_signalled(void* waiter) { return static_cast<Waiter*>(waiter)->signalled; }

// Waits after the mutex was released and before it is locked again. False: no signal came in time.
bool await_signal(const char* function, uv_cond_t* condition, uv_mutex_t* mutex,
                  uint64_t until_ns) {
  Waiter waiter{condition};
  const auto change_waiters = [&waiter](bool add) {
    const ledger::Outside outside;
    const std::lock_guard<std::mutex> lock(waiters_lock);
    if (add)
      waiters.push_back(&waiter);
    else
      waiters.erase(std::find(waiters.begin(), waiters.end(), &waiter));
  };
  change_waiters(true);
  uv_mutex_unlock(mutex);
  const bool heard = wait_for(function, "no thread is left to signal the condition", is_signalled,
                              &waiter, until_ns);
  change_waiters(false);
  uv_mutex_lock(mutex);
  return heard;
}

int create(uv_thread_t* tid, size_t stack_size, uv_thread_cb entry, void* arg) {
  Context& context = look();
  const Thread* const thread = start_thread(context, stack_size, entry, arg);
  if (thread == nullptr) return UV_EAGAIN;
  *tid = id_of(*thread);
  // The new one goes first, as if the other had not been scheduled until it had to wait.
  if (on_first_thread())
    run_threads(context);
  else
    sleep_for(context, 0);
  return 0;
}

}  // namespace

void reset_threads() noexcept {
  waiters.clear();
  keys_taken = {};
}

}  // namespace uvsim

using namespace uvsim;  // NOLINT(google-build-using-namespace): the C functions of libuv follow.

extern "C" {

// ---- Threads -----------------------------------------------------------------------------------

int uv_thread_create(uv_thread_t* tid, uv_thread_cb entry, void* arg) {
  return create(tid, 0, entry, arg);
}

int uv_thread_create_ex(uv_thread_t* tid, const uv_thread_options_t* params, uv_thread_cb entry,
                        void* arg) {
  constexpr size_t page = 4096;
  size_t size = (params->flags & UV_THREAD_HAS_STACK_SIZE) != 0 ? params->stack_size : 0;
  if (size != 0)
    size = std::max((size + page - 1) / page * page, static_cast<size_t>(PTHREAD_STACK_MIN));
  return create(tid, size, entry, arg);
}

uv_thread_t uv_thread_self(void) { return is_foreign() ? pthread_self() : this_thread(); }

int uv_thread_join(uv_thread_t* tid) {
  if (*tid == this_thread()) would_wait("uv_thread_join", "a thread joins itself");
  Thread* const thread = find_thread(*tid);
  if (thread == nullptr) return UV_ESRCH;
  const auto has_ended_now = [](void* other) { return has_ended(*static_cast<Thread*>(other)); };
  wait_for("uv_thread_join", "the thread never ends", has_ended_now, thread);
  join(*thread);
  return 0;
}

int uv_thread_equal(const uv_thread_t* t1, const uv_thread_t* t2) { return *t1 == *t2 ? 1 : 0; }

// ---- Mutexes -----------------------------------------------------------------------------------

int uv_mutex_init(uv_mutex_t* handle) {
  pthread_mutexattr_t attributes;
  must(pthread_mutexattr_init(&attributes), "uv_mutex_init");
  must(pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK), "uv_mutex_init");
  const int error = pthread_mutex_init(handle, &attributes);
  must(pthread_mutexattr_destroy(&attributes), "uv_mutex_init");
  return -error;
}

int uv_mutex_init_recursive(uv_mutex_t* handle) {
  pthread_mutexattr_t attributes;
  must(pthread_mutexattr_init(&attributes), "uv_mutex_init_recursive");
  must(pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE), "uv_mutex_init_recursive");
  const int error = pthread_mutex_init(handle, &attributes);
  must(pthread_mutexattr_destroy(&attributes), "uv_mutex_init_recursive");
  return -error;
}

void uv_mutex_destroy(uv_mutex_t* handle) {
  must(pthread_mutex_destroy(handle), "uv_mutex_destroy");
}

int uv_mutex_trylock(uv_mutex_t* handle) {
  return tried(pthread_mutex_trylock(handle), "uv_mutex_trylock");
}

void uv_mutex_lock(uv_mutex_t* handle) {
  if (is_foreign()) return must(pthread_mutex_lock(handle), "uv_mutex_lock");
  while (uv_mutex_trylock(handle) != 0)
    wait_for("uv_mutex_lock", "the mutex is locked", is_free, handle);
}

void uv_mutex_unlock(uv_mutex_t* handle) { must(pthread_mutex_unlock(handle), "uv_mutex_unlock"); }

// ---- Read-write locks --------------------------------------------------------------------------

int uv_rwlock_init(uv_rwlock_t* rwlock) { return -pthread_rwlock_init(rwlock, nullptr); }

void uv_rwlock_destroy(uv_rwlock_t* rwlock) {
  must(pthread_rwlock_destroy(rwlock), "uv_rwlock_destroy");
}

int uv_rwlock_tryrdlock(uv_rwlock_t* rwlock) {
  return tried(pthread_rwlock_tryrdlock(rwlock), "uv_rwlock_tryrdlock");
}

int uv_rwlock_trywrlock(uv_rwlock_t* rwlock) {
  return tried(pthread_rwlock_trywrlock(rwlock), "uv_rwlock_trywrlock");
}

void uv_rwlock_rdlock(uv_rwlock_t* rwlock) {
  if (is_foreign()) return must(pthread_rwlock_rdlock(rwlock), "uv_rwlock_rdlock");
  while (uv_rwlock_tryrdlock(rwlock) != 0)
    wait_for("uv_rwlock_rdlock", "it is locked for writing", can_be_read, rwlock);
}

void uv_rwlock_wrlock(uv_rwlock_t* rwlock) {
  if (is_foreign()) return must(pthread_rwlock_wrlock(rwlock), "uv_rwlock_wrlock");
  while (uv_rwlock_trywrlock(rwlock) != 0)
    wait_for("uv_rwlock_wrlock", "it is locked", can_be_written, rwlock);
}

void uv_rwlock_rdunlock(uv_rwlock_t* rwlock) {
  must(pthread_rwlock_unlock(rwlock), "uv_rwlock_rdunlock");
}

void uv_rwlock_wrunlock(uv_rwlock_t* rwlock) {
  must(pthread_rwlock_unlock(rwlock), "uv_rwlock_wrunlock");
}

// ---- Semaphores --------------------------------------------------------------------------------

int uv_sem_init(uv_sem_t* sem, unsigned int value) {
  return sem_init(sem, 0, value) == 0 ? 0 : -errno;
}

void uv_sem_destroy(uv_sem_t* sem) { sem_destroy(sem); }

void uv_sem_post(uv_sem_t* sem) { must(sem_post(sem) == 0 ? 0 : errno, "uv_sem_post"); }

int uv_sem_trywait(uv_sem_t* sem) {
  const int error = sem_trywait(sem) == 0 ? 0 : errno;
  if (error == EAGAIN) return UV_EAGAIN;
  must(error, "uv_sem_trywait");
  return 0;
}

void uv_sem_wait(uv_sem_t* sem) {
  if (is_foreign()) return must(sem_wait(sem) == 0 ? 0 : errno, "uv_sem_wait");
  while (uv_sem_trywait(sem) != 0)
    wait_for("uv_sem_wait", "no thread is left to post the semaphore", is_posted, sem);
}

// ---- Condition variables -----------------------------------------------------------------------

int uv_cond_init(uv_cond_t* cond) { return -pthread_cond_init(cond, nullptr); }

void uv_cond_destroy(uv_cond_t* cond) { must(pthread_cond_destroy(cond), "uv_cond_destroy"); }

// Foreign threads wait for the C library's condition, all others for ours.
void uv_cond_signal(uv_cond_t* cond) {
  pthread_cond_signal(cond);
  const std::lock_guard<std::mutex> lock(waiters_lock);
  for (Waiter* const waiter : waiters) {
    if (waiter->condition != cond || waiter->signalled) continue;
    waiter->signalled = true;
    return;
  }
}

void uv_cond_broadcast(uv_cond_t* cond) {
  pthread_cond_broadcast(cond);
  const std::lock_guard<std::mutex> lock(waiters_lock);
  for (Waiter* const waiter : waiters)
    if (waiter->condition == cond) waiter->signalled = true;
}

void uv_cond_wait(uv_cond_t* cond, uv_mutex_t* mutex) {
  if (is_foreign())
    pthread_cond_wait(cond, mutex);
  else
    await_signal("uv_cond_wait", cond, mutex, Wait::forever);
}

int uv_cond_timedwait(uv_cond_t* cond, uv_mutex_t* mutex, uint64_t timeout) {
  if (is_foreign()) {
    // The time that it waits is real; the first thread gives it that.
    timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    const uint64_t ns = static_cast<uint64_t>(until.tv_nsec) + timeout;
    until.tv_sec += static_cast<time_t>(ns / 1'000'000'000);
    until.tv_nsec = static_cast<long>(ns % 1'000'000'000);
    return -pthread_cond_timedwait(cond, mutex, &until);
  }
  const uint64_t now_ns = look().now_ns;
  const uint64_t until_ns = timeout < Wait::forever - now_ns ? now_ns + timeout : Wait::forever;
  return await_signal("uv_cond_timedwait", cond, mutex, until_ns) ? 0 : UV_ETIMEDOUT;
}

// ---- Barriers ----------------------------------------------------------------------------------

int uv_barrier_init(uv_barrier_t* barrier, unsigned int count) {
  if (barrier == nullptr || count == 0) return UV_EINVAL;
  std::memset(barrier, 0, sizeof *barrier);
  barrier_in(barrier)->count = count;
  return 0;
}

int uv_barrier_wait(uv_barrier_t* barrier) {
  Barrier& shared = *barrier_in(barrier);
  if (++shared.arrived == shared.count) {
    shared.arrived = 0;
    ++shared.round;
    return 1;
  }
  struct Round {
    const Barrier* barrier;
    unsigned number;
  } mine{&shared, shared.round};
  const auto is_over = [](void* round) {
    const auto* const waited = static_cast<const Round*>(round);
    return waited->barrier->round != waited->number;
  };
  wait_for("uv_barrier_wait", "the others do not come", is_over, &mine);
  return 0;
}

void uv_barrier_destroy(uv_barrier_t* barrier) { barrier_in(barrier)->count = 0; }

// ---- Once, and thread-local data ---------------------------------------------------------------

void uv_once(uv_once_t* guard, void (*callback)(void)) {
  must(pthread_once(guard, callback), "uv_once");
}

int uv_key_create(uv_key_t* key) {
  for (size_t i = 0; i < keys_max; ++i) {
    if (keys_taken[i]) continue;
    keys_taken[i] = true;
    values_here()[i] = nullptr;
    *key = static_cast<uv_key_t>(i);
    return 0;
  }
  return UV_EAGAIN;
}

void uv_key_delete(uv_key_t* key) {
  must(*key < keys_max && keys_taken[*key] ? 0 : EINVAL, "uv_key_delete");
  keys_taken[*key] = false;
}

void* uv_key_get(uv_key_t* key) {
  return *key < keys_max && keys_taken[*key] ? values_here()[*key] : nullptr;
}

void uv_key_set(uv_key_t* key, void* value) {
  must(*key < keys_max && keys_taken[*key] ? 0 : EINVAL, "uv_key_set");
  values_here()[*key] = value;
}

}  // extern "C"
