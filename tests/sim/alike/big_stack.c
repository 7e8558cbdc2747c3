// A thread has the stack that was asked for.
#include <stdio.h>
#include <string.h>
#include <uv.h>

static void run(void* unused) {
  char much[32 << 20];
  (void)unused;
  memset(much, 1, sizeof much);
  printf("32 MiB of stack: %d\n", much[12345]);
}

int main(void) {
  uv_thread_options_t options = {UV_THREAD_HAS_STACK_SIZE, 64 << 20};
  uv_thread_t thread;
  if (uv_thread_create_ex(&thread, &options, run, NULL) != 0) return 1;
  return uv_thread_join(&thread);
}
