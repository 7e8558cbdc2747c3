// Threads, locks and thread-local data, for programs of one thread and for those that start some.
//
// Theory. A thread runs from beginning to end inside uv_thread_create, as if its creator had not
// been scheduled until then: one of the orders that a real machine may choose. So nobody ever holds
// a lock, and nobody posts a semaphore, while another waits; who would have to wait would wait for
// ever. That is reported as what it is, and ends the run.
//
// The objects are pthread's, so that a program may also initialise them statically. A barrier is
// ours, because pthread's cannot be asked how many it waits for.
#include <pthread.h>
#include <semaphore.h>
#include <uv.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "internal.hpp"
#include "periphery.hpp"

namespace uvsim {

constexpr size_t keys_max = 1024;

// A new thread begins without data.
struct Thread {
  uv_thread_t id;
  std::array<void*, keys_max> values{};
};

namespace {

constexpr uv_thread_t first_id = 1;
constexpr uv_thread_t pool_id = 2;

Thread first_thread{first_id};
Thread the_pool_thread{pool_id};
Thread* running = &first_thread;
std::array<bool, keys_max> keys_taken{};
uv_thread_t last_thread = pool_id;

struct Barrier {
  unsigned count;
};
static_assert(sizeof(Barrier) <= sizeof(uv_barrier_t));

Barrier* barrier_in(uv_barrier_t* barrier) { return reinterpret_cast<Barrier*>(barrier); }

[[noreturn]] void would_wait(const char* function, const char* what) {
  violate(current(), "", Subject{}, "%s would wait for ever: %s", function, what);
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

}  // namespace

void reset_threads() noexcept {
  first_thread = Thread{first_id};
  the_pool_thread = Thread{pool_id};
  running = &first_thread;
  last_thread = pool_id;
  keys_taken = {};
}

uv_thread_t this_thread() noexcept { return running->id; }

Thread& pool_thread() noexcept { return the_pool_thread; }

RunsOn::RunsOn(Thread& thread) noexcept : outer_(running) { running = &thread; }
RunsOn::~RunsOn() noexcept { running = outer_; }

}  // namespace uvsim

using namespace uvsim;  // NOLINT(google-build-using-namespace): the C functions of libuv follow.

extern "C" {

// ---- Threads -----------------------------------------------------------------------------------

int uv_thread_create(uv_thread_t* tid, uv_thread_cb entry, void* arg) {
  look();
  Thread thread{++last_thread};
  *tid = thread.id;
  const RunsOn inside(thread);
  entry(arg);
  return 0;
}

int uv_thread_create_ex(uv_thread_t* tid, const uv_thread_options_t* params, uv_thread_cb entry,
                        void* arg) {
  static_cast<void>(params);
  return uv_thread_create(tid, entry, arg);
}

uv_thread_t uv_thread_self(void) { return running->id; }

int uv_thread_join(uv_thread_t* tid) {
  if (*tid == running->id) would_wait("uv_thread_join", "a thread joins itself");
  if (*tid <= pool_id || *tid > last_thread) return UV_ESRCH;
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
  if (uv_mutex_trylock(handle) != 0) would_wait("uv_mutex_lock", "the mutex is locked");
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
  if (uv_rwlock_tryrdlock(rwlock) != 0) would_wait("uv_rwlock_rdlock", "it is locked for writing");
}

void uv_rwlock_wrlock(uv_rwlock_t* rwlock) {
  if (uv_rwlock_trywrlock(rwlock) != 0) would_wait("uv_rwlock_wrlock", "it is locked");
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
  if (uv_sem_trywait(sem) != 0) would_wait("uv_sem_wait", "nobody is left to post the semaphore");
}

// ---- Condition variables -----------------------------------------------------------------------

int uv_cond_init(uv_cond_t* cond) { return -pthread_cond_init(cond, nullptr); }

void uv_cond_destroy(uv_cond_t* cond) { must(pthread_cond_destroy(cond), "uv_cond_destroy"); }

// Nobody waits.
void uv_cond_signal(uv_cond_t*) {}

void uv_cond_broadcast(uv_cond_t*) {}

void uv_cond_wait(uv_cond_t*, uv_mutex_t*) {
  would_wait("uv_cond_wait", "nobody is left to signal the condition");
}

int uv_cond_timedwait(uv_cond_t*, uv_mutex_t*, uint64_t timeout) {
  const ledger::Outside outside;
  spend(look(), timeout);
  return UV_ETIMEDOUT;
}

// ---- Barriers ----------------------------------------------------------------------------------

int uv_barrier_init(uv_barrier_t* barrier, unsigned int count) {
  if (barrier == nullptr || count == 0) return UV_EINVAL;
  std::memset(barrier, 0, sizeof *barrier);
  barrier_in(barrier)->count = count;
  return 0;
}

int uv_barrier_wait(uv_barrier_t* barrier) {
  if (barrier_in(barrier)->count > 1) {
    would_wait("uv_barrier_wait", "the others are not running at the same time");
  }
  return 1;
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
    running->values[i] = nullptr;
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
  return *key < keys_max && keys_taken[*key] ? running->values[*key] : nullptr;
}

void uv_key_set(uv_key_t* key, void* value) {
  must(*key < keys_max && keys_taken[*key] ? 0 : EINVAL, "uv_key_set");
  running->values[*key] = value;
}

}  // extern "C"
