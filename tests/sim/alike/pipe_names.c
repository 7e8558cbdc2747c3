// Names of pipes: what is told of them, and which of them cannot be.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

static uv_loop_t* loop;
static char directory[] = "/tmp/uvsim-names-XXXXXX";

static const char* word(int result) { return result < 0 ? uv_err_name(result) : "0"; }

static void tell(const char* what, const uv_pipe_t* pipe, size_t room) {
  char name[200];
  size_t size = room;
  int result = uv_pipe_getsockname(pipe, name, &size);
  printf("  %s, its own, %zu bytes: %s, %zu", what, room, word(result), size);
  // The directory has another name each time.
  if (result == 0 && size > 0) printf(", ...%.*s", 4, name + size - 4);
  size = room;
  result = uv_pipe_getpeername(pipe, name, &size);
  printf("; the other's: %s, %zu\n", word(result), size);
}

static void finish(uv_pipe_t* pipe) {
  uv_close((uv_handle_t*)pipe, NULL);
  uv_run(loop, UV_RUN_DEFAULT);
}

static void try_bind(const char* what, const char* name) {
  uv_pipe_t pipe;
  uv_pipe_init(loop, &pipe, 0);
  printf("bind to %s: %s\n", what, word(uv_pipe_bind(&pipe, name)));
  tell("bound", &pipe, 150);
  tell("bound", &pipe, 2);
  finish(&pipe);
}

static void on_connect(uv_connect_t* request, int status) {
  printf("connected: %s\n", word(status));
  tell("client", (uv_pipe_t*)request->handle, 150);
}

static void try_connect(const char* what, const char* name) {
  uv_pipe_t pipe;
  uv_connect_t request;
  uv_pipe_init(loop, &pipe, 0);
  printf("to %s: ", what);
  uv_pipe_connect(&request, &pipe, name, on_connect);
  uv_run(loop, UV_RUN_DEFAULT);
  finish(&pipe);
}

int main(void) {
  char name[300];
  uv_pipe_t fresh;
  loop = uv_default_loop();
  if (mkdtemp(directory) == NULL) return 1;
  uv_pipe_init(loop, &fresh, 0);
  tell("fresh", &fresh, 100);
  tell("fresh", &fresh, 1);
  printf("listen: %s\n", word(uv_listen((uv_stream_t*)&fresh, 1, NULL)));
  printf("chmod: %s\n", word(uv_pipe_chmod(&fresh, UV_READABLE)));
  finish(&fresh);

  try_bind("a missing directory", "/nonexistent/x");
  try_bind("below a file", "/proc/version/x");
  try_bind("a directory", "/tmp");
  snprintf(name, sizeof name, "%s/file", directory);
  fclose(fopen(name, "w"));
  try_bind("a file", name);
  try_connect("a file", name);
  remove(name);
  snprintf(name, sizeof name, "%s/good", directory);
  try_bind("a good name", name);
  try_connect("a name that is gone", name);
  try_connect("a missing directory", "/nonexistent/x");
  try_connect("below a file", "/proc/version/x");
  return rmdir(directory);
}
