// What the sources of uvsim share: the context of a run, the records it keeps of handles, requests
// and loops, the simulated kernel's sockets, and the few helpers that every uv_* function uses.
//
// Theory. The state that libuv keeps in its own structs is kept there here too (flags, queues,
// counters that programs read); what libuv leaves to the kernel lives in Socket and Kernel. Every
// public function opens with a Call, which steps out of the program under test, counts, and writes
// the trace; every callback goes through call_back(), which steps into it again.
#ifndef UVSIM_INTERNAL_HPP
#define UVSIM_INTERNAL_HPP

#include <uv.h>

#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "trace.hpp"
#include "uvsim/ledger.hpp"
#include "uvsim/uvsim.hpp"

// Defined whatever the header's age, so that every build can be tested alike.
#if UV_VERSION_HEX < 0x012e00
extern "C" {
int uv_pipe_bind2(uv_pipe_t* handle, const char* name, size_t namelen, unsigned int flags);
int uv_pipe_connect2(uv_connect_t* req, uv_pipe_t* handle, const char* name, size_t namelen,
                     unsigned int flags, uv_connect_cb cb);
}
#endif
#if UV_VERSION_HEX < 0x013400
extern "C" int uv_tcp_keepalive_ex(uv_tcp_t* handle, int on, unsigned int idle, unsigned int intvl,
                                   unsigned int cnt);
#endif

