// uvsim: a simulated libuv. A libuv program that is linked with it in place of libuv runs without a
// kernel, in virtual time, deterministically, one thread at a time, with chosen faults and every
// rule of libuv's stream contract checked.
//
// A plain program does not need this header: its main() runs unchanged, the environment variables
// below set the options, and a broken rule ends it with a message and the trace.
//
//   UVSIM_VERSION=1.44|1.52   UVSIM_SEED=n (random choices)   UVSIM_CHOICES=hexbytes
//   UVSIM_FAULTS=name,name|all (answers that libuv never gives, too)
//   UVSIM_TRACE=text|json (to stderr at exit)   UVSIM_CHECKS=0   UVSIM_MAX_TURNS=n
//   UVSIM_MAX_SECONDS=n (virtual)   UVSIM_WATCHDOG=n (real seconds)   UVSIM_LEDGER=0
//
// A driver (a test, a fuzz target) uses Simulation: many runs in one process, each from a clean
// start. This header is what a driver or a World needs. The implementation is in sim/src.
#ifndef UVSIM_UVSIM_HPP
#define UVSIM_UVSIM_HPP

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

struct sockaddr;

namespace uvsim {

// The libuv whose behaviour uvsim has.
enum class Version : uint8_t { v1_44, v1_52 };

// ---------------------------------------------------------------------------------------------
// Choices
//
// uvsim asks a Choices source every question that the real world would decide, as pick(n, point).
// The answer is 0..n-1; 0 is always the kindest. A question with one answer is not asked.

// X(name, what is asked; answers in order, kindest first, when the real one answers so). The last
// names the place in libuv 1.44.2, in src/unix; `never` means that no answer but the kindest is
// possible there. Answers behind "on request" are given only where Options::impossible has the
// point.
// clang-format off
#define UVSIM_CHOICE_POINTS(X) \
  X(ready_order, "which of n ready handles goes first: the order of readiness, or another", \
    "as epoll lists them: uv__io_poll, epoll.c:103") \
  X(ready_count, "how many of n ready handles this poll reports: all, all but 1, ... one", \
    "what comes in a moment later: uv__io_poll, epoll.c:103") \
  X(turn_time, "how long a turn takes: as usual, 1 ms, 50 ms", \
    "a busy machine: uv__update_time, epoll.c:254") \
  X(read_size, "how much a read returns: all there is, 1 byte, half, all but one byte", \
    "the rest comes in a moment later: uv__read, stream.c:1117") \
  X(read_again, "does a read find nothing after all: no, EAGAIN", \
    "a readiness that was none: uv__read, stream.c:1138") \
  X(read_error, "does a read fail: no, ECONNRESET, ETIMEDOUT; on request ENOMEM", \
    "the connection ends; a pipe has ECONNRESET only: uv__read, stream.c:1117") \
  X(write_size, "how much a write accepts: all that fits, 1 byte, half, all but one byte", \
    "a send buffer that others fill: uv__try_write, stream.c:856") \
  X(write_again, "does a write find no room: no, EAGAIN", \
    "no memory for sockets: uv__try_write, stream.c:863") \
  X(write_error, "does a write fail: no, ECONNRESET, EPIPE; on request ENOBUFS", \
    "the connection is gone; ENOBUFS is EAGAIN to libuv: uv__try_write, stream.c:856") \
  X(shutdown_error, "does shutdown(2) fail: no, ENOTCONN", \
    "a TCP connection is reset before: uv__drain, stream.c:684") \
  X(connect_result, "a connect's end: as the network says, refused, timed out, unreachable", \
    "the other end, or the way to it: uv__stream_connect, stream.c:1328") \
  X(accept_error, "does accept(2) fail: no, EMFILE, ECONNABORTED", \
    "limits; a client that is gone: uv__server_io, stream.c:524") \
  X(socket_error, "does socket(2) fail: no, EMFILE, ENOBUFS", \
    "limits, memory: uv__socket, core.c:462") \
  X(call_loop_init, "does uv_loop_init fail: no, EMFILE", \
    "limits: uv_loop_init, loop.c:77") \
  X(call_tcp_init, "does uv_tcp_init fail: on request ENOMEM", \
    "never; what uv_tcp_init_ex asks for is socket_error: tcp.c:114") \
  X(call_pipe_init, "does uv_pipe_init fail: on request ENOMEM", \
    "never: uv_pipe_init, pipe.c:33") \
  X(call_timer_init, "does uv_timer_init fail: on request ENOMEM", \
    "never: uv_timer_init, timer.c:58") \
  X(call_timer_start, "does uv_timer_start fail: on request EINVAL", \
    "never without a mistake: uv_timer_start, timer.c:67") \
  X(call_async_init, "does uv_async_init fail: on request EMFILE", \
    "never; the loop has its descriptor: uv__async_start, async.c:202") \
  X(call_signal_init, "does uv_signal_init fail: on request EMFILE", \
    "never; the loop has its pipe: uv__signal_loop_once_init, signal.c:261") \
  X(call_signal_start, "does uv_signal_start fail: on request EINVAL", \
    "never without a mistake: uv__signal_start, signal.c:352") \
  X(call_bind, "does a bind fail: no, EADDRINUSE (of TCP told later), EACCES; on request EADDRNOTAVAIL", \
    "taken; a port below 1024, a directory: uv__tcp_bind, tcp.c:187; uv_pipe_bind, pipe.c:74") \
  X(call_listen, "does uv_listen fail: no, EADDRINUSE; on request EMFILE", \
    "another TCP socket listens there: uv__tcp_listen, tcp.c:371") \
  X(call_accept, "does uv_accept fail: on request EBUSY", \
    "never into a fresh handle: uv__stream_open, stream.c:398") \
  X(call_read_start, "does uv_read_start fail: on request ENOMEM", \
    "never: uv__read_start, stream.c:1501") \
  X(call_write, "does uv_write refuse: no, ENOMEM; on request EBADF", \
    "more than four buffers and no memory: uv_write2, stream.c:1429") \
  X(call_try_write, "does uv_try_write refuse: on request EBADF", \
    "never; what write(2) says is write_error: uv_try_write2, stream.c:1483") \
  X(call_shutdown, "does uv_shutdown refuse: on request ENOTCONN", \
    "never on an open stream: uv_shutdown, stream.c:1230") \
  X(call_connect, "does a connect call fail: no, EADDRNOTAVAIL (of a pipe EACCES)", \
    "no free port, no permission: uv__tcp_connect, tcp.c:251; uv_pipe_connect, pipe.c:198") \
  X(call_socket_option, "does a nodelay, keepalive or buffer size call fail: on request EINVAL", \
    "never without a mistake: uv__tcp_nodelay, tcp.c:385") \
  X(allocation, "does an allocation of the program fail: no, yes (Options::fail_allocations)", \
    "no memory: malloc(3)") \
  X(call_address, "does getsockname or getpeername fail: no, ENOTCONN; on request ENOBUFS", \
    "getpeername, when TCP was reset: uv__getsockpeername, core.c:1518") \
  X(option_error, "does setsockopt(2) or getsockopt(2) fail: on request EACCES", \
    "never on Linux without a policy that says so") \
  X(ioctl_error, "does ioctl(2) on a socket fail: on request EACCES", \
    "never on Linux without a policy that says so") \
  X(thread_turn, "do threads and workers run while the loop has something to do: yes, no", \
    "a busy machine: worker, threadpool.c:57") \
  X(thread_order, "which of n ready threads and workers goes first: the oldest, or another", \
    "a busy machine: worker, threadpool.c:57") \
  X(worker_start, "when a worker takes what is queued: as the loop waits, at once", \
    "an idle machine: uv_cancel comes too late: uv__work_cancel, threadpool.c:280")
// clang-format on

enum class ChoicePoint : uint8_t {
#define UVSIM_CHOICE_ENUMERATOR(name, meaning, cause) name,
  UVSIM_CHOICE_POINTS(UVSIM_CHOICE_ENUMERATOR)
#undef UVSIM_CHOICE_ENUMERATOR
  // Free for a World's own questions: what happens next, and how. uvsim never asks them.
  action,
  detail,
};
constexpr uint32_t choice_point_count = static_cast<uint32_t>(ChoicePoint::detail) + 1;
// Asked by uvsim: what the machine and libuv do.
constexpr bool is_machines(ChoicePoint point) { return point < ChoicePoint::action; }
const char* name_of(ChoicePoint point) noexcept;
const char* meaning_of(ChoicePoint point) noexcept;
const char* cause_of(ChoicePoint point) noexcept;  // when the real one answers so, and where

// A set of choice points.
class ChoiceSet {
 public:
  static constexpr ChoiceSet none() { return ChoiceSet(0); }
  static constexpr ChoiceSet all() { return ChoiceSet(~uint64_t{0}); }
  // The points at which the real libuv or its surroundings have more than one answer.
  static ChoiceSet possible();
  // Reads "call_write,read_error", or "all". Returns false, and changes nothing, if a name is
  // unknown.
  static bool parse(std::string_view names, ChoiceSet* set);
  constexpr ChoiceSet with(ChoicePoint p) const { return ChoiceSet(bits_ | bit(p)); }
  constexpr ChoiceSet without(ChoicePoint p) const { return ChoiceSet(bits_ & ~bit(p)); }
  constexpr bool has(ChoicePoint p) const { return (bits_ & bit(p)) != 0; }

