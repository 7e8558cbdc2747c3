// The simulated kernel: descriptors, sockets, and what a loopback does between two of them.
//
// Theory. The wire is instant: what one end writes is with the other end before the call returns,
// as far as the buffers hold it, and so are FIN and RST; that is what Linux does on loopback. One
// queue per direction stands for the receiver's buffer (its first receive_room bytes, which can be
// read) and the sender's buffer behind it (the rest). A socket whose owner has closed it stays as
// an orphan until the other end is closed too, so that its data and its FIN still arrive and late
// writes to it are answered with RST.
//
// The states and error codes are those that Linux shows through read, write, poll and SO_ERROR.
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "internal.hpp"

namespace uvsim {

// ---------------------------------------------------------------------------------------------
// Bytes

void ByteQueue::grow(size_t wanted) {
  size_t capacity = capacity_ == 0 ? 512 : capacity_;
  while (capacity < wanted) capacity *= 2;
  std::unique_ptr<char[]> data(new char[capacity]);
  const size_t size = size_;
  pop(data.get(), size);
  data_ = std::move(data);
  capacity_ = capacity;
  head_ = 0;
  size_ = size;
}

void ByteQueue::push(const char* bytes, size_t count) {
  if (count == 0) return;
  if (size_ + count > capacity_) grow(size_ + count);
  const size_t tail = (head_ + size_) & (capacity_ - 1);
  const size_t first = count < capacity_ - tail ? count : capacity_ - tail;
  std::memcpy(data_.get() + tail, bytes, first);
  std::memcpy(data_.get(), bytes + first, count - first);
  size_ += count;
}

void ByteQueue::pop(char* bytes, size_t count) {
  if (count == 0) return;
  const size_t first = count < capacity_ - head_ ? count : capacity_ - head_;
  std::memcpy(bytes, data_.get() + head_, first);
  std::memcpy(bytes + first, data_.get(), count - first);
  size_ -= count;
  head_ = size_ == 0 ? 0 : (head_ + count) & (capacity_ - 1);
}

void ByteQueue::shrink() {
  constexpr size_t modest = 128 * 1024;
  clear();
  if (capacity_ <= modest) return;
  data_.reset();
  capacity_ = 0;
}

// ---------------------------------------------------------------------------------------------
// Descriptors

void Kernel::reset(Context& context) {
  context_ = &context;
  descriptors_.clear();
  real_ = context.options.real_descriptors;
  first_ = real_ ? 0 : first_descriptor;
  lowest_free_ = 0;
  open_ = 0;
  sockets_.give_back_all();
  bound_.clear();
  timers_.clear();
  peers.clear();
  connections = own_connections = 0;
  next_port_ = 32768;
  next_name_ = 0;
  serial_ = 0;
}

bool Kernel::descriptor_free() {
  if (context_->options.descriptors != 0 && open_ >= context_->options.descriptors) return false;
  if (!real_) return true;
  // A number that the program has closed by itself still stands for what it stood for.
  while (reserved_ < 0 || exists(reserved_)) {
    reserved_ = eventfd(0, EFD_CLOEXEC);
    if (reserved_ < 0) return false;
  }
  return true;
}

int Kernel::lowest_free() {
  while (lowest_free_ < descriptors_.size() &&
         descriptors_[lowest_free_].kind != DescriptorKind::free)
    ++lowest_free_;
  return first_ + static_cast<int>(lowest_free_);
}

// The reserved one; where a socket of the right kind can be had, it takes its place.
int Kernel::real_number(const Socket* socket) {
  const int fd = reserved_;
  reserved_ = -1;
  if (socket == nullptr) return fd;
  constexpr int domains[] = {AF_INET, AF_INET6, AF_UNIX};
  const int kin = ::socket(domains[static_cast<size_t>(socket->family)], SOCK_STREAM, 0);
  ::dup3(kin, fd, O_CLOEXEC);
  ::close(kin);
  return fd;
}

int Kernel::allocate(DescriptorKind kind, Socket* socket) {
  const int fd = real_ ? real_number(socket) : lowest_free();
  const auto index = static_cast<size_t>(fd - first_);
  if (index >= descriptors_.size()) descriptors_.resize(index + 1);
  descriptors_[index] = {kind, socket};
  ++open_;
  return fd;
}

bool Kernel::is_gone(const Socket& socket) const {
  return real_ && socket.fd >= 0 && !is_real_descriptor(socket.fd);
}

Socket* Kernel::take_over(int fd) {
  int value = 0;
  socklen_t size = sizeof value;
  sockaddr_storage name{};
  socklen_t name_size = sizeof name;
  auto* const address = reinterpret_cast<sockaddr*>(&name);
  if (!real_ || real::get_option(fd, SOL_SOCKET, SO_TYPE, &value, &size) != 0) return nullptr;
  if (value != SOCK_STREAM || getpeername(fd, address, &name_size) == 0) return nullptr;
  name_size = sizeof name;
  getsockname(fd, address, &name_size);
  Address local;
  if (address_from(address, &local) != 0) return nullptr;
  Socket& socket = *new_socket(local.family);
  if (local.port != 0) bind(socket, local);
  socket.fd = fd;
  const auto index = static_cast<size_t>(fd);
  if (index >= descriptors_.size()) descriptors_.resize(index + 1);
  descriptors_[index] = {DescriptorKind::socket, &socket};
  ++open_;
  return &socket;
}

void Kernel::close_real_descriptors() {
  if (!real_) return;
  if (reserved_ >= 0) ::close(reserved_);
  reserved_ = -1;
  for (size_t fd = 0; fd < descriptors_.size(); ++fd)
    if (descriptors_[fd].kind != DescriptorKind::free) ::close(static_cast<int>(fd));
  real_ = false;
}

int Kernel::open_machinery() {
  return descriptor_free() ? allocate(DescriptorKind::machinery, nullptr) : UV_EMFILE;
}

int Kernel::adopt(Socket* socket) {
  socket->fd = allocate(DescriptorKind::socket, socket);
  return socket->fd;
}

int Kernel::open_socket(Family family, Socket** out) {
  constexpr int faults[] = {0, UV_EMFILE, UV_ENOBUFS};
  if (!descriptor_free()) return UV_EMFILE;
  if (const int fault = faults[context_->pick(3, ChoicePoint::socket_error)]) return fault;
  *out = new_socket(family);
  return adopt(*out);
}

bool Kernel::exists(int fd) const {
  const int index = fd - first_;
  return index >= 0 && static_cast<size_t>(index) < descriptors_.size() &&
         descriptors_[static_cast<size_t>(index)].kind != DescriptorKind::free;
}

Socket* Kernel::socket_at(int fd) {
  return exists(fd) ? descriptors_[static_cast<size_t>(fd - first_)].socket : nullptr;
}

void Kernel::close_descriptor(int fd) {
  const auto index = static_cast<size_t>(fd - first_);
  if (real_) ::close(fd);
  Socket* const socket = descriptors_[index].socket;
  descriptors_[index] = {};
  if (index < lowest_free_) lowest_free_ = index;
  --open_;
  if (socket == nullptr) return;
  socket->fd = -1;
  close(*socket);
}

// ---------------------------------------------------------------------------------------------
// Sockets

Socket* Kernel::new_socket(Family family) {
  Socket& socket = *sockets_.take();
  ByteQueue in = std::move(socket.in);
  std::vector<Socket*> queue = std::move(socket.queue);
  in.shrink();
  queue.clear();
  socket = Socket{};
  socket.in = std::move(in);
  socket.queue = std::move(queue);
  socket.serial = ++serial_;
  socket.family = family;
  socket.local.family = socket.remote.family = family;
  init(&socket.watch.ready);
  socket.watch.socket = &socket;
  const Options& options = context_->options;
  if (family == Family::pipe) {
    // A Unix socket's data lies in the receiver's queue, charged to the sender.
    constexpr uint32_t unix_default = 212'992;
    socket.send_shown = socket.receive_shown = unix_default;
    socket.send_room = unix_default;
    socket.receive_room = SIZE_MAX / 2;
  } else {
    socket.send_shown = options.send_buffer;
    socket.receive_shown = options.receive_buffer;
    socket.send_room = options.send_window;
    socket.receive_room = options.receive_window;
  }
  return &socket;
}

void Kernel::set_send_buffer(Socket& socket, int value) {
  // The kernel doubles what it is told, within limits.
  constexpr unsigned most = 212'992;
  constexpr unsigned least = 4'608;
  const unsigned wanted = static_cast<unsigned>(value) < most ? static_cast<unsigned>(value) : most;
  socket.send_shown = wanted * 2 > least ? wanted * 2 : least;
  socket.send_room = socket.send_shown / 2;
  socket.options.buffer_lock |= SocketOptions::send_lock;
}

void Kernel::set_receive_buffer(Socket& socket, int value) {
  constexpr unsigned most = 212'992;
  constexpr unsigned least = 2'304;
  const unsigned wanted = static_cast<unsigned>(value) < most ? static_cast<unsigned>(value) : most;
  socket.receive_shown = wanted * 2 > least ? wanted * 2 : least;
  if (socket.family != Family::pipe) socket.set_receive_room(socket.receive_shown / 2);
  socket.options.buffer_lock |= SocketOptions::receive_lock;
}

void Kernel::wake(Socket& socket, uint32_t events) {
  Watch& watch = socket.watch;
  if (watch.loop == nullptr) return;
  if (events != 0 && (events & (watch.interest | POLLERR | POLLHUP)) == 0) return;
  make_ready(watch);
}

namespace {

// How much the receiver holds for itself, before the sender's buffer fills.
size_t window(const Socket& receiver) {
  return receiver.family == Family::pipe ? 0 : receiver.window();
}

// Enough of the sender's buffer is free for poll to call it writable: a third of it, or three
// quarters of a Unix socket's.
bool roomy(const Socket& sender) {
  const size_t held = Kernel::held(sender);
  return sender.family == Family::pipe ? held <= sender.send_room / 4
                                       : held <= sender.send_room / 3 * 2;
}

}  // namespace

uint32_t Kernel::events(Socket& socket) {
  if (socket.state == SocketState::listening) return socket.queued() > 0 ? uint32_t{POLLIN} : 0;
  if (socket.state == SocketState::connecting) return 0;
  if (socket.state == SocketState::fresh) return POLLOUT | POLLHUP;
  const bool over = socket.input_over();
  uint32_t result = 0;
  if (over && socket.write_shut) result |= POLLHUP;
  if (over) result |= POLLIN | POLLRDHUP;
  if (socket.in.size() > 0 && (socket.urgent != 0 || socket.readable() > 0)) result |= POLLIN;
  if (socket.error != 0) result |= POLLERR;
  // A little room is not worth a wake-up.
  if (socket.write_shut || roomy(socket))
    result |= POLLOUT;
  else
    socket.nospace = true;
  return result;
}

size_t Kernel::held(const Socket& socket) {
  if (socket.peer == nullptr) return 0;
  const size_t queued = socket.peer->in.size();
  return queued > window(*socket.peer) ? queued - window(*socket.peer) : 0;
}

// What is in the receiver's buffer has been acknowledged: here, at once.
size_t Kernel::unacknowledged(const Socket& socket) {
  if (socket.state == SocketState::dead) return socket.lost;
  if (socket.state != SocketState::established) return 0;
  const Socket& peer = *socket.peer;
  const bool fin_waits =
      peer.family != Family::pipe && peer.fin_queued && !peer.fin_arrived() && !peer.orphan;
  return held(socket) + (fin_waits ? 1 : 0);
}

size_t Kernel::room(const Socket& socket) const {
  const size_t capacity = socket.send_room + window(*socket.peer);
  const size_t used = socket.peer->in.size();
  return used < capacity ? capacity - used : 0;
}

void Kernel::space_may_have_come(Socket& sender) {
  if (!sender.nospace || !roomy(sender)) return;
  sender.nospace = false;
  wake(sender, POLLOUT);
}

ssize_t Kernel::read(Socket& socket, char* bytes, size_t size) {
  if (is_gone(socket)) return -EBADF;
  if (socket.urgent == 0) pass_over_urgent(socket);
  const size_t readable = socket.readable();
  if (readable > 0) {
    const size_t count = size < readable ? size : readable;
    const bool fin_was_there = socket.fin_arrived();
    socket.take(bytes, count);
    socket.received += count;
    if (socket.urgent != Socket::no_urgent)
      socket.urgent = count > socket.urgent ? Socket::no_urgent : socket.urgent - count;
    space_may_have_come(*socket.peer);
    if (!fin_was_there && socket.fin_arrived()) wake(socket, 0);
    return static_cast<ssize_t>(count);
  }
  const bool is_pipe = socket.family == Family::pipe;
  if (!is_pipe && socket.fin_arrived()) return 0;
  if (socket.error != 0) {
    const int error = socket.error;
    socket.error = 0;
    return -error;
  }
  if (socket.input_over()) return 0;
  if (socket.state == SocketState::fresh) return -ENOTCONN;
  return -EAGAIN;
}

// A program without SO_OOBINLINE never sees the urgent byte.
void Kernel::pass_over_urgent(Socket& socket) {
  if (socket.options.oob_inline || socket.visible() == 0) return;
  char byte;
  socket.take(&byte, 1);
  socket.urgent = Socket::no_urgent;
  space_may_have_come(*socket.peer);
}

bool Kernel::write_urgent(Socket& socket, char byte) {
  if (socket.family == Family::pipe) return false;
  const uv_buf_t buffer{&byte, 1};
  if (write(socket, &buffer, 1, 1) != 1) return false;
  if (socket.state != SocketState::established) return true;
  Socket& receiver = *socket.peer;
  // Only the last one is urgent. One that was to be read next is lost, any other is data now.
  if (receiver.urgent == 0) pass_over_urgent(receiver);
  receiver.urgent = receiver.in.size() - 1;
  return true;
}

ssize_t Kernel::write(Socket& socket, const uv_buf_t* buffers, unsigned count, size_t limit) {
  if (is_gone(socket)) return -EBADF;
  size_t wanted = 0;
  for (unsigned i = 0; i < count; ++i) wanted += buffers[i].len;
  // writev of nothing does not even look at the socket; write does.
  if (count > 1 && wanted == 0) return 0;
  if (socket.state == SocketState::connecting) return -EAGAIN;
  if (socket.error != 0) {
    const int error = socket.error;
    socket.error = 0;
    return -error;
  }
  if (socket.state != SocketState::established || socket.write_shut) return -EPIPE;
  const size_t space = socket.blocking ? SIZE_MAX : room(socket);
  if (wanted > 0 && space == 0) {
    socket.nospace = true;
    return -EAGAIN;
  }
  size_t left = wanted < space ? wanted : space;
  if (left > limit) left = limit;
  if (left < wanted) socket.nospace = true;
  const auto taken = static_cast<ssize_t>(left);
  Socket& peer = *socket.peer;
  for (unsigned i = 0; i < count && left > 0; ++i) {
    const size_t part = buffers[i].len < left ? buffers[i].len : left;
    if (!peer.orphan) peer.in.push(buffers[i].base, part);
    left -= part;
  }
  socket.sent += static_cast<uint64_t>(taken);
  if (taken == 0) return 0;
  if (peer.orphan) {
    // The other end is gone. It answers with a reset, which the next call reports.
    socket.lost = static_cast<size_t>(taken);
    kill(socket, socket.fin_arrived() ? EPIPE : ECONNRESET);
  } else {
    wake(peer, POLLIN);
  }
  return taken;
}

void Kernel::fin_to(Socket& socket) {
  if (socket.fin_queued) return;
  socket.fin_queued = true;
  if (socket.fin_arrived()) wake(socket, 0);
}

namespace {

// A reset overtakes what the sender's buffer still holds, and the FIN behind it.
void lose_unsent(Socket& receiver) {
  if (receiver.in.size() <= receiver.window()) return;
  receiver.in.truncate(receiver.window());
  receiver.fin_queued = false;
}

// Both ends have ended their output, and both know: to TCP, the connection is closed.
bool is_over(const Socket& socket) {
  return socket.family != Family::pipe && socket.write_shut && socket.fin_arrived() &&
         socket.peer->fin_arrived();
}

}  // namespace

int Kernel::shutdown_write(Socket& socket) {
  if (socket.family == Family::pipe) {
    socket.write_shut = true;
    fin_to(*socket.peer);
    return 0;
  }
  // shutdown(2) also settles what connect(2) will think.
  const bool alive = socket.state == SocketState::established && !is_over(socket);
  if (socket.attempt == Attempt::pending) socket.attempt = alive ? Attempt::over : Attempt::broken;
  if (!alive) {
    // It fails, and yet this socket will never send again, whatever it is connected to.
    socket.write_shut = socket.shut_for_good = true;
    return -ENOTCONN;
  }
  socket.write_shut = true;
  fin_to(*socket.peer);
  wake(socket, 0);
  return 0;
}

int Kernel::shutdown(Socket& socket, int how) {
  if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) return -EINVAL;
  const bool input = how != SHUT_WR;
  if (socket.family == Family::pipe) {
    // For a pipe it does not matter whether it is connected.
    if (how != SHUT_RD) socket.write_shut = true;
    if (input) socket.read_shut = true;
    if (Socket* const peer = socket.peer) {
      if (how != SHUT_RD) fin_to(*peer);
      if (input) peer->write_shut = true;
      wake(*peer, 0);
    }
    wake(socket, 0);
    return 0;
  }
  if (how != SHUT_RD) {
    const int error = shutdown_write(socket);
    if (error != 0) return error;
  } else if (socket.state != SocketState::established || is_over(socket)) {
    return -ENOTCONN;
  }
  // What comes in can still be read; where nothing has, that is the end.
  if (input) {
    socket.read_shut = true;
    wake(socket, 0);
  }
  return 0;
}