namespace uvsim {

using Context = Simulation::Context;

// ---------------------------------------------------------------------------------------------
// Links: the two words that libuv's queues consist of, whatever the version calls their type.

struct __attribute__((may_alias)) Link {
  Link* next;
  Link* prev;
};

template <class Field>
Link* link_of(Field& field) {
  static_assert(sizeof(Field) == sizeof(Link), "libuv's queue is two words");
  return reinterpret_cast<Link*>(&field);
}

inline void init(Link* link) {
  link->next = link;
  link->prev = link;
}
inline bool empty(const Link* link) { return link->next == link; }
inline void remove(Link* link) {
  link->prev->next = link->next;
  link->next->prev = link->prev;
  init(link);
}
inline void push_back(Link* list, Link* link) {
  link->next = list;
  link->prev = list->prev;
  list->prev->next = link;
  list->prev = link;
}
inline void push_front(Link* list, Link* link) { push_back(list->next, link); }
// `to` becomes the list and `from` empty. REQUIRES: `to` is in no list.
inline void move_all(Link* from, Link* to) {
  init(to);
  if (empty(from)) return;
  *to = *from;
  to->next->prev = to;
  to->prev->next = to;
  init(from);
}

template <class Owner>
Owner* owner_at(Link* link, size_t offset) {
  return reinterpret_cast<Owner*>(reinterpret_cast<char*>(link) - offset);
}
#define UVSIM_OWNER(link, type, field) ::uvsim::owner_at<type>(link, offsetof(type, field))

// ---------------------------------------------------------------------------------------------
// Flags of uv_handle_t::flags. The numbers are ours; libuv's are private too.

enum Flag : unsigned {
  flag_closing = 1u << 0,
  flag_closed = 1u << 1,
  flag_active = 1u << 2,
  flag_ref = 1u << 3,
  flag_reading = 1u << 4,
  flag_readable = 1u << 5,
  flag_writable = 1u << 6,
  flag_bound = 1u << 7,
  flag_shutting = 1u << 8,
  flag_shut = 1u << 9,
  flag_read_partial = 1u << 10,
  flag_read_eof = 1u << 11,
  flag_listening = 1u << 12,
  flag_nodelay = 1u << 13,
  flag_keepalive = 1u << 14,
  flag_ipv6 = 1u << 15,
  flag_one_shot = 1u << 16,
  flag_pipe = 1u << 17,
};

// ---------------------------------------------------------------------------------------------
// The trace

// clang-format off
#define UVSIM_CALLS(X)                                                                            \
  X(uv_loop_init) X(uv_loop_close) X(uv_loop_configure) X(uv_run) X(uv_stop) X(uv_update_time)    \
  X(uv_sleep) X(uv_walk) X(uv_close) X(uv_ref) X(uv_unref) X(uv_fileno) X(uv_send_buffer_size)    \
  X(uv_recv_buffer_size) X(uv_socketpair) X(uv_pipe) X(uv_listen) X(uv_accept) X(uv_read_start)   \
  X(uv_read_stop) X(uv_write) X(uv_try_write) X(uv_shutdown) X(uv_stream_set_blocking)            \
  X(uv_tcp_init) X(uv_tcp_open) X(uv_tcp_nodelay) X(uv_tcp_keepalive)                             \
  X(uv_tcp_simultaneous_accepts) X(uv_tcp_bind) X(uv_tcp_getsockname) X(uv_tcp_getpeername)       \
  X(uv_tcp_close_reset) X(uv_tcp_connect) X(uv_pipe_init) X(uv_pipe_open) X(uv_pipe_bind)         \
  X(uv_pipe_connect) X(uv_pipe_getsockname) X(uv_pipe_getpeername) X(uv_pipe_chmod)               \
  X(uv_pipe_pending) X(uv_prepare_init) X(uv_prepare_start) X(uv_prepare_stop) X(uv_check_init)   \
  X(uv_check_start) X(uv_check_stop) X(uv_idle_init) X(uv_idle_start) X(uv_idle_stop)             \
  X(uv_async_init) X(uv_async_send) X(uv_timer_init) X(uv_timer_start) X(uv_timer_stop)           \
  X(uv_timer_again) X(uv_timer_set_repeat) X(uv_signal_init) X(uv_signal_start)                   \
  X(uv_signal_stop) X(uv_kill) X(uv_cancel) X(uv_library_shutdown) X(uv_queue_work)               \
  X(uv_getaddrinfo) X(uv_getnameinfo) X(uv_random) X(uv_fs_unlink) X(ioctl) X(setsockopt)          \
  X(getsockopt) X(shutdown) X(sleep) X(raise)

#define UVSIM_CALLBACKS(X)                                                                        \
  X(alloc_cb) X(read_cb) X(write_cb) X(shutdown_cb) X(connect_cb) X(connection_cb) X(close_cb)    \
  X(timer_cb) X(idle_cb) X(prepare_cb) X(check_cb) X(async_cb) X(signal_cb) X(walk_cb)            \
  X(work_cb) X(after_work_cb) X(getaddrinfo_cb) X(getnameinfo_cb) X(random_cb) X(fs_cb)

#define UVSIM_HAPPENINGS(X)                                                                       \
  X(turn) X(time_jump) X(peer_connect) X(peer_send) X(peer_read) X(peer_fin) X(peer_close)        \
  X(peer_reset) X(peer_listen) X(peer_accept) X(signal) X(advance) X(note) X(finding)             \
  X(peer_urgent)
// clang-format on

enum class What : uint8_t {
#define UVSIM_ENUMERATOR(name) name,
  UVSIM_CALLS(UVSIM_ENUMERATOR) first_callback,
  UVSIM_CALLBACKS(UVSIM_ENUMERATOR) first_happening,
  UVSIM_HAPPENINGS(UVSIM_ENUMERATOR)
#undef UVSIM_ENUMERATOR
};
constexpr uint8_t subject_loop = 200;
constexpr uint8_t subject_peer = 201;

// ---------------------------------------------------------------------------------------------
// Records

// Open addressing from an address to a record, without allocation once it has grown. Emptied in no
// time: a slot counts only if it was filled in the present round.
template <class Record>
class AddressMap {
 public:
  Record* find(const void* address) const {
    if (slots_.empty()) return nullptr;
    for (size_t i = home(address); used(i); i = (i + 1) & mask_)
      if (slots_[i].address == address) return slots_[i].record;
    return nullptr;
  }
  // REQUIRES: it is not there.
  void put(const void* address, Record* record) {
    if ((size_ + 1) * 2 > slots_.size()) grow();
    size_t i = home(address);
    while (used(i)) i = (i + 1) & mask_;
    ++size_;
    slots_[i] = {address, record, round_};
  }
  // REQUIRES: it is there.
  void erase(const void* address) {
    size_t hole = home(address);
    while (slots_[hole].address != address) hole = (hole + 1) & mask_;
    --size_;
    for (size_t i = (hole + 1) & mask_; used(i); i = (i + 1) & mask_) {
      // An entry may move into the hole unless its home lies after the hole.
      if (((i - home(slots_[i].address)) & mask_) < ((i - hole) & mask_)) continue;
      slots_[hole] = slots_[i];
      hole = i;
    }
    slots_[hole].round = 0;
  }
  void clear() {
    size_ = 0;
    ++round_;
  }
  size_t size() const { return size_; }
  template <class Visit>
  void for_each(Visit visit) const {
    for (size_t i = 0; i < slots_.size(); ++i)
      if (used(i)) visit(*slots_[i].record);
  }

 private:
  struct Slot {
    const void* address;
    Record* record;
    uint64_t round;
  };
  bool used(size_t i) const { return slots_[i].round == round_; }
  size_t home(const void* address) const {
    return (reinterpret_cast<uintptr_t>(address) * 0x9e3779b97f4a7c15u >> 20) & mask_;
  }
  void grow() {
    std::vector<Slot> old(slots_.empty() ? 64 : slots_.size() * 2, Slot{nullptr, nullptr, 0});
    old.swap(slots_);
    mask_ = slots_.size() - 1;
    size_ = 0;
    for (const Slot& slot : old)
      if (slot.round == round_) put(slot.address, slot.record);
  }
  std::vector<Slot> slots_;
  size_t mask_ = 0;
  size_t size_ = 0;
  uint64_t round_ = 1;
};

// Objects with stable addresses, all given back at once, and in no time, at the start of a run.
template <class Object>
class Pool {
 public:
  Object* take() {
    if (!free_.empty()) {
      Object* const object = free_.back();
      free_.pop_back();
      return object;
    }
    if (taken_ == all_.size()) all_.push_back(std::make_unique<Object>());
    return all_[taken_++].get();
  }
  void give_back(Object* object) { free_.push_back(object); }
  void give_back_all() {
    free_.clear();
    taken_ = 0;
  }

