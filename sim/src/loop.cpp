// Loops: their life, the order of the phases of a turn in both versions, whether a loop is alive,
// and the clock. Liveness is read from libuv's own fields, because programs change them by hand.
#include <poll.h>

#include <csignal>
#include <cstdarg>
#include <cstring>

#include "foreign.hpp"
#include "internal.hpp"
#include "periphery.hpp"
#include "scheduler.hpp"

namespace uvsim {

void spend(Context& context, uint64_t ns) {
  context.now_ns += ns;
  if (context.now_ns >= context.end_ns) limit_reached(context, Limit::time);
}

void update_time(Context& context, uv_loop_t* loop) { loop->time = context.now_ns / 1'000'000; }

// Looking at the clock takes time, and ever more of it for a program that does nothing else: one
// that spins until a second has passed gets there.
uint64_t look_at_clock(Context& context) {
  constexpr uint32_t patience = 4096;
  const uint32_t haste = context.clock_looks++ / patience;
  spend(context, context.options.clock_ns << (haste < 10 ? haste : 10));
  return context.now_ns;
}

namespace {

bool loop_alive(const uv_loop_t* loop) {
  // Whatever is in the pending queue belongs to an active request.
  return loop->active_handles > 0 || loop->active_reqs.count > 0 ||
         loop->closing_handles != nullptr;
}

void run_pending(Context& context, uv_loop_t* loop) {
  Link turn;
  move_all(link_of(loop->pending_queue), &turn);
  while (!empty(&turn)) {
    Link* const link = turn.next;
    remove(link);
    stream_io(context, UVSIM_OWNER(link, uv_stream_t, io_watcher.pending_queue), POLLOUT);
  }
}

void run_closing(Context& context, uv_loop_t* loop) {
  uv_handle_t* handle = loop->closing_handles;
  loop->closing_handles = nullptr;
  while (handle != nullptr) {
    // Its memory may be gone after its callback.
    uv_handle_t* const next = handle->next_closing;
    finish_close(context, handle);
    handle = next;
  }
}

void pass_time(Context& context) {
  if (++context.turns > context.options.max_turns) limit_reached(context, Limit::turns);
  constexpr uint64_t delays[] = {0, 1'000'000, 50'000'000};
  const uint64_t delay = delays[context.pick(3, ChoicePoint::turn_time)];
  spend(context, delay != 0 ? delay : context.options.turn_ns);
}

// From pending callbacks to closing: what both versions do in a turn, in the same order.
void run_phases(Context& context, LoopState& state, uv_run_mode mode) {
  uv_loop_t* const loop = state.loop;
  Link* const pending = link_of(loop->pending_queue);
  const bool can_sleep = empty(pending) && empty(link_of(loop->idle_handles));
  run_pending(context, loop);
  run_idle(context, state);
  run_prepare(context, state);
  int timeout = 0;
  if (mode == UV_RUN_DEFAULT || (mode == UV_RUN_ONCE && can_sleep))
    timeout = backend_timeout(loop, state);
  poll(context, state, timeout);
  constexpr int pending_passes = 8;
  for (int pass = 0; pass < pending_passes && !empty(pending); ++pass) run_pending(context, loop);
  run_check(context, state);
  run_closing(context, loop);
}

void run_1_44(Context& context, LoopState& state, uv_run_mode mode, bool* alive) {
  uv_loop_t* const loop = state.loop;
  while (*alive && loop->stop_flag == 0) {
    pass_time(context);
    update_time(context, loop);
    run_timers(context, state);
    run_phases(context, state, mode);
    if (mode == UV_RUN_ONCE) {
      update_time(context, loop);
      run_timers(context, state);
    }
    *alive = loop_alive(loop);
    if (mode != UV_RUN_DEFAULT) break;
  }
}

void run_1_52(Context& context, LoopState& state, uv_run_mode mode, bool* alive) {
  uv_loop_t* const loop = state.loop;
  if (mode == UV_RUN_DEFAULT && *alive && loop->stop_flag == 0) {
    update_time(context, loop);
    run_timers(context, state);
  }
  while (*alive && loop->stop_flag == 0) {
    pass_time(context);
    run_phases(context, state, mode);
    update_time(context, loop);
    run_timers(context, state);
    *alive = loop_alive(loop);
    if (mode != UV_RUN_DEFAULT) break;
  }
}

void close_machinery(Context& context, LoopState& state) {
  for (int& fd : state.machinery) {
    if (fd >= 0) context.kernel.close_descriptor(fd);
    fd = -1;
  }
}

void empty_queues(uv_loop_t* loop) {
  init(link_of(loop->handle_queue));
  init(link_of(loop->pending_queue));
  init(link_of(loop->watcher_queue));
  init(link_of(loop->process_handles));
  init(link_of(loop->prepare_handles));
  init(link_of(loop->check_handles));
  init(link_of(loop->idle_handles));
  init(link_of(loop->async_handles));
  init(link_of(loop->wq));
}

void reset_state(Context& context, LoopState& state, uv_loop_t* loop) {
  state.loop = loop;
  state.id = ++context.next_loop_id;
  state.registered = false;
  state.running = state.measures_idle = state.wants_sqpoll = state.async_written = false;
  state.idle_ns = state.poll_count = state.events_seen = 0;
  state.loan = ledger::no_loan;
  state.emfile_fd = -1;
  init(&state.ready_list);
  state.timers.clear();
  state.signal_pipe.clear();
  for (Watch* const watch : {&state.async_watch, &state.signal_watch}) {
    *watch = Watch{};
    init(&watch->ready);
    watch->loop = &state;
    watch->interest = POLLIN;
  }
  state.async_watch.kind = Watch::Kind::async;
  state.signal_watch.kind = Watch::Kind::signal;
}

}  // namespace

int backend_timeout(const uv_loop_t* loop, const LoopState& state) {
  auto* const mutable_loop = const_cast<uv_loop_t*>(loop);
  if (loop->stop_flag != 0) return 0;
  if (loop->active_handles == 0 && loop->active_reqs.count == 0) return 0;
  if (!empty(link_of(mutable_loop->pending_queue))) return 0;
  if (!empty(link_of(mutable_loop->idle_handles))) return 0;
  if (loop->closing_handles != nullptr) return 0;
  return next_timeout(loop, state);
}

}  // namespace uvsim

