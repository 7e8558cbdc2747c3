#include "uv/server.hpp"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "core/assert.hpp"

namespace echoproof {
namespace {

// How long the listener stays closed after a failure, so that a lack of descriptors causes no spin.
constexpr Time reopen_pause{100};
// This many errors in a row close the listener. A single error can concern a single client, and
// closing the listener resets every client that waits.
constexpr int refusals_max = 8;
// Between two warnings of one kind.
constexpr Time warning_pause{60'000};

template <class Handle>
uv_handle_t* handle(Handle& any) {
  return reinterpret_cast<uv_handle_t*>(&any);
}

template <class Bytes>
uv_buf_t buffer_of(Bytes bytes) {
  // libuv's buffer has no const; it only reads what it writes.
  uv_buf_t buffer;
  buffer.base = reinterpret_cast<char*>(const_cast<std::byte*>(bytes.data()));
  buffer.len = bytes.size();
  return buffer;
}

// REQUIRES: the handle has a socket.
int socket_of(const uv_tcp_t& tcp) {
  uv_os_fd_t socket = -1;
  const int status = uv_fileno(reinterpret_cast<const uv_handle_t*>(&tcp), &socket);
  ECHOPROOF_ASSERT(status == 0);
  return socket;
}

int set_option(const uv_tcp_t& tcp, int option, int value = 1) {
  const bool set = setsockopt(socket_of(tcp), SOL_SOCKET, option, &value, sizeof value) == 0;
  return set ? 0 : uv_translate_sys_error(errno);
}

// The event for a libuv error code.
Event failure_of(int status) {
  const bool gone = status == UV_ECONNRESET || status == UV_EPIPE || status == UV_ETIMEDOUT;
  return gone ? Event::reset : Event::error;
}

}  // namespace

// A connection, and its libuv handle.
struct Server::Session : Connection {
  explicit Session(Server& owner) : server(owner) { ++server.ledger_.sessions_acquired; }
  ~Session() { ++server.ledger_.sessions_released; }
  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&tcp); }

  Server& server;
  uv_tcp_t tcp;
  sockaddr_in6 client{};  // large enough for both families; AF_UNSPEC: not known
};

Server::Session& Server::session_of(void* stream) {
  return *static_cast<Session*>(static_cast<uv_handle_t*>(stream)->data);
}

Server::Server(const Limits& limits, Log log)
    : service_(limits),
      log_(log),
      writes_(std::make_unique_for_overwrite<uv_write_t[]>(service_.small_blocks().capacity() +
                                                           service_.large_blocks().capacity())) {}

Server::~Server() {
  ECHOPROOF_ASSERT(listener_state_ == Handle::none);
  ECHOPROOF_ASSERT(spare_state_ == Handle::none);
  ECHOPROOF_ASSERT(timer_state_ == Handle::none);
  ECHOPROOF_ASSERT(ledger().outstanding() == 0);
}

// --- From libuv: callbacks become events. -------------------------------------------------------

void Server::on_connection(uv_stream_t* listener, int status) noexcept {
  Server& server = *static_cast<Server*>(listener->data);
  server.refusals_ = status == 0 ? 0 : server.refusals_ + 1;
  if (status == 0) {
    server.parked_ = true;
    if (!server.service_.has_room()) {
      server.warn(Warning::connections, "all connections are in use; further clients wait");
    }
  } else if (server.refusals_ < refusals_max) {
    server.log_(Severity::warning, "a client could not be accepted", status);
  } else {
    server.reopen_listener(status);
  }
  server.settle();
}

void Server::on_alloc(uv_handle_t* stream, std::size_t, uv_buf_t* buffer) noexcept {
  *buffer = buffer_of(session_of(stream).server.service_.read_buffer());
}