 private:
  std::vector<std::unique_ptr<Object>> all_;
  size_t taken_ = 0;  // of them, in this run; the rest is as the last run left it
  std::vector<Object*> free_;
};

struct LoopState;
struct Socket;

enum class Life : uint8_t { open, closing, closed };

struct HandleRecord {
  uv_handle_t* handle = nullptr;
  LoopState* loop = nullptr;
  uint32_t id = 0;
  uv_handle_type type = UV_UNKNOWN_HANDLE;
  Life life = Life::closed;
  bool in_alloc = false;         // its alloc_cb is running
  bool deaf = false;             // R37, R38: a listener that accepts no client any more
  bool bind_error_told = true;   // R40
  uint32_t no_buffer_turns = 0;  // R7: ENOBUFS callbacks in a row
  uint32_t pending_requests = 0;
  uint32_t peer_id = 0;  // of its connection, when it was closed
  ledger::LoanId loan = ledger::no_loan;
  uint64_t init_step = 0;
  uint64_t close_step = 0;

  Subject subject() const { return {id, static_cast<uint8_t>(type)}; }
};

// A request in flight.
struct RequestRecord {
  uv_req_t* request = nullptr;
  HandleRecord* handle = nullptr;
  uv_req_type type = UV_UNKNOWN_REQ;
  ledger::LoanId loan = ledger::no_loan;
  std::vector<ledger::LoanId> buffer_loans;
  std::vector<uv_buf_t> buffers;  // where the request has more than fit into it
  size_t bytes = 0;               // of the whole write
  bool summed = false;
  uint64_t sum = 0;  // of the bytes that wait, R12; 0 when all of them were written unchanged
  uint64_t position = 0;
  uint64_t step = 0;
};

// ---------------------------------------------------------------------------------------------
// The simulated kernel

class ByteQueue {
 public:
  size_t size() const { return size_; }
  void clear() { head_ = size_ = 0; }
  void push(const char* bytes, size_t count);
  void pop(char* bytes, size_t count);
  void truncate(size_t count) { size_ = count < size_ ? count : size_; }
  void shrink();  // gives memory back if it is much

 private:
  void grow(size_t wanted);
  std::unique_ptr<char[]> data_;
  size_t capacity_ = 0;  // a power of two, or 0
  size_t head_ = 0;
  size_t size_ = 0;
};

struct Address {
  Family family = Family::ipv4;
  uint16_t port = 0;
  uint8_t bytes[16] = {};  // IPv4 in the first four
  uint32_t scope = 0;
};

// What an epoll instance knows of a descriptor.
struct Watch {
  enum class Kind : uint8_t { socket, async, signal };
  Link ready;
  LoopState* loop = nullptr;  // null: not registered
  uint32_t interest = 0;
  Kind kind = Kind::socket;
  bool is_ready = false;  // in the loop's ready list
  Socket* socket = nullptr;
};

// What connect(2) thinks of a socket, which learns of the end of an attempt only when asked again.
enum class Attempt : uint8_t { none, pending, over, broken };

enum class SocketState : uint8_t { fresh, listening, connecting, established, dead };

// What is set on a socket, as getsockopt(2) shows it. An accepted TCP socket has its listener's.
struct SocketOptions {
  static constexpr uint8_t send_lock = 1;  // SOCK_SNDBUF_LOCK of Linux
  static constexpr uint8_t receive_lock = 2;

