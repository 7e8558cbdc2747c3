// R36: two threads call libuv at the same time. This one is a program without a driver.
#include <pthread.h>
#include <uv.h>

static void* second_thread(void* unused) {
  (void)unused;
  uv_loop_alive(uv_default_loop());
  return NULL;
}

int main(void) {
  pthread_t thread;
  uv_loop_alive(uv_default_loop());
  if (pthread_create(&thread, NULL, second_thread, NULL) != 0) return 0;
  pthread_join(thread, NULL);
  return 0;
}