void Kernel::kill(Socket& socket, int error) {
  if (socket.state == SocketState::dead) return;
  socket.state = SocketState::dead;
  socket.error = error;
  socket.read_shut = socket.write_shut = true;
  socket.reset_seen = true;
  lose_unsent(socket);
  wake(socket, 0);
}

void Kernel::reset_connection(Socket& socket) {
  Socket* const peer = socket.peer;
  if (peer != nullptr && socket.state == SocketState::established) {
    socket.lost = unacknowledged(socket);
    peer->lost = unacknowledged(*peer);
  }
  socket.in.clear();
  if (peer == nullptr) return;
  lose_unsent(*peer);
  if (!peer->orphan)
    kill(*peer, peer->family != Family::pipe && peer->fin_arrived() ? EPIPE : ECONNRESET);
}

void Kernel::fail_connection(Socket& socket) {
  reset_connection(socket);
  kill(socket, 0);
}

void Kernel::lose_connection(Socket& socket) {
  reset_connection(socket);
  kill(socket, ECONNRESET);
}

void Kernel::release_if_done(Socket& socket) {
  if (socket.peer != nullptr) {
    if (!socket.peer->orphan) return;
    Socket& peer = *socket.peer;
    socket.peer = peer.peer = nullptr;
    if (!peer.outside) sockets_.give_back(&peer);
  }
  // A World may look at its peers until the run ends.
  if (!socket.outside) sockets_.give_back(&socket);
}

