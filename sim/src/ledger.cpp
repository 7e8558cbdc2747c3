// The book of the ledger: the table of allocations, the table of loans, begin and end of a run.
//
// Compiled without instrumentation (see ledger_book.hpp). Nothing here prints; the words are in
// ledger_report.cpp. What is returned to instrumented code lies in static or mapped memory, which
// MemorySanitizer takes for initialised, never on this file's stack.
//
// An allocation is a record in an array; an open-addressing table of 8-byte slots finds it by
// address. A freed record stays for a while, so that freeing it again can be told from freeing
// something unknown: the last `held_max` of them, or `held_bytes_max` bytes. Where this library is
// the allocator's front, the memory itself is held for as long, so that it is not handed out again.
#include "uvsim/ledger.hpp"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>
#include <unwind.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "ledger_book.hpp"

extern "C" {
int __sanitizer_get_ownership(const volatile void* address) __attribute__((weak));
std::size_t __sanitizer_get_allocated_size(const volatile void* address) __attribute__((weak));
void __asan_init() __attribute__((weak));
void __msan_init() __attribute__((weak));
void __msan_unpoison_param(std::size_t arguments) __attribute__((weak));
extern char __executable_start __attribute__((weak));
extern char _end __attribute__((weak));
}

namespace uvsim::ledger {

namespace detail {
constinit thread_local int inside __attribute__((tls_model("initial-exec"))) = 0;
Probe probe{};
Backend active_backend = Backend::silent;
}  // namespace detail

namespace {

constexpr std::uint32_t slots_first = 4096;
constexpr std::uint32_t records_first = slots_first / 2;
constexpr std::uint32_t held_max = 4096;
constexpr std::uint32_t not_held = UINT32_MAX;
constexpr std::size_t held_bytes_max = std::size_t{1} << 20;
constexpr std::uint32_t buckets_max = 1024;
constexpr std::uint32_t loans_first = 256;
constexpr std::size_t page_bits = 12;
constexpr std::uintptr_t frame_bytes_max = std::uintptr_t{1} << 20;

enum class State : std::uint32_t { unused, live, freed };

struct Record {
  Allocation allocation;
  State state;
  std::uint32_t next_unused;  // Index plus one.
  std::uint32_t held_at;      // Its place in the ring, while freed.
};

struct Slot {
  std::uint32_t record;  // Index plus one; zero: the slot is empty.
  std::uint32_t hash;
};

struct LoanRecord {
  Loan loan;
  std::uint32_t next;  // In its bucket, or among the unused. Index plus one.
  std::uint32_t previous;
  bool active;
};

struct Book {
  // By __atomic builtins: free() is called before a sanitizer is ready, and a function of
  // std::atomic's, where it is not inlined, may be one that another file's sanitizer instruments.
  bool running;
  Options options;
  Totals totals;
  std::uint64_t identities;
  std::uint64_t baseline_live;
  std::uint64_t baseline_identity;

  Slot* slots;
  std::uint32_t slots_count;
  Record* records;
  std::uint32_t records_count;
  std::uint32_t records_used;  // High-water mark of this run.
  std::uint32_t records_unused;

  std::uint32_t held[held_max];
  std::uint32_t held_head;
  std::uint32_t held_count;
  std::size_t held_bytes;

