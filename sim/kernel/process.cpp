// Descriptors, and bytes through them.
#include "process.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/un.h>

#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstring>

#include "socket.hpp"

namespace kernel {

Process::Process(Machine& machine, int first)
    : machine_(machine), first_(first), limit_(machine.options.descriptors) {}

Process::~Process() {
  for (const Slot& slot : slots_)
    if (slot.file != nullptr) slot.file->drop();
}

void Process::begin() {
  machine_.tidy();
  machine_.broken_pipe = false;
}

// ---- The table ---------------------------------------------------------------------------------

File* Process::file_of(int fd) const {
  const int index = fd - first_;
  if (index < 0 || static_cast<size_t>(index) >= slots_.size()) return nullptr;
  return slots_[static_cast<size_t>(index)].file;
}

int Process::free_number(int from) const {
  int fd = from < first_ ? first_ : from;
  while (file_of(fd) != nullptr) ++fd;
  return fd < limit_ ? fd : -1;
}

// 0, if the process and the machine have room for as many files more.
long Process::room_for(int files) const {
  const int most = machine_.options.files;
  if (most != 0 && machine_.open_files() + files > most) return -ENFILE;
  if (machine_.pick(2, Question::file) != 0) return -ENFILE;
  int fd = first_;
  for (; files > 0; --files, ++fd) {
    fd = free_number(fd);
    if (fd < 0) return -EMFILE;
  }
  return 0;
}

void Process::put(int fd, File& file, bool close_on_exec) {
  const auto index = static_cast<size_t>(fd - first_);
  if (index >= slots_.size()) slots_.resize(index + 1, Slot{nullptr, false});
  slots_[index] = {&file, close_on_exec};
  file.hold();
  ++open_;
}

// There is room.
long Process::add(File& file, int flags, bool close_on_exec) {
  file.status = flags;
  const int fd = free_number(first_);
  put(fd, file, close_on_exec);
  return fd;
}

long Process::close(int fd) {
  begin();
  File* const file = file_of(fd);
  if (file == nullptr) return -EBADF;
  slots_[static_cast<size_t>(fd - first_)].file = nullptr;
  --open_;
  file->drop();
  return 0;
}

long Process::dup(int fd) { return fcntl(fd, F_DUPFD, 0); }

long Process::dup2(int from, int to) {
  if (from != to) return dup3(from, to, 0);
  begin();
  return file_of(from) == nullptr ? -EBADF : long{to};
}

long Process::dup3(int from, int to, int flags) {
  begin();
  if ((flags & ~O_CLOEXEC) != 0 || from == to) return -EINVAL;
  File* const file = file_of(from);
  if (to < first_ || to >= limit_ || file == nullptr) return -EBADF;
  if (file_of(to) != nullptr) close(to);
  put(to, *file, (flags & O_CLOEXEC) != 0);
  return to;
}

long Process::set_non_blocking(File& file, bool on) {
  file.status = on ? file.status | O_NONBLOCK : file.status & ~O_NONBLOCK;
  return 0;
}

long Process::fcntl(int fd, int command, long argument) {
  begin();
  File* const file = file_of(fd);
  if (file == nullptr) return -EBADF;
  Slot& slot = slots_[static_cast<size_t>(fd - first_)];
  constexpr int settable = O_NONBLOCK | O_APPEND;
  switch (command) {
    case F_GETFL: return file->status;
    case F_SETFL:
      if ((argument & (O_ASYNC | O_DIRECT | O_NOATIME)) != 0) return unsimulated;
      file->status = (file->status & ~settable) | (static_cast<int>(argument) & settable);
      return 0;
    case F_GETFD: return slot.close_on_exec ? FD_CLOEXEC : 0;
    case F_SETFD: slot.close_on_exec = (argument & FD_CLOEXEC) != 0; return 0;
    case F_DUPFD:
    case F_DUPFD_CLOEXEC: {
      if (argument < 0 || argument >= limit_) return -EINVAL;
      const int to = free_number(static_cast<int>(argument));
      if (to < 0) return -EMFILE;
      put(to, *file, command == F_DUPFD_CLOEXEC);
      return to;
    }
    default: return unsimulated;
  }
}

long Process::ioctl(int fd, unsigned long request, void* argument) {
  begin();
  File* const file = file_of(fd);
  if (file == nullptr) return -EBADF;
  Slot& slot = slots_[static_cast<size_t>(fd - first_)];
  switch (request) {
    case FIONBIO: return set_non_blocking(*file, *static_cast<const int*>(argument) != 0);
    case FIOCLEX: slot.close_on_exec = true; return 0;
    case FIONCLEX: slot.close_on_exec = false; return 0;
    default: return file->ioctl(request, static_cast<int*>(argument));
  }
}

long Process::fstat_kind(int fd, unsigned* kind) {
  begin();
  const File* const file = file_of(fd);
  if (file == nullptr) return -EBADF;
  *kind = file->kind();
  return 0;
}

// ---- Bytes -------------------------------------------------------------------------------------

long Process::read_into(int fd, const Buffers& to) {
  begin();
  File* const file = file_of(fd);
  if (file == nullptr || (file->status & O_ACCMODE) == O_WRONLY) return -EBADF;
  return file->read(to);
}

long Process::write_from(int fd, const Buffers& from) {
  begin();
  File* const file = file_of(fd);
  if (file == nullptr || (file->status & O_ACCMODE) == O_RDONLY) return -EBADF;
  return file->write(from);
}

long Process::read(int fd, void* to, size_t size) {
  const iovec buffer{to, size};
  return read_into(fd, {&buffer, 1});
}

long Process::write(int fd, const void* from, size_t size) {
  const iovec buffer{const_cast<void*>(from), size};
  return write_from(fd, {&buffer, 1});
}

// A transfer of no bytes in several buffers does nothing, also where one in a single buffer would
// say what is wrong. Where there is nothing to transfer at all it is refused.
long Process::readv(int fd, const iovec* to, int count) {
  if (count < 0 || count > IOV_MAX) return file_of(fd) == nullptr ? -EBADF : -EINVAL;
  const Buffers buffers{to, static_cast<size_t>(count)};
  const File* const file = file_of(fd);
  if (buffers.total() == 0 && file != nullptr && file->can_read() &&
      (file->status & O_ACCMODE) != O_WRONLY)
    return 0;
  return read_into(fd, buffers);
}

long Process::writev(int fd, const iovec* from, int count) {
  if (count < 0 || count > IOV_MAX) return file_of(fd) == nullptr ? -EBADF : -EINVAL;
  const Buffers buffers{from, static_cast<size_t>(count)};
  const File* const file = file_of(fd);
  if (buffers.total() == 0 && file != nullptr && file->can_write() &&
      (file->status & O_ACCMODE) != O_RDONLY)
    return 0;
  return write_from(fd, buffers);
}

Socket* Process::socket_of(int fd, long* error) const {
  File* const file = file_of(fd);
  Socket* const socket = file == nullptr ? nullptr : file->as_socket();
  *error = file == nullptr ? -EBADF : socket == nullptr ? -ENOTSOCK : 0;
  return socket;
}

long Process::send(int fd, const void* from, size_t size, int flags) {
  iovec buffer{const_cast<void*>(from), size};
  msghdr message{};
  message.msg_iov = &buffer;
  message.msg_iovlen = 1;
  return sendmsg(fd, &message, flags);
}

long Process::recv(int fd, void* to, size_t size, int flags) {
  iovec buffer{to, size};
  msghdr message{};
  message.msg_iov = &buffer;
  message.msg_iovlen = 1;
  return recvmsg(fd, &message, flags);
}

long Process::sendmsg(int fd, const msghdr* message, int flags) {
  begin();
  long error = 0;
  Socket* const socket = socket_of(fd, &error);
  if (socket == nullptr) return error;
  if (message->msg_iovlen > IOV_MAX) return -EMSGSIZE;
  if (message->msg_controllen != 0 || message->msg_name != nullptr) return unsimulated;
  return socket->send({message->msg_iov, message->msg_iovlen}, flags);
}

long Process::recvmsg(int fd, msghdr* message, int flags) {
  begin();
  long error = 0;
  Socket* const socket = socket_of(fd, &error);
  if (socket == nullptr) return error;
  if (message->msg_iovlen > IOV_MAX) return -EMSGSIZE;
  int said = 0;
  const long answer = socket->receive({message->msg_iov, message->msg_iovlen}, flags, &said);
  if (answer < 0) return answer;
  message->msg_flags = said;
  message->msg_controllen = 0;
  message->msg_namelen = 0;  // a stream does not say where a message is from
  return answer;
}

long Process::unlink(const char* path) {
  begin();
  Address name = any(AF_UNIX);
  for (; path[name.name_size] != 0; ++name.name_size) {
    if (name.name_size == name.name.size()) return -ENOENT;
    name.name[name.name_size] = path[name.name_size];
  }
  return machine_.names.unlink(name);
}

}  // namespace kernel