 private:
  constexpr explicit ChoiceSet(uint64_t bits) : bits_(bits) {}
  static constexpr uint64_t bit(ChoicePoint p) { return uint64_t{1} << static_cast<unsigned>(p); }
  uint64_t bits_;
};

class Choices {
 public:
  virtual ~Choices() = default;
  // REQUIRES n >= 2. Returns 0..n-1; a larger answer is taken modulo n.
  virtual uint32_t pick(uint32_t n, ChoicePoint point) = 0;
};

// Always 0: a healthy loopback. Whole messages, no faults.
class Kindest final : public Choices {
 public:
  uint32_t pick(uint32_t n, ChoicePoint point) override;
};

// One byte of fuzz input per pick (two where n > 256); 0 for ever once they are used up.
class Bytes final : public Choices {
 public:
  Bytes(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  uint32_t pick(uint32_t n, ChoicePoint point) override;
  bool exhausted() const { return used_ >= size_; }
  size_t used() const { return used_; }

 private:
  const uint8_t* data_;  // not owned; must outlive the run
  size_t size_;
  size_t used_ = 0;
};

// A given list of answers, 0 when it ends.
class Replay final : public Choices {
 public:
  explicit Replay(std::vector<uint32_t> answers) : answers_(std::move(answers)) {}
  uint32_t pick(uint32_t n, ChoicePoint point) override;
  void rewind() { used_ = 0; }