  bool oob_inline = false;
  bool linger = false;
  bool keepalive = false;
  bool reuse_address = false;
  bool reuse_port = false;
  bool no_delay = false;
  bool quick_ack = true;
  bool cork = false;
  uint8_t defer_accept = 0;  // retransmissions of SYN-ACK
  uint8_t buffer_lock = 0;   // whose sizes the kernel leaves alone: send_lock, receive_lock
  int linger_seconds = 0;
  int keep_idle = 7200;  // seconds, and the next
  int keep_interval = 75;
  int keep_count = 9;
  int user_timeout = 0;  // ms
};

struct Socket {
  uint32_t serial = 0;   // changes with every reuse
  uint32_t peer_id = 0;  // of a Peer, when played from outside
  int fd = -1;
  SocketState state = SocketState::fresh;
  Attempt attempt = Attempt::none;
  Family family = Family::ipv4;
  bool outside = false;
  bool orphan = false;   // closed by its owner; kept while the other end refers to it
  bool accepted = true;  // false while in a listener's queue
  bool bound = false;
  bool only_v6 = false;
  bool reset_seen = false;
  bool refused = false;
  bool was_connected = false;
  bool own = false;         // the program asked for the connection
  bool read_shut = false;   // no more input: our shutdown, or the connection is dead
  bool write_shut = false;  // no more output
  bool shut_for_good = false;
  bool fin_queued = false;  // the other end has ended its output, after `in`
  bool blocking = false;
  int error = 0;  // SO_ERROR, positive errno
  Socket* peer = nullptr;
  ByteQueue in;
  // How many bytes of `in` are before the urgent one.
  static constexpr size_t no_urgent = SIZE_MAX;
  size_t urgent = no_urgent;
  size_t lost = 0;  // of a dead one: what had not been acknowledged
  SocketOptions options;
  uint32_t send_shown = 0;  // what the options show
  uint32_t receive_shown = 0;
  size_t send_room = 0;  // what the buffers really hold
  size_t receive_room = 0;
  size_t kept = 0;  // bytes that had come in when receive_room was last set, and are still there
  bool nospace = false;  // a write or a poll found no room
  Address local;
  Address remote;
  std::string path;  // of a pipe
  std::string remote_path;
  bool is_anonymous = false;  // one end of uv_pipe: no socket to guess_handle, but a pipe
  uint32_t backlog = 0;
  std::vector<Socket*> queue;  // of a listener, in order; entries before queue_head are taken
  size_t queue_head = 0;
  uint64_t sent = 0;
  uint64_t received = 0;
  Watch watch;
  uv_stream_t* stream = nullptr;  // the stream that watches it; null: none
  uv_stream_t* owner = nullptr;   // whose descriptor it is

  size_t queued() const { return queue.size() - queue_head; }
  // What the receive buffer holds at most. Making it smaller takes nothing back: what had come in
  // is acknowledged, and stays.
  size_t window() const { return kept > receive_room ? kept : receive_room; }
  void set_receive_room(size_t size) {
    kept = visible();
    receive_room = size;
  }
  // REQUIRES: count <= in.size().
  void take(char* bytes, size_t count) {
    in.pop(bytes, count);
    kept -= count < kept ? count : kept;
  }
  size_t visible() const { return in.size() < window() ? in.size() : window(); }
  // What one read can return: it ends before the urgent byte, which is not read but passed over
  // unless it is in line.
  size_t readable() const {
    const size_t there = visible();
    if (urgent == no_urgent || there == 0) return there;
    if (urgent > 0) return urgent < there ? urgent : there;
    return options.oob_inline ? there : there - 1;
  }
  bool resets_at_close() const { return options.linger && options.linger_seconds == 0; }
  void reset_at_close() {
    options.linger = true;
    options.linger_seconds = 0;
  }
  // The other end's FIN has come in, because all before it fits into the receive buffer.
  bool fin_arrived() const { return fin_queued && in.size() <= window(); }
  bool input_over() const { return read_shut || fin_arrived(); }
};

enum class DescriptorKind : uint8_t { free, socket, machinery };

struct Descriptor {
  DescriptorKind kind = DescriptorKind::free;
  Socket* socket = nullptr;
};

// Something the network does later: a SYN is sent again, or given up.
struct NetworkTimer {
  uint64_t at_ns;
  Socket* socket;
  uint32_t serial;
  uint32_t attempt;
};

// Simulated descriptors start here, above any real one, unless they have real numbers.
constexpr int first_descriptor = 500'000;

class Kernel {
 public:
  void reset(Context& context);

  int open_machinery();  // a descriptor for a loop's own use, or UV_EMFILE
  int open_socket(Family family, Socket** out);
  int adopt(Socket* socket);  // gives a descriptor to a socket that has none
  void close_descriptor(int fd);
  Socket* socket_at(int fd);  // null: not a simulated socket
  bool exists(int fd) const;
  uint32_t open_descriptors() const { return open_; }
  bool descriptor_free();  // REQUIRED before a descriptor is allocated
  // A new stream socket of the program's own becomes a simulated one; null if it is not new.
  Socket* take_over(int fd);
  void close_real_descriptors();

  int bind(Socket& socket, const Address& address);
  int bind_name(Socket& socket, std::string name);  // an empty one: any
  int listen(Socket& socket, int backlog);
  int connect(Socket& socket, const Address& address);
  int connect_name(Socket& socket, const std::string& name);
  int accept(Socket& listener, Socket** out);  // 0, or -errno
  int pair(Socket** a, Socket** b, Family family);
  void close(Socket& socket);
  int shutdown_write(Socket& socket);
  int shutdown(Socket& socket, int how);  // as shutdown(2); REQUIRES: neither listens nor connects
  // Count of bytes, or -errno. 0 from read: the end.
  ssize_t read(Socket& socket, char* bytes, size_t size);
  ssize_t write(Socket& socket, const uv_buf_t* buffers, unsigned count, size_t limit);
  size_t room(const Socket& socket) const;
  bool write_urgent(Socket& socket, char byte);
  static size_t held(const Socket& socket);            // in the send buffer
  static size_t unacknowledged(const Socket& socket);  // the same, and FIN
  bool is_gone(const Socket& socket) const;            // closed by the program itself, not by libuv
  void kill(Socket& socket, int error);                // as if a RST had come in
  void fail_connection(Socket& socket);                // both ends; this one has been told
  void reset_connection(Socket& socket);               // RST to the other end
  void lose_connection(Socket& socket);                // both ends get a RST, from the wire
  int connect_again(Socket& socket);
  void set_send_buffer(Socket& socket, int value);
  void set_receive_buffer(Socket& socket, int value);

