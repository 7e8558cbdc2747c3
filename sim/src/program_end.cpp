// The end of the program under test from within: exit, _exit, quick_exit, abort, a failed
// assertion. In a process of its own they end the process; in a driver's run they end the run.
//
//   exit, quick_exit, _exit   as if the program had returned that status. What its frames reach is
//                             no leak; exit handlers that were registered in the run are called.
//   abort, assert             a finding, with the words of the assertion.
//
// These definitions are before the C library's, because the program is linked with this archive
// first; outside of a run, and outside of the program, they hand over to the C library's. They are
// weak, so that a program that is linked statically may have both; but not with a sanitizer, whose
// own are weak, too, and come first.
#include <dlfcn.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>

#include "internal.hpp"
#include "statics.hpp"
#include "with_asan.hpp"

#if UVSIM_WITH_ASAN
#define UVSIM_OURS
#else
#define UVSIM_OURS [[gnu::weak]]
#endif

extern "C" void* __dso_handle;

namespace uvsim {

Context* run_to_leave() noexcept {
  if (ledger::detail::inside <= 0) return nullptr;
  Context* const context = current_or_null();
  if (context == nullptr || !context->can_leave) return nullptr;
  return context;
}

namespace {

[[noreturn]] void end_run(Context& context, int status, bool with_handlers) {
  if (with_handlers) statics::run_exit_handlers(context);
  {
    const ledger::Outside outside;
    judge_leaks(context, __builtin_frame_address(0));
  }
  context.program_result = status;
  context.report.exited = true;
  context.left_by = left_by_exit;
  leave(context);
}

[[noreturn]] void end_process(int status) {
  syscall(SYS_exit_group, status);
  __builtin_unreachable();
}

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace
}  // namespace uvsim

using namespace uvsim;  // NOLINT(google-build-using-namespace): C functions follow.

// glibc's own, for languages with thread-locals that end.
extern "C" int __cxa_thread_atexit_impl(void (*function)(void*), void* argument, void* object);

extern "C" {

UVSIM_OURS void exit(int status) {
  if (Context* const context = run_to_leave()) end_run(*context, status & 0xff, true);
  static const auto real = next<void (*)(int)>("exit");
  if (real != nullptr) real(status);
  std::fflush(nullptr);
  end_process(status);
}

UVSIM_OURS void quick_exit(int status) {
  if (Context* const context = run_to_leave()) end_run(*context, status & 0xff, false);
  static const auto real = next<void (*)(int)>("quick_exit");
  if (real != nullptr) real(status);
  end_process(status);
}

UVSIM_OURS void _exit(int status) {
  if (Context* const context = run_to_leave()) end_run(*context, status & 0xff, false);
  end_process(status);
}

UVSIM_OURS void _Exit(int status) { _exit(status); }

UVSIM_OURS void abort() {
  if (Context* const context = run_to_leave()) {
    context->report.aborted = true;
    violate(*context, "", Subject{}, "the program called abort()");
  }
  static const auto real = next<void (*)()>("abort");
  if (real != nullptr) real();
  std::signal(SIGABRT, SIG_DFL);
  std::raise(SIGABRT);
  end_process(127);
}

UVSIM_OURS void __assert_fail(const char* assertion, const char* file, unsigned line,
                              const char* function) {
  if (Context* const context = run_to_leave()) {
    context->report.aborted = true;
    const char* const slash = std::strrchr(file, '/');
    violate(*context, "", Subject{}, "the program's own assertion failed: %s, in %s (%s:%u)",
            assertion, function == nullptr ? "?" : function, slash == nullptr ? file : slash + 1,
            line);
  }
  std::fprintf(stderr, "%s:%u: %s: Assertion `%s' failed.\n", file, line,
               function == nullptr ? "?" : function, assertion);
  std::abort();
}

// Handlers of static objects, and of atexit, which calls this one.
UVSIM_OURS int __cxa_atexit(void (*function)(void*), void* argument, void* object) {
  if (object == __dso_handle && statics::keeps_exit_handler(function, argument)) return 0;
  static const auto real = next<int (*)(void (*)(void*), void*, void*)>("__cxa_atexit");
  if (real != nullptr) return real(function, argument, object);
  // Without a dynamic linker. The kind of handler differs only by an argument more.
  struct Kept {
    void (*function)(void*);
    void* argument;
  };
  static Kept kept[256];
  static std::size_t count = 0;
  if (count == std::size(kept)) return -1;
  kept[count] = {function, argument};
  return on_exit(
      [](int, void* handler) {
        const Kept& own = *static_cast<const Kept*>(handler);
        own.function(own.argument);
      },
      &kept[count++]);
}

UVSIM_OURS int __cxa_thread_atexit(void (*function)(void*), void* argument, void* object) {
  if (object == __dso_handle && statics::keeps_exit_handler(function, argument)) return 0;
  static const auto real = next<int (*)(void (*)(void*), void*, void*)>("__cxa_thread_atexit");
  if (real != nullptr) return real(function, argument, object);
  return __cxa_thread_atexit_impl(function, argument, object);  // without a dynamic linker
}

}  // extern "C"

namespace uvsim {
void ends_of_the_program_are_ours() {}
}  // namespace uvsim
