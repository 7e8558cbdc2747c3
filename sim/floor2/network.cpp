// The network seen from outside the program: the ends of connections that a World plays. A peer is
// a descriptor of the second process on the machine.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "context.hpp"

namespace uvsim {
namespace {

Context& now_running() {
  Simulation* const simulation = Simulation::current();
  if (simulation == nullptr) {
    std::fputs("floor 2: the Network was used while no simulation was running\n", stderr);
    std::abort();
  }
  return simulation->context();
}

Context::Outside& one_of(Context& context, Peer peer) {
  if (peer.id == 0 || peer.id > context.outside.size())
    context.violate("there is no such peer in this run");
  return context.outside[peer.id - 1];
}

Subject subject_of(Peer peer) { return {peer.id, subject_peer}; }

// An address of the loopback.
struct Loopback {
  sockaddr_storage storage{};
  socklen_t size = 0;

  Loopback(Family family, uint16_t port) {
    if (family == Family::ipv4) {
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(port);
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      std::memcpy(&storage, &address, size = sizeof address);
    } else {
      sockaddr_in6 address{};
      address.sin6_family = AF_INET6;
      address.sin6_port = htons(port);
      address.sin6_addr = in6addr_loopback;
      std::memcpy(&storage, &address, size = sizeof address);
    }
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

int new_socket(Context& context, int family) {
  return static_cast<int>(context.world->socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0));
}

Peer enrol(Context& context, int fd) {
  const kernel::Tcp* const tcp = context.world->file_of(fd)->as_tcp();
  context.outside.push_back({.fd = fd, .port = tcp->local().port});
  return Peer{static_cast<uint32_t>(context.outside.size())};
}

}  // namespace

// ---- What the descriptors are ------------------------------------------------------------------

Context::Descriptor* Context::descriptor(int fd) {
  const auto index = static_cast<size_t>(fd - syscalls::first_descriptor);
  if (index >= descriptors.size()) descriptors.resize(index + 1);
  return &descriptors[index];
}

uint32_t Context::peer_of(int fd) {
  const auto index = static_cast<size_t>(fd - syscalls::first_descriptor);
  return fd < 0 || index >= descriptors.size() ? 0 : descriptors[index].peer_id;
}

const kernel::Tcp* Context::tcp_of(int fd) const {
  kernel::File* const file = program->file_of(fd);
  return file == nullptr ? nullptr : file->as_tcp();
}

const kernel::Tcp* Context::tcp_of(const Outside& one) const {
  kernel::File* const file = one.closed ? nullptr : world->file_of(one.fd);
  return file == nullptr ? nullptr : file->as_tcp();
}

// ---- Connections -------------------------------------------------------------------------------

size_t Network::listeners() const { return now_running().listeners.size(); }

Listener Network::listener(size_t index) const {
  Context& context = now_running();
  if (index >= context.listeners.size()) context.violate("there is no such listener");
  const int fd = context.listeners[index];
  const kernel::Tcp* const tcp = context.tcp_of(fd);
  if (tcp == nullptr) context.violate("clients of Unix sockets are not played on floor 2");
  Listener listener;
  listener.family = tcp->family() == AF_INET6 ? Family::ipv6 : Family::ipv4;
  listener.port = tcp->local().port;
  listener.name = std::to_string(listener.port);
  listener.descriptor = fd;
  listener.queued = static_cast<uint32_t>(tcp->waiting());
  listener.backlog = static_cast<uint32_t>(tcp->backlog());
  return listener;
}

Peer Network::connect(size_t listener_index) {
  const Listener one = listener(listener_index);
  return connect(one.family, one.port);
}

Peer Network::connect(Family family, uint16_t port) {
  Context& context = now_running();
  const ledger::Outside outside;
  const int fd = new_socket(context, family == Family::ipv4 ? AF_INET : AF_INET6);
  // The port first: the other end is known by it.
  const Loopback any_port(family, 0);
  context.world->bind(fd, any_port.get(), any_port.size);
  const Peer peer = enrol(context, fd);
  const Loopback to(family, port);
  context.world->connect(fd, to.get(), to.size);
  context.event(What::peer_connect, subject_of(peer), port);
  return peer;
}

Peer Network::connect(std::string_view) {
  now_running().violate("clients of Unix sockets are not played on floor 2");
}

uint16_t Network::listen(uint16_t port, uint32_t backlog) {
  Context& context = now_running();
  const ledger::Outside outside;
  const int fd = new_socket(context, AF_INET);
  const Loopback at(Family::ipv4, port);
  if (context.world->bind(fd, at.get(), at.size) != 0 ||
      context.world->listen(fd, static_cast<int>(backlog)) != 0) {
    context.world->close(fd);
    return 0;
  }
  context.outside_listeners.push_back(fd);
  const uint16_t taken = context.world->file_of(fd)->as_tcp()->local().port;
  context.event(What::peer_listen, Subject{}, taken);
  return taken;
}

Peer Network::accept(uint16_t port) {
  Context& context = now_running();
  const ledger::Outside outside;
  for (const int fd : context.outside_listeners) {
    const kernel::Tcp* const listener = context.world->file_of(fd)->as_tcp();
    if (listener->local().port != port || listener->waiting() == 0) continue;
    const long accepted = context.world->accept4(fd, nullptr, nullptr, SOCK_NONBLOCK);
    if (accepted < 0) continue;
    const Peer peer = enrol(context, static_cast<int>(accepted));
    one_of(context, peer).accepted = true;
    const kernel::Tcp* const end = context.tcp_of(one_of(context, peer));
    // The descriptor at the other end.
    for (size_t i = 0; i < context.descriptors.size(); ++i) {
      Context::Descriptor& one = context.descriptors[i];
      const kernel::Tcp* const tcp =
          context.tcp_of(static_cast<int>(i) + syscalls::first_descriptor);
      if (one.own && one.peer_id == 0 && tcp != nullptr && tcp == end->other_end())
        one.peer_id = peer.id;
    }
    context.event(What::peer_accept, subject_of(peer), port);
    return peer;
  }
  return Peer{};
}

void Network::stop_listening(uint16_t port) {
  Context& context = now_running();
  const ledger::Outside outside;
  std::erase_if(context.outside_listeners, [&](int fd) {
    if (context.world->file_of(fd)->as_tcp()->local().port != port) return false;
    context.world->close(fd);
    return true;
  });
}

// ---- Bytes -------------------------------------------------------------------------------------

size_t Network::send(Peer peer, const void* bytes, size_t size) {
  Context& context = now_running();
  const ledger::Outside outside;
  Context::Outside& one = one_of(context, peer);
  if (one.closed) return 0;
  const long count = context.world->send(one.fd, bytes, size, MSG_NOSIGNAL);
  context.event(What::peer_send, subject_of(peer), count);
  if (count <= 0) return 0;
  one.sent += static_cast<uint64_t>(count);
  return static_cast<size_t>(count);
}

bool Network::send_urgent(Peer peer, char byte) {
  Context& context = now_running();
  const ledger::Outside outside;
  Context::Outside& one = one_of(context, peer);
  const bool taken =
      !one.closed && context.world->send(one.fd, &byte, 1, MSG_OOB | MSG_NOSIGNAL) == 1;
  if (taken) ++one.sent;
  context.event(What::peer_urgent, subject_of(peer), taken ? 1 : 0);
  return taken;
}

size_t Network::read(Peer peer, void* bytes, size_t size) {
  Context& context = now_running();
  const ledger::Outside outside;
  Context::Outside& one = one_of(context, peer);
  const kernel::Tcp* const tcp = context.tcp_of(one);
  if (tcp == nullptr || tcp->arrived() == 0 || size == 0) return 0;
  const long count = context.world->read(one.fd, bytes, size);
  context.event(What::peer_read, subject_of(peer), count);
  if (count <= 0) return 0;
  one.received += static_cast<uint64_t>(count);
  return static_cast<size_t>(count);
}

void Network::half_close(Peer peer) {
  Context& context = now_running();
  const ledger::Outside outside;
  Context::Outside& one = one_of(context, peer);
  if (one.closed) return;
  context.event(What::peer_fin, subject_of(peer), 0);
  context.world->shutdown(one.fd, SHUT_WR);
}

void Network::close(Peer peer) {
  Context& context = now_running();
  const ledger::Outside outside;
  Context::Outside& one = one_of(context, peer);
  if (one.closed) return;
  context.event(What::peer_close, subject_of(peer), 0);
  one.closed = true;
  context.world->close(one.fd);
}

void Network::reset(Peer peer) {
  Context& context = now_running();
  const ledger::Outside outside;
  Context::Outside& one = one_of(context, peer);
  if (one.closed) return;
  context.event(What::peer_reset, subject_of(peer), 0);
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  context.world->setsockopt(one.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  one.closed = true;
  context.world->close(one.fd);
}

void Network::set_buffers(Peer peer, size_t send, size_t receive) {
  Context& context = now_running();
  const Context::Outside& one = one_of(context, peer);
  kernel::File* const file = one.closed ? nullptr : context.world->file_of(one.fd);
  if (file == nullptr) return;
  // Smaller than setsockopt allows.
  kernel::SocketOptions& options = file->as_socket()->options;
  options.send_buffer = static_cast<int>(send);
  options.receive_buffer = static_cast<int>(receive);
}

PeerView Network::view(Peer peer) const {
  Context& context = now_running();
  const Context::Outside& one = one_of(context, peer);
  PeerView view;
  view.sent = one.sent;
  view.received = one.received;
  view.port = one.port;
  const kernel::Tcp* const tcp = context.tcp_of(one);
  if (tcp == nullptr) return view;
  view.reset = tcp->was_reset();
  if (tcp->is_connecting()) {
    view.state = PeerState::connecting;
    return view;
  }
  // Nobody listened, or nobody answered in time.
  const bool never_was = !tcp->is_connected() && !tcp->was_reset() && !tcp->fin_received();
  view.state = never_was ? PeerState::refused : PeerState::established;
  const kernel::Tcp* const end = tcp->other_end();
  view.readable = tcp->arrived();
  view.unread = tcp->on_the_way();
  view.held = view.unread - view.readable;
  view.fin = tcp->fin_received();
  view.fin_sent = view.fin || (end != nullptr && end->fin_sent());
  view.program_closed = end == nullptr || end->is_orphan();
  view.accepted = one.accepted && !view.program_closed;
  if (tcp->is_connected() && !tcp->fin_sent() && !view.program_closed)
    view.writable = tcp->send_room();
  return view;
}

size_t Network::peers() const { return now_running().outside.size(); }

// ---- The machine -------------------------------------------------------------------------------

// A handler of the program runs, as it would between two of its calls.
bool Network::signal(int signum) {
  Context& context = now_running();
  struct sigaction known{};
  sigaction(signum, nullptr, &known);
  context.event(What::signal, Subject{}, signum);
  if (known.sa_handler == SIG_DFL || known.sa_handler == SIG_IGN) return false;
  const ledger::Inside inside;
  std::raise(signum);
  return true;
}

void Network::advance(uint64_t ns) {
  Context& context = now_running();
  const ledger::Outside outside;
  context.event(What::advance, Subject{}, static_cast<int64_t>(ns));
  context.advance(ns);
}

uint64_t Network::now_ns() const { return now_running().machine->now(); }
Peer Network::asked_about() const { return Peer{now_running().asked_about}; }
void Network::leave() { now_running().leave_wanted = true; }

size_t Network::open_connections() const {
  Context& context = now_running();
  size_t open = 0;
  for (const Context::Descriptor& one : context.descriptors) open += one.connected ? 1U : 0U;
  for (const int fd : context.listeners)
    if (const kernel::Tcp* const tcp = context.tcp_of(fd)) open += tcp->waiting();
  return open;
}

size_t Network::own_connections() const {
  const std::vector<Context::Descriptor>& all = now_running().descriptors;
  return static_cast<size_t>(std::count_if(all.begin(), all.end(),
                                           [](const Context::Descriptor& one) { return one.own; }));
}

size_t Network::open_handles() const { return 0; }  // of libuv; this floor knows descriptors only

size_t Network::open_descriptors() const {
  return static_cast<size_t>(now_running().program->open_descriptors());
}

void Network::leave_descriptors(uint32_t count) {
  Context& context = now_running();
  context.program->set_limit(syscalls::first_descriptor + context.program->open_descriptors() +
                             static_cast<int>(count));
}

// Of a program that slept before it looked, nothing is known to be due.
bool Network::loop_has_work() const { return !now_running().slept; }

}  // namespace uvsim
