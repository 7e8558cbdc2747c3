#include "program.hpp"

#include <algorithm>
#include <csignal>
#include <thread>

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

// --- Worker: a loop with a server on it. --------------------------------------------------------

struct Program::Worker {
  Worker(Program& owner, const Limits& limits, Log log) : program(owner), server(limits, log) {}

  int start(const sockaddr_storage& address, int backlog, bool share_port);
  bool finish();

  Program& program;
  Server server;
  uv_loop_t loop{};
  uv_async_t woken{};
  bool loop_open = false;
  bool woken_open = false;
  std::thread thread;  // the first worker has none
  unsigned stops = 0;  // how many of the program's stops_ it has obeyed

  // Guarded by the program's mutex: its figures, how many of reports_asked_ they answer, and
  // whether they are final.
  Statistics figures{};
  std::uint64_t answered = 0;
  bool ended = false;
};

// Returns 0 or a libuv error code.
int Program::Worker::start(const sockaddr_storage& address, int backlog, bool share_port) {
  int status = uv_loop_init(&loop);
  if (status != 0) return status;
  loop_open = true;
  status = uv_async_init(&loop, &woken, [](uv_async_t* async) {
    Worker& worker = *static_cast<Worker*>(async->data);
    worker.program.attend(worker);
  });
  if (status != 0) return status;
  woken_open = true;
  woken.data = this;
  return server.listen(loop, address, backlog, share_port);
}

// Closes everything, however far start() got. False if the loop still had handles or requests.
bool Program::Worker::finish() {
  if (!loop_open) return true;
  loop_open = false;
  server.close();
  if (woken_open) uv_close(handle(woken), nullptr);
  woken_open = false;
  const bool idle = uv_run(&loop, UV_RUN_DEFAULT) == 0;
  return uv_loop_close(&loop) == 0 && idle;
}

// --- Program. -----------------------------------------------------------------------------------

Program::Program(const Options& options, const Limits& limits, Log log, Report report)
    : options_(options), log_(log), report_(report) {
  for (std::size_t i = 0; i < options.threads; ++i) {
    Limits part = limits;
    part.connections = share(limits.connections, options.threads, i);
    part.buffer_memory = share(limits.buffer_memory, options.threads, i);
    if (limits.kernel_memory != KernelBudget::unlimited) {
      part.kernel_memory = share(limits.kernel_memory, options.threads, i);
    }
    workers_.push_back(std::make_unique<Worker>(*this, part, log));
  }
}

Program::~Program() { finish(); }

int Program::start(const sockaddr_storage& address) {
  sockaddr_storage shared = address;
  for (const auto& worker : workers_) {
    const int status = worker->start(shared, options_.backlog, workers_.size() > 1);
    if (status != 0) return status;
    shared = worker->server.address();  // with the port of the first one
  }
  for (std::size_t i = 1; i < workers_.size(); ++i) {
    Worker& worker = *workers_[i];
    worker.thread = std::thread([this, &worker] {
      uv_unref(handle(worker.woken));  // the loop ends with the server
      serve(worker);
      wake_all();  // the first worker waits for the others
    });
  }
  return 0;
}

const sockaddr_storage& Program::address() const { return workers_.front()->server.address(); }

void Program::hear(int signal) noexcept {
  if (signal == SIGUSR1) {
    ++reports_asked_;
  } else if (stops_ < 2) {
    ++stops_;
  }
  wake_all();
}

void Program::wake_all() noexcept {
  for (const auto& worker : workers_) {
    if (worker->woken_open) static_cast<void>(uv_async_send(&worker->woken));  // cannot fail
  }
}

void Program::run() { serve(*workers_.front()); }

void Program::serve(Worker& worker) {
  attend(worker);  // to requests that came before the loop ran
  uv_run(&worker.loop, UV_RUN_DEFAULT);
  note(worker, true);
}

// Does what the operator has requested so far. Runs on the worker's thread.
void Program::attend(Worker& worker) {
  const bool first = &worker == workers_.front().get();
  const unsigned stops = stops_;
  if (stops > worker.stops) {
    if (first && worker.stops == 0) log_(Severity::info, "draining", 0);
    if (first && stops > 1) log_(Severity::info, "second signal: ending at once", 0);
    worker.stops = stops;
    worker.server.drain(stops > 1 ? Time(0) : options_.drain_timeout);
  }
  // The first worker's loop runs until every other worker has ended, so that each is heard.
  if (note(worker, false) && first) uv_unref(handle(worker.woken));
}

// Notes the worker's figures, and gives the report if these are the last that it needs. Runs on the
// worker's thread. Returns whether every other worker has ended.
bool Program::note(Worker& worker, bool ended) {
  const std::lock_guard lock(mutex_);
  worker.answered = reports_asked_;
  worker.figures = worker.server.statistics();
  worker.ended = ended;
  std::uint64_t answered = worker.answered;
  bool alone = true;
  for (const auto& each : workers_) {
    if (each->ended || each.get() == &worker) continue;
    answered = std::min(answered, each->answered);
    alone = false;
  }
  if (answered > reports_given_) {
    reports_given_ = answered;
    Statistics all{};
    for (const auto& each : workers_) all += each->figures;
    report_(all);
  }
  return alone;
}

// A report that was requested after the last worker had ended is given here.
bool Program::finish() {
  stops_ = 2;
  wake_all();
  for (const auto& worker : workers_) {
    if (worker->thread.joinable()) worker->thread.join();
  }
  bool clean = true;
  for (const auto& worker : workers_) clean = worker->finish() && clean;
  if (reports_asked_ > reports_given_) report_(statistics());
  reports_given_ = reports_asked_;
  return clean;
}

Ledger Program::ledger() const {
  Ledger all;
  for (const auto& worker : workers_) all += worker->server.ledger();
  return all;
}

Statistics Program::statistics() const {
  Statistics all{};
  for (const auto& worker : workers_) all += worker->server.statistics();
  return all;
}

}  // namespace echoproof