 private:
  std::vector<uint32_t> answers_;
  size_t used_ = 0;
};

// Passes every question on to `source`, and keeps the answers for Replay.
class Recorder final : public Choices {
 public:
  explicit Recorder(Choices& source) : source_(source) {}
  uint32_t pick(uint32_t n, ChoicePoint point) override;
  const std::vector<uint32_t>& answers() const { return answers_; }
  void clear() { answers_.clear(); }

 private:
  Choices& source_;
  std::vector<uint32_t> answers_;
};

// Seeded random answers; `kindness` in 256 of them are 0.
class Random final : public Choices {
 public:
  explicit Random(uint64_t seed, uint32_t kindness = 160) : state_(seed), kindness_(kindness) {}
  uint32_t pick(uint32_t n, ChoicePoint point) override;

 private:
  uint64_t state_;
  uint32_t kindness_;
};

// Gives question number `nth`, from 0, `answer`, and every other question the kindest answer.
// Torture uses it with one point in Options::asked. seen() returns the number of questions.
class OneFault final : public Choices {
 public:
  OneFault(uint64_t nth, uint32_t answer) : nth_(nth), answer_(answer) {}
  uint32_t pick(uint32_t n, ChoicePoint point) override;
  uint64_t seen() const { return seen_; }

 private:
  uint64_t nth_;
  uint32_t answer_;
  uint64_t seen_ = 0;
};

// Every combination of answers, depth first:
//   for (Exhaustive all; all.next();) simulation.run(all, program);
// Past max_depth questions the answer is 0 and truncated() is true.
class Exhaustive final : public Choices {
 public:
  explicit Exhaustive(size_t max_depth = 64) : max_depth_(max_depth) {}
  bool next();
  uint32_t pick(uint32_t n, ChoicePoint point) override;
  uint64_t runs() const { return runs_; }
  bool truncated() const { return truncated_; }

