// R36: a thread starts a timer of a loop that another thread runs.
#include "negative.h"

static uv_timer_t timer;

static void on_timer(uv_timer_t* unused) { (void)unused; }

static void thread_entry(void* unused) {
  (void)unused;
  MUST(uv_timer_start(&timer, on_timer, 1, 0));
}

static void start_thread(uv_timer_t* unused) {
  uv_thread_t thread;
  (void)unused;
  MUST(uv_thread_create(&thread, thread_entry, NULL));
  MUST(uv_thread_join(&thread));
}

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_timer_t starter;
  MUST(uv_timer_init(loop, &timer));
  MUST(uv_timer_init(loop, &starter));
  MUST(uv_timer_start(&starter, start_thread, 1, 0));
  uv_run(loop, UV_RUN_DEFAULT);
  close_all(loop);
  return 0;
}
