#include "uv/server.hpp"

#include <algorithm>
#include <cerrno>
#include <new>

#include "core/assert.hpp"

namespace echoproof {
namespace {

// How long the listener rests after it failed: long enough not to spin while descriptors are short.
constexpr Time reopen_pause{100};

template <class Handle>
uv_handle_t* handle(Handle& any) {
  return reinterpret_cast<uv_handle_t*>(&any);
}

template <class Bytes>
uv_buf_t buffer_of(Bytes bytes) {
  // libuv's buffer has no const; it only reads what it writes.
  auto* const base = reinterpret_cast<char*>(const_cast<std::byte*>(bytes.data()));
  return uv_buf_init(base, static_cast<unsigned int>(bytes.size()));
}

// libuv can do this itself from 1.49 on.
int set_reuse_port(const uv_tcp_t& tcp) {
  uv_os_fd_t socket = -1;
  const int status = uv_fileno(reinterpret_cast<const uv_handle_t*>(&tcp), &socket);
  ECHOPROOF_ASSERT(status == 0);  // initialised with a family, it has one
  const int on = 1;
  const bool set = setsockopt(socket, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
  return set ? 0 : uv_translate_sys_error(errno);
}

}  // namespace

// A connection with what libuv needs for it.
struct Server::Session : Connection {
  explicit Session(Server& owner) : server(owner) { ++server.ledger_.sessions_acquired; }
  ~Session() { ++server.ledger_.sessions_released; }
  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&tcp); }

  Server& server;
  uv_tcp_t tcp;
};

Server::Session& Server::session_of(void* stream) {
  return *static_cast<Session*>(static_cast<uv_handle_t*>(stream)->data);
}

Server::Server(const Limits& limits, Log log)
    : service_(limits),
      log_(log),
      writes_(std::make_unique_for_overwrite<uv_write_t[]>(service_.pool().capacity())) {}

Server::~Server() {
  ECHOPROOF_ASSERT(listener_state_ == Handle::none);
  ECHOPROOF_ASSERT(spare_state_ == Handle::none);
  ECHOPROOF_ASSERT(timer_state_ == Handle::none);
  ECHOPROOF_ASSERT(ledger().outstanding() == 0);
}

// --- From libuv: callbacks become events. -------------------------------------------------------

void Server::on_connection(uv_stream_t* listener, int status) noexcept {
  Server& server = *static_cast<Server*>(listener->data);
  if (status != 0) {
    server.reopen_listener(status);
  } else {
    server.parked_ = true;
  }
  server.settle();
}

void Server::on_alloc(uv_handle_t* stream, std::size_t, uv_buf_t* buffer) noexcept {
  Session& session = session_of(stream);
  *buffer = buffer_of(session.server.service_.on_alloc(session, session.server.now()));
}

void Server::on_read(uv_stream_t* stream, ssize_t nread, const uv_buf_t*) noexcept {
  Session& session = session_of(stream);
  Server& server = session.server;
  const Time now = server.now();
  Action action;
  if (nread > 0) {
    action = server.service_.on_data(session, static_cast<std::size_t>(nread), now);
  } else if (nread == 0) {
    action = server.service_.on(session, Event::empty_read, now);
  } else if (nread == UV_EOF) {
    action = server.service_.on(session, Event::eof, now);
  } else if (nread == UV_ENOBUFS && session.buffer().empty()) {
    action = server.service_.on(session, Event::no_buffer, now);
  } else {
    server.log_(Severity::debug, "a connection failed while reading", static_cast<int>(nread));
    action = server.service_.on(session, Event::read_error, now);
  }
  server.perform(session, action);
  server.settle();
}

void Server::on_write(uv_write_t* request, int status) noexcept {
  Session& session = session_of(request->handle);
  Server& server = session.server;
  // Also after uv_close, and then not always with ECANCELED (R24): the table knows.
  const Event event = status == 0 ? Event::write_done : Event::write_failed;
  server.perform(session, server.service_.on(session, event, server.now()));
  server.settle();
}

void Server::on_close(uv_handle_t* stream) noexcept {
  Session& session = session_of(stream);
  Server& server = session.server;
  server.perform(session, server.service_.on(session, Event::close_done, server.now()));
  server.settle();
}

void Server::on_timer(uv_timer_t* timer) noexcept {
  Server& server = *static_cast<Server*>(timer->data);
  server.timer_at_ = Time::max();
  server.settle();
}

// --- To libuv: actions become calls. ------------------------------------------------------------

