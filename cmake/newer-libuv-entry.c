/* Runs a program's main() inside the node that lends it libuv, as if it had been started alone.
 *
 * Linked into every module that newer_libuv_copy() makes. Node loads the module and calls the entry
 * point below, which never returns to it. Before main() runs, this file undoes what node changes
 * for the whole process: signal dispositions, the descriptor limit. It also gives the program a
 * default loop of its own, because uv_default_loop() of the host is node's, and an exit() that
 * runs the program's exit handlers and destructors but none of node's, which a child made by fork()
 * could not survive.
 *
 * What a program must still leave alone: uv_library_shutdown() and uv_setup_args(), which would end
 * the host's libuv or rewrite its arguments; and it shares the thread pool and the descriptors that
 * node has opened.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <node_api.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

extern int main(int argc, char** argv);
extern void __cxa_finalize(void* module);
extern void* __dso_handle;

static int program_argc;
static char** program_argv;

/* glibc hands the arguments of the process to constructors. The program's own begin after "--". */
__attribute__((constructor)) static void remember_arguments(int argc, char** argv) {
  int first = 1;
  while (first < argc && strcmp(argv[first], "--") != 0) first++;
  program_argc = first < argc ? argc - first - 1 : 0;
  program_argv = argv + (first < argc ? first + 1 : argc);
}

static void restore_signals(void) {
  for (int number = 1; number < NSIG; number++) {
    if (number != SIGKILL && number != SIGSTOP) signal(number, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

static void restore_descriptor_limit(void) {
  const char* wanted = getenv("NEWER_LIBUV_NOFILE");
  struct rlimit limit;
  if (wanted == NULL || getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  if (strcmp(wanted, "unlimited") != 0) {
    limit.rlim_cur = strtoull(wanted, NULL, 10);
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  unsetenv("NEWER_LIBUV_NOFILE");
}

static uv_loop_t own_default_loop;
static int own_default_loop_is_open;

uv_loop_t* uv_default_loop(void) {
  if (!own_default_loop_is_open) {
    if (uv_loop_init(&own_default_loop) != 0) return NULL;
    own_default_loop_is_open = 1;
  }
  return &own_default_loop;
}

/* A closed default loop is made anew at the next request, as libuv does with its own. */
int uv_loop_close(uv_loop_t* loop) {
  int (*host_uv_loop_close)(uv_loop_t*);
  *(void**)&host_uv_loop_close = dlsym(dlopen(NULL, RTLD_LAZY), "uv_loop_close");
  int status = host_uv_loop_close(loop);
  if (status == 0 && loop == &own_default_loop) own_default_loop_is_open = 0;
  return status;
}

_Noreturn void exit(int status) {
  __cxa_finalize(&__dso_handle);
  fflush(NULL);
  _exit(status);
}

NAPI_MODULE_INIT() {
  (void)env;
  (void)exports;
  if (uv_version() != UV_VERSION_HEX) {
    fprintf(stderr, "compiled for libuv %d.%d.%d but run on %s\n", UV_VERSION_MAJOR,
            UV_VERSION_MINOR, UV_VERSION_PATCH, uv_version_string());
    _exit(EXIT_FAILURE);
  }
  restore_signals();
  restore_descriptor_limit();
  exit(main(program_argc, program_argv));
}
