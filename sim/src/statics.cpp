// Each run starts alike: the static data of the program under test is put back between the runs of
// one process, and its constructors and exit handlers run in each, as in a process of its own.
//
// Which data is the program's is read from the symbol table of the executable: objects in .data,
// .bss and their thread-local siblings, of every file that is neither uvsim's, the harness's, the
// engine's nor a sanitizer's. A file that a driver keeps things in is the driver's, too: one with a
// symbol of the fuzz target, and one whose data has changed between two runs, or before the first.
//
// Three states of that data matter. `loaded` is what it was before any constructor: a copy is taken
// by a constructor of priority 101. `constructed` is what it was when all constructors had run:
// there it is put back to after each run, so that the objects that were constructed with the
// process are destroyed with it. A run begins with `loaded`, and with the program's constructors.
//
// Without a symbol table (a program that was stripped) nothing is put back. Not covered are static
// data inside shared libraries and of the C library, but for getopt, rand and the locale. What of
// the process is put back: surroundings.cpp, driver_signals.cpp.
//
// Compiled without instrumentation: between objects lie red zones.
#include "statics.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <clocale>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "ledger_book.hpp"

extern "C" {
extern char** environ;
}

namespace uvsim::statics {
namespace {

using Byte = unsigned char;
using Constructor = void (*)(int, char**, char**);

// Not by memcpy, which a sanitizer watches.
void copy(void* to, const void* from, std::size_t size) {
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}
void clear(void* to, std::size_t size) {
  asm volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(0) : "memory");
}
bool same(const Byte* a, const Byte* b, std::size_t size) {
  for (; size >= sizeof(std::uint64_t); size -= sizeof(std::uint64_t)) {
    using Word [[gnu::may_alias, gnu::aligned(1)]] = std::uint64_t;
    if (*reinterpret_cast<const Word*>(a) != *reinterpret_cast<const Word*>(b)) return false;
    a += sizeof(std::uint64_t);
    b += sizeof(std::uint64_t);
  }
  for (std::size_t i = 0; i < size; ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

Byte* map(std::size_t size) {
  void* const memory =
      mmap(nullptr, size + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<Byte*>(memory);
}

// ---- The executable ----------------------------------------------------------------------------

struct Segments {
  std::uintptr_t base = 0;  // what is added to addresses in the file
  Byte* data = nullptr;     // the writable part that has content in the file
  std::size_t data_size = 0;
  Byte* tls = nullptr;  // of this thread
  const Byte* tls_image = nullptr;
  std::size_t tls_image_size = 0;
};

int find_segments(dl_phdr_info* info, std::size_t, void* found) {
  auto& segments = *static_cast<Segments*>(found);
  segments.base = info->dlpi_addr;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& part = info->dlpi_phdr[i];
    auto* const begin = reinterpret_cast<Byte*>(info->dlpi_addr + part.p_vaddr);
    if (part.p_type == PT_LOAD && (part.p_flags & PF_W) != 0) {
      segments.data = begin;
      segments.data_size = part.p_filesz;
    } else if (part.p_type == PT_TLS) {
      segments.tls = static_cast<Byte*>(info->dlpi_tls_data);
      segments.tls_image = begin;
      segments.tls_image_size = part.p_filesz;
    }
  }
  return 1;  // the executable comes first
}

const Byte* loaded_data = nullptr;

__attribute__((constructor(101))) void keep_what_was_loaded() {
  Segments segments;
  dl_iterate_phdr(find_segments, &segments);
  Byte* const kept = map(segments.data_size);
  if (kept == nullptr) return;
  copy(kept, segments.data, segments.data_size);
  loaded_data = kept;
}

// The file of the executable, mapped.
class File {
 public:
  File() {
    const int descriptor = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return;
    struct stat status{};
    if (fstat(descriptor, &status) == 0) {
      size_ = static_cast<std::size_t>(status.st_size);
      void* const memory = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
      if (memory != MAP_FAILED) begin_ = static_cast<const Byte*>(memory);
    }
    close(descriptor);
  }
  ~File() {
    if (begin_ != nullptr) munmap(const_cast<Byte*>(begin_), size_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  template <class T>
  const T* at(std::size_t offset) const {
    return reinterpret_cast<const T*>(begin_ + offset);
  }
  bool is_there() const { return begin_ != nullptr; }

 private:
  const Byte* begin_ = nullptr;
  std::size_t size_ = 0;
};

bool contains_any(std::string_view text, std::initializer_list<std::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(), [text](std::string_view part) {
    return text.find(part) != std::string_view::npos;
  });
}

// The name of something that is surely no program's.
bool is_of_machinery(std::string_view name) {
  return contains_any(
      name, {"5uvsim", "7harness", "6fuzzer", "11__sanitizer", "6__asan", "7__ubsan", "6__lsan",
             "6__tsan", "6__msan", "14__interception", "8__sancov", "LLVMFuzzerTestOneInput"});
}
bool is_file_of_machinery(std::string_view name) {
  return contains_any(name, {"asan_", "sanitizer_", "ubsan_", "lsan_", "tsan_", "msan_", "Fuzzer",
                             "crtstuff.c", "sancov"});
}
// Symbols of the compiler and the standard library, which all code shares.
bool is_shared(std::string_view name) {
  return name.starts_with("_ZNSt") || name.starts_with("_ZGVNSt") || name.starts_with("_ZSt") ||
         name.starts_with("_ZZNSt") || name.starts_with("_ZNKSt") ||
         name.find('@') != std::string_view::npos ||
         (name.starts_with("__") && name != "__tls_guard");
}

constexpr std::uint32_t no_file = ~std::uint32_t{0};

struct Item {
  Byte* begin;
  std::size_t size;
  const Byte* loaded;       // null: zeroes
  const Byte* constructed;  // null: zeroes, and too large to be looked at
  std::uint32_t file;       // no_file: all the world knows the name
  bool given_up;            // it is the driver's
};

struct Statics {
  bool known = false;
  std::vector<Item> items;
  std::vector<bool> files_given_up;
  std::vector<std::pair<Constructor, std::uint32_t>> constructors;  // with their files
  std::vector<ledger::detail::DataRange> ranges;
};
Statics* all = nullptr;

constexpr std::size_t large = 65536;

class Reader {
 public:
  explicit Reader(Statics& into) : into_(into) { dl_iterate_phdr(find_segments, &segments_); }

  void read() {
    if (!file_.is_there() || loaded_data == nullptr) return;
    const auto* const header = file_.at<ElfW(Ehdr)>(0);
    sections_ = file_.at<ElfW(Shdr)>(header->e_shoff);
    section_count_ = header->e_shnum;
    section_names_ = file_.at<char>(sections_[header->e_shstrndx].sh_offset);
    for (std::size_t i = 0; i < section_count_; ++i) {
      if (sections_[i].sh_type == SHT_SYMTAB) symbols(sections_[i]);
    }
    for (std::size_t i = 0; i < section_count_; ++i) {
      if (sections_[i].sh_type == SHT_INIT_ARRAY) constructors(sections_[i]);
    }
  }

 private:
  enum class Place : std::uint8_t { elsewhere, data, zeroes, thread };

  Place place_of(const ElfW(Sym) & symbol) const {
    if (symbol.st_shndx == SHN_UNDEF || symbol.st_shndx >= section_count_) return Place::elsewhere;
    const ElfW(Shdr)& section = sections_[symbol.st_shndx];
    if ((section.sh_flags & SHF_WRITE) == 0) return Place::elsewhere;
    const std::string_view name(section_names_ + section.sh_name);
    const auto is = [name](std::string_view kind) {
      return name == kind || (name.starts_with(kind) && name[kind.size()] == '.');
    };
    if (name.starts_with(".data.rel.ro")) return Place::elsewhere;
    if (is(".tdata") || is(".tbss")) return Place::thread;
    if (is(".data")) return Place::data;
    return is(".bss") ? Place::zeroes : Place::elsewhere;
  }

  void symbols(const ElfW(Shdr) & table) {
    const auto* const first = file_.at<ElfW(Sym)>(table.sh_offset);
    const char* const names = file_.at<char>(sections_[table.sh_link].sh_offset);
    const std::size_t count = table.sh_size / sizeof(ElfW(Sym));
    std::uint32_t file = no_file;
    std::vector<bool> machinery;
    for (std::size_t i = 0; i < count; ++i) {
      const ElfW(Sym)& symbol = first[i];
      const char* const name = names + symbol.st_name;
      const unsigned type = ELF64_ST_TYPE(symbol.st_info);
      if (type == STT_FILE) {
        file = static_cast<std::uint32_t>(machinery.size());
        machinery.push_back(is_file_of_machinery(name));
        continue;
      }
      if (ELF64_ST_BIND(symbol.st_info) != STB_LOCAL) file = no_file;
      const bool is_machinery = is_of_machinery(name);
      if (is_machinery && file != no_file) machinery[file] = true;
      if (is_machinery) continue;
      if (type == STT_FUNC) functions_.push_back({segments_.base + symbol.st_value, name, file});
      if ((type == STT_OBJECT || type == STT_TLS) && symbol.st_size > 0) add(symbol, name, file);
    }
    into_.files_given_up = machinery;
    std::erase_if(into_.items, [&machinery](const Item& item) {
      return item.file != no_file && machinery[item.file];
    });
    merge();
  }

  void add(const ElfW(Sym) & symbol, const char* name, std::uint32_t file) {
    const Place place = place_of(symbol);
    if (is_shared(name)) return;
    if (place == Place::elsewhere) {
      // A section of the program's own. Memory that it reaches is no leak.
      if (symbol.st_shndx == SHN_UNDEF || symbol.st_shndx >= section_count_) return;
      if ((sections_[symbol.st_shndx].sh_flags & SHF_WRITE) == 0) return;
      into_.ranges.push_back(
          {reinterpret_cast<const void*>(segments_.base + symbol.st_value), symbol.st_size});
      return;
    }
    // The C library's, which the linker has put here (optind, environ).
    if (file == no_file && dlsym(RTLD_NEXT, name) != nullptr) return;
    Item item{nullptr, symbol.st_size, nullptr, nullptr, file, false};
    if (place == Place::thread) {
      if (segments_.tls == nullptr) return;
      item.begin = segments_.tls + symbol.st_value;
      if (symbol.st_value + symbol.st_size <= segments_.tls_image_size) {
        item.loaded = segments_.tls_image + symbol.st_value;
      }
    } else {
      item.begin = reinterpret_cast<Byte*>(segments_.base + symbol.st_value);
      const auto offset = static_cast<std::size_t>(item.begin - segments_.data);
      if (offset + item.size <= segments_.data_size) item.loaded = loaded_data + offset;
    }
    into_.items.push_back(item);
  }

  // Names for the same data are one.
  void merge() {
    auto& items = into_.items;
    std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
      return a.begin != b.begin ? a.begin < b.begin : a.size > b.size;
    });
    const Byte* end = nullptr;
    std::erase_if(items, [&end](const Item& item) {
      if (item.begin < end) return true;
      end = item.begin + item.size;
      return false;
    });
  }

  void constructors(const ElfW(Shdr) & section) {
    const auto* const first =
        reinterpret_cast<const std::uintptr_t*>(segments_.base + section.sh_addr);
    for (std::size_t i = 0; i < section.sh_size / sizeof(std::uintptr_t); ++i) {
      for (const Function& function : functions_) {
        if (function.address != first[i]) continue;
        const bool machinery = function.file != no_file && into_.files_given_up[function.file];
        const std::string_view name(function.name);
        if (!machinery && !is_shared(name) && name != "frame_dummy" && !name.starts_with("asan.") &&
            !name.starts_with("sancov.")) {
          into_.constructors.emplace_back(reinterpret_cast<Constructor>(first[i]), function.file);
        }
        break;
      }
    }
  }

  struct Function {
    std::uintptr_t address;
    const char* name;
    std::uint32_t file;
  };

  Statics& into_;
  Segments segments_;
  File file_;
  const ElfW(Shdr) * sections_ = nullptr;
  std::size_t section_count_ = 0;
  const char* section_names_ = nullptr;
  std::vector<Function> functions_;
};

void keep_constructed(Statics& statics) {
  std::size_t size = 0;
  for (const Item& item : statics.items) size += item.size;
  Byte* kept = map(size);
  if (kept == nullptr) return;
  for (Item& item : statics.items) {
    if (item.loaded == nullptr && item.size >= large) continue;
    copy(kept, item.begin, item.size);
    item.constructed = kept;
    kept += item.size;
  }
  for (const Item& item : statics.items) statics.ranges.push_back({item.begin, item.size});
  statics.known = true;
}

void know() {
  if (all != nullptr) return;
  all = new Statics;  // as long as the process
  Reader(*all).read();
  keep_constructed(*all);
}

bool is_given_up(const Item& item) {
  return item.given_up || (item.file != no_file && all->files_given_up[item.file]);
}

void clear_large(const Item& item) {
  const auto page = static_cast<std::uintptr_t>(getpagesize());
  const auto begin = reinterpret_cast<std::uintptr_t>(item.begin);
  const std::uintptr_t first = (begin + page - 1) & ~(page - 1);
  const std::uintptr_t last = (begin + item.size) & ~(page - 1);
  clear(item.begin, first - begin);
  clear(reinterpret_cast<void*>(last), begin + item.size - last);
  // Untouched pages cost nothing then.
  madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

// What of the C library's own state programs come upon.
void put_back_the_c_library() {
  optind = 0;  // says to getopt that it begins anew
  opterr = 1;
  optopt = '?';
  optarg = nullptr;
  std::srand(1);
  const char* const locale = std::setlocale(LC_ALL, nullptr);
  if (locale == nullptr || locale[0] != 'C' || locale[1] != '\0') std::setlocale(LC_ALL, "C");
}

// When the last constructor has run, and main has not begun; only a fuzz target needs it so soon.
extern "C" [[gnu::weak]] int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
__attribute__((constructor)) void know_in_time() {
  if (&LLVMFuzzerTestOneInput != nullptr) know();
}

}  // namespace

void look() {
  const ledger::Outside outside;
  know();
  if (!all->known) return;
  ledger::detail::set_program_data(all->ranges.data(), all->ranges.size());
  for (Item& item : all->items) {
    if (is_given_up(item) || item.constructed == nullptr) continue;
    if (same(item.begin, item.constructed, item.size)) continue;
    item.given_up = true;
    if (item.file != no_file) all->files_given_up[item.file] = true;
  }
}

void construct(Context& context) {
  if (!all->known) return;
  context.keeps_exit_handlers = true;
  {
    const ledger::Outside outside;
    put_back_the_c_library();
    for (const Item& item : all->items) {
      if (is_given_up(item) || item.constructed == nullptr) continue;
      if (item.loaded != nullptr) {
        copy(item.begin, item.loaded, item.size);
      } else {
        clear(item.begin, item.size);
      }
    }
  }
  static char name[] = "program";
  static char* arguments[] = {name, nullptr};
  for (const auto& [constructor, file] : all->constructors) {
    if (file == no_file || !all->files_given_up[file]) constructor(1, arguments, environ);
  }
}

bool keeps_exit_handler(void (*function)(void*), void* argument) {
  if (ledger::detail::inside <= 0) return false;
  Context* const context = current_or_null();
  if (context == nullptr || !context->keeps_exit_handlers) return false;
  const ledger::Outside outside;
  context->exit_handlers.push_back({function, argument});
  return true;
}

void run_exit_handlers(Context& context) {
  while (!context.exit_handlers.empty()) {
    const ExitHandler last = context.exit_handlers.back();
    context.exit_handlers.pop_back();
    last.function(last.argument);
  }
  context.keeps_exit_handlers = false;
}

void put_back() {
  const ledger::Outside outside;
  if (all == nullptr || !all->known) return;
  for (const Item& item : all->items) {
    if (is_given_up(item)) continue;
    if (item.constructed == nullptr) {
      clear_large(item);
    } else if (!same(item.begin, item.constructed, item.size)) {
      copy(item.begin, item.constructed, item.size);
    }
  }
}

}  // namespace uvsim::statics
