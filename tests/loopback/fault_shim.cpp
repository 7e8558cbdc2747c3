// A library for LD_PRELOAD that makes system calls on TCP sockets, and allocations of the program,
// fail when told to. It works on any program; nothing in the product knows of it.
//
// ECHO_FAULTS names the faults, separated by commas, each `call=fault@when`:
//   call   accept, read, write, listen, socket, bind, reuseport (the socket option), option (any
//          other), epoll, eventfd, thread, or new, which is operator new(nothrow): the one
//          way in which the server asks for memory that it can do without. libuv's own allocations
//          are left alone, because libuv does not survive all their failures.
//   fault  an error name (EMFILE), `short` for one byte instead of many, `null` for new
//   when   3 the third call, 3-7 the third to the seventh, 3+ from the third on, *3 every third
// Counting starts when the program listens, for before that it may refuse to start; with
// ECHO_FAULTS_FROM_START in the environment it starts with the program.
//
// ECHO_FAULTS_SHARED is a descriptor number of a shared Counters, by which a test learns what has
// really happened.
#include "fault_shim.hpp"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

enum Call : int {
  call_accept,
  call_read,
  call_write,
  call_listen,
  call_socket,
  call_bind,
  call_reuseport,
  call_option,
  call_epoll,
  call_eventfd,
  call_thread,
  call_new,
  call_count
};
constexpr const char* call_names[call_count] = {"accept", "read",    "write",     "listen",
                                                "socket", "bind",    "reuseport", "option",
                                                "epoll",  "eventfd", "thread",    "new"};
static_assert(call_count <= loopback::fault_calls_max);

struct ErrorName {
  const char* name;
  int number;
};
constexpr int fault_short = -1;
constexpr int fault_null = -2;
constexpr ErrorName error_names[] = {
    {"EMFILE", EMFILE},   {"ENFILE", ENFILE},         {"ECONNABORTED", ECONNABORTED},
    {"EINTR", EINTR},     {"EAGAIN", EAGAIN},         {"ECONNRESET", ECONNRESET},
    {"EPIPE", EPIPE},     {"ENOBUFS", ENOBUFS},       {"ETIMEDOUT", ETIMEDOUT},
    {"ENOMEM", ENOMEM},   {"EADDRINUSE", EADDRINUSE}, {"short", fault_short},
    {"null", fault_null}, {"EPROTO", EPROTO},         {"ENETDOWN", ENETDOWN},
    {"EPERM", EPERM}};

struct Fault {
  int call = 0;
  int kind = 0;
  unsigned long first = 0, last = 0, period = 0;

  bool due(unsigned long count) const {
    return period > 0 ? count % period == 0 : count >= first && count <= last;
  }
};

Fault faults[16];
int fault_count = 0;
std::atomic<bool> counting = false;
loopback::FaultCounters private_counters;
loopback::FaultCounters* counters = &private_counters;

template <typename Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

[[noreturn]] void refuse(const char* text) {
  constexpr char message[] = "fault shim: cannot read ";
  (void)!::write(STDERR_FILENO, message, sizeof message - 1);
  (void)!::write(STDERR_FILENO, text, std::strlen(text));
  ::_exit(126);
}

// Returns what follows the fault.
const char* parse_fault(const char* text) {
  if (fault_count == static_cast<int>(sizeof faults / sizeof *faults)) refuse(text);
  Fault& fault = faults[fault_count++];
  const char* const equals = std::strchr(text, '=');
  const char* const at = std::strchr(text, '@');
  if (equals == nullptr || at == nullptr) refuse(text);
  const auto is = [](const char* from, const char* to, const char* name) {
    const auto size = static_cast<std::size_t>(to - from);
    return std::strlen(name) == size && std::memcmp(from, name, size) == 0;
  };
  while (fault.call < call_count && !is(text, equals, call_names[fault.call])) ++fault.call;
  if (fault.call == call_count) refuse(text);
  for (const ErrorName& each : error_names) {
    if (is(equals + 1, at, each.name)) fault.kind = each.number;
  }
  if (fault.kind == 0) refuse(text);
  char* end = nullptr;
  if (at[1] == '*') {
    fault.period = std::strtoul(at + 2, &end, 10);
    return end;
  }
  fault.first = fault.last = std::strtoul(at + 1, &end, 10);
  if (*end == '+') {
    fault.last = ~0UL;
    return end + 1;
  }
  if (*end == '-') fault.last = std::strtoul(end + 1, &end, 10);
  return end;
}

