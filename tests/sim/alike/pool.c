// The loop's timers and asyncs run while work sleeps; what four workers have taken is not to be
// cancelled, what waits for a fifth is.
#include <stdio.h>
#include <uv.h>

enum { workers = 4, pieces = 6 };
static uv_async_t progress;
static uv_work_t work[pieces];
static int reports, begun, finished, cancelled;
static uv_mutex_t mutex;

static void on_timer(uv_timer_t* timer) {
  puts("the timer, while work sleeps");
  uv_close((uv_handle_t*)timer, NULL);
}

static void on_progress(uv_async_t* async) {
  (void)async;
  ++reports;
}

static void report(uv_work_t* unused) {
  (void)unused;
  for (int i = 0; i < 3; ++i) {
    uv_async_send(&progress);
    uv_sleep(50);
  }
}

static void after_report(uv_work_t* unused, int status) {
  (void)unused;
  printf("work done: %d, heard of meanwhile: %d\n", status, reports);
  uv_close((uv_handle_t*)&progress, NULL);
}

static void sleep_for_a_while(uv_work_t* unused) {
  (void)unused;
  uv_mutex_lock(&mutex);
  ++begun;
  uv_mutex_unlock(&mutex);
  uv_sleep(100);
}

static void after_sleep(uv_work_t* unused, int status) {
  (void)unused;
  if (status == 0) ++finished;
  if (status == UV_ECANCELED) ++cancelled;
}

static void on_cancel(uv_timer_t* timer) {
  printf("%d have begun\n", begun);
  printf("the first: %s\n", uv_err_name(uv_cancel((uv_req_t*)&work[0])));
  printf("the last: %d\n", uv_cancel((uv_req_t*)&work[pieces - 1]));
  uv_close((uv_handle_t*)timer, NULL);
}

int main(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_timer_t timer;
  uv_mutex_init(&mutex);
  uv_timer_init(loop, &timer);
  uv_timer_start(&timer, on_timer, 10, 0);
  uv_async_init(loop, &progress, on_progress);
  uv_queue_work(loop, &work[0], report, after_report);
  uv_run(loop, UV_RUN_DEFAULT);

  for (int i = 0; i < pieces; ++i) uv_queue_work(loop, &work[i], sleep_for_a_while, after_sleep);
  uv_timer_init(loop, &timer);
  uv_timer_start(&timer, on_cancel, 50, 0);
  uv_run(loop, UV_RUN_DEFAULT);
  printf("%d finished, %d cancelled\n", finished, cancelled);
  return uv_loop_close(loop);
}
