// A program without a driver that leaks nothing: what is left at its end is what the C library
// keeps for itself, or what the program still reaches.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <grp.h>
#include <iconv.h>
#include <libintl.h>
#include <locale.h>
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

// A free list, as many servers have one.
static struct node {
  struct node* next;
  char bytes[40];
}* free_nodes;
static _Thread_local char* name_of_thread;

static void ask_the_c_library(void) {
  time_t now = time(NULL);
  char line[NI_MAXHOST];
  void* trace[10];
  struct addrinfo* found = NULL;
  struct sockaddr_in address = {.sin_family = AF_INET};
  iconv_t conversion;
  FILE* pipe;
  setlocale(LC_ALL, "C.UTF-8");
  getpwuid(getuid());
  getpwnam("root");
  getgrgid(0);
  setpwent();
  getpwent();
  getservbyname("http", "tcp");
  gethostbyname("localhost");
  if (getaddrinfo("localhost", "80", NULL, &found) == 0) freeaddrinfo(found);
  getnameinfo((struct sockaddr*)&address, sizeof address, line, sizeof line, NULL, 0, 0);
  backtrace(trace, 10);
  localtime(&now);
  ctime(&now);
  strerror(4711);
  strsignal(500);
  conversion = iconv_open("KOI8-R", "LATIN1");
  if (conversion != (iconv_t)-1) iconv_close(conversion);
  textdomain("messages");
  gettext("hello");
  dlopen("there_is_no_such.so", RTLD_NOW);
  setenv("SET", "by a program", 1);
  putenv(strdup("PUT=by a program"));
  openlog("program", LOG_PID, LOG_USER);
  pipe = popen("true", "r");
  if (pipe != NULL) pclose(pipe);
  printf("%s", "");
}

int main(void) {
  uv_loop_t* loop = uv_default_loop();
  int i;
  ask_the_c_library();
  for (i = 0; i < 3; ++i) {
    struct node* node = malloc(sizeof *node);
    if (node == NULL) return 1;
    node->next = free_nodes;
    free_nodes = node;
  }
  name_of_thread = strdup("main");
  return uv_loop_close(loop);
}