void Kernel::close(Socket& socket) {
  forget_watch(socket.watch);
  socket.stream = socket.owner = nullptr;
  forget_bound(socket);
  if (socket.state == SocketState::listening) {
    for (size_t i = socket.queue_head; i < socket.queue.size(); ++i) {
      close(*socket.queue[i]);
    }
    socket.queue.clear();
    socket.queue_head = 0;
  }
  const bool unread = socket.in.size() > 0;
  if (socket.was_connected && !socket.outside) {
    --connections;
    if (socket.own) --own_connections;
  }
  if (socket.state == SocketState::established) {
    Socket& peer = *socket.peer;
    // A linger of 0 seconds has an effect on TCP only.
    const bool is_reset = socket.resets_at_close() && socket.family != Family::pipe;
    if (is_over(socket)) {
      // The other end is gone.
    } else if (unread || is_reset || !socket.accepted) {
      reset_connection(socket);
    } else if (socket.family == Family::pipe) {
      fin_to(peer);
      peer.write_shut = true;
      wake(peer, 0);
    } else {
      fin_to(peer);
    }
  }
  socket.in.shrink();
  socket.orphan = true;
  release_if_done(socket);
}

// ---------------------------------------------------------------------------------------------
// Addresses

namespace {

bool is_wildcard(const Address& address) {
  for (const uint8_t byte : address.bytes)
    if (byte != 0) return false;
  return true;
}

bool is_v4_mapped(const Address& address) {
  static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return address.family == Family::ipv6 && std::memcmp(address.bytes, prefix, sizeof prefix) == 0;
}

Address unmapped(const Address& address) {
  if (!is_v4_mapped(address)) return address;
  Address plain;
  plain.family = Family::ipv4;
  plain.port = address.port;
  std::memcpy(plain.bytes, address.bytes + 12, 4);
  return plain;
}

// What a packet to the wildcard address is sent to.
Address loopback(const Address& address) {
  Address local = address;
  if (!is_wildcard(address)) return local;
  if (address.family == Family::ipv4) {
    local.bytes[0] = 127;
    local.bytes[3] = 1;
  } else {
    local.bytes[15] = 1;
  }
  return local;
}

bool overlaps(const Socket& a, const Address& b, bool b_only_v6) {
  if (a.local.port != b.port) return false;
  const Address one = unmapped(a.local);
  const Address two = unmapped(b);
  const bool one_any = is_wildcard(one);
  const bool two_any = is_wildcard(two);
  if (one.family == two.family)
    return one_any || two_any || std::memcmp(one.bytes, two.bytes, sizeof one.bytes) == 0;
  // A wildcard IPv6 socket takes IPv4 too, unless told otherwise.
  if (one.family == Family::ipv6) return one_any && !a.only_v6;
  return two_any && !b_only_v6;
}

}  // namespace

