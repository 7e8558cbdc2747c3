// A Subject is a libuv server as the World sees it: something that can be started, and what it may
// be held to.
//
// Any function that starts a server will do, main() included. It needs no hook of ours: the World
// finds its listeners by looking at the network, ends it with the signal it waits for, and judges
// it at quiescence if it waits for none. What is left at its default here is assumed in the
// server's favour.
#pragma once

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace harness {

struct Subject {
  const char* name = "server";

  // Serves until the end; returns the exit status. Called once per trial, from a clean start: it
  // must not rely on anything that an earlier call left behind.
  std::function<int()> start;

  // Asks the server to end; the World sends it only if a uv_signal_t waits for it.
  int stop_signal = SIGTERM;
  // Others that it handles and that end nothing; 0 for none.
  int other_signal = 0;

  // Sends back what it receives. Without it only contract, ledger, bound, alive and clean are held.
  bool echoes = true;
  // A client that has ended its output still gets the rest of its echo, and then the end.
  bool answers_half_close = true;
  // May close a client it never answered, because there are too many.
  bool may_reject = true;
  // Goes on accepting after uv_accept or uv_listen failed.
  bool reopens_listener = false;
  // Its exit status is 0, and everything is closed, when it ends because it was asked to.
  bool ends_clean = true;

  static constexpr std::uint64_t unlimited = ~std::uint64_t{0};
  // Bytes alive at once, beyond those alive when it began to listen.
  std::uint64_t live_bytes_max = unlimited;
  // It may close a client that is silent for so long, or that takes so long to take its echo.
  std::uint64_t idle_ms = 1'000;
  std::uint64_t write_ms = 1'000;
  // And it must have closed one that takes nothing within this; unlimited: it may wait for ever.
  std::uint64_t write_at_most_ms = unlimited;
  // It answers a client that it has answered before within this, whatever other clients do.
  std::uint64_t answer_ms = unlimited;
  // When it was asked to end, it has ended within this; unlimited: it may wait for its clients.
  std::uint64_t drain_ms = unlimited;
};

}  // namespace harness
