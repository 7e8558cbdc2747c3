// What libuv tells a program about its process and its machine.
//
// The process is real: its number, its environment, its directory, its executable. The machine is
// not: one processor, some memory, no load, a name; so that a run is the same everywhere.
#include <fcntl.h>
#include <pwd.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "internal.hpp"
#include "periphery.hpp"

namespace uvsim {

namespace {

constexpr uint64_t gigabyte = uint64_t{1} << 30;
constexpr char machine_name[] = "localhost";
constexpr char processor_name[] = "simulated";

char title[256];
bool has_title = false;
int priority_set = UV_PRIORITY_NORMAL;

// Copies a text that must fit, as libuv's getters do: the size becomes the length, or on ENOBUFS
// what would have been enough.
int give_text(const char* text, size_t length, char* buffer, size_t* size) {
  if (length >= *size) {
    *size = length + 1;
    return UV_ENOBUFS;
  }
  std::memcpy(buffer, text, length);
  buffer[length] = '\0';
  *size = length;
  return 0;
}

bool bad(const char* buffer, const size_t* size) {
  return buffer == nullptr || size == nullptr || *size == 0;
}

// The first of these that is set, or null.
const char* first_set(const char* const* names, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const char* value = std::getenv(names[i]);
    if (value != nullptr) return value;
  }
  return nullptr;
}

void set_title(const char* text) {
  const size_t length = std::min(std::strlen(text), sizeof title - 1);
  std::memcpy(title, text, length);
  title[length] = '\0';
  has_title = true;
}

}  // namespace

void reset_process() noexcept {
  has_title = false;
  priority_set = UV_PRIORITY_NORMAL;
}

}  // namespace uvsim

using namespace uvsim;  // NOLINT(google-build-using-namespace): the C functions of libuv follow.

extern "C" {

// ---- The process -------------------------------------------------------------------------------

uv_pid_t uv_os_getpid(void) { return getpid(); }

uv_pid_t uv_os_getppid(void) { return getppid(); }

char** uv_setup_args(int argc, char** argv) {
  if (argc > 0) set_title(argv[0]);
  return argv;
}

int uv_get_process_title(char* buffer, size_t size) {
  if (buffer == nullptr || size == 0) return UV_EINVAL;
  if (!has_title || std::strlen(title) >= size) return UV_ENOBUFS;
  std::memcpy(buffer, title, std::strlen(title) + 1);
  return 0;
}

int uv_set_process_title(const char* text) {
  if (!has_title) return UV_ENOBUFS;
  set_title(text);
  return 0;
}

int uv_exepath(char* buffer, size_t* size) {
  if (bad(buffer, size)) return UV_EINVAL;
  // readlink() refuses an empty buffer, libuv does not.
  const size_t room = *size - 1;
  const ssize_t length = room == 0 ? 0 : readlink("/proc/self/exe", buffer, room);
  if (length < 0) return -errno;
  buffer[length] = '\0';
  *size = static_cast<size_t>(length);
  return 0;
}

int uv_cwd(char* buffer, size_t* size) {
  if (bad(buffer, size)) return UV_EINVAL;
  char path[PATH_MAX];
  if (getcwd(path, sizeof path) == nullptr) return -errno;
  return give_text(path, std::strlen(path), buffer, size);
}

int uv_chdir(const char* dir) { return chdir(dir) == 0 ? 0 : -errno; }

void uv_disable_stdio_inheritance(void) {
  // There are no children to inherit it.
}

uv_os_fd_t uv_get_osfhandle(int fd) { return fd; }

int uv_open_osfhandle(uv_os_fd_t os_fd) { return os_fd; }

// No terminal was opened, so that none has to be put back.
int uv_tty_reset_mode(void) { return 0; }

// ---- The environment ---------------------------------------------------------------------------

int uv_os_getenv(const char* name, char* buffer, size_t* size) {
  if (name == nullptr || bad(buffer, size)) return UV_EINVAL;
  const char* value = std::getenv(name);
  if (value == nullptr) return UV_ENOENT;
  return give_text(value, std::strlen(value), buffer, size);
}

int uv_os_setenv(const char* name, const char* value) {
  if (name == nullptr || value == nullptr) return UV_EINVAL;
  const ledger::Outside outside;  // What the C library keeps is no leak of the program.
  return setenv(name, value, 1) == 0 ? 0 : -errno;
}

int uv_os_unsetenv(const char* name) {
  if (name == nullptr) return UV_EINVAL;
  return unsetenv(name) == 0 ? 0 : -errno;
}

int uv_os_environ(uv_env_item_t** envitems, int* count) {
  *envitems = nullptr;
  *count = 0;
  size_t entries = 0;
  size_t bytes = 0;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::strchr(*entry, '=') == nullptr) continue;
    ++entries;
    bytes += std::strlen(*entry) + 1;
  }
  auto* const items =
      static_cast<uv_env_item_t*>(program_malloc(entries * sizeof(uv_env_item_t) + bytes + 1));
  if (items == nullptr) return UV_ENOMEM;
  auto* text = reinterpret_cast<char*>(items + entries);
  uv_env_item_t* item = items;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const char* const equals = std::strchr(*entry, '=');
    if (equals == nullptr) continue;
    const size_t length = std::strlen(*entry) + 1;
    std::memcpy(text, *entry, length);
    item->name = text;
    text[equals - *entry] = '\0';
    item->value = text + (equals - *entry) + 1;
    text += length;
    ++item;
  }
  *envitems = items;
  *count = static_cast<int>(entries);
  return 0;
}