bool Kernel::is_local(const Address& address) {
  const Address plain = unmapped(address);
  if (is_wildcard(plain)) return true;
  if (plain.family == Family::ipv4) return plain.bytes[0] == 127;
  const Address any = loopback(Address{Family::ipv6, 0, {}, 0});
  return std::memcmp(plain.bytes, any.bytes, sizeof any.bytes) == 0;
}

uint16_t Kernel::free_port() {
  for (;;) {
    const uint16_t port = next_port_;
    next_port_ = next_port_ == 60'999 ? uint16_t{32'768} : static_cast<uint16_t>(next_port_ + 1);
    const auto has_it = [port](const Socket* socket) { return socket->local.port == port; };
    if (std::none_of(bound_.begin(), bound_.end(), has_it)) return port;
  }
}

int Kernel::bind(Socket& socket, const Address& address) {
  if (socket.bound || socket.state != SocketState::fresh) return -EINVAL;
  if (socket.family != address.family) return -EINVAL;
  if (!is_local(address)) return -EADDRNOTAVAIL;
  if (address.port != 0) {
    // With SO_REUSEADDR, which libuv always sets, only a listener is in the way.
    for (const Socket* const other : bound_) {
      if (other->family == Family::pipe || other->state != SocketState::listening) continue;
      if (socket.options.reuse_port && other->options.reuse_port) continue;
      if (overlaps(*other, address, socket.only_v6)) return -EADDRINUSE;
    }
  }
  socket.local = address;
  if (address.port == 0) socket.local.port = free_port();
  socket.bound = true;
  bound_.push_back(&socket);
  return 0;
}

