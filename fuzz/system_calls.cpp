#include "system_calls.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <ctime>

extern "C" {
int __real_accept4(int fd, sockaddr* address, socklen_t* size, int flags);
int __real_accept(int fd, sockaddr* address, socklen_t* size);
ssize_t __real_read(int fd, void* place, std::size_t size);
ssize_t __real_write(int fd, const void* place, std::size_t size);
ssize_t __real_writev(int fd, const iovec* pieces, int count);
int __real_socket(int domain, int type, int protocol);
int __real_listen(int fd, int backlog);
int __real_clock_gettime(clockid_t clock, timespec* time);
}

namespace fuzz::system_calls {
namespace {

constexpr int no_fault = 0;
constexpr int shortened = -1;  // one byte, where there were more
constexpr std::size_t kinds = 4;
// An error that the caller has to bear without losing anything comes first, as often as not.
constexpr std::array<std::array<int, kinds>, call_count> faults{{
    {EINTR, EAGAIN, EMFILE, ECONNABORTED},
    {shortened, EINTR, EAGAIN, ECONNRESET},
    {shortened, EINTR, EAGAIN, EPIPE},
    {EMFILE, EMFILE, ENOBUFS, EMFILE},
    {EADDRINUSE, EADDRINUSE, EADDRINUSE, EADDRINUSE},
}};

struct Planned {
  int fault = no_fault;
  std::uint8_t wait = 0;
  std::uint8_t times = 0;
};

constexpr std::uint64_t start_ms = 1'000'000;

std::array<Planned, call_count> planned;
std::uint64_t clock_ms = start_ms;
bool inside = false;
std::uint64_t calls_made = 0;
std::uint64_t calls_failed = 0;
Broken broken = nullptr;
void* broken_context = nullptr;

std::uint16_t port_of_other_end(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  const bool known = ::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  return known ? ntohs(address.sin_port) : std::uint16_t{0};
}

bool is_socket(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
}

// The fault that this call has to show.
int next_fault(Call call, int fd) {
  if (!inside) return no_fault;
  ++calls_made;
  Planned& plan = planned[static_cast<std::size_t>(call)];
  if (plan.times == 0) return no_fault;
  const int saved = errno;
  const bool concerned = fd < 0 || is_socket(fd);  // and not the pipe by which a loop is woken up
  errno = saved;
  if (!concerned) return no_fault;
  if (plan.wait > 0) {
    --plan.wait;
    return no_fault;
  }
  --plan.times;
  ++calls_failed;
  const int fault = plan.fault;
  const bool bearable = fault == shortened || fault == EINTR || fault == EAGAIN;
  if (!bearable && broken != nullptr) {
    const bool connected = call == Call::read || call == Call::write;
    broken(broken_context, connected ? port_of_other_end(fd) : std::uint16_t{0});
  }
  return fault;
}

// What the caller is to return, or `size` as it is to go on with.
bool fails(Call call, int fd, std::size_t& size) {
  const int fault = next_fault(call, fd);
  if (fault == shortened && size > 1) size = 1;
  if (fault <= 0) return false;
  errno = fault;
  return true;
}

bool fails(Call call, int fd) {
  std::size_t size = 0;
  return fails(call, fd, size);
}

}  // namespace

void begin() {
  planned = {};
  clock_ms = start_ms;
}

void plan(Call call, std::uint8_t kind, std::uint8_t wait, std::uint8_t times) {
  const auto index = static_cast<std::size_t>(call);
  planned[index] = {.fault = faults[index][kind % kinds], .wait = wait, .times = times};
}

void stop_failing() { planned = {}; }

std::uint64_t now_ms() { return clock_ms; }
void advance(std::uint64_t ms) { clock_ms += ms; }

Inside::Inside() { inside = true; }
Inside::~Inside() { inside = false; }

void on_broken(Broken told, void* context) {
  broken = told;
  broken_context = context;
}

std::uint64_t calls() { return calls_made; }
std::uint64_t failures() { return calls_failed; }

}  // namespace fuzz::system_calls

using fuzz::system_calls::Call;
using fuzz::system_calls::fails;

// The names are the linker's.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
extern "C" {

int __wrap_accept4(int fd, sockaddr* address, socklen_t* size, int flags) {
  return fails(Call::accept, fd) ? -1 : __real_accept4(fd, address, size, flags);
}

int __wrap_accept(int fd, sockaddr* address, socklen_t* size) {
  return fails(Call::accept, fd) ? -1 : __real_accept(fd, address, size);
}

ssize_t __wrap_read(int fd, void* place, std::size_t size) {
  return fails(Call::read, fd, size) ? -1 : __real_read(fd, place, size);
}

ssize_t __wrap_write(int fd, const void* place, std::size_t size) {
  return fails(Call::write, fd, size) ? -1 : __real_write(fd, place, size);
}

ssize_t __wrap_writev(int fd, const iovec* pieces, int count) {
  std::size_t size = 2;  // more than a byte, or it would not be in pieces
  if (fails(Call::write, fd, size)) return -1;
  return size == 1 ? __real_write(fd, pieces->iov_base, pieces->iov_len > 0 ? 1 : 0)
                   : __real_writev(fd, pieces, count);
}

int __wrap_socket(int domain, int type, int protocol) {
  return fails(Call::socket, -1) ? -1 : __real_socket(domain, type, protocol);
}

int __wrap_listen(int fd, int backlog) {
  return fails(Call::listen, fd) ? -1 : __real_listen(fd, backlog);
}

int __wrap_clock_gettime(clockid_t clock, timespec* time) {
  if (!fuzz::system_calls::inside) return __real_clock_gettime(clock, time);
  const std::uint64_t ms = fuzz::system_calls::clock_ms;
  time->tv_sec = static_cast<std::time_t>(ms / 1000);
  time->tv_nsec = static_cast<long>(ms % 1000 * 1'000'000);
  return 0;
}

}  // extern "C"
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
