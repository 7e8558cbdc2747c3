// The program while it runs: one server on each thread, requests of the operator, statistics,
// ledger.
//
// The kernel spreads the clients over the threads. Each thread has its share of the limits. Threads
// share only a few numbers: hear() notes a request and wakes every loop (R36), and each thread then
// looks the request up. The first server runs on the thread that calls run().
#pragma once

#include <uv.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "options.hpp"
#include "uv/server.hpp"

namespace echoproof {

class Program {
 public:
  // Receives the statistics of all servers together. Called from any thread, one call at a time;
  // must not throw.
  using Report = void (*)(const Statistics& all);

  // `limits` are those of all threads together. `options` must outlive the program. Throws
  // std::bad_alloc. REQUIRES: each thread's share is enough for one connection.
  Program(const Options& options, const Limits& limits, Log log, Report report);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();

  // Listens, and starts the further threads, which serve at once. Returns 0 or a libuv error code.
  // Throws std::system_error if a thread cannot be started.
  int start(const sockaddr_storage& address);
  // The address in use, with the port that was picked. REQUIRES: start() succeeded.
  const sockaddr_storage& address() const;

  // A request of the operator: SIGUSR1 asks for a report; any other signal drains, and a second one
  // ends at once. Any thread or signal handler may call it, after start() and before finish().
  void hear(int signal) noexcept;

  // Serves until the end.
  void run();
  // Ends every server and closes every loop, however far start() got. The destructor does it, too.
  // Returns false if a loop still had handles or requests.
  bool finish();

  // Of all servers together. REQUIRES: before start() or after finish().
  Ledger ledger() const;
  Statistics statistics() const;

 private:
  struct Worker;

  void wake_all() noexcept;
  void serve(Worker& worker);
  void attend(Worker& worker);
  bool note(Worker& worker, bool ended);
  void answer();

  const Options& options_;
  Log log_;
  Report report_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::atomic<unsigned> stops_ = 0;               // signals to end: 0, 1, or more
  std::atomic<std::uint64_t> reports_asked_ = 0;  // so far
  std::mutex mutex_;                              // guards the next line and the workers' figures
  std::uint64_t reports_given_ = 0;               // how many of reports_asked_ were answered
};

}  // namespace echoproof
