// The running program: signals, statistics, ledger, and the workers that serve.
//
// Each worker is a loop with a Server on it, on a thread of its own; the kernel spreads the clients
// over them. They share nothing: the limits are divided, and a worker is told what to do by setting
// bits and waking its loop (R36). The first worker runs on the main thread and hears the signals.
#pragma once

#include <uv.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "options.hpp"
#include "uv/server.hpp"

namespace echoproof {

class Worker {
 public:
  // What a worker can be told; the word of a later call comes on top of that of an earlier.
  enum Word : unsigned { drain = 1, end = 2, report = 4 };

  // Throws std::bad_alloc when the memory for blocks is not to be had.
  Worker(const Limits& limits, Log log, Time drain_timeout);

  // 0, or the libuv error code for which it cannot serve; finish() is owed in any case. `reporter`
  // is woken, from the thread of run(), when a report is there and when run() has ended.
  int start(const sockaddr_storage& address, int backlog, bool share_port, uv_async_t& reporter);
  // Serves until the end.
  void run();
  // Gives everything back, also after start() failed. Whether libuv had nothing left.
  // REQUIRES: run() has ended, and its thread with it.
  bool finish();

  // From any thread, between start() and finish().
  void tell(unsigned words);
  // From any thread: whether it has answered the last `report`, or has ended, and then
  bool reported() const { return reported_.load() || ended_.load(); }
  bool ended() const { return ended_.load(); }
  // what it had to say. REQUIRES: reported().
  Statistics statistics() const { return ended_.load() ? server_.statistics() : report_; }

  // REQUIRES: start() succeeded, run() not begun or ended.
  const Server& server() const { return server_; }
  uv_loop_t& loop() { return loop_; }

 private:
  static void on_told(uv_async_t* handle) noexcept;

  Server server_;
  Time drain_timeout_;
  uv_loop_t loop_{};
  uv_async_t told_{};
  uv_async_t* reporter_ = nullptr;
  bool loop_open_ = false;
  bool told_open_ = false;
  std::atomic<unsigned> words_ = 0;
  Statistics report_{};
  std::atomic<bool> reported_ = true;
  std::atomic<bool> ended_ = false;
};

class Program {
 public:
  // Throws std::bad_alloc when the memory for blocks is not to be had. The limits are those of all
  // threads together. REQUIRES: each thread's share of them is something.
  Program(const Options& options, const Limits& limits, Log log);

  // 0, or the libuv error code for which the program cannot start; finish() is owed in any case.
  // The other threads serve from here on.
  int start(const sockaddr_storage& address);
  // REQUIRES: start() succeeded. The address in use, with the port that was picked.
  const sockaddr_storage& address() const { return workers_.front()->server().address(); }
  // Serves until the end.
  void run();
  // Ends what still serves and gives everything back. Whether libuv had nothing left.
  bool finish();

  // Of all workers together; after finish().
  Ledger ledger() const;

 private:
  static void on_signal(uv_signal_t* handle, int number) noexcept;
  static void on_report(uv_async_t* handle) noexcept;
  void tell_all(unsigned words);
  void end_with_workers();
  void print_statistics() const;

  const Options& options_;
  Log log_;
  std::vector<std::unique_ptr<Worker>> workers_;  // the first is on the main thread
  std::vector<std::thread> threads_;              // of the others
  std::array<uv_signal_t, 3> signals_{};
  std::size_t signals_open_ = 0;
  uv_async_t reports_{};
  bool reports_open_ = false;
  bool reporting_ = false;
  bool draining_ = false;
};

}  // namespace echoproof