__attribute__((constructor)) void read_environment() {
  counting = std::getenv("ECHO_FAULTS_FROM_START") != nullptr;
  const char* text = std::getenv("ECHO_FAULTS");
  while (text != nullptr && *text != '\0') {
    text = parse_fault(text);
    if (*text == ',') ++text;
  }
  if (const char* const shared = std::getenv("ECHO_FAULTS_SHARED")) {
    void* const place =
        ::mmap(nullptr, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, std::atoi(shared), 0);
    if (place == MAP_FAILED) refuse(shared);
    counters = static_cast<loopback::FaultCounters*>(place);
  }
}

// The fault that this call has to show; 0 for none.
int next_fault(Call call) {
  if (!counting) return 0;
  const unsigned long count = ++counters->calls[call];
  for (int index = 0; index < fault_count; ++index) {
    if (faults[index].call == call && faults[index].due(count)) {
      ++counters->injected;
      return faults[index].kind;
    }
  }
  return 0;
}

bool is_tcp_socket(int fd) {
  int type = 0;
  int domain = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM) return false;
  size = sizeof domain;
  if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) return false;
  return domain == AF_INET || domain == AF_INET6;
}

// For read and write: the error to report, or the size to go on with.
bool shows_error(Call call, int fd, std::size_t& size) {
  const int saved = errno;
  const bool concerned = counting && is_tcp_socket(fd);
  errno = saved;
  if (!concerned) return false;
  const int kind = next_fault(call);
  if (kind == fault_short && size > 1) size = 1;
  if (kind <= 0) return false;
  errno = kind;
  return true;
}

// For all other calls that tell their error by errno.
bool fails(Call call) {
  const int kind = next_fault(call);
  if (kind > 0) errno = kind;
  return kind > 0;
}

void* allocate(std::size_t size, std::size_t alignment) {
  if (next_fault(call_new) != 0) return nullptr;
  if (alignment == 0) return std::malloc(size > 0 ? size : 1);
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

}  // namespace

extern "C" {

int socket(int domain, int type, int protocol) {
  if (fails(call_socket)) return -1;
  return real<int (*)(int, int, int)>("socket")(domain, type, protocol);
}

int bind(int fd, const sockaddr* address, socklen_t size) {
  if (fails(call_bind)) return -1;
  return real<int (*)(int, const sockaddr*, socklen_t)>("bind")(fd, address, size);
}

int epoll_create1(int flags) {
  if (fails(call_epoll)) return -1;
  return real<int (*)(int)>("epoll_create1")(flags);
}

int eventfd(unsigned value, int flags) {
  if (fails(call_eventfd)) return -1;
  return real<int (*)(unsigned, int)>("eventfd")(value, flags);
}

int listen(int fd, int backlog) {
  counting = true;
  if (fails(call_listen)) return -1;
  return real<int (*)(int, int)>("listen")(fd, backlog);
}

int accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  if (fails(call_accept)) return -1;
  using Function = int (*)(int, sockaddr*, socklen_t*, int);
  return real<Function>("accept4")(fd, address, size, flags);
}

int accept(int fd, sockaddr* address, socklen_t* size) { return accept4(fd, address, size, 0); }

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) {
  if (const int kind = next_fault(call_thread); kind > 0) return kind;
  using Function = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  return real<Function>("pthread_create")(thread, attributes, start, argument);
}

int setsockopt(int fd, int level, int name, const void* value, socklen_t size) {
  const Call call = level == SOL_SOCKET && name == SO_REUSEPORT ? call_reuseport : call_option;
  if (fails(call)) return -1;
  using Function = int (*)(int, int, int, const void*, socklen_t);
  return real<Function>("setsockopt")(fd, level, name, value, size);
}

ssize_t read(int fd, void* place, size_t size) {
  if (shows_error(call_read, fd, size)) return -1;
  return real<ssize_t (*)(int, void*, size_t)>("read")(fd, place, size);
}

ssize_t write(int fd, const void* place, size_t size) {
  if (shows_error(call_write, fd, size)) return -1;
  return real<ssize_t (*)(int, const void*, size_t)>("write")(fd, place, size);
}

ssize_t writev(int fd, const iovec* pieces, int count) {
  size_t size = 2;  // more than one byte, or it would not be written in pieces
  if (shows_error(call_write, fd, size)) return -1;
  iovec first = pieces[0];
  if (size == 1 && first.iov_len > 0) {
    first.iov_len = 1;
    return real<ssize_t (*)(int, const iovec*, int)>("writev")(fd, &first, 1);
  }
  return real<ssize_t (*)(int, const iovec*, int)>("writev")(fd, pieces, count);
}

}  // extern "C"

void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, 0); }

void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, 0); }

void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return allocate(size, static_cast<std::size_t>(alignment));
}

void* operator new[](std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return allocate(size, static_cast<std::size_t>(alignment));
}
