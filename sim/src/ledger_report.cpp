// The words of the ledger: incidents, allocations and call stacks as text.
//
// Nothing here is on a fast path, and nothing allocates: a report is written when memory is in a
// doubtful state. Names of functions come from a sanitizer where there is one, and from the
// dynamic symbol table otherwise; what neither knows is printed as module+offset, for addr2line.
#include <dlfcn.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "ledger_book.hpp"
#include "surroundings.hpp"
#include "uvsim/ledger.hpp"

extern "C" {
void __sanitizer_symbolize_pc(void* pc, const char* format, char* text, std::size_t size)
    __attribute__((weak));
std::size_t __asan_get_alloc_stack(void* address, void** trace, std::size_t size, int* thread)
    __attribute__((weak));
}

namespace uvsim::ledger {

namespace {

constexpr std::size_t stack_max = 24;

// Appends to a line of limited length; what does not fit is cut off.
class Line {
 public:
  Line(char* text, std::size_t size) noexcept : text_{text}, size_{size} {
    if (size_ != 0) text_[0] = '\0';
  }

  __attribute__((format(printf, 2, 3))) void add(const char* format, ...) noexcept {
    if (used_ >= size_) return;
    std::va_list arguments;
    va_start(arguments, format);
    const int length = std::vsnprintf(text_ + used_, size_ - used_, format, arguments);
    va_end(arguments);
    if (length > 0) used_ += static_cast<std::size_t>(length);
  }

 private:
  char* text_;
  std::size_t size_;
  std::size_t used_ = 0;
};

const char* name_of(LoanKind kind) noexcept {
  switch (kind) {
    case LoanKind::loop: return "loop";
    case LoanKind::handle: return "handle";
    case LoanKind::request: return "request";
    case LoanKind::buffer: return "buffer";
  }
  return "memory";
}

void add_origin(Line& line, const Allocation& allocation) noexcept {
  line.add("allocation #%" PRIu64 " of %zu bytes, made in step %" PRIu64, allocation.identity,
           allocation.size, allocation.step);
  if (allocation.frames[0] != nullptr) {
    char where[256];
    line.add(" by %s", symbolise(allocation.frames[0], where, sizeof where));
  }
}

// The sanitizer remembers the whole stack; the ledger at least the nearest callers.
std::size_t stack_of(const Allocation& allocation, const void** stack) noexcept {
  if (__asan_get_alloc_stack != nullptr) {
    int thread = 0;
    void* trace[stack_max];
    const std::size_t count =
        __asan_get_alloc_stack(const_cast<void*>(allocation.address), trace, stack_max, &thread);
    for (std::size_t i = 0; i < count; ++i) stack[i] = trace[i];
    if (count != 0) return count;
  }
  std::size_t count = 0;
  while (count < frames_max && allocation.frames[count] != nullptr) {
    stack[count] = allocation.frames[count];
    ++count;
  }
  return count;
}

constexpr std::size_t leaks_max = 20;  // that are described

void report_leak(void* context, const Allocation& allocation) noexcept {
  if (++*static_cast<std::size_t*>(context) > leaks_max) return;
  char text[512];
  Line line{text, sizeof text};
  line.add("uvsim: leak: ");
  add_origin(line, allocation);
  std::fprintf(stderr, "%s\n", text);
  report_stack(allocation);
}

}  // namespace

bool detail::was_called_through(const Allocation& allocation, const char* name) noexcept {
  const void* stack[stack_max];
  const std::size_t count = stack_of(allocation, stack);
  for (std::size_t i = 0; i < count; ++i) {
    char where[512];
    if (std::strstr(symbolise(stack[i], where, sizeof where), name) != nullptr) return true;
    Dl_info info{};
    if (dladdr(stack[i], &info) != 0 && std::strstr(info.dli_fname, name) != nullptr) return true;
  }
  return false;
}

const char* symbolise(const void* return_address, char* text, std::size_t size) noexcept {
  const Outside outside;
  Line line{text, size};
  // A return address is that of the next instruction, which may belong to the next function.
  auto* const address = const_cast<char*>(static_cast<const char*>(return_address)) - 1;
  if (__sanitizer_symbolize_pc != nullptr) {
    char found[256] = "";
    __sanitizer_symbolize_pc(address, "%f %S", found, sizeof found);
    surroundings::descriptors_are_shared();
    if (found[0] != '\0' && found[0] != '<') {
      line.add("%s", found);
      return text;
    }
  }
  Dl_info info{};
  if (dladdr(address, &info) == 0) {
    line.add("%p", static_cast<const void*>(address));
    return text;
  }
  const char* slash = std::strrchr(info.dli_fname, '/');
  const char* module = slash == nullptr ? info.dli_fname : slash + 1;
  if (info.dli_sname != nullptr) line.add("%s ", info.dli_sname);
  line.add("(%s+0x%tx)", module, address - static_cast<char*>(info.dli_fbase));
  return text;
}

const char* describe(const Allocation& allocation, char* text, std::size_t size) noexcept {
  Line line{text, size};
  add_origin(line, allocation);
  return text;
}

const char* describe(const Incident& incident, char* text, std::size_t size) noexcept {
  Line line{text, size};
  switch (incident.kind) {
    case IncidentKind::leak: line.add("leak"); break;
    case IncidentKind::double_free: line.add("double free"); break;
    case IncidentKind::foreign_free:
      line.add("free of a pointer that no allocator returned");
      break;
    case IncidentKind::freed_while_lent: line.add("freed while lent"); break;
  }
  line.add(" of %p in step %" PRIu64, incident.address, incident.step);
  if (incident.loan != nullptr) {
    const Loan& loan = *incident.loan;
    line.add(": libuv still uses the %s at %p (%zu bytes, since step %" PRIu64 "; R%d)",
             name_of(loan.kind), loan.address, loan.length, loan.step, loan.rule);
  }
  if (incident.allocation != nullptr) {
    line.add(incident.kind == IncidentKind::foreign_free ? "; it points into " : "; ");
    add_origin(line, *incident.allocation);
    if (incident.kind == IncidentKind::double_free) {
      line.add(", freed in step %" PRIu64, incident.allocation->freed_step);
    }
  }
  return text;
}

void report_stack(const Allocation& allocation) noexcept {
  const Outside outside;
  const void* stack[stack_max];
  const std::size_t count = stack_of(allocation, stack);
  for (std::size_t i = 0; i < count; ++i) {
    char where[256];
    std::fprintf(stderr, "    #%zu %s\n", i, symbolise(stack[i], where, sizeof where));
  }
}

std::size_t report_leaks(const void* stack) noexcept {
  const Outside outside;
  std::size_t leaks = 0;
  for_each_leak(report_leak, &leaks, stack);
  if (leaks > leaks_max) std::fprintf(stderr, "uvsim: and %zu leaks more\n", leaks - leaks_max);
  return leaks;
}

}  // namespace uvsim::ledger
