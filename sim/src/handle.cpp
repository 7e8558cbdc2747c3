// Handles of every kind: their birth in a loop, the reference counting that keeps the loop alive,
// closing, and the getters. And requests: from the call that lends one to the callback that gives
// it back.
//
// Theory of closing. uv_close gives up everything at once and puts the handle on the loop's stack;
// the closing phase empties the stack, so the last closed goes first (R26). Only then do callbacks
// run: the requests' first, the close callback last (R24, R25).
#include "internal.hpp"
#include "periphery.hpp"

namespace uvsim {

void handle_start(uv_handle_t* handle) {
  if (is_active(handle)) return;
  handle->flags |= flag_active;
  if ((handle->flags & flag_ref) != 0) ++handle->loop->active_handles;
}

void handle_stop(uv_handle_t* handle) {
  if (!is_active(handle)) return;
  handle->flags &= ~unsigned{flag_active};
  if ((handle->flags & flag_ref) != 0) --handle->loop->active_handles;
}

void handle_ref(uv_handle_t* handle) {
  if ((handle->flags & flag_ref) != 0) return;
  handle->flags |= flag_ref;
  if ((handle->flags & flag_closing) != 0) return;
  if (is_active(handle)) ++handle->loop->active_handles;
}

void handle_unref(uv_handle_t* handle) {
  if ((handle->flags & flag_ref) == 0) return;
  handle->flags &= ~unsigned{flag_ref};
  if ((handle->flags & flag_closing) != 0) return;
  if (is_active(handle)) --handle->loop->active_handles;
}

namespace {

// How much of the program's memory a handle is.
size_t size_of(uv_handle_type type) { return uv_handle_size(type); }

void lend_handle(Context& context, HandleRecord& record, int rule) {
  if (!context.ledger_running) return;
  ledger::give_back(record.loan);
  record.loan = ledger::lend(record.handle, size_of(record.type), ledger::LoanKind::handle,
                             record.handle, rule);
}

void take_no_more(Context& context, HandleRecord& record) {
  if (context.ledger_running) ledger::give_back(record.loan);
  record.loan = ledger::no_loan;
}

// The records of closed handles serve messages only; too many of them are forgotten.
void forget_closed(Context& context) {
  constexpr size_t many = 4096;
  if (context.handles.size() < many + 2 * size_t{context.open_handles}) return;
  std::vector<HandleRecord*> closed;
  context.handles.for_each([&](HandleRecord& record) {
    if (record.life == Life::closed) closed.push_back(&record);
  });
  for (HandleRecord* const record : closed) {
    context.handles.erase(record->handle);
    context.handle_pool.give_back(record);
  }
}

}  // namespace

HandleRecord& handle_init(Call& call, uv_loop_t* loop, uv_handle_t* handle, uv_handle_type type) {
  Context& context = call.context;
  LoopState& state = call.loop(loop);
  if (handle == nullptr) violate(context, "", Subject{}, "a handle was initialised at address 0");
  HandleRecord* record = context.handles.find(handle);
  if (record != nullptr && record->life != Life::closed) {
    call.subject(record->subject());
    violate(context, "R29", record->subject(),
            record->life == Life::open
                ? "initialised again while it is open: the loop still refers to it"
                : "initialised again before its close callback");
  }
  if (record == nullptr) {
    forget_closed(context);
    record = context.handle_pool.take();
    context.handles.put(handle, record);
  }
  *record = HandleRecord{};
  record->handle = handle;
  record->loop = &state;
  record->id = ++context.next_handle_id;
  record->type = type;
  record->life = Life::open;
  record->init_step = context.step;
  ++context.open_handles;
  call.subject(record->subject());
  call.record(record);
  lend_handle(context, *record, 29);

  handle->loop = loop;
  handle->type = type;
  handle->flags = flag_ref;
  handle->next_closing = nullptr;
  push_back(link_of(loop->handle_queue), link_of(handle->handle_queue));
  return *record;
}

void handle_drop(Context& context, HandleRecord& record) {
  remove(link_of(record.handle->handle_queue));
  record.life = Life::closed;
  record.close_step = context.step;
  --context.open_handles;
  take_no_more(context, record);
}

void check_linked(Context& context, const HandleRecord& record, const char* what) {
  Link* const link = link_of(record.handle->handle_queue);
  const HandleRecord* broken = &record;
  if (link->next != nullptr && link->prev != nullptr) {
    if (link->next->prev == link && link->prev->next == link) return;
    // It is the neighbour's memory, if its own is as it was.
    Link* const other = link->next->prev == link ? link->prev : link->next;
    const HandleRecord* const neighbour =
        context.handles.find(UVSIM_OWNER(other, uv_handle_t, handle_queue));
    if (neighbour != nullptr && record.handle->type == record.type) broken = neighbour;
  }
  violate(context, "", broken->subject(),
          "%s finds the memory of an open handle overwritten: copied over, cleared or reused",
          what);
}

void begin_close(Context& context, HandleRecord& record, uv_close_cb callback) {
  uv_handle_t* const handle = record.handle;
  handle->flags |= flag_closing;
  handle->close_cb = callback;
  record.peer_id = peer_of(context, record);
  record.life = Life::closing;
  record.close_step = context.step;
  lend_handle(context, record, 28);
  switch (record.type) {
    case UV_TCP: stream_close(context, stream_of(handle)); break;
    case UV_NAMED_PIPE: pipe_close(context, reinterpret_cast<uv_pipe_t*>(handle)); break;
    case UV_TIMER: timer_close(context, reinterpret_cast<uv_timer_t*>(handle)); break;
    case UV_IDLE: idle_close(reinterpret_cast<uv_idle_t*>(handle)); break;
    case UV_PREPARE: prepare_close(reinterpret_cast<uv_prepare_t*>(handle)); break;
    case UV_CHECK: check_close(reinterpret_cast<uv_check_t*>(handle)); break;
    case UV_ASYNC: async_close(reinterpret_cast<uv_async_t*>(handle)); break;
    default: signal_close(context, reinterpret_cast<uv_signal_t*>(handle)); break;
  }
  handle->next_closing = handle->loop->closing_handles;
  handle->loop->closing_handles = handle;
}

void finish_close(Context& context, uv_handle_t* handle) {
  HandleRecord& record = record_of(context, handle);
  if (record.type == UV_SIGNAL && signal_is_trapped(reinterpret_cast<uv_signal_t*>(handle))) {
    // A caught signal of it still waits to be looked at: the close callback waits too.
    handle->next_closing = handle->loop->closing_handles;
    handle->loop->closing_handles = handle;
    return;
  }
  handle->flags |= flag_closed;
  if (record.type == UV_TCP || record.type == UV_NAMED_PIPE)
    stream_destroy(context, stream_of(handle));
  handle_unref(handle);
  remove(link_of(handle->handle_queue));
  record.life = Life::closed;
  --context.open_handles;
  take_no_more(context, record);
  if (handle->close_cb != nullptr)
    call_back(context, What::close_cb, record.subject(), handle, 0, handle->close_cb, handle);
}

// ---------------------------------------------------------------------------------------------
// Requests

void check_request_free(Context& context, const void* request, Subject user) {
  const RequestRecord* const pending = context.requests.find(request);
  if (pending == nullptr) return;
  violate(context, "R13", user, "a %s request is used while it is still pending since step %llu",
          uv_req_type_name(pending->type), static_cast<unsigned long long>(pending->step));
}

RequestRecord& request_begin(Context& context, uv_loop_t* loop, void* request, uv_req_type type,
                             HandleRecord* handle) {
  auto* const req = static_cast<uv_req_t*>(request);
  check_request_free(context, request, handle == nullptr ? Subject{} : handle->subject());
  RequestRecord* const record = context.request_pool.take();
  context.requests.put(request, record);
  record->request = req;
  record->handle = handle;
  record->type = type;
  record->buffer_loans.clear();
  record->buffers.clear();
  record->bytes = 0;
  record->summed = false;
  record->step = context.step;
  record->loan = ledger::no_loan;
  if (context.ledger_running)
    record->loan = ledger::lend(request, uv_req_size(type), ledger::LoanKind::request,
                                handle == nullptr ? nullptr : handle->handle, 13);
  if (handle != nullptr) ++handle->pending_requests;
  req->type = type;
  ++loop->active_reqs.count;
  return *record;
}

RequestRecord& request_record(Context& context, const void* request) {
  return *context.requests.find(request);
}

void request_end(Context& context, uv_loop_t* loop, void* request) {
  RequestRecord* const record = context.requests.find(request);
  if (context.ledger_running) {
    ledger::give_back(record->loan);
    for (const ledger::LoanId loan : record->buffer_loans) ledger::give_back(loan);
  }
  if (record->handle != nullptr) --record->handle->pending_requests;
  --loop->active_reqs.count;
  context.requests.erase(request);
  context.request_pool.give_back(record);
}

}  // namespace uvsim

