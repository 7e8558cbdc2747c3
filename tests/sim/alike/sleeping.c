// The C library's ways to sleep, in a worker and in the loop's own frames, and its clocks.
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

static int ticks;

static void on_tick(uv_timer_t* timer) {
  if (++ticks == 3) uv_close((uv_handle_t*)timer, NULL);
}

static void work(uv_work_t* unused) {
  const struct timespec tenth = {0, 100 * 1000 * 1000};
  (void)unused;
  usleep(100 * 1000);
  nanosleep(&tenth, NULL);
  clock_nanosleep(CLOCK_MONOTONIC, 0, &tenth, NULL);
}

static void after(uv_work_t* unused, int status) {
  (void)unused;
  printf("work done: %d, after %d ticks\n", status, ticks);
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_timer_t timer;
  uv_work_t request;
  const time_t before = time(NULL);
  const double begun = seconds();
  uv_timer_init(loop, &timer);
  uv_timer_start(&timer, on_tick, 50, 50);
  uv_queue_work(loop, &request, work, after);
  while (uv_run(loop, UV_RUN_NOWAIT) != 0) usleep(5000);
  printf("%d ticks\n", ticks);
  printf("slept: %u\n", sleep(1));
  printf("a second or more: %d %d\n", seconds() - begun >= 1.3, time(NULL) - before >= 1);
  return uv_loop_close(loop);
}
