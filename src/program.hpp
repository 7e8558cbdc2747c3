// The running program: a server on each thread, what the operator wishes, statistics, ledger.
//
// The kernel spreads the clients over the threads. These share nothing but a few numbers: the
// limits are divided, and each thread looks up what the operator wishes when its loop is woken
// (R36). The first server runs on the thread that calls run().
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
  // Tells the operator what all servers together have counted. Comes from any thread, one call at a
  // time; must not throw.
  using Report = void (*)(const Statistics& all);

  // Throws std::bad_alloc when the memory for blocks is not to be had. The limits are those of all
  // threads together. REQUIRES: each thread's share of them is something.
  Program(const Options& options, const Limits& limits, Log log, Report report);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();

  // 0, or the libuv error code for which the program cannot start. Throws std::system_error when a
  // thread is not to be had. The other threads serve from here on.
  int start(const sockaddr_storage& address);
  // REQUIRES: start() succeeded. The address in use, with the port that was picked.
  const sockaddr_storage& address() const;

  // What the operator wishes: SIGUSR1 is for a report; any other signal drains, and a second one
  // ends at once. From any thread or signal handler, after start() and before finish().
  void hear(int signal) noexcept;

  // Serves until the end.
  void run();
  // Ends what still serves and gives everything back, wherever start() came to; the destructor does
  // it, too. Whether libuv had nothing left.
  bool finish();

  // Of all servers together; before start() or after finish().
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
  std::mutex mutex_;                              // for what the workers say of themselves, and for
  std::uint64_t reports_given_ = 0;               // how many of those asked for were answered
};

}  // namespace echoproof
