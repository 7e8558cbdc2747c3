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
#include <string>
#include <vector>

#include "harness/speech.hpp"

namespace harness {

struct Subject {
  const char* name = "server";

  // Serves until the end; returns the exit status, or calls exit with it. Called once per run, from
  // a clean start: in a fuzz target its static data is put back, elsewhere it must not rely on
  // anything that an earlier call left behind.
  std::function<int()> start;

  // Asks the server to end; the World sends it only if a uv_signal_t waits for it, or to tell().
  int stop_signal = SIGTERM;
  // Others that it handles and that end nothing; 0 for none.
  int other_signal = 0;
  // How it is told of a signal, if not by a uv_signal_t of its own; called outside the loop.
  std::function<void(int signal)> tell;

  // Sends back what it receives, or what speech.answer says. Without it nothing is held of what
  // clients get: only contract, ledger, bound, alive and clean.
  bool echoes = true;
  // What clients say, and what is owed to them for it, if it is not the same.
  Speech speech;
  // Which of its listeners that is true of, if it has several: a port in decimal, or the name of a
  // pipe. To the clients of the others nothing is owed. Empty: all.
  std::string echoes_at;
  // It may end a connection as soon as it has answered all that was said.
  bool ends_when_answered = false;
  // Ports on 127.0.0.1 to which it connects itself: a peer of the World's listens there, before it
  // starts, and answers as `upstream_answer` says; unset: it sends back what it receives. What
  // happens to such a connection excuses the client in whose behalf it was made.
  std::vector<std::uint16_t> upstreams;
  std::function<std::string(std::string_view said, bool ended)> upstream_answer;
  // A client that has ended its output still gets the rest of its echo, and then the end.
  bool answers_half_close = true;
  // Urgent data is data to it, as with SO_OOBINLINE: it is sent back in its place.
  bool echoes_urgent = false;
  // May close a client it never answered, because there are too many.
  bool may_reject = false;
  // Goes on accepting after uv_accept or uv_listen failed.
  bool reopens_listener = false;
  // Its exit status is 0, and everything is closed, when it ends because it was asked to.
  bool ends_clean = true;
  // And when it could not start, everything is closed and freed, too.
  bool fails_clean = false;

  static constexpr std::uint64_t unlimited = ~std::uint64_t{0};
  // Bytes alive when it begins to listen, and bytes alive at once beyond those.
  std::uint64_t start_bytes_max = unlimited;
  std::uint64_t live_bytes_max = unlimited;
  // Clients of which it may keep something when they are gone: the entries of its largest cache.
  std::uint32_t remembers = 128;
  // Connections that it has open at once.
  std::uint64_t connections_max = unlimited;
  // It may close a client that has said nothing for idle_ms while nothing was delivered to it; and
  // one that is owed bytes while none was delivered to it for write_ms.
  std::uint64_t idle_ms = 1'000;
  std::uint64_t write_ms = 1'000;
  // It asks the kernel how much a client has taken. Without that its limits run only by what libuv
  // tells it: bytes that a client takes out of the kernel's buffer are nothing to it, so it may
  // close, after idle_ms, who says nothing, and after write_ms who has not caught up. Who has read
  // everything that it wrote, and is owed more, is neither in any case.
  bool notices_taking = false;
  // And it must have closed within this: a client that is owed nothing and silent; one that takes
  // nothing of a queued write, or, having ended its output, of more than linger_bytes. Who takes
  // nothing of what no write is queued for, within both together. Unlimited: it may wait for ever.
  std::uint64_t idle_at_most_ms = unlimited;
  std::uint64_t write_at_most_ms = unlimited;
  std::uint64_t linger_bytes = unlimited;
  // A client that it cuts while bytes are owed can tell: it sees a reset, and no ordinary end.
  bool tells_of_cuts = false;
  // It needs no timer to answer a client, whatever other clients do or do not do.
  bool answers_at_once = false;
  // It answers a client that takes all it can within this, whatever other clients do or do not do,
  // and however many they are.
  std::uint64_t answer_ms = unlimited;
  // A listener that it closed because something failed is open again within this.
  std::uint64_t reopens_ms = unlimited;
  // When it was asked to end, those who were being served are for so long, unless it is asked
  // again; and it has ended within the second, when asked again within the third; unlimited: it may
  // wait for its clients.
  std::uint64_t grace_ms = 0;
  std::uint64_t drain_ms = unlimited;
  std::uint64_t end_ms = unlimited;

  // What it counted itself, if it does; asked while it runs, and once more when it has ended.
  struct Counts {
    std::uint64_t accepted;  // connections, since the start
    std::uint64_t open;      // connections, now
    std::uint64_t echoed;    // bytes, since the start
  };
  std::function<Counts()> counts;
};

}  // namespace harness
