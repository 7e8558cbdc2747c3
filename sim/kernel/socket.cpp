// What read, write and errors are on a socket of any family.
#include "socket.hpp"

#include "machine.hpp"

namespace kernel {

long Socket::read(const Buffers& to) {
  int said = 0;
  return to.total() == 0 ? 0 : receive(to, 0, &said);
}

long Socket::write(const Buffers& from) { return send(from, 0); }

int Socket::take_error() {
  const int error = error_;
  error_ = 0;
  return error;
}

long Socket::broken(int flags) {
  if ((flags & MSG_NOSIGNAL) == 0) machine().broken_pipe = true;
  return -EPIPE;
}

size_t Socket::share_of(size_t size, Question question) {
  if (size < 2) return size;
  switch (machine().pick(4, question)) {
    case 1: return 1;
    case 2: return size / 2;
    case 3: return size - 1;
    default: return size;
  }
}

}  // namespace kernel
