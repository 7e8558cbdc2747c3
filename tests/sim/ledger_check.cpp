// The ledger, tested from outside and in every build: what it counts, what it objects to, what it
// makes fail, and that it stays quiet otherwise.
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <new>
#include <uvsim/ledger.hpp>
#include <vector>

#include "check.hpp"

namespace ledger = uvsim::ledger;
using ledger::IncidentKind;
using ledger::Inside;
using ledger::Outside;

namespace {

std::uint64_t step = 0;
const void* owner = nullptr;
int incidents = 0;
ledger::Incident last_incident{};
char last_words[512];
std::jmp_buf way_out;

// The sanitizer would report a bad free too, and end the process: the handler does not return to
// it.
void on_incident(void*, const ledger::Incident& incident) {
  ++incidents;
  last_incident = incident;
  ledger::describe(incident, last_words, sizeof last_words);
  if (ledger::backend() == ledger::Backend::sanitizer) std::longjmp(way_out, 1);
}

long failing = -1;
bool fails(void*, std::size_t) { return failing >= 0 && failing-- == 0; }

ledger::Options options() {
  ledger::Options options;
  options.step = &step;
  options.owner = &owner;
  options.on_incident = on_incident;
  options.fails = fails;
  incidents = 0;
  failing = -1;
  return options;
}

class Run {
 public:
  explicit Run(const ledger::Options& wishes = options()) { CHECK(ledger::begin(wishes)); }
  ~Run() { ledger::end(); }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
};

bool interposed() { return ledger::backend() == ledger::Backend::interposed; }

// Frees inside the program, and comes back even if that is an incident.
void free_inside(void* memory) {
  if (setjmp(way_out) == 0) {
    const Inside inside;
    std::free(memory);
  }
  ledger::detail::inside = 0;
}

void* malloc_inside(std::size_t size) {
  const Inside inside;
  return std::malloc(size);
}

std::uint64_t live() { return ledger::totals().live; }

// ---- What is counted
// -----------------------------------------------------------------------------

void a_backend_is_found() {
  CHECK(ledger::backend() != ledger::Backend::silent);
  CHECK(ledger::silence() == nullptr);
}

void nothing_is_counted_without_a_run() {
  free_inside(malloc_inside(10));
  CHECK(!ledger::running());
  CHECK(ledger::lend(&step, 8, ledger::LoanKind::buffer, nullptr, 12) == ledger::no_loan);
  CHECK(ledger::find_freed(&step) == nullptr);
  ledger::end();
}

void every_way_to_allocate_is_counted() {
  const Run run;
  void* volatile blocks[12];
  {
    const Inside inside;
    blocks[0] = std::malloc(10);
    blocks[1] = std::calloc(3, 5);
    blocks[2] = std::realloc(nullptr, 20);
    blocks[3] = reallocarray(nullptr, 3, 7);
    blocks[4] = std::aligned_alloc(64, 128);
    blocks[5] = memalign(32, 40);
    void* aligned = nullptr;
    CHECK(posix_memalign(&aligned, 64, 100) == 0);
    blocks[6] = aligned;
    blocks[7] = valloc(100);
    blocks[8] = pvalloc(100);
    blocks[9] = strdup("some text");
    blocks[10] = strndup("some text", 4);
    blocks[11] = new int(5);
  }
  CHECK(live() == 12);
  CHECK(std::strcmp(static_cast<char*>(blocks[9]), "some text") == 0);
  CHECK(std::strcmp(static_cast<char*>(blocks[10]), "some") == 0);
  CHECK(ledger::totals().live_bytes >= 10 + 15 + 20 + 21 + 128 + 40 + 100 + 100 + 100 + 10 + 5 + 4);
  {
    const Inside inside;
    for (int i = 0; i < 11; ++i) std::free(blocks[i]);
    delete static_cast<int*>(blocks[11]);
    auto* volatile array = new char[50];
    CHECK(live() == 1);
    delete[] array;
  }
  CHECK(live() == 0);
  CHECK(ledger::totals().live_bytes == 0);
  CHECK(ledger::totals().allocations == ledger::totals().releases);
  CHECK(incidents == 0);
}

void the_same_outside_is_not_counted() {
  const Run run;
  void* aligned = nullptr;
  CHECK(posix_memalign(&aligned, 64, 100) == 0);
  CHECK(posix_memalign(&aligned, 3, 100) == EINVAL);
  CHECK(posix_memalign(&aligned, 4, 100) == EINVAL);
  std::free(aligned);
  void* const blocks[] = {std::malloc(10),
                          std::calloc(3, 5),
                          std::realloc(nullptr, 20),
                          reallocarray(nullptr, 3, 7),
                          std::aligned_alloc(64, 128),
                          memalign(32, 40),
                          valloc(100),
                          pvalloc(100),
                          strdup("text"),
                          strndup("text", 2)};
  for (void* block : blocks) std::free(block);
  std::vector<int> vector(100);
  CHECK(ledger::totals().allocations == 0);
}

void overflowing_sizes_are_refused() {
  const Run run;
  const Inside inside;
  volatile std::size_t huge = SIZE_MAX / 2;
  CHECK(reallocarray(nullptr, huge, 4) == nullptr);
  CHECK(errno == ENOMEM);
  CHECK(pvalloc(SIZE_MAX - 100) == nullptr);
}

void realloc_is_a_release_and_an_allocation() {
  const Run run;
  char* text = nullptr;
  {
    const Inside inside;
    text = static_cast<char*>(std::malloc(4));
    std::memcpy(text, "abc", 4);
    step = 5;
    text = static_cast<char*>(std::realloc(text, 1000));
    CHECK(std::strcmp(text, "abc") == 0);
    text = static_cast<char*>(std::realloc(text, 2));
    CHECK(text[1] == 'b');
  }
  CHECK(live() == 1);
  CHECK(ledger::find(text)->step == 5);
  CHECK(ledger::find(text)->identity == 3);
  {
    const Inside inside;
    text = static_cast<char*>(reallocarray(text, 10, 10));
    CHECK(std::realloc(text, 0) == nullptr || !interposed());
  }
  step = 0;
}

void what_was_allocated_outside_stays_outside() {
  const Run run;
  void* memory = std::malloc(10);
  {
    const Inside inside;
    memory = std::realloc(memory, 10000);
  }
  CHECK(live() == 0);
  free_inside(memory);
  CHECK(incidents == 0);
  CHECK(ledger::totals().outside_frees == 1);
}

void others_may_resize_and_free_what_the_program_allocated() {
  const Run run;
  void* memory = malloc_inside(10);
  memory = std::realloc(memory, 500);
  memory = reallocarray(memory, 500, 2);
  std::free(memory);
  CHECK(live() == 0);
  CHECK(incidents == 0);
}

void owner_step_and_caller_are_noted() {
  const Run run;
  step = 42;
  owner = &incidents;
  void* memory = malloc_inside(10);
  step = 0;
  owner = nullptr;
  const ledger::Allocation* found = ledger::find(static_cast<char*>(memory) + 9);
  CHECK(found != nullptr && found->step == 42 && found->owner == &incidents && found->size == 10);
  CHECK(found->frames[0] != nullptr || !interposed());
  CHECK(ledger::find(static_cast<char*>(memory) + 10) == nullptr);
  free_inside(memory);
  CHECK(ledger::find(memory) == nullptr);
  CHECK(ledger::find_freed(memory) != nullptr);
  CHECK(ledger::find_freed(&step) == nullptr);
}

void without_step_or_owner_there_is_none() {
  const Run run{ledger::Options{}};
  void* memory = malloc_inside(10);
  CHECK(ledger::find(memory)->step == 0 && ledger::find(memory)->owner == nullptr);
  free_inside(memory);
}

void tens_of_thousands_are_found_again() {
  const Run run;
  constexpr int count = 30000;
  static void* blocks[count];
  for (void*& block : blocks) block = malloc_inside(16);
  CHECK(live() == count);
  for (int i = 0; i < count; i += 2) free_inside(blocks[i]);
  CHECK(live() == count / 2);
  for (int i = 1; i < count; i += 2) {
    CHECK(ledger::find_freed(blocks[i - 1]) == nullptr || i > count - 1000);
    free_inside(blocks[i]);
  }
  CHECK(live() == 0);
  CHECK(incidents == 0);
}

void large_blocks_are_not_held_for_long() {
  const Run run;
  for (int i = 0; i < 100; ++i) free_inside(malloc_inside(300'000));
  CHECK(live() == 0);
  CHECK(ledger::totals().peak_bytes < 400'000);
}

void a_block_is_known_for_thousands_of_frees_after_its_own() {
  const Run run;
  void* const block = malloc_inside(100'000);  // of a size that is not handed out again
  free_inside(block);
  for (int i = 0; i < 4'000; ++i) free_inside(malloc_inside(24));
  CHECK(ledger::find_freed(block) != nullptr);
}

void a_run_forgets_what_was_before() {
  void* memory = nullptr;
  {
    const Run run;
    memory = malloc_inside(10);
  }
  std::free(memory);
  const Run run;
  CHECK(live() == 0 && ledger::totals().allocations == 0);
}

// ---- Other threads
// -------------------------------------------------------------------------------

void* free_elsewhere(void* memory) {
  std::free(memory);
  return std::malloc(10);
}

void another_thread_is_outside() {
  const Run run;
  pthread_t thread;
  void* result = nullptr;
  CHECK(pthread_create(&thread, nullptr, free_elsewhere, malloc_inside(10)) == 0);
  pthread_join(thread, &result);
  CHECK(live() == 0);
  CHECK(ledger::totals().allocations == 1);
  std::free(result);
}

void* churn(void*) {
  const Inside inside;
  for (int i = 0; i < 20000; ++i) std::free(std::malloc(static_cast<std::size_t>(16 + i % 100)));
  return nullptr;
}

void two_threads_inside_do_not_disturb_each_other() {
  const Run run;
  pthread_t threads[2];
  for (pthread_t& thread : threads) CHECK(pthread_create(&thread, nullptr, churn, nullptr) == 0);
  for (const pthread_t thread : threads) pthread_join(thread, nullptr);
  CHECK(live() == 0);
  CHECK(incidents == 0);
}

void* page = nullptr;
int handled = 0;

// Comes while the ledger holds its lock, because the ledger touched the step.
void on_fault_of_step(int) {
  ++handled;
  const Inside inside;
  std::free(std::malloc(10));
  std::size_t size = 0;
  void* volatile memory = std::malloc(20);
  memory = std::realloc(memory, 40);
  std::free(memory);
  static_cast<void>(size);
  mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

void a_signal_handler_may_allocate_while_the_ledger_works() {
  page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ledger::Options wishes = options();
  wishes.step = static_cast<std::uint64_t*>(page);
  struct sigaction before{};
  struct sigaction mine{};
  mine.sa_handler = on_fault_of_step;
  sigaction(SIGSEGV, &mine, &before);
  {
    const Run run{wishes};
    mprotect(page, 4096, PROT_NONE);
    void* memory = malloc_inside(10);
    CHECK(handled == 1);
    CHECK(live() == 1);
    free_inside(memory);
    CHECK(live() == 0);
  }
  sigaction(SIGSEGV, &before, nullptr);
  munmap(page, 4096);
}

// ---- Incidents
// -----------------------------------------------------------------------------------

void a_second_free_is_an_incident() {
  const Run run;
  void* memory = malloc_inside(10);
  step = 7;
  free_inside(memory);
  step = 9;
  free_inside(memory);
  CHECK(incidents == 1 && last_incident.kind == IncidentKind::double_free);
  CHECK(last_incident.address == memory && last_incident.step == 9);
  CHECK(std::strstr(last_words, "double free of") != nullptr);
  CHECK(std::strstr(last_words, "freed in step 7") != nullptr);
  step = 0;
}

void foreign_pointers_are_incidents() {
  const Run run;
  auto* memory = static_cast<char*>(malloc_inside(100));
  free_inside(memory + 16);
  CHECK(incidents == 1 && last_incident.kind == IncidentKind::foreign_free);
  CHECK(std::strstr(last_words, "it points into allocation #1") != nullptr);
  free_inside(memory + 1);
  int on_stack[8] = {};
  free_inside(&on_stack[0]);
  alignas(16) static int in_image[8] = {};
  free_inside(&in_image[0]);
  CHECK(incidents == 4);
  free_inside(memory);
  CHECK(incidents == 4 && live() == 0);
}

void freeing_what_is_lent_is_an_incident() {
  const Run run;
  auto* memory = static_cast<char*>(malloc_inside(100));
  const auto handle = ledger::lend(memory + 8, 32, ledger::LoanKind::handle, &owner, 28);
  free_inside(memory);
  CHECK(incidents == 1 && last_incident.kind == IncidentKind::freed_while_lent);
  CHECK(last_incident.loan != nullptr && last_incident.loan->owner == &owner);
  CHECK(std::strstr(last_words, "libuv still uses the handle") != nullptr);
  CHECK(std::strstr(last_words, "R28") != nullptr);
  ledger::give_back(handle);
  for (const auto kind : {ledger::LoanKind::loop, ledger::LoanKind::request,
                          ledger::LoanKind::buffer, static_cast<ledger::LoanKind>(9)}) {
    const auto loan = ledger::lend(memory, 100, kind, nullptr, 13);
    free_inside(memory);
    ledger::give_back(loan);
  }
  CHECK(incidents == 5);
  free_inside(memory);
  CHECK(incidents == 5 && live() == 0);
}

void loans_come_and_go_in_any_order() {
  const Run run;
  constexpr int count = 1000;
  static char* blocks[count];
  static ledger::LoanId loans[count];
  for (int i = 0; i < count; ++i) {
    blocks[i] = static_cast<char*>(malloc_inside(64));
    loans[i] = ledger::lend(blocks[i], 64, ledger::LoanKind::buffer, nullptr, 12);
  }
  CHECK(ledger::loans() == count);
  for (int i = 0; i < count; i += 3) ledger::give_back(loans[i]);
  for (int i = count - 1; i >= 0; --i) {
    if (i % 3 != 0) ledger::give_back(loans[i]);
    free_inside(blocks[i]);
  }
  CHECK(ledger::loans() == 0 && incidents == 0 && live() == 0);
  CHECK(ledger::lend(nullptr, 5, ledger::LoanKind::buffer, nullptr, 12) == ledger::no_loan);
  CHECK(ledger::lend(&step, 0, ledger::LoanKind::buffer, nullptr, 12) == ledger::no_loan);
  ledger::give_back(ledger::no_loan);
  // The rest is forgotten with the run.
  CHECK(ledger::lend(&step, 8, ledger::LoanKind::buffer, nullptr, 12) != ledger::no_loan);
  CHECK(ledger::lend(&owner, 8, ledger::LoanKind::buffer, nullptr, 12) != ledger::no_loan);
}

void a_loan_is_found_in_a_block_of_any_size() {
  const Run run;
  for (const std::size_t size : {std::size_t{0}, std::size_t{100'000}, std::size_t{9'000'000}}) {
    auto* memory = static_cast<char*>(malloc_inside(size));
    const auto other = ledger::lend(&step, 8, ledger::LoanKind::buffer, nullptr, 12);
    const auto loan = ledger::lend(memory + size / 2, 8, ledger::LoanKind::buffer, nullptr, 12);
    incidents = 0;
    free_inside(memory);
    CHECK(incidents == 1);
    ledger::give_back(loan);
    free_inside(memory);
    CHECK(incidents == 1);
    ledger::give_back(other);
  }
}

void lent_memory_from_outside_must_not_be_freed_either() {
  const Run run;
  void* memory = std::malloc(100);
  const auto loan = ledger::lend(memory, 100, ledger::LoanKind::buffer, nullptr, 12);
  free_inside(memory);
  CHECK(incidents == 1 && last_incident.allocation == nullptr);
  ledger::give_back(loan);
  free_inside(memory);
  CHECK(incidents == 1);
}

// ---- Failures on demand
// --------------------------------------------------------------------------

void every_way_to_allocate_can_fail() {
  const Run run;
  const Inside inside;
  void* volatile memory = std::malloc(10);
  void* aligned = nullptr;
  const auto arm = [] { failing = 0; };
  arm();
  CHECK(std::malloc(1) == nullptr && errno == ENOMEM);
  arm();
  CHECK(std::calloc(1, 1) == nullptr);
  arm();
  CHECK(std::realloc(memory, 100) == nullptr);
  arm();
  CHECK(reallocarray(memory, 10, 10) == nullptr);
  arm();
  CHECK(std::aligned_alloc(64, 64) == nullptr);
  arm();
  CHECK(memalign(64, 64) == nullptr);
  arm();
  CHECK(posix_memalign(&aligned, 64, 64) == ENOMEM);
  arm();
  CHECK(valloc(1) == nullptr);
  arm();
  CHECK(strdup("text") == nullptr);
  arm();
  CHECK(strndup("text", 2) == nullptr);
  CHECK(ledger::totals().failures == 10);
  std::free(memory);
  CHECK(live() == 0);
}

template <class Function>
bool throws_bad_alloc(Function function) {
  try {
    function();
  } catch (const std::bad_alloc&) {
    return true;
  }
  return false;
}

void new_can_fail() {
  const Run run;
  const Inside inside;
  failing = 0;
  int* volatile number = nullptr;
  CHECK(throws_bad_alloc([&] { number = new int; }));
  failing = 0;
  CHECK(throws_bad_alloc([&] { number = new int[10]; }));
  CHECK(number == nullptr);
  failing = 1;
  CHECK(throws_bad_alloc([] { std::vector<int>(10), std::vector<int>(20); }));
  CHECK(live() == 0);
  CHECK(ledger::totals().failures == 3);
}

// What a sanitizer's runtime does not let fail is counted.
void nothrow_new_fails_or_is_counted() {
  const Run run;
  const Inside inside;
  failing = 0;
  int* volatile number = new (std::nothrow) int;
  failing = 0;
  int* volatile numbers = new (std::nothrow) int[10];
  failing = -1;
  const unsigned failed = (number == nullptr ? 1u : 0u) + (numbers == nullptr ? 1u : 0u);
  CHECK(failed + ledger::totals().unfailable == 2);
  CHECK(ledger::totals().unfailable == 0 || !interposed());
  delete number;
  delete[] numbers;
  CHECK(live() == 0);
}

struct alignas(64) Line {
  char bytes[64];
};

void aligned_new_is_booked_and_given_back() {
  const Run run;
  const Inside inside;
  Line* volatile one = new Line;
  Line* volatile many = new Line[3];
  CHECK(reinterpret_cast<std::uintptr_t>(one) % 64 == 0);
  CHECK(live() == 2);
  delete one;
  delete[] many;
  CHECK(live() == 0);
  CHECK(incidents == 0);
}

void aligned_new_fails_or_is_counted() {
  const Run run;
  const Inside inside;
  unsigned failed = 0;
  failing = 0;
  if (throws_bad_alloc([] { delete new Line; })) ++failed;
  failing = 0;
  if (throws_bad_alloc([] { delete[] new Line[3]; })) ++failed;
  failing = 0;
  Line* volatile one = new (std::nothrow) Line;
  failing = 0;
  Line* volatile many = new (std::nothrow) Line[3];
  failing = -1;
  failed += (one == nullptr ? 1u : 0u) + (many == nullptr ? 1u : 0u);
  CHECK(failed + ledger::totals().unfailable == 4);
  CHECK(ledger::totals().unfailable == 0 || !interposed());
  delete one;
  delete[] many;
  CHECK(live() == 0);
}

// A sanitizer that minds how memory is given back must not mind.
void what_new_left_behind_is_given_back() {
  const Run run;
  {
    const Inside inside;
    const void* const left[] = {
        new Line, new Line[3], new (std::nothrow) Line, new (std::nothrow) Line[3],
        new int,  new int[3]};
    for (const void* memory : left) CHECK(memory != nullptr);
  }
  CHECK(live() == 6);
  ledger::release_live();
  CHECK(live() == 0);
}

int handler_calls = 0;
void on_no_memory() {
  if (++handler_calls == 2) std::set_new_handler(nullptr);
}

void the_new_handler_is_asked() {
  if (!interposed()) return;
  ledger::Options wishes = options();
  wishes.fails = [](void*, std::size_t) { return handler_calls < 2; };
  const Run run{wishes};
  const Inside inside;
  std::set_new_handler(on_no_memory);
  int* volatile number = new int;
  CHECK(handler_calls == 2);
  delete number;
  CHECK(live() == 0);
}

void an_oracle_can_be_changed_and_removed() {
  const Run run;
  ledger::fail_allocations([](void* context, std::size_t) { return context != nullptr; }, &step);
  CHECK(malloc_inside(10) == nullptr);
  ledger::fail_allocations(nullptr, nullptr);
  free_inside(malloc_inside(10));
  CHECK(ledger::totals().failures == 1 && live() == 0);
}

// ---- Leaks and quiescence
// ------------------------------------------------------------------------

void count(void* context, const ledger::Allocation&) { ++*static_cast<int*>(context); }

void leaks_are_visited_in_order() {
  const Run run;
  void* first = malloc_inside(10);
  void* second = malloc_inside(20);
  free_inside(first);
  void* third = malloc_inside(30);
  static std::uint64_t last = 0;
  last = 0;
  ledger::for_each_live(
      [](void*, const ledger::Allocation& allocation) {
        CHECK(allocation.identity > last);
        last = allocation.identity;
      },
      nullptr);
  CHECK(last == 3);
  CHECK(ledger::report_leaks() == 2);
  char text[16];
  CHECK(std::strlen(ledger::describe(*ledger::find(second), text, sizeof text)) == 15);
  free_inside(second);
  free_inside(third);
  CHECK(ledger::report_leaks() == 0);
}

void nothing_allocated_means_nothing_visited() {
  const Run run;
  CHECK(ledger::report_leaks() == 0);
}

void the_environment_is_no_leak() {
  const Run run;
  {
    const Inside inside;
    setenv("UVSIM_LEDGER_CHECK", "some value that needs memory", 1);
  }
  CHECK(live() > 0 || !interposed());
  CHECK(ledger::report_leaks() == 0);
  ledger::release_live();
  CHECK(std::getenv("UVSIM_LEDGER_CHECK") != nullptr);
}

void quiescence_is_judged_by_the_baseline() {
  const Run run;
  void* kept = malloc_inside(10);
  ledger::mark_baseline();
  CHECK(ledger::above_baseline(nullptr, nullptr) == 0);
  void* more = malloc_inside(20);
  int visited = 0;
  CHECK(ledger::above_baseline(count, &visited) == 1 && visited == 1);
  free_inside(kept);
  CHECK(ledger::above_baseline(nullptr, nullptr) == 0);
  free_inside(more);
}

void what_a_program_left_behind_can_be_released() {
  const Run run;
  {
    const Inside inside;
    int* volatile one = new int;
    int* volatile many = new int[10];
    void* volatile block = std::malloc(10);
    static_cast<void>(one);
    static_cast<void>(many);
    static_cast<void>(block);
  }
  CHECK(live() == 3);
  ledger::release_live();
  CHECK(live() == 0 && ledger::totals().live_bytes == 0);
}

// ---- Words and limits
// ----------------------------------------------------------------------------

void a_deep_backtrace_finds_this_function() {
  ledger::Options wishes = options();
  wishes.deep_backtrace = true;
  const Run run{wishes};
  void* memory = malloc_inside(10);
  const ledger::Allocation* found = ledger::find(memory);
  CHECK(found->frames[0] != nullptr && found->frames[1] != nullptr);
  ledger::report_stack(*found);
  int* number = nullptr;
  {
    const Inside inside;
    number = new int;
  }
  CHECK(ledger::find(number)->frames[0] != nullptr);
  {
    const Inside inside;
    delete number;
  }
  free_inside(memory);
}

void names_are_found_or_an_address_is_given() {
  char text[200];
  const auto name = [&](const void* address) { return ledger::symbolise(address, text, 200); };
  CHECK(std::strlen(name(reinterpret_cast<const char*>(&std::malloc) + 4)) > 3);
  CHECK(std::strlen(name(reinterpret_cast<const char*>(&std::strtol) + 4)) > 3);
  CHECK(std::strlen(name(reinterpret_cast<const char*>(&count) + 4)) > 3);
  CHECK(std::strstr(name(reinterpret_cast<const void*>(17)), "10") != nullptr);
  ledger::symbolise(&step, text, 0);
}

void a_leak_is_described() {
  ledger::Incident incident{};
  incident.kind = IncidentKind::leak;
  char text[100];
  CHECK(std::strncmp(ledger::describe(incident, text, sizeof text), "leak of", 7) == 0);
}

void without_a_handler_an_incident_aborts() {
  CHECK(aborts_with("double free of", [] {
    const Run run{ledger::Options{}};
    void* memory = malloc_inside(10);
    free_inside(memory);
    free_inside(memory);
  }));
}

void a_run_within_a_run_aborts() {
  CHECK(aborts_with("already in progress", [] {
    CHECK(ledger::begin(options()));
    CHECK(ledger::begin(options()));
  }));
}

void giving_back_twice_aborts() {
  CHECK(aborts_with("a loan is given back that is not out", [] {
    const Run run;
    const auto loan = ledger::lend(&step, 8, ledger::LoanKind::buffer, nullptr, 12);
    ledger::give_back(loan);
    ledger::give_back(loan);
  }));
  CHECK(aborts_with("a loan is given back that is not out", [] {
    const Run run;
    ledger::give_back(77);
  }));
}

void no_memory_for_the_book_aborts() {
  if (!interposed()) return;  // A sanitizer's own address space is beyond any limit.
  CHECK(aborts_with("cannot get memory for its book", [] {
    const rlimit little{1u << 20, 1u << 20};
    setrlimit(RLIMIT_AS, &little);
    const Run run;
  }));
}

// In a process of its own, because the environment is read once.
void the_environment_can_ask_for_deep_backtraces() {
  for (const char* wish : {"deep", "shallow"}) {
    const pid_t child = fork();
    if (child == 0) {
      setenv("UVSIM_BACKTRACE", wish, 1);
      execl("/proc/self/exe", "ledger_check", "a_second_free", nullptr);
      _exit(1);
    }
    int status = 1;
    waitpid(child, &status, 0);
    CHECK(status == 0);
  }
}

void an_allocation_of_nothing_is_one() {
  const Run run;
  const Inside inside;
  void* volatile nothing = ::operator new(0);
  CHECK(nothing != nullptr && live() == 1);
  ::operator delete(nothing);
  CHECK(live() == 0);
}

#define TEST(name) {#name, name}

}  // namespace

// A signal handler that allocates is what one of the tests is about.
extern "C" const char* __tsan_default_options() { return "report_signal_unsafe=0"; }

int main(int argc, char** argv) {
  constexpr Test tests[] = {
      TEST(a_backend_is_found),
      TEST(no_memory_for_the_book_aborts),
      TEST(nothing_is_counted_without_a_run),
      TEST(every_way_to_allocate_is_counted),
      TEST(the_same_outside_is_not_counted),
      TEST(overflowing_sizes_are_refused),
      TEST(realloc_is_a_release_and_an_allocation),
      TEST(what_was_allocated_outside_stays_outside),
      TEST(others_may_resize_and_free_what_the_program_allocated),
      TEST(owner_step_and_caller_are_noted),
      TEST(without_step_or_owner_there_is_none),
      TEST(tens_of_thousands_are_found_again),
      TEST(large_blocks_are_not_held_for_long),
      TEST(a_block_is_known_for_thousands_of_frees_after_its_own),
      TEST(a_run_forgets_what_was_before),
      TEST(another_thread_is_outside),
      TEST(two_threads_inside_do_not_disturb_each_other),
      TEST(a_signal_handler_may_allocate_while_the_ledger_works),
      TEST(a_second_free_is_an_incident),
      TEST(foreign_pointers_are_incidents),
      TEST(freeing_what_is_lent_is_an_incident),
      TEST(loans_come_and_go_in_any_order),
      TEST(a_loan_is_found_in_a_block_of_any_size),
      TEST(lent_memory_from_outside_must_not_be_freed_either),
      TEST(every_way_to_allocate_can_fail),
      TEST(new_can_fail),
      TEST(nothrow_new_fails_or_is_counted),
      TEST(aligned_new_is_booked_and_given_back),
      TEST(aligned_new_fails_or_is_counted),
      TEST(what_new_left_behind_is_given_back),
      TEST(the_new_handler_is_asked),
      TEST(an_oracle_can_be_changed_and_removed),
      TEST(leaks_are_visited_in_order),
      TEST(nothing_allocated_means_nothing_visited),
      TEST(the_environment_is_no_leak),
      TEST(quiescence_is_judged_by_the_baseline),
      TEST(what_a_program_left_behind_can_be_released),
      TEST(a_deep_backtrace_finds_this_function),
      TEST(names_are_found_or_an_address_is_given),
      TEST(a_leak_is_described),
      TEST(without_a_handler_an_incident_aborts),
      TEST(a_run_within_a_run_aborts),
      TEST(giving_back_twice_aborts),
      TEST(the_environment_can_ask_for_deep_backtraces),
      TEST(an_allocation_of_nothing_is_one),
  };
  return run_tests(tests, argc, argv);
}