 private:
  struct Branch {
    uint32_t taken;
    uint32_t width;
  };
  std::vector<Branch> path_;
  size_t depth_ = 0;
  size_t max_depth_;
  uint64_t runs_ = 0;
  bool truncated_ = false;
};

// ---------------------------------------------------------------------------------------------
// Options

// What happens to the program when it breaks a rule or reaches a limit.
enum class OnViolation : uint8_t {
  // Print the message and the trace to stderr, then abort(). For plain programs and fuzz targets.
  abort,
  // Note it in the report and leave the program by a long jump to Simulation::run. No destructor
  // of the abandoned frames runs; what they owned is freed by the ledger.
  leave,
};

// What happens when nothing can happen any more: no event, no timer, nothing from the hook.
enum class OnQuiescence : uint8_t {
  // A driver's program is left by a long jump, with Report::quiescent set. For a plain program
  // uvsim prints what keeps its loop alive, and exits.
  leave,
  // uv_run returns as if uv_stop had been called (non-zero).
  unblock,
};

struct Options {
  Version version = Version::v1_52;
  OnViolation on_violation = OnViolation::leave;
  OnQuiescence on_quiescence = OnQuiescence::leave;
  // Other points are answered 0 without being asked.
  ChoiceSet asked = ChoiceSet::all();
  // Points that may also have answers that libuv never gives there.
  ChoiceSet impossible = ChoiceSet::none();

  bool checks = true;           // contract checks
  bool strict = false;          // R15: also calls on closing handles that libuv refuses harmlessly
  bool warnings_fatal = false;  // findings that libuv survives count as violations
  bool check_sigpipe = true;    // R21
  bool ledger = true;
  // Restores the program's static data between runs, and runs its constructors and exit handlers in
  // each run; see README, "Each run starts alike".
  bool fresh_statics = false;
  bool strict_ledger = false;     // memory that static data reaches at the end is a leak, too
  bool fail_allocations = false;  // choices can make malloc and new of the program fail
  bool trace = true;              // keep events; the hash is computed either way
  bool real_signals = false;      // uv_signal_start also catches the process's real signals
  // Each simulated descriptor is also a descriptor of the process. So `ulimit -n` counts it,
  // options can be set on it, it can be closed, and uv_tcp_open takes a new socket of the program.
  bool real_descriptors = false;
  uint32_t trace_events = 1u << 14;  // how many of the last events are kept

  // Limits: reaching one ends the run with Report::limit saying which.
  uint64_t max_steps = 50'000'000;  // calls and callbacks together
  uint64_t max_callbacks = 20'000'000;
  uint64_t max_turns = 10'000'000;           // loop turns
  uint64_t max_seconds = 30ull * 24 * 3600;  // of virtual time
  uint64_t max_calls_in_callback = 20'000'000;
  // Real seconds until a callback that makes no uv_* call ends the process, by SIGALRM; 0: never.
  uint32_t watchdog_seconds = 0;
  uint64_t max_idle_hooks = 1'000'000;  // hook calls in a row that return `made` without effect

  // The machine.
  uint32_t descriptors = 0;          // how many may be open; 0: no limit
  uint32_t send_buffer = 2'626'560;  // what uv_send_buffer_size shows; a loopback's default
  uint32_t receive_buffer = 131'072;
  uint32_t send_window = 3'791'899;  // bytes that the two really hold of an unread connection
  uint32_t receive_window = 127'973;
  uint64_t turn_ns = 10'000;  // each turn of a loop takes this long
  uint64_t clock_ns = 1'000;  // each reading of the clock takes this long
};

// ---------------------------------------------------------------------------------------------
// The report

enum class Limit : uint8_t { none, steps, callbacks, turns, time, calls_in_callback, hooks };
const char* name_of(Limit limit) noexcept;

struct Finding {
  // "R27", or "" for another finding (a limit, a bad argument, the ledger).
  std::string rule;
  std::string handle;   // "tcp#3"
  std::string message;  // one sentence
  uint64_t step = 0;
  // The program made no mistake, but uvsim cannot run it. A plain program ends with status 69.
  bool cannot_run = false;
};

struct LedgerSummary {
  bool active = false;  // false: switched off, or no hooks in this build
  bool ok = true;
  uint64_t allocations = 0;
  uint64_t releases = 0;
  uint64_t live = 0;  // allocated in the run, and not freed at its end
  uint64_t live_bytes = 0;
  uint64_t peak_bytes = 0;
  uint64_t failures = 0;  // allocations that were made to fail
  std::string message;    // what was leaked, freed twice or freed while lent, with the steps
};

struct Report {
  std::vector<Finding> violations;
  std::vector<Finding> warnings;  // what libuv survives and a program should not do
  LedgerSummary ledger;
  Limit limit = Limit::none;
  bool quiescent = false;  // the program was left, or unblocked, because nothing could happen
  bool finished = false;   // the program returned by itself, or called exit
  bool exited = false;     // the latter
  // The program makes threads without uvsim. They run in real time, so a run may not repeat.
  bool real_threads = false;
  int died_of = 0;       // the signal for which no handle waited: a violation; 0: none
  bool aborted = false;  // it called abort, or an assertion of its own failed: a violation
  int result = 0;        // what it returned, or the status it gave to exit
  uint64_t steps = 0;
  uint64_t callbacks = 0;
  uint64_t turns = 0;
  uint64_t choices = 0;
  uint64_t virtual_ns = 0;
  uint64_t trace_hash = 0;
  uint32_t open_handles = 0;      // initialised and not closed, at the end
  uint32_t open_descriptors = 0;  // but for those of the default loop, which is libuv's own