void Server::on_read(uv_stream_t* stream, ssize_t nread, const uv_buf_t*) noexcept {
  Session& session = session_of(stream);
  Server& server = session.server;
  Service& service = server.service_;
  const Time now = server.now();
  Action action;
  if (nread > 0) {
    action = service.on_data(session, static_cast<std::size_t>(nread), now);
  } else if (nread == 0) {
    action = service.on(session, Event::empty_read, now);
  } else if (nread == UV_EOF) {
    action = service.on_eof(session, unacknowledged(session), now);
  } else {
    action = service.on(session, failure_of(static_cast<int>(nread)), now);
  }
  server.perform(session, action);
  server.settle();
}

void Server::on_write(uv_write_t* request, int status) noexcept {
  Session& session = session_of(request->handle);
  Server& server = session.server;
  // It also comes after the close, and then not always with ECANCELED (R24). The table covers both.
  const Event event = status == 0 ? Event::write_done : failure_of(status);
  server.perform(session, server.service_.on(session, event, server.now()));
  server.settle();
}

void Server::on_close(uv_handle_t* stream) noexcept {
  Session& session = session_of(stream);
  Server& server = session.server;
  server.perform(session, server.service_.on(session, Event::close_done, server.now()));
  server.settle();
}

// libuv runs timers before it polls. So when looks are due, a client's bytes may lie in the kernel
// unread. The looks wait for the next timer, which comes after a poll, and judge the time of this
// one.
void Server::on_timer(uv_timer_t* timer) noexcept {
  Server& server = *static_cast<Server*>(timer->data);
  server.timer_at_ = Time::max();
  if (server.due_since_ != Time::max()) {
    server.look_at_limits(std::exchange(server.due_since_, Time::max()));
  } else if (server.now() >= server.service_.wake_at()) {
    server.due_since_ = server.now();
  }
  server.settle();
}

// --- To libuv: actions become calls. ------------------------------------------------------------

// A call that fails is the next event, so the loop ends at the latest after the close.
void Server::perform(Session& session, Action action) {
  for (;;) {
    switch (action) {
      case Action::none: return;
      case Action::read:
        if (uv_read_start(session.stream(), on_alloc, on_read) == 0) return;
        action = service_.on(session, Event::refused, now());
        break;
      case Action::write: {
        const uv_buf_t unsent = buffer_of(session.unsent());
        const int wrote = uv_try_write(session.stream(), &unsent, 1);
        if (wrote >= 0 || wrote == UV_EAGAIN) {
          action = service_.on_wrote(session, static_cast<std::size_t>(std::max(wrote, 0)), now());
        } else {
          action = service_.on(session, failure_of(wrote), now());
        }
        break;
      }
      case Action::flush: {
        static_cast<void>(uv_read_stop(session.stream()));  // cannot fail (R11)
        const uv_buf_t unsent = buffer_of(session.unsent());
        if (service_.large_blocks().available() == 0) {
          warn(Warning::large_blocks, "all large blocks are lent; transfers get slower");
        }
        uv_write_t& request = writes_[service_.slot_of(session)];
        const int status = uv_write(&request, session.stream(), &unsent, 1, on_write);
        if (status == 0) return;
        action = service_.on(session, failure_of(status), now());  // no callback will come (R14)
        break;
      }
      case Action::finish:
        // Not uv_shutdown, because uv_tcp_close_reset is impossible after it (R31).
        if (shutdown(socket_of(session.tcp), SHUT_WR) == 0) return;
        action = service_.on(session, failure_of(uv_translate_sys_error(errno)), now());
        break;
      case Action::close: return close(session, false);
      case Action::reset: return close(session, true);
      case Action::release: delete &session; return;
    }
  }
}

void Server::close(Session& session, bool by_reset) {
  if (log_.ended != nullptr) {
    sockaddr_storage client{};
    std::memcpy(&client, &session.client, sizeof session.client);
    log_.ended({.client = client,
                .reason = reason_of(session.ended_by()),
                .bytes_echoed = session.bytes_echoed(),
                .age = now() - session.opened_at()});
  }
  // It fails if the socket's linger cannot be set, and has closed nothing then (R31).
  if (by_reset && uv_tcp_close_reset(&session.tcp, on_close) == 0) return;
  uv_close(handle(session.tcp), on_close);
}

