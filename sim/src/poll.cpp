// The poll phase: libuv's watchers on top of a model of epoll, and time that jumps when nothing is
// ready.
//
// Theory. Which of several ready handles goes first is decided by epoll's ready list, and programs
// depend on it without knowing: a descriptor is appended when an event for it arrives, or when it
// is added or changed while it is ready; what was reported goes to the end and is looked at again
// next time. Watchers that libuv wants registered or changed wait in the loop's watcher_queue until
// the next poll. A descriptor that libuv stopped watching stays with epoll until it is heard of.
#include <poll.h>

#include <algorithm>

#include "foreign.hpp"
#include "internal.hpp"
#include "periphery.hpp"
#include "scheduler.hpp"

namespace uvsim {

namespace {

uint32_t events_of(Context& context, Watch& watch) {
  if (watch.kind == Watch::Kind::socket)
    return context.kernel.events(*watch.socket) & (watch.interest | POLLERR | POLLHUP);
  const bool ready = watch.kind == Watch::Kind::async
                         ? watch.loop->async_written || work_is_done(*watch.loop)
                         : !watch.loop->signal_pipe.empty();
  return ready ? uint32_t{POLLIN} : 0;
}

void register_watcher(Context& context, LoopState& state, uv_stream_t* stream) {
  Watch& watch = socket_of(context, stream)->watch;
  watch.loop = &state;
  watch.interest = stream->io_watcher.pevents;
  if (events_of(context, watch) != 0) make_ready(watch);
  stream->io_watcher.events = stream->io_watcher.pevents;
}

// Newer libuv registers all watchers at once, through io_uring. If epoll already knows a watcher
// that libuv takes for new, it refuses it, and the watcher comes again after the others.
bool comes_again(Context& context, const LoopState& state, const uv_stream_t* stream) {
  return !context.v1_44() && stream->io_watcher.events == 0 &&
         socket_of(context, stream)->watch.loop == &state;
}

void register_watchers(Context& context, LoopState& state) {
  Link* const queue = link_of(state.loop->watcher_queue);
  Link again;
  init(&again);
  while (!empty(queue)) {
    Link* const link = queue->next;
    remove(link);
    uv_stream_t* const stream = UVSIM_OWNER(link, uv_stream_t, io_watcher.watcher_queue);
    if (comes_again(context, state, stream))
      push_back(&again, link);
    else
      register_watcher(context, state, stream);
  }
  while (!empty(&again)) {
    Link* const link = again.next;
    remove(link);
    register_watcher(context, state, UVSIM_OWNER(link, uv_stream_t, io_watcher.watcher_queue));
  }
}

void jump(Context& context, LoopState& state, uint64_t to_ns) {
  const uint64_t ns = to_ns - context.now_ns;
  if (state.measures_idle) state.idle_ns += ns;
  context.event(What::time_jump, state.subject(), static_cast<int64_t>(ns));
  spend(context, ns);
}

// epoll removes watchers that are not ready from its list. REQUIRES: none is ready.
void drop_stale(LoopState& state) {
  while (!empty(&state.ready_list)) {
    Watch& watch = *UVSIM_OWNER(state.ready_list.next, Watch, ready);
    remove(&watch.ready);
    watch.is_ready = false;
  }
}

bool is_ready(void* state) { return anything_ready(*static_cast<LoopState*>(state)); }

// Other threads run while the loop waits; on a busy machine, only if it has nothing else to do.
void give_turn(Context& context, LoopState& state) {
  if (!has_threads() || !on_first_thread()) return;
  if (anything_ready(state) && context.pick(2, ChoicePoint::thread_turn) == 1) return;
  run_threads(context);
}

// False when the deadline comes first. With one in the past, everything is looked at once.
bool wait_for_events(Context& context, LoopState& state, uint64_t deadline) {
  uint64_t fruitless = 0;
  for (;;) {
    take_real_signals(context);
    take_foreign_sends(context);
    give_turn(context, state);
    if (context.kernel.next_timer() <= context.now_ns) context.kernel.run_timers();
    // The World is asked when they are at rest, too.
    if (on_first_thread() && had_foreign() && !anything_ready(state) &&
        wait_for_foreign(context, std::min(context.kernel.next_timer(), deadline)))
      continue;
    // Who sleeps in another thread, or waits there for so long, goes on by itself as a timer does.
    const uint64_t sleeps_until_ns = std::min(deadline, next_thread_ns());
    const Progress progress = on_first_thread()
                                  ? ask_hook(context, anything_ready(state), sleeps_until_ns)
                                  : Progress::nothing;
    if (context.leave_wanted) {
      context.leave_wanted = false;
      quiescent(context, state);
      return false;
    }
    if (anything_ready(state)) return true;
    drop_stale(state);
    if (deadline <= context.now_ns) return false;
    if (!on_first_thread()) {
      wait_until(context, is_ready, &state, deadline);
      continue;
    }
    if (any_thread_ready(context)) continue;
    if (progress == Progress::made) {
      if (++fruitless > context.options.max_idle_hooks) limit_reached(context, Limit::hooks);
      continue;
    }
    const uint64_t next_ns = std::min(context.kernel.next_timer(), next_thread_ns());
    if (wait_for_foreign(context, std::min(next_ns, deadline))) continue;
    if (next_ns < deadline) {
      jump(context, state, next_ns);
      continue;
    }
    if (deadline != Wait::forever) {
      jump(context, state, deadline);
      return false;
    }
    quiescent(context, state);
    return false;
  }
}

// Asks which handle goes first, and how many are reported.
void choose_order(Context& context, std::vector<Ready>& batch) {
  if (!context.asks) return;
  for (size_t i = 0; i + 1 < batch.size(); ++i) {
    const auto rest = static_cast<uint32_t>(batch.size() - i);
    const size_t chosen = i + context.pick(rest, ChoicePoint::ready_order);
    const Ready first = batch[chosen];
    for (size_t j = chosen; j > i; --j) batch[j] = batch[j - 1];
    batch[i] = first;
  }
  const auto size = static_cast<uint32_t>(batch.size());
  batch.resize(size - context.pick(size, ChoicePoint::ready_count));
}

void collect(Context& context, LoopState& state) {
  constexpr size_t epoll_batch = 1024;
  std::vector<Ready>& batch = state.batch;
  batch.clear();
  Link seen;
  move_all(&state.ready_list, &seen);
  while (!empty(&seen)) {
    Watch& watch = *UVSIM_OWNER(seen.next, Watch, ready);
    remove(&watch.ready);
    const uint32_t events = events_of(context, watch);
    if (events == 0) {
      watch.is_ready = false;
      continue;
    }
    push_back(&state.ready_list, &watch.ready);
    if (batch.size() < epoll_batch)
      batch.push_back({&watch, watch.socket == nullptr ? 0 : watch.socket->serial, events});
  }
  choose_order(context, batch);
}

// 1 if a callback could run.
int dispatch_socket(Context& context, const Ready& ready) {
  Socket& socket = *ready.watch->socket;
  // Closed by a callback of this batch.
  if (socket.serial != ready.serial || socket.watch.loop == nullptr) return 0;
  uv_stream_t* const stream = socket.stream;
  if (stream == nullptr) {
    forget_watch(socket.watch);
    return 0;
  }
  const uint32_t wanted = stream->io_watcher.pevents;
  uint32_t events = ready.events & (wanted | POLLERR | POLLHUP);
  // A bare hang-up is not an event of its own: it counts as what the watcher waits for.
  if (events == POLLHUP) events |= wanted & (POLLIN | POLLOUT);
  if (events == 0) return 0;
  stream_io(context, stream, events);
  return 1;
}

int dispatch(Context& context, LoopState& state) {
  collect(context, state);
  bool has_signals = false;
  int count = 0;
  // By index, and a copy: a callback may run another loop, or grow this one's batch never.
  for (size_t i = 0; i < state.batch.size(); ++i) {
    const Ready ready = state.batch[i];
    if (ready.watch->kind == Watch::Kind::socket) {
      count += dispatch_socket(context, ready);
      continue;
    }
    ++count;
    if (ready.watch->kind == Watch::Kind::signal) {
      has_signals = true;
      continue;
    }
    // The thread pool reports through the loop's first async handle.
    call_back_work(state);
    run_async(context, state);
  }
  if (has_signals) run_signals(context, state);
  state.events_seen += static_cast<uint64_t>(count);
  return count;
}

}  // namespace

Progress ask_hook(Context& context, bool ready, uint64_t deadline) {
  if (context.hook == nullptr) return Progress::nothing;
  Wait wait;
  wait.ready = ready;
  if (!ready && deadline > context.now_ns)
    wait.ns = deadline == Wait::forever ? Wait::forever : deadline - context.now_ns;
  context.in_hook = true;
  const Progress progress = context.hook(context.network, wait);
  context.in_hook = false;
  return progress;
}

void make_ready(Watch& watch) {
  if (watch.is_ready) return;
  watch.is_ready = true;
  push_back(&watch.loop->ready_list, &watch.ready);
}

void forget_watch(Watch& watch) {
  if (watch.is_ready) remove(&watch.ready);
  watch.is_ready = false;
  watch.loop = nullptr;
  watch.interest = 0;
}

bool anything_ready(LoopState& state) {
  Context& context = current();
  const Link* const list = &state.ready_list;
  for (Link* link = list->next; link != list; link = link->next) {
    if (events_of(context, *UVSIM_OWNER(link, Watch, ready)) != 0) return true;
  }
  return false;
}

void poll(Context& context, LoopState& state, int timeout) {
  ++state.poll_count;
  state.registered = true;
  register_watchers(context, state);
  const uint64_t deadline =
      timeout < 0 ? Wait::forever : context.now_ns + static_cast<uint64_t>(timeout) * 1'000'000;
  for (;;) {
    const bool ready = wait_for_events(context, state, deadline);
    update_time(context, state.loop);
    if (!ready) return;
    // The ready handles may have no watcher any more. Then libuv waits again.
    if (dispatch(context, state) > 0 || timeout == 0) return;
    register_watchers(context, state);
  }
}

void io_start(uv_stream_t* stream, unsigned events) {
  auto& watcher = stream->io_watcher;
  watcher.pevents |= events;
  if (watcher.events == watcher.pevents) return;
  if (empty(link_of(watcher.watcher_queue)))
    push_back(link_of(stream->loop->watcher_queue), link_of(watcher.watcher_queue));
  socket_of(current(), stream)->stream = stream;
}

void io_stop(uv_stream_t* stream, unsigned events) {
  auto& watcher = stream->io_watcher;
  if (watcher.fd < 0) return;
  watcher.pevents &= ~events;
  if (watcher.pevents == 0) {
    remove(link_of(watcher.watcher_queue));
    watcher.events = 0;
    Socket* const socket = socket_of(current(), stream);
    if (socket->stream == stream) socket->stream = nullptr;
  } else if (empty(link_of(watcher.watcher_queue))) {
    push_back(link_of(stream->loop->watcher_queue), link_of(watcher.watcher_queue));
  }
}

void io_close(uv_stream_t* stream) {
  io_stop(stream, ~0u);
  remove(link_of(stream->io_watcher.pending_queue));
}

void io_feed(uv_stream_t* stream) {
  if (empty(link_of(stream->io_watcher.pending_queue)))
    push_back(link_of(stream->loop->pending_queue), link_of(stream->io_watcher.pending_queue));
}

}  // namespace uvsim