int Kernel::listen(Socket& socket, int backlog) {
  constexpr int somaxconn = 4096;
  if (socket.state == SocketState::established || socket.state == SocketState::connecting)
    return -EINVAL;
  if (socket.state == SocketState::fresh) {
    if (!socket.bound) {
      Address any;
      any.family = socket.family;
      bind(socket, any);
    }
    for (const Socket* const other : bound_) {
      if (other == &socket || other->state != SocketState::listening) continue;
      if (socket.family == Family::pipe || other->family == Family::pipe) continue;
      if (socket.options.reuse_port && other->options.reuse_port) continue;
      if (overlaps(*other, socket.local, socket.only_v6)) return -EADDRINUSE;
    }
  }
  socket.state = SocketState::listening;
  socket.backlog =
      backlog < 0 || backlog > somaxconn ? uint32_t{somaxconn} : static_cast<uint32_t>(backlog);
  return 0;
}

namespace {

// The error that the real file system gives for this name; 0: none. A socket that another program
// left is no obstacle.
int refused_by_files(const std::string& name) {
  struct stat status;
  if (name[0] == '\0' || ::stat(name.c_str(), &status) == 0)
    return name[0] == '\0' || S_ISSOCK(status.st_mode) ? 0 : -EADDRINUSE;
  if (errno != ENOENT) return -errno;
  const size_t slash = name.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : name.substr(0, slash + 1);
  return ::access(directory.c_str(), W_OK | X_OK) == 0 ? 0 : -errno;
}

}  // namespace

