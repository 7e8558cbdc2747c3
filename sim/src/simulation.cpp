// A run from beginning to end: which context the calling thread's uv_* calls work on, how it gets a
// clean start, what the environment says, and what is reported. The public halves of Simulation.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "foreign.hpp"
#include "internal.hpp"
#include "periphery.hpp"
#include "report.hpp"
#include "scheduler.hpp"
#include "statics.hpp"
#include "surroundings.hpp"

namespace uvsim {
namespace {

// Initial-exec would not do in a shared library that is loaded late.
thread_local Context* t_current = nullptr;

Kindest& kindest() {
  static Kindest instance;
  return instance;
}

uint64_t number_of(const char* text) { return std::strtoull(text, nullptr, 0); }

// A source of choices named by the environment, or null for the kindest.
std::unique_ptr<Choices> choices_from_environment() {
  if (const char* const seed = std::getenv("UVSIM_SEED"))
    return std::make_unique<Random>(number_of(seed));
  const char* const hex = std::getenv("UVSIM_CHOICES");
  if (hex == nullptr) return nullptr;
  std::vector<uint32_t> answers;
  for (size_t i = 0; i + 1 < std::strlen(hex); i += 2) {
    const char digits[3] = {hex[i], hex[i + 1], '\0'};
    answers.push_back(static_cast<uint32_t>(std::strtoul(digits, nullptr, 16)));
  }
  return std::make_unique<Replay>(std::move(answers));
}

Options options_from_environment() {
  Options options;
  options.on_violation = OnViolation::abort;
  options.real_signals = true;
  options.real_descriptors = true;
  if (const char* const text = std::getenv("UVSIM_VERSION"))
    options.version = std::strncmp(text, "1.44", 4) == 0 ? Version::v1_44 : Version::v1_52;
  if (const char* const names = std::getenv("UVSIM_FAULTS")) {
    if (!ChoiceSet::parse(names, &options.impossible)) {
      std::fprintf(stderr, "uvsim: UVSIM_FAULTS=%s names what is no choice point\n", names);
      std::exit(2);
    }
  }
  if (const char* const text = std::getenv("UVSIM_CHECKS")) options.checks = number_of(text) != 0;
  if (const char* const text = std::getenv("UVSIM_LEDGER")) options.ledger = number_of(text) != 0;
  if (const char* const text = std::getenv("UVSIM_MAX_TURNS")) options.max_turns = number_of(text);
  if (const char* const text = std::getenv("UVSIM_MAX_SECONDS"))
    options.max_seconds = number_of(text);
  if (const char* const text = std::getenv("UVSIM_WATCHDOG"))
    options.watchdog_seconds = static_cast<uint32_t>(number_of(text));
  if (const char* const text = std::getenv("UVSIM_DESCRIPTORS"))
    options.descriptors = static_cast<uint32_t>(number_of(text));
  return options;
}

// The one run of a program that knows nothing of uvsim.
struct PlainProgram {
  Simulation simulation;
  std::unique_ptr<Choices> choices;

