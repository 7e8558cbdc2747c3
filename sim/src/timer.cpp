// Timers: a heap by due time, then by the order in which they were started.
//
// The two versions differ in what a pass sees: 1.44 looks at the heap again after each callback, so
// a timer that a callback starts with a timeout of 0 still runs in this pass; 1.52 collects what is
// due first. Three words of the handle are ours to use: its place in the heap, or its links in the
// list of those collected.
#include <climits>

#include "internal.hpp"

namespace uvsim {
namespace {

constexpr uintptr_t nowhere = ~uintptr_t{0};
constexpr uintptr_t collected = nowhere - 1;

struct __attribute__((may_alias)) Place {
  Link link;        // while collected
  uintptr_t index;  // in the heap; or nowhere, or collected
};

// The words' name differs between versions of uv.h; where they are does not.
Place& place(uv_timer_t* timer) {
  constexpr size_t at = offsetof(uv_timer_t, timeout) - 3 * sizeof(void*);
  return *reinterpret_cast<Place*>(reinterpret_cast<char*>(timer) + at);
}

uv_timer_t* timer_at(Link* link) {
  constexpr size_t at = offsetof(uv_timer_t, timeout) - 3 * sizeof(void*);
  return owner_at<uv_timer_t>(link, at);
}

bool sooner(const uv_timer_t* a, const uv_timer_t* b) {
  if (a->timeout != b->timeout) return a->timeout < b->timeout;
  return a->start_id < b->start_id;
}

void put(std::vector<uv_timer_t*>& heap, size_t index, uv_timer_t* timer) {
  heap[index] = timer;
  place(timer).index = index;
}

void sift_up(std::vector<uv_timer_t*>& heap, size_t index, uv_timer_t* timer) {
  while (index > 0 && sooner(timer, heap[(index - 1) / 2])) {
    put(heap, index, heap[(index - 1) / 2]);
    index = (index - 1) / 2;
  }
  put(heap, index, timer);
}

void sift_down(std::vector<uv_timer_t*>& heap, size_t index, uv_timer_t* timer) {
  for (;;) {
    size_t child = 2 * index + 1;
    if (child >= heap.size()) break;
    if (child + 1 < heap.size() && sooner(heap[child + 1], heap[child])) ++child;
    if (!sooner(heap[child], timer)) break;
    put(heap, index, heap[child]);
    index = child;
  }
  put(heap, index, timer);
}

void insert(std::vector<uv_timer_t*>& heap, uv_timer_t* timer) {
  heap.push_back(timer);
  sift_up(heap, heap.size() - 1, timer);
}

void take_out(std::vector<uv_timer_t*>& heap, uv_timer_t* timer) {
  const size_t index = place(timer).index;
  uv_timer_t* const last = heap.back();
  heap.pop_back();
  if (last != timer) {
    sift_down(heap, index, last);
    sift_up(heap, place(last).index, last);
  }
  place(timer).index = nowhere;
}

void stop(LoopState& state, uv_timer_t* timer) {
  if (place(timer).index == collected) {
    remove(&place(timer).link);
    place(timer).index = nowhere;
  }
  if (!is_active(base(timer))) return;
  take_out(state.timers, timer);
  handle_stop(base(timer));
}

void start(LoopState& state, uv_timer_t* timer, uint64_t timeout, uint64_t repeat) {
  uv_loop_t* const loop = timer->loop;
  stop(state, timer);
  const uint64_t due = loop->time + timeout;
  timer->timeout = due < timeout ? ~uint64_t{0} : due;
  timer->repeat = repeat;
  timer->start_id = loop->timer_counter++;
  insert(state.timers, timer);
  handle_start(base(timer));
}

// A timer without a callback that is due: uv_timer_again refuses it before it can get here.
void expire(Context& context, LoopState& state, uv_timer_t* timer) {
  if (timer->repeat != 0) start(state, timer, timer->repeat, timer->repeat);
  call_back(context, What::timer_cb, record_of(context, timer).subject(), timer, 0, timer->timer_cb,
            timer);
}

}  // namespace

void run_timers(Context& context, LoopState& state) {
  std::vector<uv_timer_t*>& heap = state.timers;
  if (context.v1_44()) {
    while (!heap.empty() && heap[0]->timeout <= state.loop->time) {
      uv_timer_t* const timer = heap[0];
      stop(state, timer);
      expire(context, state, timer);
    }
    return;
  }
  Link due;
  init(&due);
  while (!heap.empty() && heap[0]->timeout <= state.loop->time) {
    uv_timer_t* const timer = heap[0];
    stop(state, timer);
    push_back(&due, &place(timer).link);
    place(timer).index = collected;
  }
  while (!empty(&due)) {
    uv_timer_t* const timer = timer_at(due.next);
    stop(state, timer);
    expire(context, state, timer);
  }
}

int next_timeout(const uv_loop_t* loop, const LoopState& state) {
  if (state.timers.empty()) return -1;
  const uint64_t due = state.timers[0]->timeout;
  if (due <= loop->time) return 0;
  const uint64_t wait = due - loop->time;
  return wait > INT_MAX ? INT_MAX : static_cast<int>(wait);
}

void timer_close(Context& context, uv_timer_t* timer) {
  stop(loop_state(context, timer->loop), timer);
}

}  // namespace uvsim

using namespace uvsim;

int uv_timer_init(uv_loop_t* loop, uv_timer_t* handle) {
  Call call(What::uv_timer_init);
  if (call.context.fault(1, 2, ChoicePoint::call_timer_init) == 1) return call.result(UV_ENOMEM);
  handle_init(call, loop, base(handle), UV_TIMER);
  handle->timer_cb = nullptr;
  handle->timeout = 0;
  handle->repeat = 0;
  init(&place(handle).link);
  place(handle).index = nowhere;
  return call.result(0);
}

int uv_timer_start(uv_timer_t* handle, uv_timer_cb cb, uint64_t timeout, uint64_t repeat) {
  Call call(What::uv_timer_start, static_cast<int64_t>(timeout));
  HandleRecord& record = call.live(handle, UV_TIMER);
  if (is_closing(record.handle) || cb == nullptr) return call.result(UV_EINVAL);
  if (call.context.fault(1, 2, ChoicePoint::call_timer_start) == 1) return call.result(UV_EINVAL);
  handle->timer_cb = cb;
  start(*record.loop, handle, timeout, repeat);
  return call.result(0);
}

int uv_timer_stop(uv_timer_t* handle) {
  Call call(What::uv_timer_stop);
  HandleRecord& record = call.live(handle, UV_TIMER);
  stop(*record.loop, handle);
  return call.result(0);
}

int uv_timer_again(uv_timer_t* handle) {
  Call call(What::uv_timer_again);
  HandleRecord& record = call.live(handle, UV_TIMER);
  if (handle->timer_cb == nullptr) return call.result(UV_EINVAL);
  if (handle->repeat == 0) return call.result(0);
  stop(*record.loop, handle);
  if (!is_closing(record.handle)) start(*record.loop, handle, handle->repeat, handle->repeat);
  return call.result(0);
}

void uv_timer_set_repeat(uv_timer_t* handle, uint64_t repeat) {
  Call call(What::uv_timer_set_repeat, static_cast<int64_t>(repeat));
  call.live(handle, UV_TIMER);
  handle->repeat = repeat;
}

uint64_t uv_timer_get_repeat(const uv_timer_t* handle) {
  look();
  return handle->repeat;
}

uint64_t uv_timer_get_due_in(const uv_timer_t* handle) {
  look();
  return handle->timeout <= handle->loop->time ? 0 : handle->timeout - handle->loop->time;
}
