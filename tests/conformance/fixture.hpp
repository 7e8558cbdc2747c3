// The bench on which scenarios are written: libuv handles with names, whose every call and callback
// adds a line to the trace.
//
// A call is traced as `client.write(5) = 0`, a callback as `> client write 0`. Negative results are
// traced by their names. Hooks (`on_read` and so on) run inside the callback, after its line.
// The fixture owns all handles; when it ends it closes what is open, silently, and the loop must
// close.
#pragma once

#include <uv.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "scenario.hpp"

namespace conformance {

using Hook = std::function<void()>;

/// A result as it stands in a trace: the number, or the name of the error.
std::string result_name(long long result);

/// The byte at OFFSET of every payload made by payload(); never repeats in step with a power of
/// two.
char payload_byte(std::size_t offset);
std::string payload(std::size_t size, std::size_t offset = 0);

/// What every handle of the fixture has, whatever its type.
class Named {
 public:
  Named(Fixture& its_fixture, std::string its_name)
      : fixture(its_fixture), name(std::move(its_name)) {}
  virtual ~Named() = default;
  Named(const Named&) = delete;
  Named& operator=(const Named&) = delete;

  virtual uv_handle_t* handle() = 0;
  void close();
  void close_quietly();
  void ref();
  void unref();
  void trace_state();
  int call(const std::string& what, int result);
  void traced(const std::string& what);

  Fixture& fixture;
  const std::string name;
  Hook on_close;
};

template <class UvHandle>
class Handle : public Named {
 public:
  using Named::Named;
  uv_handle_t* handle() override { return reinterpret_cast<uv_handle_t*>(&uv); }

  UvHandle uv{};
};

class Timer : public Handle<uv_timer_t> {
 public:
  using Handle::Handle;
  int start(std::uint64_t timeout, std::uint64_t repeat = 0);
  int stop();
  int again();
  Hook on_timer;
};

/// Idle, prepare and check handles differ in name only.
template <class UvHandle, int (*uv_start)(UvHandle*, void (*)(UvHandle*)),
          int (*uv_stop)(UvHandle*)>
class Watcher : public Handle<UvHandle> {
 public:
  using Handle<UvHandle>::Handle;

  int start() {
    return this->call("start", uv_start(&this->uv, [](UvHandle* handle) {
                        auto& self = *static_cast<Watcher*>(static_cast<Named*>(handle->data));
                        self.traced("runs");
                        if (self.on_run) self.on_run();
                      }));
  }
  int stop() { return this->call("stop", uv_stop(&this->uv)); }

  Hook on_run;
};

using Idle = Watcher<uv_idle_t, uv_idle_start, uv_idle_stop>;
using Prepare = Watcher<uv_prepare_t, uv_prepare_start, uv_prepare_stop>;
using Check = Watcher<uv_check_t, uv_check_start, uv_check_stop>;

class Async : public Handle<uv_async_t> {
 public:
  using Handle::Handle;
  int send();
  Hook on_async;
};

class Signal : public Handle<uv_signal_t> {
 public:
  using Handle::Handle;
  int start(int signum);
  int start_oneshot(int signum);
  int stop();
  std::function<void(int)> on_signal;
};

/// A TCP or pipe handle with everything that streams do.
class Stream : public Named {
 public:
  using Named::Named;
  ~Stream() override;
  uv_handle_t* handle() override { return reinterpret_cast<uv_handle_t*>(&uv); }
  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&uv); }
  uv_tcp_t* tcp() { return &uv.tcp; }
  uv_pipe_t* pipe() { return &uv.pipe; }

  int bind_loopback(int port = 0);
  int bind_loopback6(int port = 0);
  int bind_name(const std::string& path);
  int listen(int backlog = 128);
  int accept(Stream& into);
  int connect(Stream& server);
  int connect_port(int port);
  void connect_name(const std::string& path);
  int read_start();
  int read_stop();
  int write(const std::string& bytes, const std::string& tag = "");
  int write_parts(const std::vector<std::string>& parts, const std::string& tag = "");
  int try_write(const std::string& bytes);
  int shutdown();
  int close_reset();
  void trace_queue();
  void trace_direction();
  /// Port of this end, 0 if it has none.
  int port();

  Hook on_connection, on_connect, on_shutdown;
  std::function<void(ssize_t)> on_read;
  /// Called with the tag of the write that is done.
  std::function<void(const std::string&, int)> on_write;
  /// Decides what alloc_cb returns; without it 65536 bytes.
  std::function<std::size_t()> on_alloc;

  bool traces_alloc = false;
  /// Reads are counted and their bytes checked, but leave no line: for large transfers, where the
  /// kernel decides how bytes are split.
  bool counts_reads = false;
  std::size_t received = 0;
  std::string last_read;

  union {
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } uv{};

 private:
  void traced_read(ssize_t nread, const uv_buf_t& buffer);
  static void alloc_cb(uv_handle_t* handle, std::size_t suggested, uv_buf_t* buffer);
  static void read_cb(uv_stream_t* stream, ssize_t nread, const uv_buf_t* buffer);
  static void connection_cb(uv_stream_t* server, int status);

  int lent_buffers_ = 0;
};

class Fixture {
 public:
  Fixture(std::string& trace, Version version);
  ~Fixture();
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;

  void log(const char* format, ...) __attribute__((format(printf, 2, 3)));
  int call(const std::string& what, long long result);

  Stream& tcp(const std::string& name, uv_loop_t* on = nullptr);
  Stream& pipe(const std::string& name);
  Timer& timer(const std::string& name, uv_loop_t* on = nullptr);
  Idle& idle(const std::string& name);
  Prepare& prepare(const std::string& name);
  Check& check(const std::string& name);
  Async& async(const std::string& name);
  Signal& signal(const std::string& name, uv_loop_t* on = nullptr);

  int run(uv_run_mode mode = UV_RUN_DEFAULT);
  /// Turns the loop, without a line for the run, until CONDITION holds; gives up after 10,000
  /// turns.
  void run_until(const std::function<bool()>& condition);
  /// Closes what is open and runs the loop to its end without tracing, then closes it.
  void finish();

  uv_loop_t* loop() { return &loop_; }
  uv_loop_t* open_second_loop();
  Version version() const { return version_; }

  bool muted = false;

 private:
  template <class T>
  T& adopt(std::unique_ptr<T> handle);

  std::string& trace_;
  const Version version_;
  uv_loop_t loop_{};
  std::unique_ptr<uv_loop_t> second_loop_;
  std::vector<std::unique_ptr<Named>> handles_;
  bool finished_ = false;
};

/// Silences the trace while it lives: for preparations that are not what the scenario shows.
class Muted {
 public:
  explicit Muted(Fixture& fixture) : lab_(fixture), before_(fixture.muted) { fixture.muted = true; }
  ~Muted() { lab_.muted = before_; }
  Muted(const Muted&) = delete;
  Muted& operator=(const Muted&) = delete;

 private:
  Fixture& lab_;
  const bool before_;
};

/// A client and the server's end of its connection, connected, the listener closed again.
struct Pair {
  explicit Pair(Fixture& fixture, const std::string& client_name = "client",
                const std::string& peer_name = "peer");

  Stream& client;
  Stream& peer;
};

/// The same over a named pipe.
struct PipePair {
  explicit PipePair(Fixture& fixture);

  Stream& client;
  Stream& peer;
};

/// A path for a pipe that no other run uses.
std::string fresh_pipe_name();

}  // namespace conformance
