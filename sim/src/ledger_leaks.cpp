// Which of the remaining allocations are leaks: those that nothing reaches any more.
//
// The program or a library may still reach an allocation. A pointer is a word in memory that looks
// like an address within the allocation.
//   the program   from the writable data of the executable, its thread-locals, what libuv still
//                 borrows, and the stack if frames of the program are left; through any memory.
//                 Options::strict says that this is no excuse.
//   a library     from the writable data and thread-locals of a shared library, through memory that
//                 a library made. Only memory made by a library counts: memory that the program put
//                 into a list of the C library is the program's. The list of open streams is no
//                 root: a stream belongs to the code that opened it.
// So one rule covers what the C library keeps for itself, in any function. library_keeps() names
// other libraries that keep memory.
//
// Compiled without instrumentation (see ledger_book.hpp): it reads red zones, and memory that was
// never written. It costs nothing if nothing is left, and some 100 microseconds otherwise.
#include <dlfcn.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "ledger_book.hpp"

extern "C" {
std::size_t __asan_get_alloc_stack(void* address, void** trace, std::size_t size, int* thread)
    __attribute__((weak));
void __msan_unpoison_param(std::size_t arguments) __attribute__((weak));
}

namespace uvsim::ledger {
namespace {

using detail::Live;

std::uintptr_t number(const void* address) noexcept {
  return reinterpret_cast<std::uintptr_t>(address);
}

// Asked for once, and outside: dlsym forgets what went wrong in the program's last dlopen.
struct Names {
  const std::uint32_t* thread_size;  // of the control block of a thread; told to debuggers
  std::FILE** streams;               // the first open stream
  void (*unchain)(std::FILE*);       // takes a stream out of the chain of open ones
};
Names names_of_the_c_library{};

std::uintptr_t page_size() noexcept {
  static const auto size = static_cast<std::uintptr_t>(getpagesize());
  return size;
}

struct Range {
  std::uintptr_t begin;
  std::uintptr_t end;
  bool holds(std::uintptr_t address) const noexcept { return address >= begin && address < end; }
};

// Where the process's objects have their code and their data.
struct Map {
  static constexpr std::size_t ranges_max = 512;
  std::array<Range, ranges_max> code;          // of libraries
  std::array<Range, ranges_max> foreign_data;  // thread-locals too
  std::array<Range, ranges_max> program_data;
  std::size_t code_count;
  std::size_t foreign_count;
  std::size_t program_count;

  static void add(std::array<Range, ranges_max>& ranges, std::size_t& count, std::uintptr_t begin,
                  std::size_t size) noexcept {
    if (count < ranges_max) ranges[count++] = {begin, begin + size};
  }

  bool is_library_code(const void* address) const noexcept {
    for (std::size_t i = 0; i < code_count; ++i) {
      if (code[i].holds(number(address))) return true;
    }
    return false;
  }
};
Map map_now{};

const detail::DataRange* program_ranges = nullptr;
std::size_t program_ranges_count = 0;

int note_object(dl_phdr_info* info, std::size_t, void*) {
  // A sanitizer's runtime knows of every block, and keeps none.
  if (std::strstr(info->dlpi_name, "san.so") != nullptr) return 0;
  const bool is_program = info->dlpi_name[0] == '\0';
  auto& data = is_program ? map_now.program_data : map_now.foreign_data;
  auto& count = is_program ? map_now.program_count : map_now.foreign_count;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& part = info->dlpi_phdr[i];
    const std::uintptr_t begin = info->dlpi_addr + part.p_vaddr;
    if (part.p_type == PT_LOAD && (part.p_flags & PF_W) != 0) {
      if (is_program && program_ranges != nullptr) continue;
      Map::add(data, count, begin, part.p_memsz);
    } else if (part.p_type == PT_LOAD && (part.p_flags & PF_X) != 0 && !is_program) {
      Map::add(map_now.code, map_now.code_count, begin, part.p_memsz);
    } else if (part.p_type == PT_TLS && info->dlpi_tls_data != nullptr) {
      Map::add(data, count, number(info->dlpi_tls_data), part.p_memsz);
    }
  }
  return 0;
}

// The vdso has no name either; it has no data.
void map_objects() noexcept {
  map_now.code_count = map_now.foreign_count = map_now.program_count = 0;
  dl_iterate_phdr(note_object, nullptr);
  // The thread's control block: the list of thread-locals, the values of keys, what strerror said.
  constexpr std::size_t least = 1024;
  const std::uint32_t* const told = names_of_the_c_library.thread_size;
  const std::size_t size = told == nullptr ? least : *told;
  const std::uintptr_t thread = number(__builtin_thread_pointer());
  Map::add(map_now.foreign_data, map_now.foreign_count, thread, size);
  Map::add(map_now.program_data, map_now.program_count, thread, size);
  // What the loader knows of the objects that were there from the start is in pages of its own.
  for (const link_map* object = _r_debug.r_map; object != nullptr; object = object->l_next) {
    constexpr std::size_t object_size = 1280;  // at least what there is
    const std::uintptr_t page = number(object) & ~(page_size() - 1);
    unsigned char present[2] = {0, 0};
    if (mincore(reinterpret_cast<void*>(page), 2 * page_size(), present) == 0) {
      Map::add(map_now.foreign_data, map_now.foreign_count, number(object), object_size);
    } else {
      Map::add(map_now.foreign_data, map_now.foreign_count, number(object),
               page + page_size() - number(object));
    }
  }
}

// The words that chain open streams together; inverted, so as not to be taken for pointers.
struct Streams {
  static constexpr std::size_t max = 256;
  std::array<std::uintptr_t, max> links;
  std::size_t count;
};
Streams streams{};

void list_streams() noexcept {
  std::FILE** const head = names_of_the_c_library.streams;
  streams.count = 0;
  if (head == nullptr) return;
  streams.links[streams.count++] = ~number(head);
  for (std::FILE* file = *head; file != nullptr && streams.count < Streams::max;
       file = file->_chain) {
    streams.links[streams.count++] = ~number(&file->_chain);
  }
}

bool chains_streams(const void* word) noexcept {
  const auto end = streams.links.begin() + static_cast<std::ptrdiff_t>(streams.count);
  return std::find(streams.links.begin(), end, ~number(word)) != end;
}

// Any memory, read as pointers. Not by memcpy, which a sanitizer may watch.
using Word [[gnu::may_alias]] = std::uintptr_t;

// The live allocations, by address, and which of them were reached.
class Search {
 public:
  Search(Live* live, std::size_t count, std::uint64_t start = 0) noexcept
      : live_{live}, count_{count}, start_{start} {
    std::sort(live, live + count, [](const Live& a, const Live& b) {
      return number(a.allocation->address) < number(b.allocation->address);
    });
    const Allocation& last = *live[count - 1].allocation;
    all_ = {number(live[0].allocation->address), number(last.address) + last.size + 1};
  }