int Kernel::bind_name(Socket& socket, std::string name) {
  if (name.empty()) {
    // Linux finds one: abstract, of five digits.
    char digits[16];
    std::snprintf(digits, sizeof digits, "%05x", ++next_name_);
    name = std::string(1, '\0') + digits;
  }
  if (find_name(name) != nullptr) return -EADDRINUSE;
  // Names are the simulated machine's, directories and files are not.
  if (const int error = refused_by_files(name)) return error;
  socket.path = std::move(name);
  socket.bound = true;
  bound_.push_back(&socket);
  return 0;
}

void Kernel::forget_bound(Socket& socket) {
  if (socket.bound) bound_.erase(std::find(bound_.begin(), bound_.end(), &socket));
  socket.bound = false;
}

// A listener on the name goes on, but no new connection can find it.
int Kernel::remove_name(const std::string& name) {
  Socket* const socket = find_name(name);
  if (socket == nullptr) return -ENOENT;
  forget_bound(*socket);
  return 0;
}

Socket* Kernel::find_name(const std::string& name) const {
  for (Socket* const socket : bound_)
    if (socket->family == Family::pipe && socket->path == name) return socket;
  return nullptr;
}

Socket* Kernel::find_listener(const Address& address) const {
  for (Socket* const socket : bound_) {
    if (socket->family == Family::pipe || socket->state != SocketState::listening) continue;
    // Two that overlap cannot listen, unless they share the port: then the first is as good.
    if (overlaps(*socket, address, true)) return socket;
  }
  return nullptr;
}

