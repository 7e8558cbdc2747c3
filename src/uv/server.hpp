// The libuv adapter: one listening socket and its connections, on one loop.
//
// Translates and nothing more: libuv's callbacks become events of the Service, and the Service's
// actions become libuv calls. With address.hpp the only product header that includes <uv.h>; links
// against any libuv from 1.44 to 1.52. Rules R1 to R40 of libuv's contract are
// named where they are kept.
//
// The happy path: on_connection accepts; on_alloc and on_read bring data, which is written at once;
// what the kernel does not take is queued, and on_write brings the connection back to reading; at
// EOF it is closed, and on_close frees it. What may fail: every call that can is handled where it
// is made, in one of three ways. A connection is reset (perform). The listener is closed and opened
// again after a pause (reopen_listener). A client for whom there is no memory is turned away by the
// spare handle (turn_away).
//
// Ownership. Server owns the handles listener_, spare_ and timer_, and the write requests, one for
// each block. A Session is one allocation: made in accept(), the loop's from uv_tcp_init on (R29),
// freed in perform() and nowhere else, on the one road uv_close -> on_close (R28).
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
  const sockaddr_storage& client;  // family AF_UNSPEC where the system did not say
  Reason reason;
  std::uint64_t bytes_echoed;
  Time age;
};

// What the operator is told. Must not throw.
struct Log {
  // `status` is a libuv error code, or 0.
  using Line = void (*)(Severity severity, const char* what, int status);
  using Connection = void (*)(const Ended& ended);

  Log(Line to) : line(to) {}
  void operator()(Severity severity, const char* what, int status) const {
    line(severity, what, status);
  }

  Line line;
  Connection ended = nullptr;  // null: nobody wants to know of each connection
};

struct Statistics {
  std::uint64_t connections_accepted;
  std::uint64_t connections_turned_away;  // no memory for them
  std::uint64_t listener_failures;        // each ended by opening the listener again
  std::uint64_t bytes_echoed;
  std::array<std::uint64_t, reason_count> closed;  // connections, by Reason
  std::uint64_t connections;                       // now
  std::uint64_t waiting;  // now, clients that libuv accepted and that find no room
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

// What was taken and given back since the start.
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

// Not thread-safe: every call comes from the thread that runs the loop. The process must ignore
// SIGPIPE (R21). No function throws but the constructor.
class Server {
 public:
  // Throws std::bad_alloc when the memory for blocks is not to be had.
  Server(const Limits& limits, Log log);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // REQUIRES: never listened, or close() and the loop has run until nothing was left.
  ~Server();

  // Listens on `address`; port 0 picks a free one. With `share_port` other servers that say so may
  // listen there too, and the kernel spreads the clients over all. 0, or the libuv error code, of
  // which EADDRINUSE is one (R40); after an error close() is still owed. The loop must outlive the
  // server's handles.
  int listen(uv_loop_t& loop, const sockaddr_storage& address, int backlog,
             bool share_port = false);

  // REQUIRES: listen() succeeded. The address in use, with the port that was picked.
  const sockaddr_storage& address() const { return address_; }

  // Accepts no more; connections that have not ended when `timeout` has passed are closed. Once all
  // have ended, nothing of the server's keeps the loop alive. A shorter drain may follow a longer.
  void drain(Time timeout) noexcept;

  // Closes everything. The loop has to run once more, until nothing is left.
  void close() noexcept;

  Statistics statistics() const;
  Ledger ledger() const;

 private:
  struct Session;
  enum class Handle : std::uint8_t { none, open, closing };
  // What begins to be short.
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
  // Called at the end of every callback; after an echo there is nothing to do.
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
  std::unique_ptr<uv_write_t[]> writes_;  // writes_[i] is for block i, and in use while i is queued
  uv_loop_t* loop_ = nullptr;
  sockaddr_storage address_{};
  int backlog_ = 0;
  bool share_port_ = false;

  uv_tcp_t listener_;
  uv_tcp_t spare_;  // takes the client for whom there is no memory
  uv_timer_t timer_;
  Handle listener_state_ = Handle::none;
  Handle spare_state_ = Handle::none;
  Handle timer_state_ = Handle::none;

  bool accepting_ = false;        // from listen() to drain()
  bool parked_ = false;           // libuv has accepted a client that we have not (R37)
  Time reopen_at_ = Time::max();  // when to open the listener again
  Time timer_at_ = Time::max();   // what the timer is set to
  Time due_since_ = Time::max();  // limits have come by then, and a poll is to pass before they are
                                  // judged
  int listener_buffer_ = 0;       // its receive buffer in bytes; 0: sized by the kernel
  int refusals_ = 0;              // errors of the listener in a row

  Ledger ledger_;  // sessions; the pool keeps its own
  std::uint64_t accepted_ = 0;
  std::uint64_t turned_away_ = 0;
  std::uint64_t listener_failures_ = 0;
  std::array<Time, 3> warn_again_at_{};
};

}  // namespace echoproof