  uint32_t events(Socket& socket);             // what poll(2) would say
  void wake(Socket& socket, uint32_t events);  // events 0: all

  Socket* new_socket(Family family);
  Socket* find_listener(const Address& address) const;
  Socket* find_name(const std::string& name) const;
  int remove_name(const std::string& name);
  static bool is_local(const Address& address);
  uint16_t free_port();
  void establish(Socket& client, Socket& listener);
  void connect_fails(Socket& socket, int error);
  bool queue_full(const Socket& listener) const { return listener.queued() > listener.backlog; }
  uint64_t next_timer() const;  // ns, or Wait::forever
  void run_timers();
  void schedule(Socket& socket, uint64_t delay_ns, uint32_t attempt);

  const std::vector<Socket*>& bound_sockets() const { return bound_; }
  std::vector<Socket*> peers;  // by Peer::id - 1
  size_t own_connections = 0;  // of these, those that the program asked for
  size_t connections = 0;      // ends of connections in the program

 private:
  int allocate(DescriptorKind kind, Socket* socket);
  int lowest_free();
  int real_number(const Socket* socket);
  void forget_bound(Socket& socket);
  void release_if_done(Socket& socket);
  void fin_to(Socket& socket);
  void pass_over_urgent(Socket& socket);
  void space_may_have_come(Socket& sender);

  Context* context_ = nullptr;
  std::vector<Descriptor> descriptors_;
  int first_ = first_descriptor;
  bool real_ = false;
  int reserved_ = -1;  // a real descriptor, for the next allocation
  size_t lowest_free_ = 0;
  uint32_t open_ = 0;
  Pool<Socket> sockets_;
  std::vector<Socket*> bound_;  // in order of binding: has an address or a name of its own
  std::vector<NetworkTimer> timers_;
  uint16_t next_port_ = 0;
  unsigned next_name_ = 0;
  uint32_t serial_ = 0;
};

// ---------------------------------------------------------------------------------------------
// Loops

struct Ready {
  Watch* watch;
  uint32_t serial;  // of its socket
  uint32_t events;
};

struct Caught {
  uv_signal_t* handle;
  int signum;
};

struct LoopState {
  uv_loop_t* loop = nullptr;
  uint32_t id = 0;
  bool running = false;
  uv_thread_t run_by = 0;  // the thread that is within uv_run
  bool measures_idle = false;
  bool wants_sqpoll = false;
  uint64_t idle_ns = 0;
  uint64_t poll_count = 0;
  uint64_t events_seen = 0;
  ledger::LoanId loan = ledger::no_loan;
  Link ready_list;
  Watch async_watch;
  Watch signal_watch;
  bool async_written = false;
  bool registered = false;  // its own watchers are with epoll: there was a poll since they came
  int emfile_fd = -1;
  int machinery[4] = {-1, -1, -1, -1};
  std::vector<uv_timer_t*> timers;  // a heap, by timeout and start_id
  std::vector<Caught> signal_pipe;  // in order
  std::vector<Ready> batch;
  Subject subject() const { return {id, subject_loop}; }
};

// ---------------------------------------------------------------------------------------------
// The context of a run

// How a program is left: the value of setjmp.
enum LeftBy : int { left_by_finding = 1, left_by_exit = 2 };

struct ExitHandler {
  void (*function)(void*);
  void* argument;
};

struct Simulation::Context {
  Simulation* simulation = nullptr;
  Options options;       // of this run
  Options next_options;  // of the next
  Choices* choices = nullptr;
  bool asks = false;  // false: every answer is 0
  PollHook hook;
  std::function<void(int)> end_hook;
  EventHook event_hook = nullptr;
  void* event_context = nullptr;
  uint32_t asked_about = 0;  // Peer::id
  bool leave_wanted = false;
  bool was_left = false;    // by a long jump
  bool ended_busy = false;  // threads of the program had not ended
  uint64_t baseline_live = 0;
  bool plain = false;  // made by the first uv_* call of a program without a driver
  bool in_run = false;
  bool in_hook = false;
  bool can_leave = false;  // `leave` is armed
  std::jmp_buf leave;
  int base_inside = 0;
  int program_result = 0;

