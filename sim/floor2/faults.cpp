// What can go wrong in a system call, as its page in section 2 of the manual says. An answer that
// leaves something behind, as a reset does, leaves it in the simulated kernel.
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "context.hpp"

namespace uvsim {
namespace {

using syscalls::Call;

// The errno value of an answer; 0: the call happens.
template <size_t n>
int error_of(uint32_t answer, const std::array<int, n>& errors) {
  return errors[std::min<size_t>(answer, n - 1)];
}

}  // namespace

int Simulation::Context::fault_of(Call call, int fd) {
  if (!asks) return 0;
  kernel::File* const file = fd < 0 ? nullptr : program->file_of(fd);
  kernel::Tcp* const tcp = file == nullptr ? nullptr : file->as_tcp();
  if (tcp == nullptr) return fault_without_connection(call);
  return tcp->is_connected() ? fault_of_connection(call, *tcp, peer_of(fd))
                             : fault_of_socket(call, *tcp, peer_of(fd));
}

// Of a connection that ends before the call, the call itself says so.
int Simulation::Context::fault_of_connection(Call call, kernel::Tcp& tcp, uint32_t peer_id) {
  using enum ChoicePoint;
  constexpr std::array read_errors{0, ECONNRESET, ETIMEDOUT};
  constexpr std::array write_errors{0, ECONNRESET, EPIPE};
  uint32_t answer = 0;
  switch (call) {
    case Call::read:
    case Call::readv:
    case Call::recv:
    case Call::recvmsg:
      if (pick(2, read_again, peer_id) != 0) return EAGAIN;
      answer = fault(3, 4, read_error, peer_id);
      if (answer == 3) return ENOMEM;
      if (answer != 0) tcp.fail(read_errors[answer]);
      return 0;
    case Call::write:
    case Call::writev:
    case Call::send:
    case Call::sendmsg:
      if (pick(2, write_again, peer_id) != 0) return EAGAIN;
      answer = fault(3, 4, write_error, peer_id);
      if (answer == 3) return ENOBUFS;
      if (answer != 0) tcp.fail(write_errors[answer]);
      return 0;
    case Call::shutdown:
      if (pick(2, shutdown_error, peer_id) != 0) tcp.fail(ECONNRESET);
      return 0;
    case Call::getsockname:
    case Call::getpeername:
      answer = fault(2, 3, call_address, peer_id);
      if (answer == 1) tcp.fail(ECONNRESET);
      return answer == 2 ? ENOBUFS : 0;
    default: return fault_of_socket(call, tcp, peer_id);
  }
}

int Simulation::Context::fault_of_socket(Call call, kernel::Tcp& tcp, uint32_t peer_id) {
  using enum ChoicePoint;
  switch (call) {
    case Call::accept4: {
      // EMFILE and its kin: the connection stays where it is. ECONNABORTED: the client has gone.
      if (tcp.waiting() == 0) return 0;
      const int error = error_of(pick(6, accept_error, 0),
                                 std::array{0, EMFILE, ECONNABORTED, ENFILE, ENOBUFS, ENOMEM});
      if (error == ECONNABORTED) tcp.drop_first();
      return error;
    }
    case Call::bind:
      return error_of(fault(3, 4, call_bind, 0), std::array{0, EADDRINUSE, EACCES, EADDRNOTAVAIL});
    case Call::listen: return error_of(pick(2, call_listen, 0), std::array{0, EADDRINUSE});
    case Call::connect: return error_of(pick(2, call_connect, 0), std::array{0, EADDRNOTAVAIL});
    case Call::getsockopt:
    case Call::setsockopt:
      return error_of(fault(1, 2, option_error, peer_id), std::array{0, EACCES});
    case Call::ioctl: return error_of(fault(1, 2, ioctl_error, peer_id), std::array{0, EACCES});
    case Call::getsockname:
    case Call::getpeername: return fault(1, 3, call_address, peer_id) == 2 ? ENOBUFS : 0;
    default: return 0;
  }
}

int Simulation::Context::fault_without_connection(Call call) {
  using enum ChoicePoint;
  switch (call) {
    case Call::socket:
    case Call::socketpair:
      return error_of(pick(5, socket_error, 0), std::array{0, EMFILE, ENOBUFS, ENFILE, ENOMEM});
    case Call::epoll_create1:
    case Call::eventfd:
    case Call::pipe2:
      return error_of(pick(4, call_loop_init, 0), std::array{0, EMFILE, ENFILE, ENOMEM});
    default: return 0;
  }
}

// The kernel asks how much of what is there goes through.
unsigned Simulation::Context::pick(unsigned n, kernel::Question question) {
  if (!in_call || !asks) return 0;  // the World's clients take and give what they want
  const uint32_t peer_id = peer_of(fd_called_);
  switch (question) {
    case kernel::Question::received: return pick(n, ChoicePoint::read_size, peer_id);
    case kernel::Question::sent: return pick(n, ChoicePoint::write_size, peer_id);
    default: return 0;  // asked by fault_of
  }
}

// Which comes first, and how many are reported.
int Simulation::Context::on_events(epoll_event* events, int count) {
  if (!asks) return count;
  for (int i = 0; i + 1 < count; ++i) {
    const auto left = static_cast<uint32_t>(count - i);
    epoll_event* const first = events + i;
    epoll_event* const chosen = first + pick(left, ChoicePoint::ready_order, 0);
    std::rotate(first, chosen, chosen + 1);
  }
  return count - static_cast<int>(pick(static_cast<uint32_t>(count), ChoicePoint::ready_count, 0));
}

}  // namespace uvsim
