// What the tests of the engine share: a simulation, a log of what the callbacks said, and handles
// with names. A test runs a small libuv program and compares the log with the one line it expects.
#ifndef UVSIM_TESTS_SCENARIO_HPP
#define UVSIM_TESTS_SCENARIO_HPP

#include <gtest/gtest.h>
#include <uv.h>

#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "uvsim/uvsim.hpp"

namespace uvsim::test {
// Where the sanitizer itself would stop the program first.
#if defined(__SANITIZE_ADDRESS__)
#define UVSIM_TESTS_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UVSIM_TESTS_ASAN
#endif
#endif

inline std::string& log() {
  static std::string text;
  return text;
}

inline void say(const std::string& word) {
  if (!log().empty()) log() += ' ';
  log() += word;
}

inline std::string code(int64_t status) {
  return status < 0 ? uv_err_name(static_cast<int>(status)) : std::to_string(status);
}

// handle->data and req->data hold names.
template <class Named>
std::string name(const Named* named) {
  return named->data == nullptr ? "?" : static_cast<const char*>(named->data);
}

template <class Named>
void call(Named& named, const char* text) {
  named.data = const_cast<char*>(text);
}

template <class Handle>
uv_handle_t* handle(Handle* h) {
  return reinterpret_cast<uv_handle_t*>(h);
}
template <class Handle>
uv_stream_t* stream(Handle* h) {
  return reinterpret_cast<uv_stream_t*>(h);
}

inline void on_close(uv_handle_t* h) { say(name(h) + ":closed"); }
inline void on_write(uv_write_t* req, int status) { say(name(req) + ":" + code(status)); }
inline void on_shutdown(uv_shutdown_t* req, int status) {
  say(name(req->handle) + ":shutdown:" + code(status));
}
inline void on_connect(uv_connect_t* req, int status) {
  say(name(req->handle) + ":connected:" + code(status));
}

inline char buffer[65536];
inline size_t buffer_size = sizeof buffer;
inline void on_alloc(uv_handle_t*, size_t, uv_buf_t* buf) {
  *buf = uv_buf_init(buffer, static_cast<unsigned>(buffer_size));
}
inline void on_read(uv_stream_t* s, ssize_t nread, const uv_buf_t*) {
  say(name(s) + ":read:" + code(nread));
}
inline void on_read_close(uv_stream_t* s, ssize_t nread, const uv_buf_t* buf) {
  on_read(s, nread, buf);
  if (nread < 0) uv_close(handle(s), on_close);
}

inline int close_all(uv_loop_t* loop) {
  uv_walk(
      loop,
      [](uv_handle_t* h, void*) {
        if (uv_is_closing(h) == 0) uv_close(h, nullptr);
      },
      nullptr);
  uv_run(loop, UV_RUN_DEFAULT);
  return uv_loop_close(loop);
}

inline sockaddr_in loopback(int port) {
  sockaddr_in address;
  uv_ip4_addr("127.0.0.1", port, &address);
  return address;
}

template <class Handle>
int port_of(Handle* tcp) {
  sockaddr_in address = {};
  int size = sizeof address;
  if (uv_tcp_getsockname(tcp, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  return ntohs(address.sin_port);
}

constexpr int port = 7000;

// Answers one point once, and everything else kindly.
struct Only final : Choices {
  Only(ChoicePoint point, uint32_t answer) : point_(point), answer_(answer) {}
  uint32_t pick(uint32_t n, ChoicePoint point) override {
    if (point != point_ || used_) return 0;
    used_ = true;
    return answer_ % n;
  }
  ChoicePoint point_;
  uint32_t answer_;
  bool used_ = false;
};

// A simulation whose every test starts with an empty log.
class Scenario : public ::testing::Test {
 protected:
  Scenario() {
    log().clear();
    buffer_size = sizeof buffer;
    simulation.options().check_sigpipe = false;
    simulation.options().ledger = false;
    // What each answer does is tested, whether libuv gives it or not.
    simulation.options().impossible = ChoiceSet::all();
  }

  Options& options() { return simulation.options(); }

  const Report& run(int (*program)()) { return simulation.run(program); }
  const Report& run(Choices& choices, int (*program)()) { return simulation.run(choices, program); }

  // The rule that was broken, "" if none was.
  std::string broken(int (*program)()) {
    const Report& report = run(program);
    if (report.violations.empty()) return "nothing: " + log();
    return report.violations[0].rule + " " + report.violations[0].handle;
  }
  std::string complaint(int (*program)()) {
    const Report& report = run(program);
    return report.violations.empty() ? "nothing: " + log() : report.violations[0].message;
  }
  std::string warned(int (*program)()) {
    const Report& report = run(program);
    std::string rules;
    for (const Finding& finding : report.warnings) rules += finding.rule + " " + finding.handle;
    return rules;
  }

  Simulation simulation;
};

// A listening server, a client, and the server's end of their connection, with a program that goes
// on when both ends are there.
struct Pair {
  uv_loop_t loop;
  uv_tcp_t server;
  uv_tcp_t client;
  uv_tcp_t accepted;
  uv_connect_t connect;
  uv_write_t writes[64];
  uv_shutdown_t shutdown;
  uv_shutdown_t shutdown_again;
  int ends = 0;
  void (*go_on)() = nullptr;
};

inline Pair& pair() {
  static Pair instance;
  return instance;
}

inline void pair_end_is_there() {
  if (++pair().ends == 2) pair().go_on();
}

// Runs the loop to its end; with `turns`, only so many turns, and closes what is left.
inline int with_pair(void (*go_on)(), int turns = 0) {
  Pair& p = pair();
  p.ends = 0;
  p.go_on = go_on;
  uv_loop_init(&p.loop);
  uv_tcp_init(&p.loop, &p.server);
  uv_tcp_init(&p.loop, &p.client);
  call(p.server, "server");
  call(p.client, "client");
  const sockaddr_in address = loopback(port);
  const auto* const sa = reinterpret_cast<const sockaddr*>(&address);
  EXPECT_EQ(uv_tcp_bind(&p.server, sa, 0), 0);
  EXPECT_EQ(uv_listen(stream(&p.server), 8,
                      [](uv_stream_t* server, int status) {
                        EXPECT_EQ(status, 0);
                        uv_tcp_init(server->loop, &pair().accepted);
                        call(pair().accepted, "conn");
                        EXPECT_EQ(uv_accept(server, stream(&pair().accepted)), 0);
                        pair_end_is_there();
                      }),
            0);
  EXPECT_EQ(uv_tcp_connect(&p.connect, &p.client, sa,
                           [](uv_connect_t*, int status) {
                             EXPECT_EQ(status, 0);
                             pair_end_is_there();
                           }),
            0);
  if (turns == 0) {
    uv_run(&p.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&p.loop);
  }
  for (int i = 0; i < turns; ++i) uv_run(&p.loop, UV_RUN_NOWAIT);
  return close_all(&p.loop);
}

template <class Handle>
int write(int index, const char* text, Handle* to, const char* bytes, size_t size) {
  uv_write_t& request = pair().writes[index];
  request.data = const_cast<char*>(text);
  const uv_buf_t buf = uv_buf_init(const_cast<char*>(bytes), static_cast<unsigned>(size));
  return uv_write(&request, stream(to), &buf, 1, on_write);
}

inline void close_pair() {
  Pair& p = pair();
  for (uv_tcp_t* const tcp : {&p.server, &p.client, &p.accepted})
    if (uv_is_closing(handle(tcp)) == 0) uv_close(handle(tcp), nullptr);
}

// A scenario in which the World does one thing each time the program has nothing to do.
class StepByStep : public Scenario {
 protected:
  using Step = std::function<void(Network&)>;
  const Report& play(std::vector<Step> steps, int (*program)()) {
    steps_ = std::move(steps);
    next_ = 0;
    simulation.on_poll([this](Network& network, Wait wait) {
      if (wait.ready || next_ == steps_.size()) return Progress::nothing;
      steps_[next_++](network);
      return Progress::made;
    });
    return run(program);
  }

 private:
  std::vector<Step> steps_;
  size_t next_ = 0;
};

}  // namespace uvsim::test

#endif  // UVSIM_TESTS_SCENARIO_HPP