// The bytes that libuv and the kernel hold, in both queues. If the kernel does not answer, libuv's.
std::size_t Server::unacknowledged(Session& session) {
  int held_by_kernel = 0;
  if (ioctl(socket_of(session.tcp), SIOCOUTQ, &held_by_kernel) != 0) held_by_kernel = 0;
  return uv_stream_get_write_queue_size(session.stream()) +
         static_cast<std::size_t>(std::max(held_by_kernel, 0));
}

void Server::look(Session& session, Time as_of) {
  // libuv does not watch a lingering connection, so its reset shows here.
  if (session.state() == State::lingering) {
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(socket_of(session.tcp), SOL_SOCKET, SO_ERROR, &error, &size) != 0 ||
        error != 0) {
      return perform(session, service_.on(session, Event::reset, now()));
    }
  }
  perform(session, service_.on_look(session, unacknowledged(session), as_of, now()));
}

void Server::look_at_limits(Time as_of) {
  while (Connection* const due = service_.next_due(as_of, now())) {
    look(static_cast<Session&>(*due), as_of);
  }
}

// Does what has become possible or due.
void Server::settle_what_is_due() {
  if (parked_ && service_.has_room() && spare_state_ == Handle::none) accept();
  if (reopen_at_ != Time::max()) reopen_when_due();
  const Time limits_at = due_since_ == Time::max() ? service_.wake_at() : due_since_ + Time(1);
  const Time at = std::min(limits_at, reopen_at_);
  if (at < timer_at_ || at == Time::max()) arm_timer(at);
}

void Server::reopen_when_due() {
  if (now() < reopen_at_) return;
  reopen_at_ = Time::max();
  const int status = open_listener();
  if (status == 0) log_(Severity::info, "listening again", 0);
  if (status != 0) log_(Severity::warning, "cannot listen again yet", status);
  // If a handle is open, on_listener_close sets the time.
  if (status != 0 && listener_state_ == Handle::none) reopen_at_ = now() + reopen_pause;
}

// The timer is only brought forward. One that fires too early finds nothing due and is set again.
void Server::arm_timer(Time at) {
  if (at == timer_at_) return;
  ECHOPROOF_ASSERT(timer_state_ == Handle::open);  // close() leaves nothing to wait for
  timer_at_ = at;
  if (at == Time::max()) {
    static_cast<void>(uv_timer_stop(&timer_));  // cannot fail
    return;
  }
  const auto delay = static_cast<std::uint64_t>(std::max(at - now(), Time(0)).count());
  const int status = uv_timer_start(&timer_, on_timer, delay, 0);
  ECHOPROOF_ASSERT(status == 0);  // it refuses only a closing timer, and one without a callback
}

void Server::warn(Warning warning, const char* what) {
  Time& again_at = warn_again_at_[static_cast<std::size_t>(warning)];
  if (now() < again_at) return;
  again_at = now() + warning_pause;
  log_(Severity::warning, what, 0);
}

// --- Listening. ---------------------------------------------------------------------------------

int Server::listen(uv_loop_t& loop, const sockaddr_storage& address, int backlog, bool share_port) {
  ECHOPROOF_ASSERT(loop_ == nullptr);
  loop_ = &loop;
  address_ = address;
  backlog_ = backlog;
  share_port_ = share_port;
  int status = uv_timer_init(loop_, &timer_);
  if (status != 0) return status;
  timer_.data = this;
  timer_state_ = Handle::open;
  status = open_listener();
  if (status != 0) return status;
  int size = sizeof address_;
  status = uv_tcp_getsockname(&listener_, reinterpret_cast<sockaddr*>(&address_), &size);
  accepting_ = status == 0;
  return status;
}

