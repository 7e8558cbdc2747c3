// The libuv adapter: one listening socket and its connections, on one loop.
//
// The adapter translates and decides nothing: libuv's callbacks become events of the Service, and
// the Service's actions become libuv calls. It works with any libuv from 1.44 to 1.52. Comments
// name the rules of libuv's contract that a line keeps, R1 to R40 (docs/libuv-rules.md).
//
// The usual path. on_connection accepts. on_alloc and on_read bring data, and perform() writes it
// at once. perform() queues what the kernel does not take, and on_write returns the connection to
// reading. At EOF perform() closes the connection, and on_close frees it.
//
// Failures. Each call that can fail is handled where it is made, in one of three ways: perform()
// resets the connection; reopen_listener() closes the listener and opens it again after a pause;
// turn_away() closes a client that no memory is left for, by the spare handle.
//
// Ownership. Server owns the handles listener_, spare_ and timer_, and one write request for each
// block. A Session is one allocation. accept() makes it, the loop owns it from uv_tcp_init on
// (R29), and perform() frees it after on_close, and nowhere else (R28).
#pragma once

#include <uv.h>

#include <array>
#include <cstdint>
#include <memory>

#include "core/service.hpp"

namespace echoproof {

enum class Severity { debug, info, warning };

// A connection that was closed.
struct Ended {
  const sockaddr_storage& client;  // of family AF_UNSPEC if not known
  Reason reason;
  std::uint64_t bytes_echoed;
  Time age;
};

// Where messages for the operator go. The functions must not throw.
struct Log {
  // `status` is a libuv error code, or 0.
  using Line = void (*)(Severity severity, const char* what, int status);
  using Connection = void (*)(const Ended& ended);

  Log(Line to) : line(to) {}
  void operator()(Severity severity, const char* what, int status) const {
    line(severity, what, status);
  }

  Line line;
  Connection ended = nullptr;  // null: closed connections are not logged
};

struct Statistics {
  std::uint64_t connections_accepted;
  std::uint64_t connections_turned_away;  // for lack of memory
  std::uint64_t listener_failures;        // after each, the listener is opened again
  std::uint64_t bytes_echoed;
  std::array<std::uint64_t, reason_count> closed;  // connections, by Reason
  std::uint64_t connections;                       // now
  std::uint64_t waiting;  // now: clients that libuv accepted while no connection was free
  std::uint64_t connections_peak;
  std::uint64_t connections_max;
  std::uint64_t blocks_lent;  // now, small and large
  std::uint64_t blocks;       // the limit
  std::uint64_t large_blocks_lent;
  std::uint64_t large_blocks;
  std::uint64_t kernel_memory_granted;  // bytes
  std::uint64_t kernel_memory;          // the limit; KernelBudget::unlimited for none
  Statistics& operator+=(const Statistics& other);
};

// What was acquired and released since the start.
struct Ledger {
  std::uint64_t sessions_acquired = 0;
  std::uint64_t sessions_released = 0;
  std::uint64_t blocks_acquired = 0;
  std::uint64_t blocks_released = 0;
  Ledger& operator+=(const Ledger& other);
  std::uint64_t outstanding() const {
    return (sessions_acquired - sessions_released) + (blocks_acquired - blocks_released);
  }
};

// Not thread-safe: the thread that runs the loop makes every call. The process must ignore SIGPIPE
// (R21). Only the constructor throws.
class Server {
 public:
  // Obtains the memory for blocks and write requests. Throws std::bad_alloc.
  Server(const Limits& limits, Log log);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // REQUIRES: listen() was never called, or close() was and the loop has run until it was empty.
  ~Server();

  // Listens on `address`; port 0 picks a free one. With `share_port`, several servers can share the
  // address, and the kernel spreads clients over them. Returns 0 or a libuv error code, EADDRINUSE
  // too (R40); call close() also after an error. The loop must outlive the server's handles.
  int listen(uv_loop_t& loop, const sockaddr_storage& address, int backlog,
             bool share_port = false);

  // The address in use, with the port that was picked. REQUIRES: listen() succeeded.
  const sockaddr_storage& address() const { return address_; }

  // Stops accepting, and closes the connections that are left after `timeout`. When all have ended,
  // no handle of the server keeps the loop alive. A later call can shorten the time.
  void drain(Time timeout) noexcept;

  // Closes everything. The loop has to run until it is empty.
  void close() noexcept;

  Statistics statistics() const;
  Ledger ledger() const;

 private:
  struct Session;
  enum class Handle : std::uint8_t { none, open, closing };
  // What is running short.
  enum class Warning : std::uint8_t { connections, large_blocks, kernel_memory };

  static Session& session_of(void* stream);
  static void on_connection(uv_stream_t* listener, int status) noexcept;
  static void on_alloc(uv_handle_t* stream, std::size_t suggested, uv_buf_t* buffer) noexcept;
  static void on_read(uv_stream_t* stream, ssize_t nread, const uv_buf_t* buffer) noexcept;
  static void on_write(uv_write_t* request, int status) noexcept;
  static void on_close(uv_handle_t* stream) noexcept;
  static void on_listener_close(uv_handle_t* listener) noexcept;
  static void on_spare_close(uv_handle_t* spare) noexcept;
  static void on_timer_close(uv_handle_t* timer) noexcept;
  static void on_timer(uv_timer_t* timer) noexcept;

  int open_listener();
  void close_listener();
  void reopen_listener(int status);
  void accept();
  bool set_up(Session& session, const KernelBudget::Grant& grant);
  void size_listener();
  void turn_away();
  void close(Session& session, bool by_reset);
  void look(Session& session, Time as_of);
  static std::size_t unacknowledged(Session& session);
  void warn(Warning warning, const char* what);
  void perform(Session& session, Action action);
  // Called at the end of every callback. After an echo it has nothing to do.
  void settle() {
    const Time wake_at = service_.wake_at();
    const bool idle = !parked_ && reopen_at_ == Time::max() && due_since_ == Time::max();
    if (idle && wake_at >= timer_at_ && wake_at != Time::max()) return;
    settle_what_is_due();
  }
  void settle_what_is_due();
  void look_at_limits(Time as_of);
  void arm_timer(Time at);
  void reopen_when_due();
  uv_stream_t* listener() { return reinterpret_cast<uv_stream_t*>(&listener_); }
  Time now() const { return Time(uv_now(loop_)); }

  Service service_;
  Log log_;
  std::unique_ptr<uv_write_t[]> writes_;  // writes_[i] is in use while block i is queued
  uv_loop_t* loop_ = nullptr;
  sockaddr_storage address_{};
  int backlog_ = 0;
  bool share_port_ = false;

  uv_tcp_t listener_;
  uv_tcp_t spare_;  // for turn_away()
  uv_timer_t timer_;
  Handle listener_state_ = Handle::none;
  Handle spare_state_ = Handle::none;
  Handle timer_state_ = Handle::none;

  bool accepting_ = false;        // from listen() to drain()
  bool parked_ = false;           // libuv has accepted a client that uv_accept has not taken (R37)
  Time reopen_at_ = Time::max();  // when to open the listener again
  Time timer_at_ = Time::max();   // when the timer fires
  Time due_since_ = Time::max();  // looks are due since then, and wait for the end of a poll
  int refusals_ = 0;              // errors of the listener in a row

  Ledger ledger_;  // of sessions; each pool counts its blocks
  std::uint64_t accepted_ = 0;
  std::uint64_t turned_away_ = 0;
  std::uint64_t listener_failures_ = 0;
  std::array<Time, 3> warn_again_at_{};
};

}  // namespace echoproof
