// A Subject is a libuv server as the World sees it: a function that starts it, and what it
// promises.
//
// Any function that starts a server will do, main() too. The server needs no hook: the World finds
// its listeners in the network, and ends it with the signal that it waits for. A server that waits
// for no signal is judged when nothing can happen any more. The defaults promise little, so a
// server is held only to what its Subject says.
#pragma once

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "harness/speech.hpp"

namespace harness {

struct Subject {
  static constexpr std::uint64_t unlimited = ~std::uint64_t{0};

  const char* name = "server";

  // Serves until the end. Returns the exit status, or calls exit with it. Called once per run. In a
  // fuzz target its static data is restored before; elsewhere it must not rely on anything that an
  // earlier call left behind.
  std::function<int()> start;

  // The signal that asks the server to end. The World sends it only if a uv_signal_t waits for it,
  // or passes it to tell().
  int stop_signal = SIGTERM;
  // A signal that the server handles and that does not end it; 0: none.
  int other_signal = 0;
  // Delivers a signal, if the server has no uv_signal_t for it. Called outside the loop.
  std::function<void(int signal)> tell;

  // The server sends back what it receives, or what speech.answer says. If not, only the oracles
  // contract, ledger, bound, alive and clean hold.
  bool echoes = true;
  // What clients say, and what they are owed for it, if that is not an echo.
  Speech speech;
  // The listener that echoes, if there are several: a port in decimal, or the name of a pipe.
  // Clients of the others are owed nothing. Empty: all listeners echo.
  std::string echoes_at;
  // The most bytes that a client says: the server may end a connection on which more was said.
  std::uint64_t hears_at_most = unlimited;
  // The server may end a connection as soon as it has answered all that the client said.
  bool ends_when_answered = false;
  // Ports on 127.0.0.1 to which the server connects. Before it starts, a peer of the World listens
  // there, which answers as `upstream_answer` says (unset: it echoes). A disturbance of such a
  // connection excuses the client for which the server made it.
  std::vector<std::uint16_t> upstreams;
  std::function<std::string(std::string_view said, bool ended)> upstream_answer;
  // A client that has half-closed still gets the rest of its echo, and then FIN.
  bool answers_half_close = true;
  // The server echoes urgent data in its place, as with SO_OOBINLINE.
  bool echoes_urgent = false;
  // The server may close a client without an answer, because there are too many.
  bool may_reject = false;
  // The server goes on accepting after uv_accept or uv_listen failed.
  bool reopens_listener = false;
  // If it was asked to end, its exit status is 0 and everything is closed.
  bool ends_clean = true;
  // If it could not start, everything is closed and freed.
  bool fails_clean = false;

  // The most bytes alive when the server begins to listen, and the most bytes alive beyond those.
  std::uint64_t start_bytes_max = unlimited;
  std::uint64_t live_bytes_max = unlimited;
  // For how many gone clients the server may keep memory: the entries of its largest cache.
  std::uint32_t remembers = 128;
  // The most connections that the server has open at once.
  std::uint64_t connections_max = unlimited;
  // The server may close a client that for idle_ms said nothing and was delivered nothing. It may
  // also close a client that is owed bytes and was delivered none for write_ms.
  std::uint64_t idle_ms = 1'000;
  std::uint64_t write_ms = 1'000;
  // The server may close a client that connected session_ms ago, whatever it does.
  std::uint64_t session_ms = unlimited;
  // The server asks the kernel how much a client has taken. If not, its limits depend only on what
  // libuv tells it, and it does not see that a client takes bytes out of the kernel's buffer. So it
  // may close a client that says nothing for idle_ms, and one that has not caught up for write_ms.
  // In no case may it close a client that has read all that it wrote and is owed more.
  bool notices_taking = false;
  // The most time until the server closes a client (unlimited: it may wait for ever):
  // * idle_at_most_ms: one that is owed nothing and is silent;
  // * write_at_most_ms: one that takes nothing of a queued write, or that has half-closed and takes
  //   nothing of more than linger_bytes;
  // * the sum of both: one that takes nothing of bytes for which no write is queued.
  std::uint64_t idle_at_most_ms = unlimited;
  std::uint64_t write_at_most_ms = unlimited;
  std::uint64_t linger_bytes = unlimited;
  // A client that is cut while it is owed bytes sees RST, and no FIN.
  bool tells_of_cuts = false;
  // The server answers a client without waiting for a timer, whatever other clients do.
  bool answers_at_once = false;
  // The most time until the server answers a client that takes all it can, whatever other clients
  // do, and however many there are.
  std::uint64_t answer_ms = unlimited;
  // The most time until a listener that was closed because of a failure is open again.
  std::uint64_t reopens_ms = unlimited;
  // The server is asked to end. For grace_ms it still serves the clients that it was serving,
  // unless it is asked again. It has ended within drain_ms, or within end_ms after it was asked
  // again. Unlimited: it may wait for its clients.
  std::uint64_t grace_ms = 0;
  std::uint64_t drain_ms = unlimited;
  std::uint64_t end_ms = unlimited;

  // The server's own counters, if it has any. Called while it runs, and once when it has ended.
  struct Counts {
    std::uint64_t accepted;  // connections, since the start
    std::uint64_t open;      // connections, now
    std::uint64_t echoed;    // bytes, since the start
  };
  std::function<Counts()> counts;
};

}  // namespace harness