int Server::open_listener() {
  // uv_tcp_init_ex makes a socket at once, so that an option can be set before the bind.
  int status = share_port_ ? uv_tcp_init_ex(loop_, &listener_, address_.ss_family)
                           : uv_tcp_init(loop_, &listener_);
  if (status != 0) return status;  // libuv does not know the handle (R29)
  listener_.data = this;
  listener_state_ = Handle::open;
  if (share_port_) status = set_option(listener_, SO_REUSEPORT);  // libuv has a flag from 1.49 on
  if (status == 0) {
    status = uv_tcp_bind(&listener_, reinterpret_cast<const sockaddr*>(&address_), 0);
  }
  // Urgent data is data. Accepted sockets inherit the option, so no urgent byte is lost before.
  if (status == 0) status = set_option(listener_, SO_OOBINLINE);
  if (status == 0 && service_.kernel_memory().total() != KernelBudget::unlimited) size_listener();
  if (status == 0) status = uv_listen(listener(), backlog_, on_connection);
  if (status != 0) close_listener();
  return status;
}

void Server::close_listener() {
  parked_ = false;  // libuv closes that client with the listener
  refusals_ = 0;
  if (listener_state_ != Handle::open) return;
  listener_state_ = Handle::closing;
  uv_close(handle(listener_), on_listener_close);
}

// This is the only way out of two states: a callback that repeats while descriptors are short
// (R39), and a listener that accepts no client after uv_accept failed (R38).
void Server::reopen_listener(int status) {
  ++listener_failures_;
  log_(Severity::warning, "cannot accept; the listener is closed for a moment", status);
  close_listener();
}

void Server::on_listener_close(uv_handle_t* listener) noexcept {
  Server& server = *static_cast<Server*>(listener->data);
  server.listener_state_ = Handle::none;
  if (server.accepting_) server.reopen_at_ = server.now() + reopen_pause;
  server.settle();
}

void Server::accept() {
  parked_ = false;
  std::unique_ptr<Session> made(new (std::nothrow) Session(*this));
  if (made == nullptr || uv_tcp_init(loop_, &made->tcp) != 0) return turn_away();
  Session& session = *made.release();  // the loop owns it until on_close
  session.tcp.data = &session;
  const KernelBudget::Grant grant = service_.on_open(session, now());
  const int accepted = uv_accept(listener(), session.stream());
  if (accepted == 0) ++accepted_;
  if (accepted == 0 && set_up(session, grant)) {
    perform(session, Action::read);
  } else {
    perform(session, service_.on(session, Event::refused, now()));
  }
  if (accepted != 0) reopen_listener(accepted);
}

bool Server::set_up(Session& session, const KernelBudget::Grant& grant) {
  if (log_.ended != nullptr) {
    int size = sizeof session.client;
    // Fails if the client has left already; its address is not known then.
    static_cast<void>(
        uv_tcp_getpeername(&session.tcp, reinterpret_cast<sockaddr*>(&session.client), &size));
  }
  // Without this an echo would wait for the acknowledgement of the one before it (RFC 896).
  if (uv_tcp_nodelay(&session.tcp, 1) != 0) return false;
  if (grant.tuned) return true;
  if (grant.bytes == KernelBudget::least) {
    warn(Warning::kernel_memory, "kernel memory for sockets is short; new clients get the least");
  }
  int receive = grant.receive_buffer();
  int send = grant.send_buffer();
  return uv_recv_buffer_size(handle(session.tcp), &receive) == 0 &&
         uv_send_buffer_size(handle(session.tcp), &send) == 0;
}

// Accepted sockets inherit the listener's receive buffer. The kernel may still size theirs, from
// Linux 5.14 on. Before that the buffer is left alone, and a client may use more until it is
// accepted.
void Server::size_listener() {
  constexpr int no_lock = 0;
  if (set_option(listener_, SO_BUF_LOCK, no_lock) != 0) return;
  int size = KernelBudget::promised;
  static_cast<void>(uv_recv_buffer_size(handle(listener_), &size));
  static_cast<void>(set_option(listener_, SO_BUF_LOCK, no_lock));
}

