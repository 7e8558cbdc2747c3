// Idle, prepare and check handles: three lists of a loop, each run through once per turn. A handle
// that is started goes to the front, so the last started runs first; what a callback starts waits
// for the next turn.
#include "internal.hpp"

namespace uvsim {
namespace {

struct Idle {
  using Handle = uv_idle_t;
  static constexpr uv_handle_type type = UV_IDLE;
  static constexpr What callback_name = What::idle_cb;
  static Link* link(Handle* handle) { return link_of(handle->queue); }
  static Handle* owner(Link* link) { return UVSIM_OWNER(link, uv_idle_t, queue); }
  static Link* list(uv_loop_t* loop) { return link_of(loop->idle_handles); }
  static uv_idle_cb& callback(Handle* handle) { return handle->idle_cb; }
};

struct Prepare {
  using Handle = uv_prepare_t;
  static constexpr uv_handle_type type = UV_PREPARE;
  static constexpr What callback_name = What::prepare_cb;
  static Link* link(Handle* handle) { return link_of(handle->queue); }
  static Handle* owner(Link* link) { return UVSIM_OWNER(link, uv_prepare_t, queue); }
  static Link* list(uv_loop_t* loop) { return link_of(loop->prepare_handles); }
  static uv_prepare_cb& callback(Handle* handle) { return handle->prepare_cb; }
};

struct Check {
  using Handle = uv_check_t;
  static constexpr uv_handle_type type = UV_CHECK;
  static constexpr What callback_name = What::check_cb;
  static Link* link(Handle* handle) { return link_of(handle->queue); }
  static Handle* owner(Link* link) { return UVSIM_OWNER(link, uv_check_t, queue); }
  static Link* list(uv_loop_t* loop) { return link_of(loop->check_handles); }
  static uv_check_cb& callback(Handle* handle) { return handle->check_cb; }
};

template <class Phase>
int phase_init(What what, uv_loop_t* loop, typename Phase::Handle* handle) {
  Call call(what);
  handle_init(call, loop, base(handle), Phase::type);
  Phase::callback(handle) = nullptr;
  init(Phase::link(handle));
  return call.result(0);
}

template <class Phase, class Callback>
int phase_start(What what, typename Phase::Handle* handle, Callback callback) {
  Call call(what);
  HandleRecord& record = call.live(handle, Phase::type);
  if (is_active(record.handle)) return call.result(0);
  if (callback == nullptr) return call.result(UV_EINVAL);
  call.must_be_open(record);
  push_front(Phase::list(handle->loop), Phase::link(handle));
  Phase::callback(handle) = callback;
  handle_start(record.handle);
  return call.result(0);
}

template <class Phase>
void phase_stop(typename Phase::Handle* handle) {
  if (!is_active(base(handle))) return;
  remove(Phase::link(handle));
  handle_stop(base(handle));
}

template <class Phase>
int phase_stop_call(What what, typename Phase::Handle* handle) {
  Call call(what);
  call.live(handle, Phase::type);
  phase_stop<Phase>(handle);
  return call.result(0);
}

template <class Phase>
void phase_run(Context& context, LoopState& state) {
  Link* const list = Phase::list(state.loop);
  if (empty(list)) return;
  Link turn;
  move_all(list, &turn);
  while (!empty(&turn)) {
    Link* const link = turn.next;
    remove(link);
    push_back(list, link);
    typename Phase::Handle* const handle = Phase::owner(link);
    call_back(context, Phase::callback_name, record_of(context, handle).subject(), handle, 0,
              Phase::callback(handle), handle);
  }
}

}  // namespace

void run_idle(Context& context, LoopState& state) { phase_run<Idle>(context, state); }
void run_prepare(Context& context, LoopState& state) { phase_run<Prepare>(context, state); }
void run_check(Context& context, LoopState& state) { phase_run<Check>(context, state); }
void idle_close(uv_idle_t* idle) { phase_stop<Idle>(idle); }
void prepare_close(uv_prepare_t* prepare) { phase_stop<Prepare>(prepare); }
void check_close(uv_check_t* check) { phase_stop<Check>(check); }

}  // namespace uvsim

using namespace uvsim;

int uv_idle_init(uv_loop_t* loop, uv_idle_t* handle) {
  return phase_init<Idle>(What::uv_idle_init, loop, handle);
}
int uv_idle_start(uv_idle_t* handle, uv_idle_cb cb) {
  return phase_start<Idle>(What::uv_idle_start, handle, cb);
}
int uv_idle_stop(uv_idle_t* handle) { return phase_stop_call<Idle>(What::uv_idle_stop, handle); }

int uv_prepare_init(uv_loop_t* loop, uv_prepare_t* handle) {
  return phase_init<Prepare>(What::uv_prepare_init, loop, handle);
}
int uv_prepare_start(uv_prepare_t* handle, uv_prepare_cb cb) {
  return phase_start<Prepare>(What::uv_prepare_start, handle, cb);
}
int uv_prepare_stop(uv_prepare_t* handle) {
  return phase_stop_call<Prepare>(What::uv_prepare_stop, handle);
}

int uv_check_init(uv_loop_t* loop, uv_check_t* handle) {
  return phase_init<Check>(What::uv_check_init, loop, handle);
}
int uv_check_start(uv_check_t* handle, uv_check_cb cb) {
  return phase_start<Check>(What::uv_check_start, handle, cb);
}
int uv_check_stop(uv_check_t* handle) {
  return phase_stop_call<Check>(What::uv_check_stop, handle);
}