void uv_os_free_environ(uv_env_item_t* envitems, int) { program_free(envitems); }

int uv_os_homedir(char* buffer, size_t* size) {
  constexpr const char* name = "HOME";
  if (bad(buffer, size)) return UV_EINVAL;
  const char* home = first_set(&name, 1);
  if (home == nullptr) home = "/";
  return give_text(home, std::strlen(home), buffer, size);
}

int uv_os_tmpdir(char* buffer, size_t* size) {
  constexpr const char* names[] = {"TMPDIR", "TMP", "TEMP", "TEMPDIR"};
  if (bad(buffer, size)) return UV_EINVAL;
  const char* directory = first_set(names, std::size(names));
  if (directory == nullptr) directory = "/tmp";
  size_t length = std::strlen(directory);
  if (length > 1 && directory[length - 1] == '/') --length;
  return give_text(directory, length, buffer, size);
}

// ---- The machine -------------------------------------------------------------------------------

int uv_os_gethostname(char* buffer, size_t* size) {
  if (bad(buffer, size)) return UV_EINVAL;
  return give_text(machine_name, std::strlen(machine_name), buffer, size);
}

int uv_os_uname(uv_utsname_t* buffer) {
  if (buffer == nullptr) return UV_EINVAL;
  utsname real;
  uname(&real);
  std::memcpy(buffer->sysname, real.sysname, sizeof real.sysname);
  std::memcpy(buffer->release, real.release, sizeof real.release);
  std::memcpy(buffer->version, real.version, sizeof real.version);
  std::memcpy(buffer->machine, real.machine, sizeof real.machine);
  return 0;
}

int uv_os_getpriority(uv_pid_t, int* priority) {
  if (priority == nullptr) return UV_EINVAL;
  *priority = priority_set;
  return 0;
}

int uv_os_setpriority(uv_pid_t, int priority) {
  if (priority < UV_PRIORITY_HIGHEST || priority > UV_PRIORITY_LOW) return UV_EINVAL;
  priority_set = priority;
  return 0;
}

unsigned int uv_available_parallelism(void) { return 1; }

int uv_cpu_info(uv_cpu_info_t** cpu_infos, int* count) {
  *cpu_infos = nullptr;
  *count = 0;
  const size_t size = sizeof(uv_cpu_info_t) + sizeof processor_name;
  auto* const info = static_cast<uv_cpu_info_t*>(program_malloc(size));
  if (info == nullptr) return UV_ENOMEM;
  std::memset(info, 0, size);
  info->model = static_cast<char*>(
      std::memcpy(static_cast<void*>(info + 1), processor_name, sizeof processor_name));
  info->speed = 1000;
  *cpu_infos = info;
  *count = 1;
  return 0;
}

void uv_free_cpu_info(uv_cpu_info_t* cpu_infos, int) { program_free(cpu_infos); }

uint64_t uv_get_total_memory(void) { return 8 * gigabyte; }

uint64_t uv_get_free_memory(void) { return 4 * gigabyte; }

uint64_t uv_get_constrained_memory(void) { return 0; }

#if UV_VERSION_HEX >= 0x012d00
uint64_t uv_get_available_memory(void) { return 4 * gigabyte; }
#endif

int uv_resident_set_memory(size_t* rss) {
  *rss = gigabyte / 64;
  return 0;
}

int uv_uptime(double* uptime) {
  *uptime = static_cast<double>(look().now_ns / 1'000'000'000);
  return 0;
}

void uv_loadavg(double avg[3]) { std::fill_n(avg, 3, 0.0); }

// Computing takes no time, only waiting does.
int uv_getrusage(uv_rusage_t* rusage) {
  std::memset(rusage, 0, sizeof *rusage);
  return 0;
}

}  // extern "C"