  LoanRecord* loans;
  std::uint32_t loans_count;
  std::uint32_t loans_used;
  std::uint32_t loans_unused;
  std::uint32_t loans_active;
  std::uint32_t buckets[buckets_max];
};

Book book{};
std::atomic<bool> lock_taken{false};
constinit thread_local bool lock_mine = false;
constinit thread_local std::uintptr_t stack_top = 0;

[[noreturn]] void stop(const char* message) noexcept {
  // Nothing can be done about a stderr that does not take the message: the next line aborts.
  const auto written = write(STDERR_FILENO, message, std::strlen(message));
  static_cast<void>(written);
  std::abort();
}

// Held for the length of one table operation. A signal handler that allocates while its own thread
// holds the lock is let through without book-keeping rather than left to wait for itself.
class Lock {
 public:
  Lock() noexcept : held_{!lock_mine} {
    if (!held_) return;
    while (lock_taken.exchange(true, std::memory_order_acquire)) sched_yield();
    lock_mine = true;
  }
  ~Lock() {
    if (!held_) return;
    lock_mine = false;
    lock_taken.store(false, std::memory_order_release);
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  explicit operator bool() const noexcept { return held_; }

 private:
  bool held_;
};

template <typename T>
T* map(std::size_t count) noexcept {
  void* memory =
      mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) stop("uvsim: the ledger cannot get memory for its book\n");
  return static_cast<T*>(memory);
}

// Doubles an array. The old one is unmapped: pointers into it end here.
template <typename T>
void double_array(T*& array, std::uint32_t& count, std::uint32_t first) noexcept {
  const std::uint32_t grown = count == 0 ? first : count * 2;
  T* memory = map<T>(grown);
  if (count != 0) {
    std::memcpy(static_cast<void*>(memory), array, count * sizeof(T));
    munmap(array, count * sizeof(T));
  }
  array = memory;
  count = grown;
}

std::uintptr_t number(const void* address) noexcept {
  return reinterpret_cast<std::uintptr_t>(address);
}

std::uint32_t hash_of(const void* address) noexcept {
  return static_cast<std::uint32_t>(((number(address) >> 4) * 0x9E3779B97F4A7C15u) >> 32);
}

// The slot that holds the address, or the empty one where it would go.
std::uint32_t slot_of(const void* address) noexcept {
  const std::uint32_t mask = book.slots_count - 1;
  const std::uint32_t hash = hash_of(address);
  std::uint32_t slot = hash & mask;
  while (book.slots[slot].record != 0 &&
         (book.slots[slot].hash != hash ||
          book.records[book.slots[slot].record - 1].allocation.address != address)) {
    slot = (slot + 1) & mask;
  }
  return slot;
}

Record* lookup(const void* address) noexcept {
  const std::uint32_t index = book.slots[slot_of(address)].record;
  return index == 0 ? nullptr : &book.records[index - 1];
}

// Removes a slot and moves back those that had been pushed past it, so that no tombstone remains.
void empty_slot(std::uint32_t slot) noexcept {
  const std::uint32_t mask = book.slots_count - 1;
  std::uint32_t next = (slot + 1) & mask;
  while (book.slots[next].record != 0) {
    const std::uint32_t home = book.slots[next].hash & mask;
    if (((next - home) & mask) >= ((next - slot) & mask)) {
      book.slots[slot] = book.slots[next];
      slot = next;
    }
    next = (next + 1) & mask;
  }
  book.slots[slot].record = 0;
}

void rehash() noexcept {
  Slot* const old = book.slots;
  const std::uint32_t old_count = book.slots_count;
  book.slots_count = old_count * 2;
  book.slots = map<Slot>(book.slots_count);
  const std::uint32_t mask = book.slots_count - 1;
  for (std::uint32_t i = 0; i < old_count; ++i) {
    if (old[i].record == 0) continue;
    std::uint32_t slot = old[i].hash & mask;
    while (book.slots[slot].record != 0) slot = (slot + 1) & mask;
    book.slots[slot] = old[i];
  }
  munmap(old, old_count * sizeof(Slot));
}

std::uint32_t new_record() noexcept {
  if (book.records_unused != 0) {
    const std::uint32_t index = book.records_unused - 1;
    book.records_unused = book.records[index].next_unused;
    return index;
  }
  if (book.records_used == book.records_count) {
    double_array(book.records, book.records_count, records_first);
    rehash();
  }
  return book.records_used++;
}

void forget_record(std::uint32_t index) noexcept {
  Record& record = book.records[index];
  empty_slot(slot_of(record.allocation.address));
  record.state = State::unused;
  record.next_unused = book.records_unused;
  book.records_unused = index + 1;
}

// Takes the oldest freed record out of the ring; its address may be handed out again.
void release_oldest() noexcept {
  const std::uint32_t index = book.held[book.held_head];
  book.held_head = (book.held_head + 1) % held_max;
  --book.held_count;
  if (index == not_held) return;
  Record& record = book.records[index];
  book.held_bytes -= record.allocation.size;
  void* const address = const_cast<void*>(record.allocation.address);
  forget_record(index);
  if (detail::active_backend == Backend::interposed) detail::free_for_real(address);
}

void hold(std::uint32_t index) noexcept {
  if (book.held_count == held_max) release_oldest();
  const std::uint32_t place = (book.held_head + book.held_count) % held_max;
  book.held[place] = index;
  book.records[index].held_at = place;
  ++book.held_count;
  book.held_bytes += book.records[index].allocation.size;
  while (book.held_bytes > held_bytes_max && book.held_count > 1) release_oldest();
}

std::uint64_t step_now() noexcept { return book.options.step == nullptr ? 0 : *book.options.step; }

void note_release(const Record& record) noexcept {
  ++book.totals.releases;
  --book.totals.live;
  book.totals.live_bytes -= record.allocation.size;
}

// Before an address is booked: a sanitizer hands out again what was freed, and the old record has
// served its time. A live one means that the block was resized where it stood.
void forget(const void* address) noexcept {
  Record* const known = lookup(address);
  if (known == nullptr) return;
  const auto index = static_cast<std::uint32_t>(known - book.records);
  if (known->state == State::freed) {
    book.held[known->held_at] = not_held;
    book.held_bytes -= known->allocation.size;
  } else {
    note_release(*known);
  }
  forget_record(index);
}

struct Unwinding {
  Allocation* allocation;
  const void* caller;
  std::size_t count;
  bool started;
};

_Unwind_Reason_Code note_frame(_Unwind_Context* context, void* data) {
  auto* unwinding = static_cast<Unwinding*>(data);
  const auto* address = reinterpret_cast<const void*>(_Unwind_GetIP(context));
  unwinding->started = unwinding->started || address == unwinding->caller;
  if (!unwinding->started) return _URC_NO_REASON;
  if (unwinding->count == frames_max) return _URC_END_OF_STACK;
  unwinding->allocation->frames[unwinding->count++] = address;
  return _URC_NO_REASON;
}

// Follows saved frame pointers for as long as they point up this thread's own stack. Code without
// frame pointers leaves anything in the register: the walk then ends early, or skips a caller.
void note_frames(Allocation& allocation, const void* caller, const void* frame) noexcept {
  allocation.frames.fill(nullptr);
  if (book.options.deep_backtrace) {
    Unwinding unwinding{&allocation, caller, 0, caller == nullptr};
    _Unwind_Backtrace(note_frame, &unwinding);
    return;
  }
  std::size_t count = 0;
  if (caller != nullptr) allocation.frames[count++] = caller;
  auto below = number(__builtin_frame_address(0));
  auto pointer = number(frame);
  while (count < frames_max && pointer > below && pointer - below < frame_bytes_max &&
         pointer % sizeof(void*) == 0 && pointer + 2 * sizeof(void*) <= stack_top) {
    const auto* words = reinterpret_cast<const void* const*>(pointer);
    if (number(words[1]) < 4096) break;
    // The first frame is the allocation function's own: its return address is `caller`.
    if (words[1] != caller) allocation.frames[count++] = words[1];
    below = pointer;
    pointer = number(words[0]);
  }
}

const Loan* loan_in(const void* address, std::size_t size) noexcept {
  const std::uintptr_t first = number(address);
  const std::uintptr_t last = first + (size == 0 ? 0 : size - 1);
  const std::uintptr_t pages = (last >> page_bits) - (first >> page_bits) + 1;
  const auto within = [&](const LoanRecord& record) {
    return number(record.loan.address) >= first && number(record.loan.address) <= last;
  };
  if (pages > buckets_max) {
    for (std::uint32_t i = 0; i < book.loans_used; ++i) {
      if (book.loans[i].active && within(book.loans[i])) return &book.loans[i].loan;
    }
    return nullptr;
  }
  for (std::uintptr_t page = first >> page_bits; page <= last >> page_bits; ++page) {
    std::uint32_t index = book.buckets[page % buckets_max];
    for (; index != 0; index = book.loans[index - 1].next) {
      if (within(book.loans[index - 1])) return &book.loans[index - 1].loan;
    }
  }
  return nullptr;
}

const Record* containing(const void* address) noexcept {
  for (std::uint32_t i = 0; i < book.records_used; ++i) {
    const Record& record = book.records[i];
    if (record.state != State::live) continue;
    if (number(address) - number(record.allocation.address) < record.allocation.size) {
      return &record;
    }
  }
  return nullptr;
}

// The other sanitizers cannot be asked: LeakSanitizer on its own stops the process, and
// ThreadSanitizer also claims what was freed, and what points into a block.
bool can_ask_sanitizer() noexcept {
  return detail::active_backend == Backend::sanitizer &&
         (__asan_init != nullptr || __msan_init != nullptr);
}

bool sanitizer_knows(const void* address) noexcept {
  return can_ask_sanitizer() && __sanitizer_get_ownership(address) != 0;
}

// A pointer that this run did not allocate. A sanitizer knows whether it is a live block; without
// one, only what cannot have come from an allocator is recognised.
bool foreign(const void* address) noexcept {
  if (can_ask_sanitizer()) return !sanitizer_knows(address);
  if (number(address) % alignof(std::max_align_t) != 0) return true;
  const auto here = number(__builtin_frame_address(0));
  if (number(address) >= here && number(address) < stack_top) return true;
  if (address >= &__executable_start && address < &_end) return true;
  return containing(address) != nullptr;
}

void report(const Incident& incident) noexcept {
  if (__msan_unpoison_param != nullptr) __msan_unpoison_param(2);
  if (book.options.on_incident != nullptr) {
    book.options.on_incident(book.options.incident_context, incident);
    return;
  }
  static char text[512];
  describe(incident, text, sizeof text - 1);
  const std::size_t length = std::strlen(text);
  text[length] = '\n';
  text[length + 1] = '\0';
  stop(text);
}

// Static, because a handler that MemorySanitizer watches reads it. One incident at a time: the
// ledger is at rest while its handler runs.
Incident incident_now{};

void note_stack_bounds() noexcept {
  if (stack_top != 0) return;
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
  void* bottom = nullptr;
  std::size_t size = 0;
  if (pthread_attr_getstack(&attributes, &bottom, &size) == 0) stack_top = number(bottom) + size;
  pthread_attr_destroy(&attributes);
}

// The first walk up the stack loads a library, which must not happen within an allocation.
void warm_the_unwinder() noexcept {
  _Unwind_Backtrace([](_Unwind_Context*, void*) { return _URC_NO_REASON; }, nullptr);
}

const char* silence_reason = "the self-test has not run";

void self_test() noexcept {
  void* (*volatile allocate)(std::size_t) = std::malloc;
  void (*volatile release)(void*) = std::free;
  void* (*volatile create)(std::size_t) = ::operator new;
  void (*volatile destroy)(void*) = ::operator delete;
  const bool hooks = detail::install_sanitizer_hooks();
  static_cast<void>(detail::asan_forms_are_ours());
  const int inside = detail::inside;
  detail::inside = 1;
  detail::probe = {true, 0, 0, 0, 0};
  release(allocate(24));
  destroy(create(24));
  detail::probe.running = false;
  detail::inside = inside;
  if (hooks && detail::probe.sanitizer_allocations == 2 && detail::probe.sanitizer_frees == 2) {
    detail::active_backend = Backend::sanitizer;
  } else if (detail::probe.interposed_allocations == 2 && detail::probe.interposed_frees == 2) {
    detail::active_backend = Backend::interposed;
  } else if (detail::probe.interposed_allocations + detail::probe.sanitizer_allocations == 0) {
    silence_reason = "neither malloc nor operator new reaches it: another allocator is in front";
    return;
  } else {
    silence_reason = "it hears only one of malloc and operator new, or no free";
    return;
  }
  silence_reason = nullptr;
}

void clear_records() noexcept {
  for (std::uint32_t i = 0; i < book.records_used; ++i) {
    if (book.records[i].state == State::unused) continue;
    empty_slot(slot_of(book.records[i].allocation.address));
    book.records[i].state = State::unused;
  }
  book.records_used = 0;
  book.records_unused = 0;
}

void clear_loans() noexcept {
  for (std::uint32_t i = 0; i < book.loans_used && book.loans_active != 0; ++i) {
    if (book.loans[i].active) give_back(i + 1);
  }
  book.loans_used = 0;
  book.loans_unused = 0;
}

}  // namespace

namespace detail {

bool watching() noexcept {
  return inside > 0 && (__atomic_load_n(&book.running, __ATOMIC_RELAXED) || probe.running);
}

bool run_in_progress() noexcept { return __atomic_load_n(&book.running, __ATOMIC_RELAXED); }

bool refuses(std::size_t size) noexcept {
  if (book.options.fails == nullptr || probe.running) return false;
  const Outside outside;
  if (__msan_unpoison_param != nullptr) __msan_unpoison_param(2);
  const bool refused = book.options.fails(book.options.failure_context, size);
  book.totals.failures += refused ? 1 : 0;
  return refused;
}

void failure_was_not_delivered() noexcept {
  --book.totals.failures;
  ++book.totals.unfailable;
}

void on_allocated(void* address, std::size_t size, const void* caller, const void* frame) noexcept {
  const Lock lock;
  if (!lock) return;
  forget(address);
  const std::uint32_t index = new_record();
  Record& record = book.records[index];
  record.state = State::live;
  Allocation& allocation = record.allocation;
  allocation.address = address;
  allocation.size = size;
  allocation.identity = ++book.identities;
  allocation.step = step_now();
  allocation.freed_step = 0;
  allocation.owner = book.options.owner == nullptr ? nullptr : *book.options.owner;
  note_frames(allocation, caller, frame);
  book.slots[slot_of(address)] = {index + 1, hash_of(address)};
  Totals& totals = book.totals;
  ++totals.allocations;
  ++totals.live;
  totals.live_bytes += size;
  totals.peak_bytes = std::max(totals.peak_bytes, totals.live_bytes);
}

void on_allocated_outside(void* address) noexcept {
  const Lock lock;
  if (lock) forget(address);
}

Freeing on_freeing(void* address) noexcept {
  const bool by_program = inside > 0;
  const Outside outside;
  incident_now.allocation = nullptr;
  incident_now.loan = nullptr;
  bool broken = false;
  Freeing verdict = Freeing::forward;
  {
    const Lock lock;
    if (!lock) return Freeing::forward;
    Record* record = lookup(address);
    if (book.loans_active != 0) {
      const std::size_t size = record != nullptr          ? record->allocation.size
                               : sanitizer_knows(address) ? __sanitizer_get_allocated_size(address)
                                                          : 1;
      incident_now.loan = loan_in(address, size);
    }
    if (record == nullptr) {
      broken = by_program && foreign(address);
      incident_now.kind = IncidentKind::foreign_free;
      if (broken) {
        const Record* around = containing(address);
        incident_now.allocation = around == nullptr ? nullptr : &around->allocation;
      } else {
        book.totals.outside_frees += by_program ? 1 : 0;
      }
    } else {
      incident_now.allocation = &record->allocation;
      broken = record->state == State::freed;
      incident_now.kind = IncidentKind::double_free;
    }
    if (!broken && incident_now.loan != nullptr) {
      broken = true;
      incident_now.kind = IncidentKind::freed_while_lent;
    }
    if (!broken && record != nullptr) {
      note_release(*record);
      record->state = State::freed;
      record->allocation.freed_step = step_now();
      hold(static_cast<std::uint32_t>(record - book.records));
      verdict = Freeing::keep;
    }
  }
  if (!broken) return verdict;
  incident_now.address = address;
  incident_now.step = step_now();
  report(incident_now);
  return Freeing::refuse;
}

bool tracked(const void* address, std::size_t* size) noexcept {
  const Lock lock;
  if (!lock || !run_in_progress()) return false;
  const Record* record = lookup(address);
  if (record == nullptr || record->state != State::live) return false;
  *size = record->allocation.size;
  return true;
}

}  // namespace detail

Backend backend() noexcept {
  static bool tested = false;
  if (!tested) {
    tested = true;
    const Outside outside;
    warm_the_unwinder();
    detail::prepare_for_leaks();
    self_test();
  }
  return detail::active_backend;
}

const char* silence() noexcept {
  backend();
  return silence_reason;
}

bool begin(const Options& options) noexcept {
  if (__atomic_load_n(&book.running, __ATOMIC_SEQ_CST))
    stop("uvsim: a run of the ledger is already in progress\n");
  if (backend() == Backend::silent) return false;
  const Outside outside;
  note_stack_bounds();
  if (book.slots == nullptr) {
    book.slots_count = slots_first;
    book.slots = map<Slot>(slots_first);
    double_array(book.records, book.records_count, records_first);
    double_array(book.loans, book.loans_count, loans_first);
  }
  static const bool deep = [] {
    const char* wish = std::getenv("UVSIM_BACKTRACE");
    return wish != nullptr && std::strcmp(wish, "deep") == 0;
  }();
  book.options = options;
  book.options.deep_backtrace = options.deep_backtrace || deep;
  book.totals = {};
  book.identities = 0;
  book.baseline_live = 0;
  book.baseline_identity = 0;
  detail::wrapper_caller = nullptr;
  __atomic_store_n(&book.running, true, __ATOMIC_SEQ_CST);
  return true;
}

void end() noexcept {
  const Outside outside;
  const Lock lock;
  if (!__atomic_load_n(&book.running, __ATOMIC_SEQ_CST)) return;
  while (book.held_count != 0) release_oldest();
  clear_records();
  clear_loans();
  __atomic_store_n(&book.running, false, __ATOMIC_SEQ_CST);
}

bool running() noexcept { return detail::run_in_progress(); }

const Totals& totals() noexcept { return book.totals; }

void fail_allocations(FailureOracle fails, void* context) noexcept {
  book.options.fails = fails;
  book.options.failure_context = context;
}

LoanId lend(const void* address, std::size_t length, LoanKind kind, const void* owner,
            int rule) noexcept {
  if (address == nullptr || length == 0 || !running()) return no_loan;
  const Lock lock;
  std::uint32_t id = book.loans_unused;
  if (id != 0) {
    book.loans_unused = book.loans[id - 1].next;
  } else {
    if (book.loans_used == book.loans_count) {
      double_array(book.loans, book.loans_count, loans_first);
    }
    id = ++book.loans_used;
  }
  LoanRecord& record = book.loans[id - 1];
  record.loan = {address, length, owner, step_now(), kind, rule};
  std::uint32_t& bucket = book.buckets[(number(address) >> page_bits) % buckets_max];
  record.next = bucket;
  record.previous = 0;
  record.active = true;
  if (bucket != 0) book.loans[bucket - 1].previous = id;
  bucket = id;
  ++book.loans_active;
  return id;
}

void give_back(LoanId loan) noexcept {
  if (loan == no_loan) return;
  const Lock lock;
  if (loan > book.loans_used || !book.loans[loan - 1].active) {
    stop("uvsim: a loan is given back that is not out\n");
  }
  LoanRecord& record = book.loans[loan - 1];
  if (record.previous != 0) {
    book.loans[record.previous - 1].next = record.next;
  } else {
    book.buckets[(number(record.loan.address) >> page_bits) % buckets_max] = record.next;
  }
  if (record.next != 0) book.loans[record.next - 1].previous = record.previous;
  record.active = false;
  record.next = book.loans_unused;
  book.loans_unused = loan;
  --book.loans_active;
}

std::size_t loans() noexcept { return book.loans_active; }

namespace {

// The live allocations made since `identity`; the memory is unmapped at the end.
class LiveList {
 public:
  explicit LiveList(std::uint64_t identity) noexcept : size_(book.records_used) {
    if (size_ == 0) return;
    live_ = map<detail::Live>(size_);
    for (std::uint32_t i = 0; i < size_; ++i) {
      const Record& record = book.records[i];
      if (record.state != State::live || record.allocation.identity <= identity) continue;
      live_[count_++].allocation = &record.allocation;
    }
  }
  ~LiveList() {
    if (size_ != 0) munmap(live_, size_ * sizeof(detail::Live));
  }
  LiveList(const LiveList&) = delete;
  LiveList& operator=(const LiveList&) = delete;