// ---------------------------------------------------------------------------------------------
// Connections

void Kernel::establish(Socket& client, Socket& listener) {
  Socket& server = *new_socket(listener.family);
  server.state = client.state = SocketState::established;
  if (!client.was_connected && !client.outside) {
    ++connections;
    ++own_connections;
    client.own = true;
  }
  server.was_connected = client.was_connected = true;
  server.attempt = Attempt::over;
  server.peer = &client;
  client.peer = &server;
  server.accepted = false;
  if (listener.family == Family::pipe) {
    server.path = listener.path;
  } else {
    server.local = client.remote;
    server.remote = client.local;
    if (listener.family == Family::ipv6 && client.family == Family::ipv4) {
      for (Address* const address : {&server.local, &server.remote}) {
        Address mapped{Family::ipv6, address->port, {}, 0};
        mapped.bytes[10] = mapped.bytes[11] = 0xff;
        std::memcpy(mapped.bytes + 12, address->bytes, 4);
        *address = mapped;
      }
    }
    server.send_shown = listener.send_shown;
    server.receive_shown = listener.receive_shown;
    server.send_room = listener.send_room;
    server.receive_room = listener.receive_room;
    server.options = listener.options;
  }
  server.outside = listener.outside;
  if (!server.outside) ++connections;
  listener.queue.push_back(&server);
  wake(client, 0);
  wake(listener, POLLIN);
}

void Kernel::connect_fails(Socket& socket, int error) {
  socket.state = SocketState::dead;
  socket.error = error;
  socket.refused = true;
  socket.lost = 1;  // the SYN
  socket.read_shut = socket.write_shut = true;
  wake(socket, 0);
}

void Kernel::schedule(Socket& socket, uint64_t delay_ns, uint32_t attempt) {
  timers_.push_back({context_->now_ns + delay_ns, &socket, socket.serial, attempt});
}

uint64_t Kernel::next_timer() const {
  uint64_t next = context_->alarm_ns;
  for (const NetworkTimer& timer : timers_)
    if (timer.at_ns < next) next = timer.at_ns;
  return next;
}

