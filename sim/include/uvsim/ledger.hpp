// The ledger: every allocation of the program under test, with its identity, its owner and the step
// that made it; and every range of the program's memory that uvsim currently borrows.
//
// The ledger knows nothing of loops, streams or rules. uvsim tells it what is lent, and it reports
// incidents to uvsim.
//
// Theory. A run begins with begin() and finishes with end(). Between them only allocations count
// that a thread makes `inside` the program under test: uvsim steps Outside when the program calls
// it, and Inside when it calls the program back. The program may free memory that other code passed
// to it, and the reverse; neither is an incident.
//
// The book is kept by hooks. Under a sanitizer with an allocator (ASan, MSan, TSan, LSan) they are
// the sanitizer's own; otherwise malloc and its siblings are defined here, in the archive, over the
// C library's. Which of the two fires is found out by trying: backend() allocates and looks.
//
// Failure modes. Hooks that do not fire (another allocator in the program, a fully static link)
// make the backend `silent`: begin() then refuses. Memory for the book itself comes from mmap; when
// that fails the process is stopped with a message, because a ledger with a missing page lies.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace uvsim::ledger {

enum class Backend : std::uint8_t {
  silent,      // Nothing fires: no claim about memory can be made.
  interposed,  // malloc and its siblings as defined by this library.
  sanitizer,   // The hooks of a sanitizer's allocator.
};

enum class IncidentKind : std::uint8_t { leak, double_free, foreign_free, freed_while_lent };

enum class LoanKind : std::uint8_t { loop, handle, request, buffer };

inline constexpr std::size_t frames_max = 6;

struct Allocation {
  const void* address;
  std::size_t size;
  std::uint64_t identity;    // 1, 2, 3, ... in the order of this run.
  std::uint64_t step;        // The simulation step that made it.
  std::uint64_t freed_step;  // The step that freed it; meaningful once freed.
  const void* owner;  // What the simulator was calling back for, or null: the program itself.
  std::array<const void*, frames_max> frames;  // Return addresses, innermost first; null-ended.
};

struct Loan {
  const void* address;
  std::size_t length;
  const void* owner;  // The handle on whose behalf the memory is borrowed.
  std::uint64_t step;
  LoanKind kind;
  int rule;  // The rule of the contract that forbids freeing it now.
};

using LoanId = std::uint32_t;
inline constexpr LoanId no_loan = 0;

struct Incident {
  IncidentKind kind;
  const void* address;
  std::uint64_t step;
  const Allocation* allocation;  // Null for a pointer that no allocation of this run returned.
  const Loan* loan;              // Set for freed_while_lent only.
};

// Called with the ledger at rest, so it may allocate. It may leave by a long jump, and then has to
// set detail::inside itself. If it returns, the free is prevented with Backend::interposed, and
// happens with Backend::sanitizer.
using IncidentHandler = void (*)(void* context, const Incident& incident);

// Asked once per allocation of the program under test; true makes malloc return null, new throw.
using FailureOracle = bool (*)(void* context, std::size_t size);

struct Options {
  const std::uint64_t* step = nullptr;    // Read at each allocation; must outlive the run.
  const void* const* owner = nullptr;     // Likewise.
  IncidentHandler on_incident = nullptr;  // Null: describe it on stderr and abort.
  void* incident_context = nullptr;
  FailureOracle fails = nullptr;
  void* failure_context = nullptr;
  // Unwind the whole stack at each allocation instead of following frame pointers: some
  // microseconds each. UVSIM_BACKTRACE=deep in the environment does the same.
  bool deep_backtrace = false;
  // What the program's own data still reaches at the end is a leak, too.
  bool strict = false;
};

struct Totals {
  std::uint64_t allocations;
  std::uint64_t releases;
  std::uint64_t live;
  std::uint64_t live_bytes;
  std::uint64_t peak_bytes;
  std::uint64_t
      outside_frees;         // Frees, by the program, of memory that was not allocated in the run.
  std::uint64_t failures;    // Allocations that were made to fail.
  std::uint64_t unfailable;  // Failures asked for that the backend could not deliver.
};

// The result of the self-test, which is made once, at the first call.
Backend backend() noexcept;