  void find_kept() noexcept { detail::find_kept(live_, count_, book.baseline_identity); }
  void find_reached(const void* stack) noexcept {
    detail::find_reached(live_, count_, stack, reinterpret_cast<const void*>(stack_top));
  }

  // In the order of identities. `visit` may allocate, but not inside.
  template <class Wanted>
  std::size_t visit(Wanted wanted, Visitor visitor, void* context) noexcept {
    std::sort(live_, live_ + count_, [](const detail::Live& a, const detail::Live& b) {
      return a.allocation->identity < b.allocation->identity;
    });
    std::size_t visited = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      if (!wanted(live_[i])) continue;
      ++visited;
      if (visitor == nullptr) continue;
      if (__msan_unpoison_param != nullptr) __msan_unpoison_param(2);
      visitor(context, *live_[i].allocation);
    }
    return visited;
  }

 private:
  detail::Live* live_ = nullptr;
  std::uint32_t size_;
  std::uint32_t count_ = 0;
};

}  // namespace

void for_each_live(Visitor visit, void* context) noexcept {
  const Outside outside;
  LiveList(0).visit([](const detail::Live&) { return true; }, visit, context);
}

std::size_t for_each_leak(Visitor visit, void* context, const void* stack) noexcept {
  const Outside outside;
  LiveList list(0);
  list.find_kept();
  if (!book.options.strict) list.find_reached(stack);
  return list.visit([](const detail::Live& one) { return !one.kept && !one.reached_by_program; },
                    visit, context);
}

