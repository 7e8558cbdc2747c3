// Async handles, for sends from the loop's own thread. Sends before the loop gets to look are one.
#include "foreign.hpp"
#include "internal.hpp"

namespace uvsim {

void run_async(Context& context, LoopState& state) {
  state.async_written = false;
  Link turn;
  move_all(link_of(state.loop->async_handles), &turn);
  while (!empty(&turn)) {
    Link* const link = turn.next;
    remove(link);
    push_back(link_of(state.loop->async_handles), link);
    uv_async_t* const async = UVSIM_OWNER(link, uv_async_t, queue);
    if (async->pending == 0) continue;
    async->pending = 0;
    if (async->async_cb == nullptr) continue;
    call_back(context, What::async_cb, record_of(context, async).subject(), async, 0,
              async->async_cb, async);
  }
}

void async_close(uv_async_t* async) {
  remove(link_of(async->queue));
  handle_stop(base(async));
}

}  // namespace uvsim

using namespace uvsim;

int uv_async_init(uv_loop_t* loop, uv_async_t* handle, uv_async_cb async_cb) {
  Call call(What::uv_async_init);
  if (call.context.fault(1, 2, ChoicePoint::call_async_init) == 1) return call.result(UV_EMFILE);
  handle_init(call, loop, base(handle), UV_ASYNC);
  handle->async_cb = async_cb;
  handle->pending = 0;
  push_back(link_of(loop->async_handles), link_of(handle->queue));
  handle_start(base(handle));
  return call.result(0);
}

int uv_async_send(uv_async_t* handle) {
  if (is_foreign()) {
    send_from_foreign(handle);
    return 0;
  }
  Call call(What::uv_async_send);
  const HandleRecord& record = call.live(handle, UV_ASYNC);
  if (record.life == Life::closed) return call.result(0);
  if (handle->pending != 0) return call.result(0);
  handle->pending = 1;
  record.loop->async_written = true;
  make_ready(record.loop->async_watch);
  return call.result(0);
}
