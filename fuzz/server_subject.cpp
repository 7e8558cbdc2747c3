#include "server_subject.hpp"

#include <uv.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <memory>
#include <new>

#include "uv/address.hpp"

namespace fuzz {
namespace {

using echoproof::Server;

class Program {
 public:
  explicit Program(const ServerShape& shape) : shape_(shape), server_(shape.limits, shape.log) {
    running_ = this;
  }
  ~Program() { running_ = nullptr; }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Of the program that runs, or ran last.
  static echoproof::Statistics statistics() {
    return running_ == nullptr ? statistics_ : running_->server_.statistics();
  }
  static harness::Subject::Counts counts() {
    const echoproof::Statistics statistics = Program::statistics();
    return {.accepted = statistics.connections_accepted,
            .open = statistics.connections,
            .echoed = statistics.bytes_echoed};
  }

  int run() {
    const int status = start();
    if (status == 0) uv_run(&loop_, UV_RUN_DEFAULT);
    const bool clean = finish();
    if (status != 0) return echoproof_failed_to_start;
    statistics_ = statistics();
    return clean && server_.ledger().outstanding() == 0 ? 0 : echoproof_not_clean;
  }

 private:
  static constexpr int echoproof_failed_to_start = 1;
  static constexpr int echoproof_not_clean = 3;

  int start() {
    int status = uv_loop_init(&loop_);
    if (status != 0) return status;
    loop_open_ = true;
    for (const int number : {SIGTERM, SIGUSR1}) {
      uv_signal_t& handle = signals_[signals_open_];
      status = uv_signal_init(&loop_, &handle);
      if (status != 0) return status;
      ++signals_open_;
      handle.data = this;
      status = uv_signal_start(&handle, on_signal, number);
      if (status != 0) return status;
      uv_unref(reinterpret_cast<uv_handle_t*>(&handle));
    }
    sockaddr_storage address{};
    if (!echoproof::parse_address("127.0.0.1", 0, address)) return UV_EINVAL;
    return server_.listen(loop_, address, shape_.backlog);
  }

  bool finish() {
    if (!loop_open_) return true;
    server_.close();
    for (std::size_t i = 0; i < signals_open_; ++i) {
      uv_close(reinterpret_cast<uv_handle_t*>(&signals_[i]), nullptr);
    }
    const bool idle = uv_run(&loop_, UV_RUN_DEFAULT) == 0;
    return uv_loop_close(&loop_) == 0 && idle;
  }

  static void on_signal(uv_signal_t* handle, int number) {
    Program& program = *static_cast<Program*>(handle->data);
    if (number == SIGUSR1) {
      static_cast<void>(program.server_.statistics());
      return;
    }
    program.server_.drain(program.draining_ ? echoproof::Time(0) : program.shape_.drain);
    program.draining_ = true;
  }

  static Program* running_;
  static echoproof::Statistics statistics_;

  const ServerShape& shape_;
  Server server_;
  uv_loop_t loop_{};
  std::array<uv_signal_t, 2> signals_{};
  std::size_t signals_open_ = 0;
  bool loop_open_ = false;
  bool draining_ = false;
};

Program* Program::running_ = nullptr;
echoproof::Statistics Program::statistics_{};

int serve(const ServerShape& shape) {
  std::signal(SIGPIPE, SIG_IGN);
  std::unique_ptr<Program> program;
  try {
    program = std::make_unique<Program>(shape);
  } catch (const std::bad_alloc&) {
    return 1;
  }
  return program->run();
}

std::uint64_t count_of(echoproof::Time time) {
  return time == echoproof::Time::max() ? harness::Subject::unlimited
                                        : static_cast<std::uint64_t>(time.count());
}

}  // namespace

harness::Subject server_subject(const ServerShape& shape) {
  // What one connection costs beside its block; the blocks are there from the start.
  constexpr std::uint64_t session_bytes = sizeof(echoproof::Connection) + sizeof(uv_tcp_t) + 16;
  // What a block costs beside its bytes, and the program beside its blocks.
  constexpr std::uint64_t block_overhead = 2 * 64 + sizeof(uv_write_t) + 16;
  const echoproof::Limits& limits = shape.limits;
  const std::uint64_t blocks =
      std::min(limits.buffer_memory / limits.block_size, limits.connections);
  harness::Subject subject;
  subject.name = "echo-server";
  subject.start = [&shape] { return serve(shape); };
  subject.other_signal = SIGUSR1;
  subject.may_reject = false;
  subject.reopens_listener = true;
  subject.fails_clean = true;
  subject.start_bytes_max = blocks * (limits.block_size + block_overhead) + sizeof(Program);
  subject.live_bytes_max = limits.connections * session_bytes;
  subject.connections_max = limits.connections;
  subject.idle_ms = count_of(limits.idle);
  if (limits.idle != echoproof::Time::max()) {
    subject.idle_at_most_ms = count_of(limits.idle + limits.idle / 16);
  }
  subject.write_ms = count_of(limits.write);
  if (limits.write != echoproof::Time::max()) {
    subject.write_at_most_ms = count_of(limits.write + limits.write / 8);
  }
  subject.linger_bytes = 0;  // whoever has less left is let go at once
  subject.tells_of_cuts = true;
  // Every connection has memory of its own, so nobody waits for anybody.
  subject.answers_at_once = true;
  subject.answer_ms = 0;
  subject.reopens_ms = 100;
  subject.grace_ms = subject.drain_ms = count_of(shape.drain);
  subject.end_ms = 0;
  subject.counts = Program::counts;
  return subject;
}

echoproof::Statistics server_statistics() { return Program::statistics(); }

uvsim::ChoiceSet server_faults() {
  using enum uvsim::ChoicePoint;
  return uvsim::ChoiceSet::all()
      .without(connect_result)
      .without(call_connect)
      .without(call_shutdown)
      .without(shutdown_error)
      .without(call_pipe_init)
      .without(call_async_init);
}

}  // namespace fuzz
