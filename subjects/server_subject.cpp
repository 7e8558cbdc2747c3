#include "subjects/server_subject.hpp"

#include <uv.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <new>

#include "program.hpp"
#include "uv/address.hpp"

namespace subjects {
namespace {

using echoproof::Program;

Program* running = nullptr;
echoproof::Statistics last{};  // of the program that ran last

void report_nothing(const echoproof::Statistics&) {}

harness::Subject::Counts counts() {
  const echoproof::Statistics statistics = server_statistics();
  return {.accepted = statistics.connections_accepted,
          .open = statistics.connections,
          .echoed = statistics.bytes_echoed};
}

// The exit status, as in src/main.cpp.
int serve(const ServerShape& shape) {
  std::signal(SIGPIPE, SIG_IGN);
  running = nullptr;  // an earlier run may have been left in its middle
  echoproof::Options options;
  options.backlog = shape.backlog;
  options.drain_timeout = shape.drain;
  std::unique_ptr<Program> program;
  try {
    program = std::make_unique<Program>(options, shape.limits, shape.log, report_nothing);
  } catch (const std::bad_alloc&) {
    return echoproof::exit_runtime;
  }
  sockaddr_storage address{};
  if (!echoproof::parse_address("127.0.0.1", 0, address)) return echoproof::exit_usage;
  running = program.get();
  const int status = program->start(address);
  if (status == 0) program->run();
  const bool clean = program->finish();
  running = nullptr;
  last = program->statistics();
  if (status != 0) return echoproof::exit_runtime;
  return clean && program->ledger().outstanding() == 0 ? echoproof::exit_ok
                                                       : echoproof::exit_ledger;
}

void tell(int signal) {
  if (running != nullptr) running->hear(signal);
}

std::uint64_t count_of(echoproof::Time time) {
  return time == echoproof::Time::max() ? harness::Subject::unlimited
                                        : static_cast<std::uint64_t>(time.count());
}

}  // namespace

// The least memory that connections_max() takes, and beside the large blocks the scratch buffer.
std::size_t buffer_memory(std::size_t connections, std::size_t small_size, std::size_t large_blocks,
                          std::size_t large_size) {
  const std::size_t small = connections * echoproof::BlockPool::stride_of(small_size);
  const std::size_t large = (large_blocks + 1) * echoproof::BlockPool::stride_of(large_size);
  return small + std::max(small, large_blocks == 0 ? 0 : large);
}

harness::Subject server_subject(const ServerShape& shape) {
  // What one connection costs beside its block; the blocks are there from the start.
  constexpr std::uint64_t session_bytes =
      sizeof(echoproof::Connection) + sizeof(uv_tcp_t) + sizeof(sockaddr_in6) + 16;
  // What a block costs beside its bytes and its gap, and the program beside its memory for data: a
  // worker, mostly its loop and its server.
  constexpr std::uint64_t block_overhead = sizeof(uv_write_t) + 16;
  constexpr std::uint64_t program_bytes =
      sizeof(Program) + sizeof(echoproof::Server) + sizeof(uv_loop_t) + 1024;
  const echoproof::Limits& limits = shape.limits;
  const echoproof::Layout layout(limits);
  const std::uint64_t blocks = layout.small_count + layout.large_count;
  harness::Subject subject;
  subject.name = "echo-server";
  subject.start = [&shape] { return serve(shape); };
  subject.other_signal = SIGUSR1;
  subject.tell = tell;
  subject.echoes_urgent = true;
  subject.may_reject = false;
  subject.reopens_listener = true;
  subject.fails_clean = true;
  subject.start_bytes_max = limits.buffer_memory + blocks * block_overhead + program_bytes;
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
  subject.linger_bytes = limits.linger;
  subject.notices_taking = true;
  subject.tells_of_cuts = true;
  // Every connection has its own memory, so no client waits for another.
  subject.answers_at_once = true;
  subject.answer_ms = 0;
  subject.reopens_ms = 100;
  subject.grace_ms = subject.drain_ms = count_of(shape.drain);
  subject.end_ms = 0;
  subject.counts = counts;
  return subject;
}

echoproof::Statistics server_statistics() {
  return running == nullptr ? last : running->statistics();
}

uvsim::ChoiceSet server_faults() {
  using enum uvsim::ChoicePoint;
  return uvsim::ChoiceSet::all()
      .without(connect_result)
      .without(call_connect)
      .without(call_shutdown)
      .without(call_pipe_init)
      .without(call_signal_init)
      .without(call_timer_start)
      .without(ioctl_error)
      .without(call_signal_start)
      .without(thread_turn)
      .without(thread_order)
      .without(worker_start);
}

}  // namespace subjects