  bool ok() const {
    return violations.empty() && limit == Limit::none && (!ledger.active || ledger.ok);
  }
  // Violations, limit, ledger: a few lines; empty when ok().
  std::string summary() const;
};

// ---------------------------------------------------------------------------------------------
// The network, seen from outside the program

// One end of a connection that the World plays. A number; stays valid for the whole run.
struct Peer {
  uint32_t id = 0;
  explicit operator bool() const { return id != 0; }
};

enum class Family : uint8_t { ipv4, ipv6, pipe };

struct Listener {
  Family family = Family::ipv4;
  uint16_t port = 0;
  std::string name;  // the address in text, or the pipe's name
  int descriptor = -1;
  uint32_t queued = 0;  // connections waiting to be accepted
  uint32_t backlog = 0;
};

enum class PeerState : uint8_t {
  connecting,  // the queue is full, or nothing answers
  established,
  refused,
  closed,  // by this peer
};

struct PeerView {
  PeerState state = PeerState::closed;
  bool accepted = false;        // the program has accepted the connection
  size_t readable = 0;          // bytes that read() would return now
  size_t unread = 0;            // and with them what the program wrote and its kernel still holds
  size_t held = 0;              // only what the program's kernel still holds
  size_t writable = 0;          // bytes that send() would take now
  bool fin_sent = false;        // the program has ended its output, by whichever call
  bool fin = false;             // the program's end of output has arrived; bytes may still wait
  bool reset = false;           // the connection was reset by the program
  bool program_closed = false;  // the program closed its end
  uint64_t sent = 0;            // in all
  uint64_t received = 0;
  uint16_t port = 0;  // this end's, as uv_tcp_getpeername shows it
};

// What a hook is told: how long libuv would sleep.
struct Wait {
  static constexpr uint64_t forever = ~uint64_t{0};
  // Until the next timer, or until a thread of the program wakes up by itself; 0: it would not
  // sleep; forever: neither.
  uint64_t ns = 0;
  bool ready = false;  // something is ready: libuv would return at once
};

enum class Progress : uint8_t { nothing, made };

class Network {
 public:
  // Listeners of the program, oldest first.
  size_t listeners() const;
  Listener listener(size_t index) const;

  // A peer connects to a listener, or to a port or pipe name. Without a listener its state is
  // refused at once.
  Peer connect(size_t listener_index);
  Peer connect(Family family, uint16_t port);
  Peer connect(std::string_view pipe_name);

  // A peer listens, so that the program can connect to it; port 0 takes a free one. 0: in use.
  uint16_t listen(uint16_t port, uint32_t backlog = 128);
  // The next connection that the program made to it; an empty Peer when there is none.
  Peer accept(uint16_t port);
  void stop_listening(uint16_t port);

  // Number of bytes taken; 0 when the buffers are full or the connection is over.
  size_t send(Peer peer, const void* bytes, size_t size);
  // One byte as urgent data (MSG_OOB). With SO_OOBINLINE on the program's socket it is a byte of
  // the stream, without it the stream goes on as if it had never been sent. False: not taken, as by
  // send; a pipe takes none.
  bool send_urgent(Peer peer, char byte);
  size_t read(Peer peer, void* bytes, size_t size);
  void half_close(Peer peer);  // FIN after what was sent
  void close(Peer peer);       // as close(2): RST when bytes are unread
  void reset(Peer peer);       // RST
  // What this end's buffers hold, in bytes. Smaller ones make back-pressure come sooner.
  void set_buffers(Peer peer, size_t send, size_t receive);
  PeerView view(Peer peer) const;
  size_t peers() const;  // how many there were in this run; ids are 1..peers()

