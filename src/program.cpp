#include "program.hpp"

#include <algorithm>
#include <csignal>
#include <string>
#include <system_error>

#include "print.hpp"

namespace echoproof {
namespace {

template <class Handle>
uv_handle_t* handle(Handle& any) {
  return reinterpret_cast<uv_handle_t*>(&any);
}

// One of `parts` equal shares of `whole`; the first shares are larger by what cannot be divided.
std::size_t share(std::size_t whole, std::size_t parts, std::size_t index) {
  return whole / parts + (index < whole % parts ? 1 : 0);
}

}  // namespace

// --- Worker. ------------------------------------------------------------------------------------

Worker::Worker(const Limits& limits, Log log, Time drain_timeout)
    : server_(limits, log), drain_timeout_(drain_timeout) {}

int Worker::start(const sockaddr_storage& address, int backlog, bool share_port,
                  uv_async_t& reporter) {
  reporter_ = &reporter;
  int status = uv_loop_init(&loop_);
  if (status != 0) return status;
  loop_open_ = true;
  status = uv_async_init(&loop_, &told_, on_told);
  if (status != 0) return status;
  told_open_ = true;
  told_.data = this;
  uv_unref(handle(told_));  // the loop ends with the server
  return server_.listen(loop_, address, backlog, share_port);
}

void Worker::run() {
  uv_run(&loop_, UV_RUN_DEFAULT);
  ended_ = true;
  static_cast<void>(uv_async_send(reporter_));  // cannot fail: it is open until finish()
}

bool Worker::finish() {
  if (!loop_open_) return true;
  loop_open_ = false;
  server_.close();
  if (told_open_) uv_close(handle(told_), nullptr);
  const bool idle = uv_run(&loop_, UV_RUN_DEFAULT) == 0;
  return uv_loop_close(&loop_) == 0 && idle;
}

void Worker::tell(unsigned words) {
  if ((words & report) != 0) reported_ = false;
  words_ |= words;
  static_cast<void>(uv_async_send(&told_));  // cannot fail: it is open until finish()
}

void Worker::on_told(uv_async_t* handle) noexcept {
  Worker& worker = *static_cast<Worker*>(handle->data);
  const unsigned words = worker.words_.exchange(0);
  if ((words & drain) != 0) worker.server_.drain(worker.drain_timeout_);
  if ((words & end) != 0) worker.server_.drain(Time(0));
  if ((words & report) != 0) {
    worker.report_ = worker.server_.statistics();
    worker.reported_ = true;
    static_cast<void>(uv_async_send(worker.reporter_));  // cannot fail: as above
  }
}

// --- Program. -----------------------------------------------------------------------------------

Program::Program(const Options& options, const Limits& limits, Log log)
    : options_(options), log_(log) {
  for (std::size_t i = 0; i < options.threads; ++i) {
    Limits part = limits;
    part.connections = share(limits.connections, options.threads, i);
    part.buffer_memory = share(limits.buffer_memory, options.threads, i);
    if (limits.kernel_memory != KernelBudget::unlimited) {
      part.kernel_memory = share(limits.kernel_memory, options.threads, i);
    }
    workers_.push_back(std::make_unique<Worker>(part, log, options.drain_timeout));
  }
}

int Program::start(const sockaddr_storage& address) {
  sockaddr_storage shared = address;
  for (const auto& worker : workers_) {
    const int status = worker->start(shared, options_.backlog, workers_.size() > 1, reports_);
    if (status != 0) return status;
    shared = worker->server().address();  // the port that the first one got
  }
  uv_loop_t& loop = workers_.front()->loop();
  int status = uv_async_init(&loop, &reports_, on_report);
  if (status != 0) return status;
  reports_open_ = true;
  reports_.data = this;
  for (const int number : {SIGTERM, SIGINT, SIGUSR1}) {
    uv_signal_t& signal = signals_[signals_open_];
    status = uv_signal_init(&loop, &signal);
    if (status != 0) return status;
    ++signals_open_;
    signal.data = this;
    status = uv_signal_start(&signal, on_signal, number);
    if (status != 0) return status;
    uv_unref(handle(signal));
  }
  try {
    for (std::size_t i = 1; i < workers_.size(); ++i) {
      threads_.emplace_back(&Worker::run, workers_[i].get());
    }
  } catch (const std::system_error& error) {
    return uv_translate_sys_error(error.code().value());
  }
  return 0;
}

void Program::run() {
  end_with_workers();
  workers_.front()->run();
}

// Signals are heard until the last thread has ended.
void Program::end_with_workers() {
  const auto running = [this](std::size_t i) { return !workers_[i + 1]->ended(); };
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    if (running(i)) return;
  }
  uv_unref(handle(reports_));
}

bool Program::finish() {
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    workers_[i + 1]->tell(Worker::end);  // unless it has ended
    threads_[i].join();
  }
  if (reports_open_) uv_close(handle(reports_), nullptr);
  for (std::size_t i = 0; i < signals_open_; ++i) uv_close(handle(signals_[i]), nullptr);
  bool clean = true;
  for (const auto& worker : workers_) clean = worker->finish() && clean;
  return clean;
}

void Program::tell_all(unsigned words) {
  for (const auto& worker : workers_) worker->tell(words);
}

void Program::on_signal(uv_signal_t* handle, int number) noexcept {
  Program& program = *static_cast<Program*>(handle->data);
  if (number == SIGUSR1) {
    program.reporting_ = true;
    program.tell_all(Worker::report);
  } else if (program.draining_) {
    program.log_(Severity::info, "second signal: ending at once", 0);
    program.tell_all(Worker::end);
  } else {
    program.draining_ = true;
    program.log_(Severity::info, "draining", 0);
    program.tell_all(Worker::drain);
  }
}

void Program::on_report(uv_async_t* handle) noexcept {
  Program& program = *static_cast<Program*>(handle->data);
  program.end_with_workers();
  const auto& workers = program.workers_;
  if (!program.reporting_ ||
      !std::ranges::all_of(workers, [](const auto& w) { return w->reported(); })) {
    return;
  }
  program.reporting_ = false;
  program.print_statistics();
}

void Program::print_statistics() const {
  Statistics all{};
  for (const auto& worker : workers_) all += worker->statistics();
  print(stdout,
        R"({{"event":"statistics","connections":{},"waiting":{},"blocks_lent":{},"blocks":{},)"
        R"("accepted":{},"turned_away":{},"listener_failures":{},"bytes_echoed":{}}})",
        all.connections, all.waiting, all.blocks_lent, all.blocks, all.connections_accepted,
        all.connections_turned_away, all.listener_failures, all.bytes_echoed);
}

Ledger Program::ledger() const {
  Ledger all;
  for (const auto& worker : workers_) all += worker->server().ledger();
  return all;
}

}  // namespace echoproof