  PlainProgram() : simulation(options_from_environment()), choices(choices_from_environment()) {}
};

PlainProgram* g_plain = nullptr;

bool g_plain_leaked = false;

// From now on frees by static objects are ignored.
void plain_program_exits() {
  // What a thread still has in its frames is no leak, and is not searched for.
  const bool busy = has_busy_threads();
  if (!busy && on_first_thread()) end_threads();
  if (ledger::running() && !busy) {
    std::fflush(stdout);
    // Frames of the program are left where exit() was called in one of them.
    g_plain_leaked = ledger::report_leaks(__builtin_frame_address(0)) > 0;
  }
  if (ledger::running()) ledger::end();
  const char* const wish = std::getenv("UVSIM_TRACE");
  if (wish == nullptr) return;
  const bool json = std::strcmp(wish, "json") == 0;
  std::fflush(stdout);
  const Trace& trace = g_plain->simulation.context().trace;
  std::fputs(json ? trace.json().c_str() : trace.text(~uint64_t{0}).c_str(), stderr);
}

// The last of the program's exit handlers, for it is registered first: a program that leaked does
// not end with 0.
void plain_program_has_exited(int status, void* /*unused*/) {
  if (status != 0 || !g_plain_leaked) return;
  std::fflush(nullptr);
  write_coverage();
  _exit(EXIT_FAILURE);
}

__attribute__((constructor(101))) void will_exit() { on_exit(plain_program_has_exited, nullptr); }

Context& make_plain_context() {
  const ledger::Outside outside;
  if (Context* const context = come_back()) return *context;
  if (is_foreign())
    cannot_run(
        "a thread that uv_thread_create did not make uses more of libuv than "
        "uv_async_send, locks and clocks");
  if (g_plain != nullptr) {
    g_plain->simulation.begin(g_plain->choices != nullptr ? *g_plain->choices : kindest());
    return g_plain->simulation.context();
  }
  // Lives as long as the process: other static objects may call libuv when they are destroyed.
  g_plain = new PlainProgram;
  Context& context = g_plain->simulation.context();
  context.plain = true;
  g_plain->simulation.begin(g_plain->choices != nullptr ? *g_plain->choices : kindest());
  std::atexit(plain_program_exits);
  return context;
}

void watchdog_barks(int /*signum*/) {
  static const char message[] =
      "uvsim: the watchdog: the program has not come back from a callback in time\n";
  const ssize_t ignored = ::write(STDERR_FILENO, message, sizeof message - 1);
  static_cast<void>(ignored);
  give_up();
}

void start_watchdog(const Context& context) {
  if (context.options.watchdog_seconds == 0) return;
  std::signal(SIGALRM, watchdog_barks);
  real::alarm(context.options.watchdog_seconds);
}

bool allocation_fails(void* opaque, size_t /*size*/) {
  return static_cast<Context*>(opaque)->pick(2, ChoicePoint::allocation) == 1;
}

void close_ledger(Context& context) {
  if (!context.ledger_running) return;
  report_figures(context.report.ledger);
  const bool complete = context.report.finished && !context.ended_busy;
  if (complete && !context.leaks_are_judged) judge_leaks(context, nullptr);
  // The frames that owned what is left are gone, by no fault of the program.
  if (context.options.fresh_statics) {
    statics::put_back();
    if (ledger::totals().live > 0) ledger::release_live(!context.was_left);
  } else if (context.was_left && ledger::totals().live > 0) {
    ledger::release_live();
  }
  ledger::end();
  context.ledger_running = false;
}

}  // namespace

Context* current_or_null() noexcept { return t_current; }

void judge_leaks(Context& context, const void* stack) {
  context.leaks_are_judged = true;
  if (!context.ledger_running || ledger::totals().live == 0) return;
  report_leaks(context.report.ledger, stack);
}

Context& current() noexcept {
  if (t_current != nullptr) return *t_current;
  Context& context = make_plain_context();
  // From the first call on, the caller is the program under test.
  ledger::detail::inside = 1;
  return context;
}

bool has_current() noexcept { return t_current != nullptr; }
Context** current_slot() noexcept { return &t_current; }

uint32_t Simulation::Context::pick_asked(uint32_t n, ChoicePoint point, const Socket* about) {
  const ledger::Outside outside;
  ++choices_made;
  asked_about = about != nullptr && about->peer != nullptr ? about->peer->peer_id : 0;
  return choices->pick(n, point) % n;
}

void Simulation::Context::tell(const TraceEvent& event, const HandleRecord* record) {
  EventView view;
  view.name = name_of(event.what);
  view.what = static_cast<uint16_t>(event.what);
  view.kind = event.what < What::first_callback    ? EventKind::call
              : event.what < What::first_happening ? EventKind::callback
                                                   : EventKind::happening;
  view.depth = event.depth;
  view.subject_kind = event.subject.kind;
  view.subject_id = event.subject.id;
  view.closing = record != nullptr && record->life != Life::open;
  view.has_result = event.has_result;
  view.value = event.value;
  view.result = event.result;
  view.step = event.step;
  view.time_ns = event.time_ns;
  view.peer = Peer{record == nullptr ? 0 : peer_of(*this, *record)};
  view.text = event.text;
  const ledger::Outside outside;
  event_hook(event_context, view);
}

uint16_t event_names() noexcept { return static_cast<uint16_t>(What::finding) + 1; }

void Simulation::Context::reset(Choices& source) {
  options = next_options;
  choices = &source;
  asks = dynamic_cast<Kindest*>(&source) == nullptr;
  // A machine that has been up for a while: no clock of a program starts at zero.
  start_ns = now_ns = 1'000'000'000'000;
  step = callbacks = turns = choices_made = calls_here = 0;
  step_limit = options.max_steps;
  clock_looks = refusals = 0;
  alarm_ns = Wait::forever;
  depth = 0;
  owner = nullptr;
  next_handle_id = next_loop_id = 0;
  asked_about = 0;
  leave_wanted = in_hook = was_left = false;
  baseline_live = 0;
  // Saturating: a limit of "for ever" must not wrap.
  const uint64_t most = (~uint64_t{0} - start_ns) / 1'000'000'000;
  end_ns = start_ns + (options.max_seconds < most ? options.max_seconds : most) * 1'000'000'000;
  trace.reset(options.trace_events, options.trace);
  report.violations.clear();
  report.warnings.clear();
  report.ledger = LedgerSummary{};
  report.limit = Limit::none;
  report.quiescent = report.finished = report.exited = report.aborted = false;
  left_by = left_by_finding;
  leaks_are_judged = keeps_exit_handlers = false;
  exit_handlers.clear();
  freed_early = Finding{};
  handles.clear();
  requests.clear();
  handle_pool.give_back_all();
  request_pool.give_back_all();
  loop_pool.give_back_all();
  loops.clear();
  signals.clear();
  open_handles = 0;
  kernel.reset(*this);
  has_default_loop = false;
}

Simulation::Simulation(const Options& options) : context_(new Context) {
  context_->simulation = this;
  context_->next_options = options;
  context_->reset(kindest());
}

Simulation::~Simulation() {
  if (t_current == context_) end();
  delete context_;
}

Simulation* Simulation::current() noexcept {
  return t_current == nullptr ? nullptr : t_current->simulation;
}

Options& Simulation::options() { return context_->next_options; }
void Simulation::on_poll(PollHook hook) { context_->hook = std::move(hook); }
void Simulation::on_event(EventHook hook, void* context) {
  context_->event_hook = hook;
  context_->event_context = context;
}
void Simulation::on_end(std::function<void(int)> hook) { context_->end_hook = std::move(hook); }
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

void Simulation::begin(Choices& choices) {
  Context& context = *context_;
  if (t_current != nullptr && t_current->plain) {
    // The driver itself called libuv before: its own plain run is over.
    t_current->simulation->end();
  }
  if (t_current != nullptr) {
    std::fputs("uvsim: a simulation began while another was running on this thread\n", stderr);
    give_up();
  }
  context.reset(choices);
  // A plain program may have used these before the first call that needs a context.
  if (!context.plain) {
    reset_program_allocator();
    reset_threads();
    reset_pool();
    reset_process();
  }
  t_current = context_;
  context.in_run = true;
  if (context.options.ledger) {
    ledger::Options wishes;
    wishes.step = &context.step;
    wishes.strict = context.options.strict_ledger;
    wishes.owner = &context.owner;
    wishes.on_incident = ledger_incident;
    wishes.incident_context = context_;
    if (context.options.fail_allocations && context.asks) {
      wishes.fails = allocation_fails;
      wishes.failure_context = context_;
    }
    context.ledger_running = ledger::begin(wishes);
    if (!context.ledger_running) {
      std::fprintf(stderr, "uvsim: the ledger is silent: %s\n", ledger::silence());
      if (!context.plain) give_up();
    }
  }
  start_watchdog(context);
  begin_foreign(context);
  begin_threads();
  context.base_inside = ledger::detail::inside;
  ledger::detail::inside = 1;
}

namespace {

// The default loop is libuv's own: nobody has to close it.
uint32_t of_default_loop(Simulation::Context& context) {
  if (!context.has_default_loop) return 0;
  const LoopState& state = loop_state(context, &context.default_loop);
  return static_cast<uint32_t>(std::size(state.machinery)) + (state.emfile_fd >= 0 ? 1U : 0U);
}

}  // namespace

const Report& Simulation::end(int result) {
  Context& context = *context_;
  ledger::detail::inside = context.base_inside;
  if (context.options.watchdog_seconds != 0) real::alarm(0);
  if (context.options.real_signals) restore_real_signals();
  Report& report = context.report;
  end_foreign();
  report.real_threads = had_foreign();
  context.ended_busy = has_busy_threads();
  end_threads();
  report.result = result;
  report.steps = context.step;
  report.callbacks = context.callbacks;
  report.turns = context.turns;
  report.choices = context.choices_made;
  report.virtual_ns = context.now_ns - context.start_ns;
  report.trace_hash = context.trace.hash();
  report.open_handles = context.open_handles;
  report.open_descriptors = context.kernel.open_descriptors() - of_default_loop(context);
  if (context.options.fresh_statics) {
    take_back_signals();
    surroundings::put_back();
  }
  close_ledger(context);
  context.kernel.close_real_descriptors();
  context.in_run = false;
  context.can_leave = false;
  t_current = nullptr;
  return report;
}

const Report& Simulation::run(Choices& choices, const std::function<int()>& program) {
  Context& context = *context_;
  const bool fresh = context.next_options.fresh_statics;
  if (fresh) {
    statics::look();
    surroundings::keep();
  }
  ends_of_the_program_are_ours();
  give_the_driver_its_signals();
  begin(choices);
  // Not locals: after a long jump, locals that changed are indeterminate.
  context.program_result = 0;
  switch (setjmp(context.leave)) {
    case 0:
      context.can_leave = true;
      if (fresh) statics::construct(context);
      context.program_result = program();
      if (fresh) statics::run_exit_handlers(context);
      break;
    case left_by_exit: context.was_left = true; break;
    default: context.was_left = true; return end(0);
  }
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

}  // namespace uvsim