  // The process gets a signal. False when no uv_signal_t waits for it.
  bool signal(int signum);
  // Virtual time moves.
  void advance(uint64_t ns);
  uint64_t now_ns() const;

  // While a Choices source is being asked, and until the next question: the outside end of the
  // connection that the question is about; an empty Peer when it is about none.
  Peer asked_about() const;
  // Ends the run as if it were quiescent. To be called from the hook, which then returns.
  void leave();

  // Ends of connections in the program; and of these, those that it asked for itself.
  size_t open_connections() const;
  size_t own_connections() const;
  // Handles that are initialised and not closed, and descriptors that are open, in the program.
  size_t open_handles() const;
  size_t open_descriptors() const;
  // From now on the program may open this many more descriptors.
  void leave_descriptors(uint32_t count);
  bool loop_has_work() const;  // something is ready or due now in some loop of the program
};

// Called where libuv would wait in poll, even if it would not sleep (ns == 0 or ready). It may use
// the Network and must not call uv_* functions. Returns `made` if it did something: uvsim looks
// again, and calls it again if there is still nothing to do. Returns `nothing` otherwise: time may
// jump to the next timer, and without a timer the run is quiescent.
using PollHook = std::function<Progress(Network&, Wait)>;

// ---------------------------------------------------------------------------------------------
// Events as data, while they happen

enum class EventKind : uint8_t { call, callback, happening };

struct EventView {
  const char* name;  // "uv_write", "write_cb", "peer_send": a literal
  uint16_t what;     // that name as a number below event_names()
  EventKind kind;
  uint8_t depth;         // of callbacks around it
  uint8_t subject_kind;  // uv_handle_type; 200: a loop, 201: a peer
  uint32_t subject_id;   // the 3 of "tcp#3"; 0: none
  bool closing;          // uv_close was called on the handle
  bool has_result;       // of a call
  int64_t value;         // of a callback: the status or count
  int64_t result;
  uint64_t step;
  uint64_t time_ns;
  Peer peer;         // the outside end of the handle's connection, if it has one
  const char* text;  // of a note; otherwise null
};

// Called when a call has returned, and before a callback runs. Must not call uv_* functions.
using EventHook = void (*)(void* context, const EventView& event);
uint16_t event_names() noexcept;

// ---------------------------------------------------------------------------------------------
// A simulation

class Simulation {
 public:
  explicit Simulation(const Options& options = Options{});
  ~Simulation();
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  // Applies from the next run on.
  Options& options();
  void on_poll(PollHook hook);
  // Called with the status when the program has returned, or called exit; the network is still
  // there.
  void on_end(std::function<void(int status)> hook);
  // Null: no hook.
  void on_event(EventHook hook, void* context);

  // One run from a clean start: uv_* functions called by `program` on this thread work on this
  // simulation. The report stays valid until the next run.
  const Report& run(Choices& choices, const std::function<int()>& program);
  const Report& run(const std::function<int()>& program);  // with Kindest

  // The same in two halves, for a driver that wants to look inside. Between them the calling
  // thread's uv_* calls work on this simulation; a violation aborts.
  void begin(Choices& choices);
  const Report& end(int result = 0);

  Network& network();
  const Report& report() const;
  // Of the last run; text has one line per event.
  std::string trace_text() const;
  std::string trace_json() const;

  // Marks this moment as the ledger's baseline: what lives now is no leak.
  void ledger_baseline();
  // Program's allocations alive now, since the baseline.
  uint64_t ledger_live() const;
  uint64_t ledger_live_bytes() const;

  // A World's note in the trace; `text` must be a literal.
  void note(const char* text, int64_t value = 0);

  // Null when this thread runs no simulation.
  static Simulation* current() noexcept;

  struct Context;
  Context& context() { return *context_; }

 private:
  Context* context_;
};

}  // namespace uvsim

#endif  // UVSIM_UVSIM_HPP
