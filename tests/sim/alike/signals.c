// Signals that a program sends itself, by libuv or without it, are heard by uv_signal_t.
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

static uv_signal_t handles[3];
static int heard;

static void on_signal(uv_signal_t* handle, int number) {
  printf("heard %s\n", number == SIGUSR1 ? "SIGUSR1" : number == SIGUSR2 ? "SIGUSR2" : "SIGALRM");
  ++heard;
  if (number == SIGUSR1 && heard == 1) raise(SIGUSR1);
  if (heard < 3 || number == SIGUSR1) return;
  if (number == SIGUSR2) {
    alarm(1);
    return;
  }
  for (int i = 0; i < 3; ++i) uv_close((uv_handle_t*)&handles[i], NULL);
  (void)handle;
}

static void on_timer(uv_timer_t* timer) {
  kill(getpid(), SIGUSR2);
  uv_close((uv_handle_t*)timer, NULL);
}

int main(void) {
  static const int numbers[] = {SIGUSR1, SIGUSR2, SIGALRM};
  uv_timer_t timer;
  uv_loop_t* loop = uv_default_loop();
  for (int i = 0; i < 3; ++i) {
    uv_signal_init(loop, &handles[i]);
    uv_signal_start(&handles[i], on_signal, numbers[i]);
  }
  uv_timer_init(loop, &timer);
  uv_timer_start(&timer, on_timer, 20, 0);
  raise(SIGUSR1);
  uv_run(loop, UV_RUN_DEFAULT);
  printf("%d\n", heard);
  return uv_loop_close(loop);
}
