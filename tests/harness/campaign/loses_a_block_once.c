// A server with a thread that libuv does not know. In the first run of the process, or in
// EACH_TIME, it loses a block. The C library's random numbers, whose first is 0, tell which run it
// is.
#include <pthread.h>

#include "server.h"

static pthread_mutex_t lock;
static pthread_cond_t news;
static int ends;

static void* wait_for_the_end(void* unused) {
  pthread_mutex_lock(&lock);
  while (!ends) pthread_cond_wait(&news, &lock);
  pthread_mutex_unlock(&lock);
  return unused;
}

static void on_client(uv_stream_t* listener, int status) {
  client_t* client = status < 0 ? NULL : accept_client(listener);
  if (client != NULL) serve(client);
}

static void lose(size_t size) {
  volatile char* block = malloc(size);
  if (block == NULL) abort();
  block[0] = 1;
}

int main(void) {
  pthread_t thread;
  int status;
  int loses = lrand48() == 0;
#ifdef EACH_TIME
  loses = 1;
#endif
  if (pthread_create(&thread, NULL, wait_for_the_end, NULL) != 0) return 1;
  if (loses) lose(24);
  status = run_server(on_client, close_all);
  pthread_mutex_lock(&lock);
  ends = 1;
  pthread_cond_signal(&news);
  pthread_mutex_unlock(&lock);
  pthread_join(thread, NULL);
  return status;
}