void for_each_loan(LoanVisitor visit, void* context) noexcept {
  for (std::uint32_t i = 0; i < book.loans_used; ++i) {
    if (book.loans[i].active) visit(context, book.loans[i].loan);
  }
}

void release_live(bool only_forgotten) noexcept {
  const Outside outside;
  clear_loans();
  LiveList list(0);
  list.find_kept();
  if (only_forgotten) list.find_reached(nullptr);
  list.visit([](const detail::Live& one) { return !one.kept && !one.reached_by_program; },
             [](void*, const Allocation& allocation) {
               void* const address = const_cast<void*>(allocation.address);
               const Record* const record = lookup(address);
               note_release(*record);
               detail::unchain_streams(allocation);
               forget_record(static_cast<std::uint32_t>(record - book.records));
               detail::free_whatever(address);
             },
             nullptr);
}

const Allocation* find(const void* address) noexcept {
  const Record* record = containing(address);
  return record == nullptr ? nullptr : &record->allocation;
}

const Allocation* find_freed(const void* address) noexcept {
  if (!running()) return nullptr;
  const Lock lock;
  const Record* record = lookup(address);
  if (record == nullptr || record->state != State::freed) return nullptr;
  return &record->allocation;
}

void mark_baseline() noexcept {
  book.baseline_live = book.totals.live;
  book.baseline_identity = book.identities;
}

std::size_t above_baseline(Visitor visit, void* context) noexcept {
  if (book.totals.live <= book.baseline_live) return 0;
  const Outside outside;
  return LiveList(book.baseline_identity)
      .visit([](const detail::Live&) { return true; }, visit, context);
}

}  // namespace uvsim::ledger