  // `from_library`: only what a library made is reached.
  void reach(const Range& root, bool from_library) noexcept {
    from_library_ = from_library;
    scan_present(root);
    while (waiting_ != nullptr) {
      const Allocation& allocation = *waiting_->allocation;
      waiting_ = waiting_->next;
      const std::uintptr_t begin = number(allocation.address);
      scan({begin, begin + allocation.size});
    }
  }

 private:
  // Most of a large zeroed section was never touched; to read it would make it present.
  void scan_present(const Range& range) noexcept {
    const std::uintptr_t page = page_size();
    constexpr std::size_t pages_at_once = 512;
    constexpr std::size_t small = 64;  // pages
    std::uintptr_t at = range.begin & ~(page - 1);
    if (range.end - at <= small * page) return scan(range);
    static unsigned char present[pages_at_once];
    for (; at < range.end; at += pages_at_once * page) {
      const std::size_t pages =
          std::min(pages_at_once, static_cast<std::size_t>((range.end - at + page - 1) / page));
      if (mincore(reinterpret_cast<void*>(at), pages * page, present) != 0) {
        std::memset(present, 1, pages);
      }
      for (std::size_t i = 0; i < pages; ++i) {
        const std::uintptr_t begin = at + i * page;
        if ((present[i] & 1) == 0) continue;
        scan({std::max(begin, range.begin), std::min(begin + page, range.end)});
      }
    }
  }

  void scan(const Range& range) noexcept {
    constexpr std::uintptr_t word = sizeof(void*);
    for (std::uintptr_t at = (range.begin + word - 1) & ~(word - 1); at + word <= range.end;
         at += word) {
      const auto* const where = reinterpret_cast<const Word*>(at);
      if (all_.holds(*where)) found(*where, where);
    }
  }

  void found(std::uintptr_t value, const void* where) noexcept {
    Live* const after =
        std::upper_bound(live_, live_ + count_, value, [](std::uintptr_t address, const Live& one) {
          return address < number(one.allocation->address);
        });
    if (after == live_) return;
    Live& one = after[-1];
    const std::size_t size = std::max<std::size_t>(one.allocation->size, 1);
    if (value - number(one.allocation->address) >= size) return;
    bool& reached = from_library_ ? one.reached_by_library : one.reached_by_program;
    if (reached) return;
    if (from_library_ && (!one.made_by_library || (is_new(one) && chains_streams(where)))) return;
    reached = true;
    one.next = waiting_;
    waiting_ = &one;
  }

  // A stream that was opened at the program's start serves it to its end, as a log does.
  bool is_new(const Live& one) const noexcept { return one.allocation->identity > start_; }