// ---------------------------------------------------------------------------------------------
// The public functions

using namespace uvsim;

int uv_loop_init(uv_loop_t* loop) {
  Call call(What::uv_loop_init);
  Context& context = call.context;
  if (context.pick(2, ChoicePoint::call_loop_init) == 1) return call.result(UV_EMFILE);
  for (const LoopState* const other : context.loops) {
    if (other->loop == loop)
      violate(context, "R34", other->subject(), "uv_loop_init was called on a loop that is open");
  }
  LoopState& state = *context.loop_pool.take();
  for (int& fd : state.machinery) fd = -1;
  for (int& fd : state.machinery) {
    fd = context.kernel.open_machinery();
    if (fd >= 0) continue;
    const int error = fd;
    close_machinery(context, state);
    context.loop_pool.give_back(&state);
    return call.result(error);
  }
  reset_state(context, state, loop);
  context.loops.push_back(&state);
  if (context.ledger_running && loop != &context.default_loop)
    state.loan = ledger::lend(loop, sizeof *loop, ledger::LoanKind::loop, loop, 34);

  void* const data = loop->data;
  std::memset(static_cast<void*>(loop), 0, sizeof *loop);
  loop->data = data;
  empty_queues(loop);
  loop->internal_fields = &state;
  loop->backend_fd = state.machinery[0];
  loop->async_wfd = -1;
  loop->async_io_watcher.fd = state.machinery[1];
  loop->signal_pipefd[0] = state.machinery[2];
  loop->signal_pipefd[1] = state.machinery[3];
  loop->emfile_fd = -1;
  update_time(context, loop);
  call.subject(state.subject());
  return call.result(0);
}

int uv_loop_close(uv_loop_t* loop) {
  Call call(What::uv_loop_close);
  Context& context = call.context;
  LoopState& state = call.loop(loop);
  call.subject(state.subject());
  if (state.running)
    violate(context, "R35", state.subject(), "uv_loop_close was called while uv_run is running");
  if (loop->active_reqs.count > 0) return call.result(UV_EBUSY);
  if (!empty(link_of(loop->handle_queue))) return call.result(UV_EBUSY);
  close_machinery(context, state);
  if (state.emfile_fd >= 0) context.kernel.close_descriptor(state.emfile_fd);
  if (context.ledger_running) ledger::give_back(state.loan);
  for (size_t i = 0; i < context.loops.size(); ++i) {
    if (context.loops[i] != &state) continue;
    context.loops.erase(context.loops.begin() + static_cast<std::ptrdiff_t>(i));
    break;
  }
  context.loop_pool.give_back(&state);
  // As a debug build of libuv does, so that a later use of the loop fails.
  void* const data = loop->data;
  std::memset(static_cast<void*>(loop), 0xff, sizeof *loop);
  loop->data = data;
  if (loop == &context.default_loop) context.has_default_loop = false;
  return call.result(0);
}

