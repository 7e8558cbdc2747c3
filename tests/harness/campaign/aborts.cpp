// A server that gives up with a word, in each of the ways in which programs write one.
// -DSAYS=by_...
#include <cerrno>
#include <cstdio>
#include <iostream>

#include "server.h"

namespace {

[[maybe_unused]] void by_stdio() {
  std::fputs("all is well\n", stderr);
  std::fprintf(stderr, "cannot serve: a %s client\n", "bad");
}

[[maybe_unused]] void by_perror() {
  errno = EBADF;
  std::perror("cannot serve: bad client");
}

[[maybe_unused]] void by_pieces() {
  std::fputs("cannot serve: ", stderr);
  std::fputs("bad client", stderr);
}

[[maybe_unused]] void by_iostream() {
  std::cerr << "all is well" << std::endl;
  std::cerr << "cannot serve: a " << "bad" << " client" << std::endl;
}

void on_client(uv_stream_t*, int) {
  SAYS();
  std::abort();
}

}  // namespace

extern "C" int main() { return run_server(on_client, close_all); }