  uint64_t now_ns = 0;
  uint64_t start_ns = 0;
  uint64_t step = 0;
  uint64_t callbacks = 0;
  uint64_t turns = 0;
  uint64_t choices_made = 0;
  uint64_t step_limit = 0;
  uint64_t calls_here = 0;   // since the last callback began or ended
  uint32_t clock_looks = 0;  // in a row
  uint32_t refusals = 0;     // of uv_try_write
  uint8_t depth = 0;
  const void* owner = nullptr;  // the handle of the current callback
  uint32_t next_handle_id = 0;
  uint32_t next_loop_id = 0;
  uint64_t end_ns = 0;                // virtual time must stay below
  uint64_t alarm_ns = Wait::forever;  // alarm(2)
  Trace trace;
  Report report;
  bool ledger_running = false;
  LeftBy left_by = left_by_finding;
  bool leaks_are_judged = false;
  bool keeps_exit_handlers = false;
  std::vector<ExitHandler> exit_handlers;  // registered by the program in this run
  Finding freed_early;  // R12, R13, R28, R29, R34, in a plain program, while no loop was running

  AddressMap<HandleRecord> handles;
  AddressMap<RequestRecord> requests;
  Pool<HandleRecord> handle_pool;
  Pool<RequestRecord> request_pool;
  Pool<LoopState> loop_pool;
  std::vector<LoopState*> loops;      // that were initialised in this run
  std::vector<uv_signal_t*> signals;  // started, in order of id
  uint32_t open_handles = 0;
  Kernel kernel;
  Network network;
  uv_loop_t default_loop;
  bool has_default_loop = false;

  bool v1_44() const { return options.version == Version::v1_44; }