  Live* live_;
  std::size_t count_;
  std::uint64_t start_;  // the last identity of the program's start
  Range all_;
  Live* waiting_ = nullptr;
  bool from_library_ = false;
};

// Under AddressSanitizer operator new does not know its caller; the recorded stack does.
bool made_by_library(const Allocation& allocation) noexcept {
  if (allocation.frames[0] != nullptr && map_now.is_library_code(allocation.frames[0])) return true;
  if (__asan_get_alloc_stack == nullptr) return false;
  void* trace[2] = {nullptr, nullptr};
  int thread = 0;
  const std::size_t count =
      __asan_get_alloc_stack(const_cast<void*>(allocation.address), trace, 2, &thread);
  return count > 1 && map_now.is_library_code(trace[1]);
}

// ---- Libraries that are named ------------------------------------------------------------------

constexpr std::size_t names_max = 32;
std::array<const char*, names_max> names{};
std::size_t names_count = 0;

// UVSIM_KEEPS=name:name
void read_environment() noexcept {
  static bool read = false;
  if (read) return;
  read = true;
  const char* const list = std::getenv("UVSIM_KEEPS");
  if (list == nullptr) return;
  static char text[1024];
  std::snprintf(text, sizeof text, "%s", list);
  for (char* name = std::strtok(text, ":"); name != nullptr; name = std::strtok(nullptr, ":")) {
    library_keeps(name);
  }
}

bool is_kept_by_name(const Allocation& allocation) noexcept {
  for (std::size_t i = 0; i < names_count; ++i) {
    if (detail::was_called_through(allocation, names[i])) return true;
  }
  return false;
}

// A thread's local data, which the dynamic loader makes with the thread. The C library keeps it
// with the stack, for the next one, where no search comes.
bool is_of_loader(const Allocation& allocation) noexcept {
  Dl_info info;
  return allocation.frames[0] != nullptr && dladdr(allocation.frames[0], &info) != 0 &&
         number(info.dli_fbase) == getauxval(AT_BASE);
}

// A string passed to putenv belongs to the environment.
bool is_in_environment(const Allocation& allocation) noexcept {
  if (allocation.address == environ) return true;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (allocation.address == *entry) return true;
  }
  return false;
}

}  // namespace

namespace detail {

void prepare_for_leaks() noexcept {
  names_of_the_c_library.thread_size =
      static_cast<const std::uint32_t*>(dlsym(RTLD_DEFAULT, "_thread_db_sizeof_pthread"));
  names_of_the_c_library.streams = static_cast<std::FILE**>(dlsym(RTLD_DEFAULT, "_IO_list_all"));
  names_of_the_c_library.unchain =
      reinterpret_cast<void (*)(std::FILE*)>(dlsym(RTLD_DEFAULT, "_IO_un_link"));
}

void unchain_streams(const Allocation& allocation) noexcept {
  std::FILE** const head = names_of_the_c_library.streams;
  if (head == nullptr || names_of_the_c_library.unchain == nullptr) return;
  const std::uintptr_t begin = number(allocation.address);
  for (std::FILE* file = *head; file != nullptr;) {
    std::FILE* const next = file->_chain;
    if (number(file) - begin < allocation.size) names_of_the_c_library.unchain(file);
    file = next;
  }
}

void set_program_data(const DataRange* ranges, std::size_t count) noexcept {
  program_ranges = ranges;
  program_ranges_count = count;
}

void find_kept(Live* live, std::size_t count, std::uint64_t start) noexcept {
  if (count == 0) return;
  map_objects();
  read_environment();
  bool any = false;
  for (std::size_t i = 0; i < count; ++i) {
    live[i].made_by_library = made_by_library(*live[i].allocation);
    any = any || live[i].made_by_library;
  }
  if (any) {
    list_streams();
    Search search(live, count, start);
    for (std::size_t i = 0; i < map_now.foreign_count; ++i) {
      search.reach(map_now.foreign_data[i], true);
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    live[i].kept = live[i].reached_by_library || is_in_environment(*live[i].allocation) ||
                   is_of_loader(*live[i].allocation) || is_kept_by_name(*live[i].allocation);
  }
}

void find_reached(Live* live, std::size_t count, const void* stack,
                  const void* stack_end) noexcept {
  if (count == 0) return;
  Search search(live, count);
  for (std::size_t i = 0; i < map_now.program_count; ++i) {
    search.reach(map_now.program_data[i], false);
  }
  for (std::size_t i = 0; i < program_ranges_count; ++i) {
    const std::uintptr_t begin = number(program_ranges[i].begin);
    search.reach({begin, begin + program_ranges[i].size}, false);
  }
  if (stack != nullptr) search.reach({number(stack), number(stack_end)}, false);
  const auto reach_loan = [](void* opaque, const Loan& loan) {
    // The block that it lies in, and what lies in itself.
    const void* const word = loan.address;
    const std::uintptr_t begin = number(loan.address);
    auto& reaching = *static_cast<Search*>(opaque);
    reaching.reach({number(&word), number(&word + 1)}, false);
    reaching.reach({begin, begin + loan.length}, false);
  };
  for_each_loan(reach_loan, &search);
}

}  // namespace detail

bool library_keeps(const char* name) noexcept {
  if (names_count == names_max) return false;
  names[names_count++] = name;
  return true;
}

}  // namespace uvsim::ledger
