// No mistake: a thread that libuv did not make runs a loop of its own. uvsim cannot run that.
#include <pthread.h>
#include <uv.h>

static void* run(void* unused) {
  uv_loop_t loop;
  (void)unused;
  uv_loop_init(&loop);
  uv_run(&loop, UV_RUN_DEFAULT);
  uv_loop_close(&loop);
  return NULL;
}

int main(void) {
  pthread_t thread;
  uv_loop_alive(uv_default_loop());
  if (pthread_create(&thread, NULL, run, NULL) != 0) return 1;
  return pthread_join(thread, NULL);
}
