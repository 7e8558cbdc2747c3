// Threads that wait for each other and sleep, while the loop's timer goes on.
#include <stdio.h>
#include <uv.h>

static uv_mutex_t mutex;
static uv_cond_t filled;
static uv_sem_t done;
static uv_barrier_t end;
static uv_rwlock_t lock;
static int queued, taken, taken_meanwhile;

static void consume(void* unused) {
  (void)unused;
  for (int i = 0; i < 3; ++i) {
    uv_mutex_lock(&mutex);
    while (queued == 0) uv_cond_wait(&filled, &mutex);
    --queued;
    ++taken;
    uv_mutex_unlock(&mutex);
  }
  uv_sem_post(&done);
  uv_barrier_wait(&end);
}

static void produce(void* unused) {
  (void)unused;
  for (int i = 0; i < 6; ++i) {
    uv_sleep(40);
    uv_mutex_lock(&mutex);
    ++queued;
    uv_cond_signal(&filled);
    uv_mutex_unlock(&mutex);
  }
  uv_barrier_wait(&end);
}

static void read_for_a_while(void* unused) {
  (void)unused;
  uv_rwlock_rdlock(&lock);
  uv_sem_post(&done);
  uv_sleep(20);
  puts("read");
  uv_rwlock_rdunlock(&lock);
}

static void on_tick(uv_timer_t* timer) {
  uv_mutex_lock(&mutex);
  if (taken > 0 && taken < 6) taken_meanwhile = 1;
  if (taken == 6) uv_close((uv_handle_t*)timer, NULL);
  uv_mutex_unlock(&mutex);
}

int main(void) {
  uv_thread_t threads[4];
  uv_timer_t timer;
  uv_mutex_init(&mutex);
  uv_cond_init(&filled);
  uv_sem_init(&done, 0);
  uv_barrier_init(&end, 4);
  uv_rwlock_init(&lock);
  uv_timer_init(uv_default_loop(), &timer);
  uv_timer_start(&timer, on_tick, 10, 10);
  uv_thread_create(&threads[0], consume, NULL);
  uv_thread_create(&threads[1], consume, NULL);
  uv_thread_create(&threads[2], produce, NULL);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  printf("taken meanwhile: %d\n", taken_meanwhile);
  uv_sem_wait(&done);
  uv_sem_wait(&done);
  uv_barrier_wait(&end);
  for (int i = 0; i < 3; ++i) uv_thread_join(&threads[i]);
  printf("%d taken, %d left\n", taken, queued);

  uv_thread_create(&threads[3], read_for_a_while, NULL);
  uv_sem_wait(&done);
  uv_rwlock_wrlock(&lock);
  puts("written");
  uv_rwlock_wrunlock(&lock);
  uv_thread_join(&threads[3]);

  uv_mutex_lock(&mutex);
  printf("nobody signals: %s\n", uv_err_name(uv_cond_timedwait(&filled, &mutex, 10 * 1000000)));
  uv_mutex_unlock(&mutex);
  return uv_loop_close(uv_default_loop());
}
