// What every public function does first: find the context, step out of the program, count, write
// the trace, and make sure that the handle and the loop it was given are what they should be.
#include "internal.hpp"
#include "scheduler.hpp"

namespace uvsim {
namespace {

bool fits(uv_handle_type actual, uv_handle_type expected) {
  if (expected == UV_HANDLE) return true;
  if (expected == UV_STREAM) return actual == UV_TCP || actual == UV_NAMED_PIPE;
  return actual == expected;
}

// With a blank behind it.
std::string kind_name(uv_handle_type type) {
  return type == UV_HANDLE ? "" : std::string(uv_handle_type_name(type)) + " ";
}

}  // namespace

void Call::open(What what, int64_t value) {
  what_ = what;
  value_ = value;
  ++context.step;
  if (context.step > context.step_limit) limit_reached(context, Limit::steps);
  if (++context.calls_here > context.options.max_calls_in_callback)
    limit_reached(context, Limit::calls_in_callback);
  context.clock_looks = 0;
  step_ = context.step;
  event_ = context.trace.add(
      {context.step, context.now_ns, value, 0, nullptr, Subject{}, what, context.depth, false});
  // The hook may be where a signal handler or another thread would be: R36.
  if (context.in_hook && what != What::uv_async_send)
    violate(context, "", Subject{}, "%s was called from the poll hook", name_of(what));
}

void Call::subject(Subject subject) {
  context.trace.subject(event_, subject);
  subject_ = subject;
}

void Call::tell() {
  context.tell({step_, context.now_ns, value_, result_, nullptr, subject_, what_, context.depth,
                has_result_},
               record_);
}

// A loop that is not running may be prepared by one thread for another.
void Call::must_be_of_this_thread(const LoopState& state) {
  if (!state.running || state.run_by == this_thread() || what_ == What::uv_async_send) return;
  violate(context, "R36", subject_, "%s was called from another thread than the loop's",
          name_of(what_));
}

HandleRecord& Call::handle(const void* handle, uv_handle_type type) {
  if (handle == nullptr)
    violate(context, "", Subject{}, "%s was called with a null handle", name_of(what_));
  HandleRecord* const record = context.handles.find(handle);
  if (record == nullptr)
    violate(context, "", Subject{},
            "%s was called with a %shandle that was never initialised; a copy of one is none",
            name_of(what_), kind_name(type).c_str());
  subject(record->subject());
  record_ = record;
  if (record->life != Life::closed) must_be_of_this_thread(*record->loop);
  if (!fits(record->type, type))
    violate(context, "", record->subject(), "%s was called with a handle of another type",
            name_of(what_));
  return *record;
}

HandleRecord& Call::live(const void* handle, uv_handle_type type) {
  HandleRecord& record = this->handle(handle, type);
  if (record.life == Life::open) return record;
  check_memory(context, record, name_of(what_));
  if (context.options.strict)
    violate(context, "R15", record.subject(), "%s was called on a %s handle", name_of(what_),
            record.life == Life::closing ? "closing" : "closed");
  return record;
}

void Call::must_be_open(const HandleRecord& record) {
  if (record.life == Life::open) return;
  violate(context, "R15", record.subject(),
          "%s was called on a closing handle: libuv would not survive it", name_of(what_));
}

LoopState& Call::loop(const uv_loop_t* loop) {
  if (loop == nullptr)
    violate(context, "", Subject{}, "%s was called with a null loop", name_of(what_));
  for (LoopState* const state : context.loops) {
    if (state->loop != loop) continue;
    must_be_of_this_thread(*state);
    return *state;
  }
  violate(context, "R34", Subject{},
          "%s was called with a loop that was never initialised, or is closed", name_of(what_));
}

const void* begin_callback(Context& context, What what, Subject subject, const void* owner,
                           int64_t value) {
  ++context.step;
  if (++context.callbacks > context.options.max_callbacks) limit_reached(context, Limit::callbacks);
  if (context.step > context.step_limit) limit_reached(context, Limit::steps);
  const TraceEvent event{context.step, context.now_ns, value,         0,    nullptr,
                         subject,      what,           context.depth, false};
  context.trace.add(event);
  if (context.event_hook != nullptr) context.tell(event, context.handles.find(owner));
  const void* const outer_owner = context.owner;
  context.owner = owner;
  context.calls_here = 0;
  context.clock_looks = 0;
  ++context.depth;
  return outer_owner;
}

void end_callback(Context& context, const void* outer_owner) {
  --context.depth;
  context.owner = outer_owner;
  context.calls_here = 0;
}

void check_memory(Context& context, const HandleRecord& record, const char* what) {
  if (record.life != Life::closed || !context.ledger_running) return;
  const ledger::Allocation* const freed = ledger::find_freed(record.handle);
  if (freed == nullptr) return;
  violate(context, "R30", record.subject(), "%s was called on memory that was freed in step %llu",
          what, static_cast<unsigned long long>(freed->freed_step));
}

LoopState& loop_state(Context& context, const uv_loop_t* loop) {
  static_cast<void>(context);
  return *static_cast<LoopState*>(loop->internal_fields);
}

HandleRecord& record_of(Context& context, const void* handle) {
  return *context.handles.find(handle);
}

}  // namespace uvsim
