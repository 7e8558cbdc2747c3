// A run on floor 2: its clean start, the program's calls as they come, its end, and the report. The
// public halves of Simulation.
#include <uv.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "context.hpp"
#include "src/report.hpp"

namespace uvsim {
namespace {

Context* running = nullptr;

Kindest& kindest() {
  static Kindest instance;
  return instance;
}

// What libuv makes once and keeps, a pipe, is made on the real kernel: it is there in every run.
void make_what_stays() {
  static const bool made = [] {
    uv_loop_t loop;
    return uv_loop_init(&loop) == 0 && uv_loop_close(&loop) == 0;
  }();
  if (!made) std::abort();
}

constexpr int left_by_finding = 1;
constexpr int left_by_exit = 2;

}  // namespace

// ---- Words -------------------------------------------------------------------------------------

const char* name_of(What what) noexcept {
  static constexpr const char* names[] = {
#define FLOOR2_NAME(name) #name,
      SYSCALLS_CALLS(FLOOR2_NAME) "", FLOOR2_HAPPENINGS(FLOOR2_NAME)
#undef FLOOR2_NAME
  };
  return names[static_cast<size_t>(what)];
}

bool is_callback(What) noexcept { return false; }

std::string text_of(Subject subject) {
  if (subject.id == 0) return "";
  return (subject.kind == subject_peer ? "peer#" : "fd#") + std::to_string(subject.id);
}

std::string name_of_error(int64_t result) {
  const char* const name = strerrorname_np(static_cast<int>(-result));
  return name == nullptr ? "" : name;
}

uint16_t event_names() noexcept { return static_cast<uint16_t>(What::finding) + 1; }

// ---- A run -------------------------------------------------------------------------------------

void Context::reset(Choices& source) {
  options = next_options;
  choices = &source;
  asks = dynamic_cast<Kindest*>(&source) == nullptr;
  program.reset();
  world.reset();
  kernel::Options wanted;
  wanted.tcp_send_buffer = options.send_window;
  wanted.tcp_receive_buffer = options.receive_window;
  wanted.start_ns = 1'000'000'000'000;
  wanted.descriptors = 1 << 20;
  machine.emplace(wanted, static_cast<kernel::Chooser*>(this));
  program.emplace(*machine, syscalls::first_descriptor);
  world.emplace(*machine);
  if (options.descriptors != 0)
    program->set_limit(syscalls::first_descriptor + static_cast<int>(options.descriptors));
  descriptors.clear();
  listeners.clear();
  outside.clear();
  outside_listeners.clear();
  asked_about = 0;
  step = calls_here = hooks = 0;
  // Saturating: a limit of "for ever" must not wrap.
  constexpr uint64_t second = 1'000'000'000;
  const uint64_t most = (~uint64_t{0} - wanted.start_ns) / second;
  end_ns = wanted.start_ns + std::min(options.max_seconds, most) * second;
  in_call = slept = leave_wanted = can_leave = was_left = leaks_are_judged = false;
  baseline_live = 0;
  fd_called_ = -1;
  trace.reset(options.trace_events, options.trace);
  report = Report{};
}

void Context::event(What what, Subject subject, int64_t value, const char* text) {
  const TraceEvent event{++step, machine->now(), value, 0, text, subject, what, 0, false};
  trace.add(event);
  if (event_hook != nullptr) tell(event, subject.kind == subject_peer ? subject.id : 0);
}

void Context::tell(const TraceEvent& event, uint32_t peer_id) {
  EventView view{};
  view.name = name_of(event.what);
  view.what = static_cast<uint16_t>(event.what);
  view.kind = event.what < What::first_happening ? EventKind::call : EventKind::happening;
  view.subject_kind = event.subject.kind;
  view.subject_id = event.subject.id;
  view.has_result = event.has_result;
  view.value = event.value;
  view.result = event.result;
  view.step = event.step;
  view.time_ns = event.time_ns;
  view.peer = Peer{peer_id};
  view.text = event.text;
  event_hook(event_context, view);
}

uint32_t Context::pick(uint32_t n, ChoicePoint point, uint32_t peer_id) {
  if (!asks || n < 2 || !options.asked.has(point)) return 0;
  ++report.choices;
  asked_about = peer_id;
  return choices->pick(n, point) % n;
}

void Context::advance(uint64_t ns) { machine->advance(ns); }

// ---- The program's calls -----------------------------------------------------------------------

int Context::on_call(syscalls::Call call, int fd) {
  inside_before_ = ledger::detail::inside;
  ledger::detail::inside = 0;
  in_call = true;
  fd_called_ = fd;
  hooks = 0;
  if (++calls_here > options.max_calls_in_callback) limit_reached(Limit::calls_in_callback);
  if (step > options.max_steps) limit_reached(Limit::steps);
  if (call == syscalls::Call::epoll_wait || call == syscalls::Call::poll) {
    calls_here = 0;
    if (++report.turns > options.max_turns) limit_reached(Limit::turns);
    static constexpr uint64_t longer[] = {0, 1'000'000, 50'000'000};
    advance(options.turn_ns + longer[pick(3, ChoicePoint::turn_time, 0)]);
  } else if (call == syscalls::Call::nanosleep) {
    slept = true;
  }
  return fault_of(call, fd);
}

void Context::on_answer(syscalls::Call call, int fd, long answer) {
  in_call = false;
  if (call != syscalls::Call::clock_gettime) note(call, fd, answer);
  if (call == syscalls::Call::epoll_wait) slept = false;
  ledger::detail::inside = inside_before_;
}

// Keeps in mind what the descriptors stand for.
void Context::note(syscalls::Call call, int fd, long answer) {
  using enum syscalls::Call;
  uint32_t peer_id = peer_of(fd);
  if (call == accept4 && answer >= 0) {
    const kernel::Tcp* const accepted = tcp_of(static_cast<int>(answer));
    Descriptor& one = *descriptor(static_cast<int>(answer));
    one = Descriptor{.connected = true, .own = false, .peer_id = 0};
    for (size_t i = outside.size(); i > 0 && one.peer_id == 0 && accepted != nullptr; --i) {
      Outside& client = outside[i - 1];
      if (client.port != accepted->remote_port() || client.accepted) continue;
      client.accepted = true;
      one.peer_id = static_cast<uint32_t>(i);
    }
    peer_id = one.peer_id;
  } else if (call == connect && (answer == 0 || answer == -EINPROGRESS)) {
    *descriptor(fd) = Descriptor{.connected = true, .own = true, .peer_id = 0};
  } else if (call == listen && answer == 0) {
    if (std::find(listeners.begin(), listeners.end(), fd) == listeners.end())
      listeners.push_back(fd);
  } else if (call == syscalls::Call::close) {
    std::erase(listeners, fd);
    *descriptor(fd) = Descriptor{};
  }
  const Subject subject{fd < 0 ? 0 : static_cast<uint32_t>(fd - syscalls::first_descriptor) + 1,
                        subject_descriptor};
  const TraceEvent event{++step,  machine->now(),          answer, answer, nullptr,
                         subject, static_cast<What>(call), 0,      true};
  trace.result(trace.add(event), answer);
  if (event_hook != nullptr) tell(event, peer_id);
}

// Where the program waits.
bool Context::act(const syscalls::Pause& pause) {
  if (machine->now() > end_ns) limit_reached(Limit::time);
  if (hook == nullptr) return false;
  if (++hooks > options.max_idle_hooks) limit_reached(Limit::hooks);
  Wait wait;
  wait.ready = pause.ready;
  const bool sleeps = !pause.ready && pause.end_ns > machine->now();
  wait.ns = !sleeps                         ? 0
            : pause.end_ns == kernel::never ? Wait::forever
                                            : pause.end_ns - machine->now();
  // The hook may hand the program a signal, and that makes calls.
  const int inside_before = inside_before_;
  in_call = false;
  const Progress progress = hook(network, wait);
  in_call = true;
  inside_before_ = inside_before;
  if (leave_wanted) on_deadlock();
  return progress == Progress::made;
}

void Context::on_deadlock() {
  report.quiescent = true;
  leave();
}

void Context::on_broken_pipe() {
  struct sigaction now{};
  sigaction(SIGPIPE, nullptr, &now);
  if (now.sa_handler == SIG_DFL) violate("the program dies of SIGPIPE");
  if (now.sa_handler != SIG_IGN) std::raise(SIGPIPE);
}

// ---- The ways out ------------------------------------------------------------------------------

void Context::leave() {
  can_leave = false;
  std::longjmp(way_out, report.exited ? left_by_exit : left_by_finding);
}

void Context::violate(const char* message) {
  ledger::detail::inside = 0;
  event(What::finding, Subject{}, 0);
  report.violations.push_back({"", "", message, step});
  if (can_leave && options.on_violation == OnViolation::leave) leave();
  std::fprintf(stderr, "floor 2: %s\n%s", message, trace.text(40).c_str());
  std::abort();
}

void Context::limit_reached(Limit limit) {
  ledger::detail::inside = 0;
  report.limit = limit;
  if (can_leave) leave();
  std::abort();
}

void Context::exit(int status) {
  ledger::detail::inside = 0;
  judge_leaks(__builtin_frame_address(0));
  program_result = status;
  report.exited = true;
  leave();
}

// ---- The ledger --------------------------------------------------------------------------------

namespace {

void on_incident(void* opaque, const ledger::Incident& told) {
  Context& context = *static_cast<Context*>(opaque);
  const ledger::Incident incident = told;
  char text[400];
  context.report.ledger.message = ledger::describe(incident, text, sizeof text);
  context.report.ledger.ok = false;
  context.violate(text);
}

// libuv itself ends the process where there is no memory for a table of its own; it makes it before
// the program listens.
bool allocation_fails(void* opaque, size_t /*size*/) {
  Context& context = *static_cast<Context*>(opaque);
  if (context.listeners.empty()) return false;
  const ledger::Outside outside;
  return context.pick(2, ChoicePoint::allocation, 0) == 1;
}

}  // namespace

void Context::judge_leaks(const void* stack) {
  leaks_are_judged = true;
  if (!ledger_running || ledger::totals().live == 0) return;
  report_leaks(report.ledger, stack);
}

void Context::begin_ledger() {
  ledger_running = false;
  if (!options.ledger) return;
  ledger::Options wishes;
  wishes.step = &step;
  wishes.strict = options.strict_ledger;
  wishes.on_incident = on_incident;
  wishes.incident_context = this;
  if (options.fail_allocations && asks) {
    wishes.fails = allocation_fails;
    wishes.failure_context = this;
  }
  ledger_running = ledger::begin(wishes);
  if (ledger_running) return;
  std::fprintf(stderr, "floor 2: the ledger is silent: %s\n", ledger::silence());
  std::abort();
}

void Context::end_ledger() {
  if (!ledger_running) return;
  report_figures(report.ledger);
  if (report.finished && !leaks_are_judged) judge_leaks(nullptr);
  // The frames that owned what is left are gone, by no fault of the program.
  if (was_left && ledger::totals().live > 0) ledger::release_live();
  ledger::end();
  ledger_running = false;
}

// ---- From beginning to end ---------------------------------------------------------------------

void Context::begin(Choices& source) {
  if (running != nullptr) {
    std::fputs("floor 2: a simulation began while another was running\n", stderr);
    std::abort();
  }
  reset(source);
  running = this;
  begin_ledger();
  syscalls::use(&*program, &*machine, this);
  base_inside = ledger::detail::inside;
  ledger::detail::inside = 1;
}

const Report& Context::end(int result) {
  ledger::detail::inside = base_inside;
  syscalls::use(nullptr, nullptr, nullptr);
  report.result = result;
  report.steps = step;
  report.virtual_ns = machine->now() - machine->options.start_ns;
  report.trace_hash = trace.hash();
  report.open_descriptors = static_cast<uint32_t>(program->open_descriptors());
  end_ledger();
  can_leave = false;
  running = nullptr;
  return report;
}

Simulation::Simulation(const Options& options) : context_(new Context(*this)) {
  make_what_stays();
  context_->next_options = options;
  context_->reset(kindest());
}
Simulation::~Simulation() { delete context_; }

Options& Simulation::options() { return context_->next_options; }
void Simulation::on_poll(PollHook hook) { context_->hook = std::move(hook); }
void Simulation::on_end(std::function<void(int)> hook) { context_->end_hook = std::move(hook); }
void Simulation::on_event(EventHook hook, void* context) {
  context_->event_hook = hook;
  context_->event_context = context;
}
void Simulation::begin(Choices& choices) { context_->begin(choices); }
const Report& Simulation::end(int result) { return context_->end(result); }

const Report& Simulation::run(Choices& choices, const std::function<int()>& program) {
  Context& context = *context_;
  begin(choices);
  // Not a local: after a long jump, locals that changed are indeterminate.
  context.program_result = 0;
  switch (setjmp(context.way_out)) {
    case 0:
      context.can_leave = true;
      context.program_result = program();
      break;
    case left_by_exit: context.was_left = true; break;
    default: context.was_left = true; return end(0);
  }
  context.can_leave = false;
  context.report.finished = true;
  if (context.end_hook) {
    const ledger::Outside outside;
    context.end_hook(context.program_result);
  }
  return end(context.program_result);
}

const Report& Simulation::run(const std::function<int()>& program) {
  return run(kindest(), program);
}

Network& Simulation::network() { return context_->network; }
const Report& Simulation::report() const { return context_->report; }
std::string Simulation::trace_text() const { return context_->trace.text(~uint64_t{0}); }
std::string Simulation::trace_json() const { return context_->trace.json(); }
void Simulation::note(const char* text, int64_t value) {
  context_->event(What::note, Subject{}, value, text);
}

void Simulation::ledger_baseline() {
  if (!context_->ledger_running) return;
  ledger::mark_baseline();
  context_->baseline_live = ledger::totals().live;
}
uint64_t Simulation::ledger_live() const {
  if (!context_->ledger_running) return 0;
  const uint64_t live = ledger::totals().live;
  return live > context_->baseline_live ? live - context_->baseline_live : 0;
}
uint64_t Simulation::ledger_live_bytes() const {
  return context_->ledger_running ? ledger::totals().live_bytes : 0;
}

Simulation* Simulation::current() noexcept {
  return running == nullptr ? nullptr : &running->simulation;
}

// This floor puts nothing of the process back, so nobody asks.
namespace surroundings {
void descriptors_are_shared() noexcept;
void descriptors_are_shared() noexcept {}
}  // namespace surroundings

}  // namespace uvsim
