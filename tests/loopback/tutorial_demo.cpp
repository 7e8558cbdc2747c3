// Measures what a server does to a client that sends 8 MiB, shuts down its write side and begins to
// read 0.8 s later: once per run, for the server of the tutorials' shape and for ours.
//
//   tutorial_demo RUNS TUTORIAL_SERVER ECHO_SERVER
#include <cstdio>
#include <cstdlib>

#include "client.hpp"
#include "server_process.hpp"

namespace loopback {
namespace {

constexpr std::size_t sent = std::size_t{8} * 1024 * 1024;

struct Figures {
  std::size_t whole = 0, fins = 0, lost_min = sent, lost_max = 0;
};

Figures measure(const char* program, std::uint64_t runs) {
  ServerProcess server = ServerProcess::start({}, {.program = program});
  Figures figures;
  for (std::uint64_t seed = 0; seed < runs; ++seed) {
    Conversation conversation(Client(server.port()), payload(seed, sent),
                              {.read_after = milliseconds(800)});
    run({&conversation, 1});
    if (conversation.ending() == Ending::fin) ++figures.fins;
    if (conversation.echoed_exactly()) ++figures.whole;
    figures.lost_min = std::min(figures.lost_min, conversation.bytes_lost());
    figures.lost_max = std::max(figures.lost_max, conversation.bytes_lost());
  }
  return figures;
}

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: tutorial_demo RUNS TUTORIAL_SERVER ECHO_SERVER\n");
    return 2;
  }
  const std::uint64_t runs = std::strtoul(argv[1], nullptr, 10);
  std::printf("A client sends 8 MiB (%zu bytes), half-closes, and begins to read 0.8 s later.\n\n",
              sent);
  std::printf("%-18s %6s %12s %18s %18s %10s\n", "server", "runs", "whole echo", "least bytes lost",
              "most bytes lost", "clean FIN");
  for (int server = 2; server < 4; ++server) {
    const Figures figures = measure(argv[server], runs);
    std::printf("%-18s %6lu %12zu %18zu %18zu %10zu\n",
                server == 2 ? "tutorials' shape" : "echo-server", runs, figures.whole,
                figures.lost_min, figures.lost_max, figures.fins);
    std::fflush(stdout);
    if (server == 3 && figures.whole != runs) return 1;
  }
  return 0;
}

}  // namespace
}  // namespace loopback

int main(int argc, char** argv) { return loopback::main(argc, argv); }