// libuv accepts no further client until uv_accept has taken this one (R37).
void Server::turn_away() {
  ++turned_away_;
  int status = uv_tcp_init(loop_, &spare_);
  if (status == 0) {
    spare_.data = this;
    spare_state_ = Handle::closing;
    status = uv_accept(listener(), reinterpret_cast<uv_stream_t*>(&spare_));
    uv_close(handle(spare_), on_spare_close);
  }
  log_(Severity::warning, "no memory for a connection; the client was turned away", status);
  if (status != 0) reopen_listener(status);
}

void Server::on_spare_close(uv_handle_t* spare) noexcept {
  Server& server = *static_cast<Server*>(spare->data);
  server.spare_state_ = Handle::none;
  server.settle();
}

// --- The end. -----------------------------------------------------------------------------------

void Server::drain(Time timeout) noexcept {
  if (loop_ == nullptr) return;  // listen() was not called
  accepting_ = false;
  reopen_at_ = Time::max();
  close_listener();
  service_.stop_at(now() + timeout);
  if (timeout == Time(0)) look_at_limits(now());
  settle();
}

void Server::close() noexcept {
  drain(Time(0));
  if (timer_state_ != Handle::open) return;
  timer_state_ = Handle::closing;
  uv_close(handle(timer_), on_timer_close);
}

void Server::on_timer_close(uv_handle_t* timer) noexcept {
  static_cast<Server*>(timer->data)->timer_state_ = Handle::none;
}

Statistics Server::statistics() const {
  const BlockPool& small = service_.small_blocks();
  const BlockPool& large = service_.large_blocks();
  Statistics now{.connections_accepted = accepted_,
                 .connections_turned_away = turned_away_,
                 .listener_failures = listener_failures_,
                 .bytes_echoed = service_.bytes_echoed(),
                 .closed = {},
                 .connections = service_.open(),
                 .waiting = parked_ ? 1U : 0U,
                 .connections_peak = service_.open_peak(),
                 .connections_max = small.capacity(),
                 .blocks_lent = small.lent() + large.lent(),
                 .blocks = small.capacity() + large.capacity(),
                 .large_blocks_lent = large.lent(),
                 .large_blocks = large.capacity(),
                 .kernel_memory_granted = service_.kernel_memory().granted(),
                 .kernel_memory = service_.kernel_memory().total()};
  for (std::size_t i = 0; i < reason_count; ++i) {
    now.closed[i] = service_.closed(static_cast<Reason>(i));
  }
  return now;
}

Statistics& Statistics::operator+=(const Statistics& other) {
  connections_accepted += other.connections_accepted;
  connections_turned_away += other.connections_turned_away;
  listener_failures += other.listener_failures;
  bytes_echoed += other.bytes_echoed;
  for (std::size_t i = 0; i < reason_count; ++i) closed[i] += other.closed[i];
  connections += other.connections;
  waiting += other.waiting;
  connections_peak += other.connections_peak;
  connections_max += other.connections_max;
  blocks_lent += other.blocks_lent;
  blocks += other.blocks;
  large_blocks_lent += other.large_blocks_lent;
  large_blocks += other.large_blocks;
  kernel_memory_granted += other.kernel_memory_granted;
  if (kernel_memory != KernelBudget::unlimited) kernel_memory += other.kernel_memory;
  return *this;
}

Ledger& Ledger::operator+=(const Ledger& other) {
  sessions_acquired += other.sessions_acquired;
  sessions_released += other.sessions_released;
  blocks_acquired += other.blocks_acquired;
  blocks_released += other.blocks_released;
  return *this;
}

Ledger Server::ledger() const {
  Ledger ledger = ledger_;
  for (const BlockPool* const pool : {&service_.small_blocks(), &service_.large_blocks()}) {
    ledger.blocks_acquired += pool->acquired();
    ledger.blocks_released += pool->released();
  }
  return ledger;
}

}  // namespace echoproof
