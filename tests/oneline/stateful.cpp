// A sound echo server of a kind that can be run only once in a process: getopt, its environment,
// global constructors, atexit, words on stdout, and a main() that returns nothing.
#include <getopt.h>

#include <cassert>
#include <cstdio>
#include <cstdlib>

#include "state.hpp"

static std::string greeting = "hello from before main";
static int runs;

static void at_end() { std::puts("bye"); }

int main(int argc, char** argv) {
  int port = 0;
  int option;
  while ((option = getopt(argc, argv, "p:")) != -1) {
    if (option == 'p') port = std::atoi(optarg);
  }
  const char* const room = std::getenv("ROOM");
  assert(++runs == 1 && served.empty() && "a run begins as a process does");
  if (port == 0 || room == nullptr || std::getenv("HOME") != nullptr) std::exit(2);
  std::atexit(at_end);
  served[room] = 1;
  greeting += " in the " + served.begin()->first;
  std::puts(greeting.c_str());
  Server server(uv_default_loop());
  if (!server.listen(port)) std::exit(1);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  uv_loop_close(uv_default_loop());
}