  // `about` is the connection that the question concerns, if it concerns one.
  uint32_t pick(uint32_t n, ChoicePoint point, const Socket* about = nullptr) {
    if (!asks || n < 2 || !options.asked.has(point)) return 0;
    return pick_asked(n, point, about);
  }
  // The same where libuv has only the first `real` answers; the others are given on request.
  uint32_t fault(uint32_t real, uint32_t n, ChoicePoint point, const Socket* about = nullptr) {
    return pick(options.impossible.has(point) ? n : real, point, about);
  }
  uint32_t pick_asked(uint32_t n, ChoicePoint point, const Socket* about);
  void reset(Choices& source);
  void event(What what, Subject subject, int64_t value, const char* text = nullptr) {
    const TraceEvent event{++step, now_ns, value, 0, text, subject, what, depth, false};
    trace.add(event);
    if (event_hook != nullptr) tell(event, nullptr);
  }
  // The driver's observer hears of it; `record` is the handle's, if it is about one.
  void tell(const TraceEvent& event, const HandleRecord* record);
};

// Thread-local: what the calling thread's uv_* calls work on. Makes a plain context if need be.
Context& current() noexcept;
bool has_current() noexcept;        // whether the calling thread works on one
Context** current_slot() noexcept;  // where that is kept
// The same, or null if there is none.
Context* current_or_null() noexcept;
// Whether it is the program under test that calls.
inline bool is_program() noexcept { return ledger::detail::inside > 0 && has_current(); }

// Says in the report what leaked. `stack`: from there up are frames of the program; null: none.
void judge_leaks(Context& context, const void* stack);
// Referred to, so that the linker takes the file that defines exit and its kin.
void ends_of_the_program_are_ours();
// The run that this thread's program is to leave when it ends, or null: outside of a driver's run,
// and outside of the program.
Context* run_to_leave() noexcept;
// Before the first run: handlers of signals that are there by then are the driver's.
void give_the_driver_its_signals();
// After a run: what the program said of signals is over.
void take_back_signals();
// Whether the program has left a signal to the system, which does as it does by default.
bool is_left_to_the_system(int signum);
// In a run that can be left: the program dies of a signal for which no handle waits.
void die_of(Context& context, int signum);

// ---------------------------------------------------------------------------------------------
// Findings (contract.cpp)

// Ends the run: the program has broken a rule. `rule` is "R27", or "" outside the contract.
[[noreturn, gnu::cold]] void violate(Context& context, const char* rule, Subject subject,
                                     const char* format, ...) __attribute__((format(printf, 4, 5)));
// The program does what uvsim cannot run: nothing is said against it.
[[noreturn, gnu::cold]] void refuse(Context& context, Subject subject, const char* format, ...)
    __attribute__((format(printf, 3, 4)));
// Libuv survives it; noted in the report.
[[gnu::cold]] void warn(Context& context, const char* rule, Subject subject, const char* format,
                        ...) __attribute__((format(printf, 4, 5)));
[[noreturn, gnu::cold]] void give_up();  // abort()
void write_coverage();                   // what a dying process has covered counts, too
// By a long jump, from whichever thread. REQUIRES: can_leave.
[[noreturn, gnu::cold]] void leave(Context& context);
// Because the hook called Network::leave; where no loop waits that could be unblocked.
[[noreturn, gnu::cold]] void leave_as_wanted(Context& context);
[[noreturn, gnu::cold]] void limit_reached(Context& context, Limit limit);
// Nothing can happen any more in `loop`. Returns only with OnQuiescence::unblock.
[[gnu::cold]] void quiescent(Context& context, LoopState& loop);
// What keeps the loop alive, for a message.
std::string describe_pending(Context& context, LoopState& loop);
void ledger_incident(void* context, const ledger::Incident& incident);
// A loop is going to run after something that it uses was freed.
void must_not_have_freed_early(Context& context);
// A uv_* function that uvsim does not simulate was called: says so and ends.
[[noreturn, gnu::cold]] void unsimulated(const char* function) noexcept;
// The same where there is no run that could be left: ends the process.
constexpr int cannot_run_status = 69;
[[noreturn, gnu::cold]] void cannot_run(const char* what) noexcept;
// The memory must be readable, as far as a sanitizer can tell. R12, R2.
void touch(Context& context, const char* rule, Subject subject, const void* memory, size_t size,
           const char* what);

// ---------------------------------------------------------------------------------------------
// One public call

// Opens every traced uv_* function.
class Call {
 public:
  explicit Call(What what, int64_t value = 0) : context(current()) { open(what, value); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call() {
    if (context.event_hook != nullptr) tell();
  }

  int result(int64_t value) {
    context.trace.result(event_, value);
    result_ = value;
    has_result_ = true;
    return static_cast<int>(value);
  }
  // The record of a handle of the expected type that is open, closing, or closed but not
  // forgotten; anything else is a violation. UV_HANDLE: any; UV_STREAM: tcp or pipe.
  HandleRecord& handle(const void* handle, uv_handle_type type);
  // As handle(); where it is closed its memory must still be there.
  HandleRecord& live(const void* handle, uv_handle_type type);
  // For calls that libuv does not check and that leave it broken on a closing handle.
  void must_be_open(const HandleRecord& record);
  LoopState& loop(const uv_loop_t* loop);
  void subject(Subject subject);
  void record(const HandleRecord* record) { record_ = record; }

  Context& context;

 private:
  void open(What what, int64_t value);
  void must_be_of_this_thread(const LoopState& state);
  void tell();
  ledger::Outside outside_;
  What what_ = What::note;
  bool has_result_ = false;
  const HandleRecord* record_ = nullptr;
  Subject subject_;
  uint64_t step_ = 0;
  uint64_t event_ = 0;
  int64_t value_ = 0;
  int64_t result_ = 0;
};

void check_memory(Context& context, const HandleRecord& record, const char* what);

// Opens a getter: counted, so that a program cannot spin on it for ever, but not traced.
inline Context& look() {
  Context& context = current();
  if (++context.calls_here > context.options.max_calls_in_callback)
    limit_reached(context, Limit::calls_in_callback);
  return context;
}

// The two sides of a callback: counted, traced and told; and the way back.
const void* begin_callback(Context& context, What what, Subject subject, const void* owner,
                           int64_t value);
void end_callback(Context& context, const void* outer_owner);

// Runs a callback of the program.
template <class Function, class... Arguments>
void call_back(Context& context, What what, Subject subject, const void* owner, int64_t value,
               Function function, Arguments... arguments) {
  const void* const outer_owner = begin_callback(context, what, subject, owner, value);
  {
    const ledger::Inside inside;
    function(arguments...);
  }
  if (!has_current()) current();  // it waited for what uvsim knows nothing of
  end_callback(context, outer_owner);
}

// ---------------------------------------------------------------------------------------------
// Handles (handle.cpp)

inline bool is_active(const uv_handle_t* h) { return (h->flags & flag_active) != 0; }
inline bool is_closing(const uv_handle_t* h) {
  return (h->flags & (flag_closing | flag_closed)) != 0;
}
void handle_start(uv_handle_t* handle);
void handle_stop(uv_handle_t* handle);
void handle_ref(uv_handle_t* handle);
void handle_unref(uv_handle_t* handle);
template <class Handle>
uv_handle_t* base(Handle* handle) {
  return reinterpret_cast<uv_handle_t*>(handle);
}
template <class Handle>
uv_stream_t* stream_of(Handle* handle) {
  return reinterpret_cast<uv_stream_t*>(handle);
}

HandleRecord& handle_init(Call& call, uv_loop_t* loop, uv_handle_t* handle, uv_handle_type type);
// For an init that fails after all: the handle is not in the loop.
void handle_drop(Context& context, HandleRecord& record);
void begin_close(Context& context, HandleRecord& record, uv_close_cb callback);
void finish_close(Context& context, uv_handle_t* handle);
// The loop's list of handles must lead to it and on from it: where a handle was copied over or
// cleared, libuv would crash, or never see the others again.
void check_linked(Context& context, const HandleRecord& record, const char* what);
HandleRecord& record_of(Context& context, const void* handle);
// The outside end of the handle's connection: Peer::id, or 0.
uint32_t peer_of(Context& context, const HandleRecord& record);

// Requests
// R13 unless it is free. `handle` is null for what the pool does.
RequestRecord& request_begin(Context& context, uv_loop_t* loop, void* request, uv_req_type type,
                             HandleRecord* handle);
void check_request_free(Context& context, const void* request, Subject user);
// The request is the program's again; its record is gone.
void request_end(Context& context, uv_loop_t* loop, void* request);
RequestRecord& request_record(Context& context, const void* request);

// ---------------------------------------------------------------------------------------------
// Loops and poll (loop.cpp, poll.cpp)

LoopState& loop_state(Context& context, const uv_loop_t* loop);
void update_time(Context& context, uv_loop_t* loop);
uint64_t look_at_clock(Context& context);  // ns since some time; looking takes time, too
constexpr uint64_t epoch_ns = 1'790'000'000ull * 1'000'000'000;  // some day in 2026, for the other
int backend_timeout(const uv_loop_t* loop, const LoopState& state);
void poll(Context& context, LoopState& state, int timeout);
void io_start(uv_stream_t* stream, unsigned events);
void io_stop(uv_stream_t* stream, unsigned events);
void io_close(uv_stream_t* stream);
void io_feed(uv_stream_t* stream);
void make_ready(Watch& watch);
void forget_watch(Watch& watch);
void spend(Context& context, uint64_t ns);  // virtual time passes
bool anything_ready(LoopState& state);
Progress ask_hook(Context& context, bool ready, uint64_t deadline);

// ---------------------------------------------------------------------------------------------
// Streams (stream.cpp, write.cpp, listen.cpp)

// One of up to four sizes from 1 to `most`; `most` is the kindest.
size_t choose_size(Context& context, const Socket& socket, size_t most, ChoicePoint point);
void stream_init(Call& call, HandleRecord& record, uv_stream_t* stream);
int stream_open(Context& context, uv_stream_t* stream, int fd, unsigned flags);
void stream_close(Context& context, uv_stream_t* stream);
void stream_destroy(Context& context, uv_stream_t* stream);
// Events on the stream's descriptor, or EPOLLOUT from the pending queue.
void stream_io(Context& context, uv_stream_t* stream, uint32_t events);
void server_io(Context& context, uv_stream_t* stream);
void write_some(Context& context, uv_stream_t* stream);
void write_callbacks(Context& context, uv_stream_t* stream);
void drain(Context& context, uv_stream_t* stream);
void flush_writes(Context& context, uv_stream_t* stream, int error);
int start_listening(Context& context, uv_stream_t* stream, int backlog, uv_connection_cb callback);
Socket* socket_of(Context& context, const uv_stream_t* stream);  // null: no descriptor

// Whether the process has it open; and the end of a program that wants such a one simulated.
bool is_real_descriptor(int fd);
[[noreturn, gnu::cold]] void not_simulated(Context& context, const char* function, int fd);

int tcp_new_socket(Context& context, uv_tcp_t* tcp, Family family, unsigned flags);
int tcp_listen(Context& context, uv_tcp_t* tcp, int backlog, uv_connection_cb callback);
int pipe_listen(Context& context, uv_pipe_t* pipe, int backlog, uv_connection_cb callback);
void pipe_close(Context& context, uv_pipe_t* pipe);
int tcp_apply_options(uv_stream_t* stream, Socket& socket);

// ---------------------------------------------------------------------------------------------
// Socket options and system calls (socket_option.cpp, system_calls.cpp)

// 0 or -errno; nothing: uvsim does not know this option.
std::optional<int> set_option(Kernel& kernel, Socket& socket, int level, int name,
                              const void* value, socklen_t size);
std::optional<int> get_option(Socket& socket, int level, int name, void* value, socklen_t* size);

// The system's own, which uvsim stands in front of.
namespace real {
unsigned alarm(unsigned seconds) noexcept;
void sleep(uint64_t ns) noexcept;
int get_option(int fd, int level, int name, void* value, socklen_t* size) noexcept;
int set_action(int signum, const struct sigaction* action, struct sigaction* before) noexcept;
}  // namespace real

// ---------------------------------------------------------------------------------------------
// The rest

void run_timers(Context& context, LoopState& state);
int next_timeout(const uv_loop_t* loop, const LoopState& state);
void timer_close(Context& context, uv_timer_t* timer);
void run_idle(Context& context, LoopState& state);
void run_prepare(Context& context, LoopState& state);
void run_check(Context& context, LoopState& state);
void idle_close(uv_idle_t* idle);
void prepare_close(uv_prepare_t* prepare);
void check_close(uv_check_t* check);
void async_close(uv_async_t* async);
void run_async(Context& context, LoopState& state);
void signal_close(Context& context, uv_signal_t* signal);
bool signal_is_trapped(const uv_signal_t* signal);
bool deliver_signal(Context& context, int signum);
// Sends the program a signal: to handles that wait for it, otherwise to the process.
void raise_signal(Context& context, int signum);
void run_signals(Context& context, LoopState& state);
void restore_real_signals() noexcept;
void take_real_signals(Context& context);

int address_from(const sockaddr* from, Address* to);  // 0 or UV_EINVAL
void address_to(const Address& from, sockaddr* to, int* size);
std::string text_of(const Address& address);

}  // namespace uvsim

#endif  // UVSIM_INTERNAL_HPP