// Each refusal is an event in turn, so the loop ends: at the latest after close.
void Server::perform(Session& session, Action action) {
  for (;;) {
    switch (action) {
      case Action::none: return;
      case Action::read:
        if (uv_read_start(session.stream(), on_alloc, on_read) == 0) return;
        action = service_.on(session, Event::read_refused, now());
        break;
      case Action::wait:
        static_cast<void>(uv_read_stop(session.stream()));  // cannot fail (R11)
        return;
      case Action::write: {
        const uv_buf_t unsent = buffer_of(session.unsent());
        const int wrote = uv_try_write(session.stream(), &unsent, 1);
        if (wrote >= 0 || wrote == UV_EAGAIN) {
          action = service_.on_wrote(session, static_cast<std::size_t>(std::max(wrote, 0)), now());
        } else {
          action = service_.on(session, Event::write_refused, now());
        }
        break;
      }
      case Action::flush: {
        static_cast<void>(uv_read_stop(session.stream()));  // cannot fail (R11)
        const uv_buf_t unsent = buffer_of(session.unsent());
        uv_write_t& request = writes_[session.block_index()];
        if (uv_write(&request, session.stream(), &unsent, 1, on_write) == 0) return;
        action = service_.on(session, Event::write_refused, now());  // no callback will come (R14)
        break;
      }
      case Action::close: uv_close(handle(session.tcp), on_close); return;
      case Action::release: delete &session; return;
    }
  }
}

// Everything that is due without an event of its own. Called at the end of every callback.
void Server::settle() {
  for (;;) {
    const Service::Due due = service_.next_due(now());
    if (due.connection == nullptr) break;
    perform(static_cast<Session&>(*due.connection), due.action);
  }
  if (parked_ && service_.has_room() && spare_state_ == Handle::none) accept();
  if (now() >= reopen_at_) {
    reopen_at_ = Time::max();
    const int status = open_listener();
    if (status == 0) log_(Severity::info, "listening again", 0);
    if (status != 0) log_(Severity::warning, "cannot listen again yet", status);
    // Otherwise on_listener_close sets the time.
    if (status != 0 && listener_state_ == Handle::none) reopen_at_ = now() + reopen_pause;
  }
  arm_timer();
}

void Server::arm_timer() {
  const Time at = std::min(service_.wake_at(), reopen_at_);
  if (at == timer_at_) return;
  ECHOPROOF_ASSERT(timer_state_ == Handle::open);  // else nothing is left to wait for
  timer_at_ = at;
  if (at == Time::max()) {
    static_cast<void>(uv_timer_stop(&timer_));  // cannot fail
    return;
  }
  ECHOPROOF_ASSERT(at > now());  // else it was due, and is done
  const auto delay = static_cast<std::uint64_t>((at - now()).count());
  if (uv_timer_start(&timer_, on_timer, delay, 0) != 0) {
    timer_at_ = Time::max();  // so that the next event tries again
  }
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
  // With a family there is a socket at once, on which an option can be set before it is bound.
  int status = share_port_ ? uv_tcp_init_ex(loop_, &listener_, address_.ss_family)
                           : uv_tcp_init(loop_, &listener_);
  if (status != 0) return status;  // and libuv knows nothing of the handle (R29)
  listener_.data = this;
  listener_state_ = Handle::open;
  if (share_port_) status = set_reuse_port(listener_);
  if (status == 0) {
    status = uv_tcp_bind(&listener_, reinterpret_cast<const sockaddr*>(&address_), 0);
  }
  if (status == 0) status = uv_listen(listener(), backlog_, on_connection);
  if (status != 0) close_listener();
  return status;
}

void Server::close_listener() {
  parked_ = false;  // libuv closes the client with the listener
  if (listener_state_ != Handle::open) return;
  listener_state_ = Handle::closing;
  uv_close(handle(listener_), on_listener_close);
}

// The only way out of two dead ends: a callback that repeats for as long as descriptors are short
// (R39), and a listener that stays deaf after uv_accept failed (R38).
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
  Session& session = *made.release();  // the loop's until on_close
  session.tcp.data = &session;
  service_.on_open(session, now());
  const int accepted = uv_accept(listener(), session.stream());
  if (accepted == 0) ++accepted_;
  // An echo must not wait for the acknowledgement of the one before it.
  if (accepted == 0 && uv_tcp_nodelay(&session.tcp, 1) == 0) {
    perform(session, Action::read);
  } else {
    perform(session, service_.on(session, Event::read_refused, now()));
  }
  if (accepted != 0) reopen_listener(accepted);
}

// A client that was accepted by libuv must be accepted by us, or no other is (R37).
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
  if (loop_ == nullptr) return;  // never listened
  accepting_ = false;
  reopen_at_ = Time::max();
  close_listener();
  service_.stop_at(now() + timeout);
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
  const BlockPool& pool = service_.pool();
  return {.connections_accepted = accepted_,
          .connections_turned_away = turned_away_,
          .listener_failures = listener_failures_,
          .bytes_echoed = service_.bytes_echoed(),
          .connections = service_.open(),
          .waiting = service_.waiting(),
          .blocks_lent = pool.capacity() - pool.available(),
          .blocks = pool.capacity()};
}

Statistics& Statistics::operator+=(const Statistics& other) {
  connections_accepted += other.connections_accepted;
  connections_turned_away += other.connections_turned_away;
  listener_failures += other.listener_failures;
  bytes_echoed += other.bytes_echoed;
  connections += other.connections;
  waiting += other.waiting;
  blocks_lent += other.blocks_lent;
  blocks += other.blocks;
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
  ledger.blocks_acquired = service_.pool().acquired();
  ledger.blocks_released = service_.pool().released();
  return ledger;
}

}  // namespace echoproof