uv_loop_t* uv_default_loop() {
  Context& context = look();
  if (context.has_default_loop) return &context.default_loop;
  context.default_loop.data = nullptr;
  if (uv_loop_init(&context.default_loop) != 0) return nullptr;
  context.has_default_loop = true;
  return &context.default_loop;
}

uv_loop_t* uv_loop_new() {
  look();
  auto* const loop = static_cast<uv_loop_t*>(program_malloc(sizeof(uv_loop_t)));
  if (loop == nullptr) return nullptr;
  loop->data = nullptr;
  if (uv_loop_init(loop) == 0) return loop;
  program_free(loop);
  return nullptr;
}

void uv_loop_delete(uv_loop_t* loop) {
  const Context& context = look();
  const bool is_default = loop == &context.default_loop;
  const int error = uv_loop_close(loop);
  if (error != 0)
    violate(current(), "R34", Subject{}, "uv_loop_delete was called on a loop with open handles");
  if (!is_default) program_free(loop);
}

size_t uv_loop_size() { return sizeof(uv_loop_t); }
void* uv_loop_get_data(const uv_loop_t* loop) { return loop->data; }
void uv_loop_set_data(uv_loop_t* loop, void* data) { loop->data = data; }

int uv_loop_alive(const uv_loop_t* loop) {
  look();
  return loop_alive(loop) ? 1 : 0;
}

int uv_loop_configure(uv_loop_t* loop, uv_loop_option option, ...) {
  // By number: the newest option is not in every uv.h, and a program may pass any.
  int number;
  std::memcpy(&number, &option, sizeof number);
  Call call(What::uv_loop_configure, number);
  LoopState& state = call.loop(loop);
  constexpr int use_io_uring_sqpoll = 2;
  if (number == UV_METRICS_IDLE_TIME) {
    state.measures_idle = true;
    return call.result(0);
  }
  if (number == use_io_uring_sqpoll && !call.context.v1_44()) {
    state.wants_sqpoll = true;
    return call.result(0);
  }
  if (number != UV_LOOP_BLOCK_SIGNAL) return call.result(UV_ENOSYS);
  va_list arguments;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wvarargs"  // the signature is libuv's
  va_start(arguments, option);
#pragma GCC diagnostic pop
  const int signum = va_arg(arguments, int);
  va_end(arguments);
  return call.result(signum == SIGPROF ? 0 : UV_EINVAL);
}

int uv_run(uv_loop_t* loop, uv_run_mode mode) {
  Call call(What::uv_run, mode);
  Context& context = call.context;
  LoopState& state = call.loop(loop);
  call.subject(state.subject());
  if (state.running)
    violate(context, "R35", state.subject(), "uv_run was called from a callback of the same loop");
  must_not_have_freed_early(context);
  look_for_foreign();
  state.running = true;
  state.run_by = this_thread();
  bool alive = loop_alive(loop);
  if (!alive) {
    // A program that calls this again and again waits for time to pass.
    spend(context, context.options.turn_ns);
    update_time(context, loop);
  }
  if (context.v1_44())
    run_1_44(context, state, mode, &alive);
  else
    run_1_52(context, state, mode, &alive);
  state.running = false;
  loop->stop_flag = 0;
  return call.result(alive ? 1 : 0);
}

void uv_stop(uv_loop_t* loop) {
  Call call(What::uv_stop);
  call.loop(loop);
  loop->stop_flag = 1;
}

uint64_t uv_now(const uv_loop_t* loop) {
  look();
  return loop->time;
}

void uv_update_time(uv_loop_t* loop) {
  Context& context = look();
  look_at_clock(context);
  update_time(context, loop);
}

uint64_t uv_hrtime() { return is_foreign() ? foreign_now_ns() : look_at_clock(look()); }