// Why the backend is silent, or null.
const char* silence() noexcept;

// False, and nothing is begun, if the backend is silent. REQUIRES: no run is in progress.
[[nodiscard]] bool begin(const Options& options) noexcept;

// Forgets everything and releases what the ledger held. Leaks are to be asked for before.
void end() noexcept;

bool running() noexcept;
const Totals& totals() noexcept;
void fail_allocations(FailureOracle fails, void* context) noexcept;

// Borrowing. The range must not be freed until it is given back; a range of null or of length 0 is
// no loan. Memory that is not on the heap may be lent: then nothing can go wrong.
[[nodiscard]] LoanId lend(const void* address, std::size_t length, LoanKind kind, const void* owner,
                          int rule) noexcept;
void give_back(LoanId loan) noexcept;
std::size_t loans() noexcept;

// Live allocations in the order they were made.
using Visitor = void (*)(void* context, const Allocation& allocation);
void for_each_live(Visitor visit, void* context) noexcept;

// The leaks among them: allocations that nothing reaches any more. The program may reach one from
// static data, thread-locals and what libuv still uses (with Options::strict this does not count),
// and a library may reach one that it made for itself. `stack`: frames of the program are left from
// there up, and what they reach is no leak; null: the program has returned. Returns the number of
// leaks.
std::size_t for_each_leak(Visitor visit, void* context, const void* stack = nullptr) noexcept;

// Memory allocated through a function, a file or a shared library whose name contains `name` is no
// leak. UVSIM_KEEPS=name:name in the environment does the same. `name` must stay valid. Returns
// false if there are too many names.
bool library_keeps(const char* name) noexcept;

// What is borrowed now, in no particular order.
using LoanVisitor = void (*)(void* context, const Loan& loan);
void for_each_loan(LoanVisitor visit, void* context) noexcept;

// Frees every live allocation that no library keeps, by the function that matches the one that made
// it: for a program that was left in the middle. The loans end with it. `only_forgotten`: not what
// the static data of the executable still reaches.
void release_live(bool only_forgotten = false) noexcept;

// The live allocation that contains `address`, or null. Takes time proportional to what is live.
const Allocation* find(const void* address) noexcept;

// The allocation that began at `address` and was freed not long ago, if the address has not been
// handed out again; or null.
const Allocation* find_freed(const void* address) noexcept;

// Quiescence: remembers how much is live now, and what has been allocated until now.
void mark_baseline() noexcept;

// With no connection open: zero if no more is live than at the baseline. Otherwise the number of
// allocations made since that are still live, each of which is passed to `visit` (may be null).
std::size_t above_baseline(Visitor visit, void* context) noexcept;

// Words. Each writes a terminated line, without a line feed, and returns `text`.
const char* describe(const Incident& incident, char* text, std::size_t size) noexcept;
const char* describe(const Allocation& allocation, char* text, std::size_t size) noexcept;
const char* symbolise(const void* return_address, char* text, std::size_t size) noexcept;

// Writes the leaks to stderr, the first of them with their call stacks; returns how many there are.
// `stack` as for for_each_leak.
std::size_t report_leaks(const void* stack = nullptr) noexcept;

// Writes the call stack that made the allocation to stderr, one frame per line.
void report_stack(const Allocation& allocation) noexcept;

namespace detail {
// Positive while this thread runs the program under test. Initial-exec, so that reading it neither
// calls nor allocates.
extern constinit thread_local int inside __attribute__((tls_model("initial-exec")));
}  // namespace detail

// For the duration of the object, this thread runs code of the simulator or of the test around it.
class Outside {
 public:
  Outside() noexcept : saved_{detail::inside} { detail::inside = 0; }
  ~Outside() { detail::inside = saved_; }
  Outside(const Outside&) = delete;
  Outside& operator=(const Outside&) = delete;

 private:
  int saved_;
};

// For the duration of the object, this thread runs the program under test.
class Inside {
 public:
  Inside() noexcept : saved_{detail::inside} { detail::inside = 1; }
  ~Inside() { detail::inside = saved_; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  int saved_;
};

}  // namespace uvsim::ledger