void Kernel::run_timers() {
  if (context_->alarm_ns <= context_->now_ns) {
    context_->alarm_ns = Wait::forever;
    raise_signal(*context_, SIGALRM);
  }
  constexpr uint32_t attempts = 7;  // 1 + 2 + 4 + ... + 64 seconds, then it is given up
  for (size_t i = 0; i < timers_.size();) {
    const NetworkTimer timer = timers_[i];
    Socket& socket = *timer.socket;
    // Closed since, or another socket by now.
    const bool stale = socket.serial != timer.serial || socket.orphan;
    if (!stale && timer.at_ns > context_->now_ns) {
      ++i;
      continue;
    }
    timers_.erase(timers_.begin() + static_cast<std::ptrdiff_t>(i));
    if (stale) continue;
    Socket* const listener = is_local(socket.remote) ? find_listener(socket.remote) : nullptr;
    if (listener != nullptr && !queue_full(*listener))
      establish(socket, *listener);
    else if (listener == nullptr && is_local(socket.remote))
      connect_fails(socket, ECONNREFUSED);
    else if (timer.attempt >= attempts)
      connect_fails(socket, ETIMEDOUT);
    else
      schedule(socket, uint64_t{1'000'000'000} << timer.attempt, timer.attempt + 1);
  }
}

// For a socket that has an attempt behind it, or in progress.
int Kernel::connect_again(Socket& socket) {
  if (socket.attempt == Attempt::over || socket.state == SocketState::listening) return -EISCONN;
  if (socket.attempt == Attempt::broken) return -EINVAL;
  if (socket.state == SocketState::connecting) return -EALREADY;
  if (socket.state == SocketState::established) {
    socket.attempt = Attempt::over;
    return 0;
  }
  // The failure has to be heard of once more; then the socket may try again.
  const int error = socket.error != 0 ? socket.error : ECONNABORTED;
  if (Socket* const peer = socket.peer) {
    socket.peer = peer->peer = nullptr;
    if (peer->orphan && !peer->outside) sockets_.give_back(peer);
  }
  socket.state = SocketState::fresh;
  socket.attempt = Attempt::none;
  socket.read_shut = socket.refused = socket.fin_queued = false;
  socket.write_shut = socket.shut_for_good;
  socket.error = 0;
  socket.in.clear();
  socket.urgent = Socket::no_urgent;
  return -error;
}

int Kernel::connect(Socket& socket, const Address& address) {
  if (socket.attempt != Attempt::none || socket.state != SocketState::fresh)
    return connect_again(socket);
  if (socket.family != address.family)
    return socket.family == Family::ipv4 ? -EAFNOSUPPORT : -EINVAL;
  socket.remote = loopback(address);
  if (!socket.bound) {
    const Address self = loopback(Address{address.family, 0, {}, 0});
    const bool local = is_local(socket.remote);
    socket.local = local && !is_v4_mapped(socket.remote) ? socket.remote : self;
    socket.local.port = free_port();
  } else if (is_wildcard(socket.local)) {
    const uint16_t port = socket.local.port;
    socket.local = loopback(socket.local);
    socket.local.port = port;
  }
  socket.state = SocketState::connecting;
  socket.attempt = Attempt::pending;
  constexpr int outcomes[] = {0, ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH};
  if (const int outcome = outcomes[context_->pick(4, ChoicePoint::connect_result)]) {
    connect_fails(socket, outcome);
    return -EINPROGRESS;
  }
  constexpr uint64_t first_retry = 1'000'000'000;
  if (!is_local(socket.remote)) {
    schedule(socket, first_retry, 1);
    return -EINPROGRESS;
  }
  Address target = unmapped(socket.remote);
  Socket* const listener = find_listener(target);
  if (listener == nullptr)
    connect_fails(socket, ECONNREFUSED);
  else if (queue_full(*listener))
    schedule(socket, first_retry, 1);
  else
    establish(socket, *listener);
  return -EINPROGRESS;
}

int Kernel::connect_name(Socket& socket, const std::string& name) {
  if (socket.state != SocketState::fresh)
    return socket.state == SocketState::established ? -EISCONN : -EINVAL;
  Socket* const listener = find_name(name);
  // Abstract names are never missing, and a file that is no socket refuses like one without owner.
  if (listener == nullptr) {
    struct stat status;
    if (name[0] == '\0' || ::stat(name.c_str(), &status) == 0) return -ECONNREFUSED;
    return -errno;
  }
  if (listener->state != SocketState::listening) return -ECONNREFUSED;
  if (queue_full(*listener)) return -EAGAIN;
  constexpr int outcomes[] = {0, ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH};
  if (const int outcome = outcomes[context_->pick(2, ChoicePoint::connect_result)]) return -outcome;
  socket.remote_path = listener->path;
  establish(socket, *listener);
  return 0;
}

int Kernel::accept(Socket& listener, Socket** out) {
  if (listener.queued() == 0) return -EAGAIN;
  constexpr int faults[] = {0, EMFILE, ECONNABORTED};
  const int fault = descriptor_free() ? faults[context_->pick(3, ChoicePoint::accept_error,
                                                              listener.queue[listener.queue_head])]
                                      : EMFILE;
  if (fault == EMFILE) return -fault;
  Socket* const socket = listener.queue[listener.queue_head++];
  if (listener.queue_head == listener.queue.size()) {
    listener.queue.clear();
    listener.queue_head = 0;
  }
  socket->accepted = true;
  if (fault == ECONNABORTED) {
    socket->reset_at_close();
    close(*socket);
    return -fault;
  }
  *out = socket;
  return 0;
}

int Kernel::pair(Socket** a, Socket** b, Family family) {
  *a = new_socket(family);
  *b = new_socket(family);
  (*a)->peer = *b;
  (*b)->peer = *a;
  for (Socket* const socket : {*a, *b}) {
    socket->state = SocketState::established;
    socket->was_connected = socket->own = true;
    socket->attempt = Attempt::over;
  }
  connections += 2;
  own_connections += 2;
  return 0;
}

}  // namespace uvsim