// ---------------------------------------------------------------------------------------------
// The public functions

using namespace uvsim;

void uv_close(uv_handle_t* handle, uv_close_cb close_cb) {
  Call call(What::uv_close);
  HandleRecord& record = call.handle(handle, UV_HANDLE);
  if (record.life != Life::open)
    violate(call.context, "R27", record.subject(),
            "uv_close was called a second time; %s at step %llu",
            record.life == Life::closing ? "it is closing since the first" : "it was closed",
            static_cast<unsigned long long>(record.close_step));
  if (record.in_alloc)
    violate(call.context, "R6", record.subject(), "uv_close was called from its alloc_cb");
  if (!record.bind_error_told)
    warn(call.context, "R40", record.subject(),
         "closed, and the program never checked whether its bind had worked");
  check_linked(call.context, record, "uv_close");
  begin_close(call.context, record, close_cb);
}

namespace {

void look_at(const uv_handle_t* handle, const char* what) {
  Context& context = look();
  const HandleRecord* const record = context.handles.find(handle);
  if (record != nullptr) check_memory(context, *record, what);
}

}  // namespace

int uv_is_active(const uv_handle_t* handle) {
  look_at(handle, "uv_is_active");
  return is_active(handle) ? 1 : 0;
}

int uv_is_closing(const uv_handle_t* handle) {
  look_at(handle, "uv_is_closing");
  return is_closing(handle) ? 1 : 0;
}

void uv_ref(uv_handle_t* handle) {
  Call call(What::uv_ref);
  handle_ref(call.live(handle, UV_HANDLE).handle);
}

void uv_unref(uv_handle_t* handle) {
  Call call(What::uv_unref);
  handle_unref(call.live(handle, UV_HANDLE).handle);
}

int uv_has_ref(const uv_handle_t* handle) {
  look_at(handle, "uv_has_ref");
  return (handle->flags & flag_ref) != 0 ? 1 : 0;
}

uv_handle_type uv_handle_get_type(const uv_handle_t* handle) { return handle->type; }
void* uv_handle_get_data(const uv_handle_t* handle) { return handle->data; }
uv_loop_t* uv_handle_get_loop(const uv_handle_t* handle) { return handle->loop; }
void uv_handle_set_data(uv_handle_t* handle, void* data) { handle->data = data; }
uv_req_type uv_req_get_type(const uv_req_t* req) { return req->type; }
void* uv_req_get_data(const uv_req_t* req) { return req->data; }
void uv_req_set_data(uv_req_t* req, void* data) { req->data = data; }

int uv_cancel(uv_req_t* req) {
  Call call(What::uv_cancel);
  return call.result(cancel_request(req));
}