void uv_sleep(unsigned int msec) {
  if (is_foreign()) {
    real::sleep(uint64_t{msec} * 1'000'000);
    return;
  }
  Call call(What::uv_sleep, msec);
  sleep_for(call.context, uint64_t{msec} * 1'000'000);
}

int uv_gettimeofday(uv_timeval64_t* tv) {
  if (tv == nullptr) return UV_EINVAL;
  const uint64_t ns = epoch_ns + look_at_clock(look());
  tv->tv_sec = static_cast<int64_t>(ns / 1'000'000'000);
  tv->tv_usec = static_cast<int32_t>(ns / 1'000 % 1'000'000);
  return 0;
}

int uv_backend_fd(const uv_loop_t* loop) {
  look();
  return loop->backend_fd;
}

int uv_backend_timeout(const uv_loop_t* loop) {
  Context& context = look();
  auto* const mutable_loop = const_cast<uv_loop_t*>(loop);
  const LoopState& state = loop_state(context, loop);
  if (!empty(link_of(mutable_loop->watcher_queue)) || !state.registered) return 0;
  return backend_timeout(loop, state);
}

uint64_t uv_metrics_idle_time(uv_loop_t* loop) { return loop_state(look(), loop).idle_ns; }

#if UV_VERSION_HEX >= 0x012d00
int uv_metrics_info(uv_loop_t* loop, uv_metrics_t* metrics) {
  const LoopState& state = loop_state(look(), loop);
  metrics->loop_count = state.poll_count;
  metrics->events = state.events_seen;
  metrics->events_waiting = 0;
  return 0;
}

int uv_clock_gettime(uv_clock_id clock_id, uv_timespec64_t* ts) {
  if (ts == nullptr) return UV_EFAULT;
  if (clock_id != UV_CLOCK_MONOTONIC && clock_id != UV_CLOCK_REALTIME) return UV_EINVAL;
  const uint64_t ns =
      look_at_clock(look()) + (clock_id == UV_CLOCK_REALTIME ? epoch_ns : uint64_t{0});
  ts->tv_sec = static_cast<int64_t>(ns / 1'000'000'000);
  ts->tv_nsec = static_cast<int32_t>(ns % 1'000'000'000);
  return 0;
}
#endif

namespace {

void check_list(Context& context, LoopState& state) {
  Link* const list = link_of(state.loop->handle_queue);
  for (Link* link = list->next; link != list; link = link->next) {
    const uv_handle_t* const handle = UVSIM_OWNER(link, uv_handle_t, handle_queue);
    if (const HandleRecord* const record = context.handles.find(handle))
      check_linked(context, *record, "uv_walk");
  }
}

}  // namespace

void uv_walk(uv_loop_t* loop, uv_walk_cb walk_cb, void* arg) {
  Call call(What::uv_walk);
  LoopState& state = call.loop(loop);
  call.subject(state.subject());
  check_list(call.context, state);
  Link turn;
  move_all(link_of(loop->handle_queue), &turn);
  while (!empty(&turn)) {
    Link* const link = turn.next;
    remove(link);
    push_back(link_of(loop->handle_queue), link);
    uv_handle_t* const handle = UVSIM_OWNER(link, uv_handle_t, handle_queue);
    call_back(call.context, What::walk_cb, record_of(call.context, handle).subject(), handle, 0,
              walk_cb, handle, arg);
  }
}

namespace {

void print_handles(uv_loop_t* loop, bool only_active, FILE* stream) {
  const Context& context = look();
  if (loop == nullptr) loop = uv_default_loop();
  static_cast<void>(context);
  const Link* const list = link_of(loop->handle_queue);
  for (Link* link = list->next; link != list; link = link->next) {
    const uv_handle_t* const handle = UVSIM_OWNER(link, uv_handle_t, handle_queue);
    if (only_active && !is_active(handle)) continue;
    std::fprintf(stream, "[%c%c-] %-8s %p\n", (handle->flags & flag_ref) != 0 ? 'R' : '-',
                 is_active(handle) ? 'A' : '-', uv_handle_type_name(handle->type),
                 static_cast<const void*>(handle));
  }
}

}  // namespace

void uv_print_all_handles(uv_loop_t* loop, FILE* stream) { print_handles(loop, false, stream); }
void uv_print_active_handles(uv_loop_t* loop, FILE* stream) { print_handles(loop, true, stream); }

void uv_library_shutdown() { Call call(What::uv_library_shutdown); }
