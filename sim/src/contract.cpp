// What happens when the program breaks a rule, reaches a limit or can go no further: the message,
// the report, and the way out of the program. The checks themselves stand where the rule can be
// broken; the helpers that several of them share are here.
//
// Two ways out: a driver's program is left by a long jump, because it may be C, may be deep in a
// callback, and may never return; a plain program is told and ends. Nothing here is hot.
#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "internal.hpp"
#include "report.hpp"
#include "scheduler.hpp"

// Present only where the program is built with AddressSanitizer.
extern "C" void* __asan_region_is_poisoned(void* begin, size_t size) __attribute__((weak));

#if defined(__LLVM_INSTR_PROFILE_GENERATE)
extern "C" int __llvm_profile_write_file(void);
#endif

namespace uvsim {
namespace {

constexpr uint64_t trace_lines = 40;

__attribute__((format(printf, 1, 0))) std::string format_message(const char* format,
                                                                 va_list arguments) {
  char text[512];
  std::vsnprintf(text, sizeof text, format, arguments);
  return text;
}

bool must_abort(const Context& context) {
  return context.options.on_violation == OnViolation::abort || !context.can_leave;
}

void print(Context& context, const std::string& headline) {
  std::fflush(stdout);
  std::fprintf(stderr, "uvsim: %s\n", headline.c_str());
  const std::string trace = context.trace.text(trace_lines);
  if (!trace.empty())
    std::fprintf(stderr, "uvsim: the way there (step, time, event):\n%s", trace.c_str());
}

[[noreturn]] void end_with(Context& context, Finding finding) {
  // Moved, because nothing here is destroyed when the program is left.
  context.report.violations.push_back(std::move(finding));
  if (must_abort(context)) {
    print(context, headline(context.report.violations.back()));
    give_up();
  }
  leave(context);
}

}  // namespace

void leave(Context& context) {
  if (!on_first_thread()) leave_from_first_thread(context);
  context.can_leave = false;
  std::longjmp(context.leave, context.left_by);
}

void leave_as_wanted(Context& context) {
  context.leave_wanted = false;
  context.report.quiescent = true;
  if (context.can_leave) leave(context);
  std::exit(EXIT_FAILURE);
}

void write_coverage() {
#if defined(__LLVM_INSTR_PROFILE_GENERATE)
  __llvm_profile_write_file();
#endif
}

void give_up() {
  write_coverage();
  std::abort();
}

void refuse(Context& context, Subject subject, const char* format, ...) {
  const ledger::Outside outside;
  va_list arguments;
  va_start(arguments, format);
  Finding finding{"", text_of(subject), format_message(format, arguments), context.step, true};
  va_end(arguments);
  if (must_abort(context)) cannot_run(finding.message.c_str());
  context.event(What::finding, subject, 0);
  end_with(context, std::move(finding));
}

void violate(Context& context, const char* rule, Subject subject, const char* format, ...) {
  const ledger::Outside outside;
  va_list arguments;
  va_start(arguments, format);
  Finding finding{rule, text_of(subject), format_message(format, arguments), context.step};
  va_end(arguments);
  context.event(What::finding, subject, 0);
  end_with(context, std::move(finding));
}

void warn(Context& context, const char* rule, Subject subject, const char* format, ...) {
  if (!context.options.checks) return;
  const ledger::Outside outside;
  va_list arguments;
  va_start(arguments, format);
  Finding finding{rule, text_of(subject), format_message(format, arguments), context.step};
  va_end(arguments);
  context.event(What::finding, subject, 0);
  if (context.options.warnings_fatal) end_with(context, std::move(finding));
  context.report.warnings.push_back(std::move(finding));
}

void limit_reached(Context& context, Limit limit) {
  const ledger::Outside outside;
  context.report.limit = limit;
  if (must_abort(context)) {
    print(context, name_of(limit));
    give_up();
  }
  leave(context);
}

std::string describe_pending(Context& context, LoopState& loop) {
  std::string out;
  const Link* const list = link_of(loop.loop->handle_queue);
  for (Link* link = list->next; link != list; link = link->next) {
    const uv_handle_t* const handle = UVSIM_OWNER(link, uv_handle_t, handle_queue);
    if (!is_active(handle) || (handle->flags & flag_ref) == 0) continue;
    out += (out.empty() ? "" : ", ") + text_of(record_of(context, handle).subject());
  }
  const unsigned requests = loop.loop->active_reqs.count;
  if (requests > 0)
    out += (out.empty() ? "" : ", ") + std::to_string(requests) + " pending request(s)";
  const size_t waiting = waiting_threads();
  if (waiting > 0)
    out += (out.empty() ? "" : ", ") + std::to_string(waiting) + " thread(s) that wait";
  return out.empty() ? "nothing it knows of" : out;
}

void quiescent(Context& context, LoopState& loop) {
  const ledger::Outside outside;
  context.report.quiescent = true;
  if (context.options.on_quiescence == OnQuiescence::unblock) {
    loop.loop->stop_flag = 1;
    return;
  }
  if (context.can_leave) leave(context);
  print(context, "nothing can happen any more, and the loop waits for ever for " +
                     describe_pending(context, loop));
  std::exit(EXIT_FAILURE);
}

namespace {

// A plain program that frees what libuv still uses, outside of uv_run, does itself no harm if it
// runs no loop any more: many do so on their way out. It is told at once, and stopped by the next
// uv_run.
bool may_be_the_end(const Context& context, const ledger::Incident& incident) {
  if (!context.plain || incident.loan == nullptr) return false;
  for (const LoopState* const state : context.loops)
    if (state->running) return false;
  return true;
}

}  // namespace

void ledger_incident(void* opaque, const ledger::Incident& told) {
  Context& context = *static_cast<Context*>(opaque);
  // A copy, because naming the allocation's caller may free something, which is the next incident.
  const ledger::Incident incident = told;
  char text[400];
  ledger::describe(incident, text, sizeof text);
  char rule[8] = "";
  Subject subject;
  if (incident.loan != nullptr) {
    std::snprintf(rule, sizeof rule, "R%d", incident.loan->rule);
    if (const HandleRecord* record = context.handles.find(incident.loan->owner))
      subject = record->subject();
  }
  context.report.ledger.ok = false;
  context.report.ledger.message = text;
  if (may_be_the_end(context, incident)) {
    if (context.freed_early.rule.empty()) {
      context.freed_early = {rule, text_of(subject), text, context.step};
      std::fprintf(stderr, "uvsim: warning: %s\n", headline(context.freed_early).c_str());
    }
    return;
  }
  violate(context, rule, subject, "%s", text);
}

void must_not_have_freed_early(Context& context) {
  if (context.freed_early.rule.empty()) return;
  end_with(context, context.freed_early);
}

void unsimulated(const char* function) noexcept {
  Context& context = current();
  refuse(context, Subject{}, "%s is not simulated by uvsim", function);
}

void cannot_run(const char* what) noexcept {
  std::fflush(stdout);
  std::fprintf(stderr, "uvsim cannot run this: %s\n", what);
  std::_Exit(cannot_run_status);
}

void touch(Context& context, const char* rule, Subject subject, const void* memory, size_t size,
           const char* what) {
  if (size == 0) return;
  const ledger::Allocation* const freed =
      context.ledger_running ? ledger::find_freed(memory) : nullptr;
  if (freed != nullptr) {
    violate(context, rule, subject, "%s of %zu bytes was freed in step %llu", what, size,
            static_cast<unsigned long long>(freed->freed_step));
  }
  if (__asan_region_is_poisoned == nullptr) return;
  if (__asan_region_is_poisoned(const_cast<void*>(memory), size) == nullptr) return;
  violate(context, rule, subject,
          "%s of %zu bytes is not all the program's: freed, or larger than what was allocated",
          what, size);
}

}  // namespace uvsim
