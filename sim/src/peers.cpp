// The network seen from outside the program: the ends of connections that a World plays. Everything
// here is a thin hand on the simulated kernel; a peer is a socket without a descriptor.
#include <cerrno>

#include "internal.hpp"

namespace uvsim {
namespace {

Context& running() {
  Simulation* const simulation = Simulation::current();
  if (simulation == nullptr)
    violate(current(), "", Subject{}, "the Network was used while no simulation was running");
  return simulation->context();
}

Socket& socket_of(Context& context, Peer peer) {
  if (peer.id == 0 || peer.id > context.kernel.peers.size())
    violate(context, "", Subject{peer.id, subject_peer}, "there is no such peer in this run");
  return *context.kernel.peers[peer.id - 1];
}

Peer enrol(Context& context, Socket& socket) {
  context.kernel.peers.push_back(&socket);
  socket.peer_id = static_cast<uint32_t>(context.kernel.peers.size());
  socket.outside = true;
  return Peer{socket.peer_id};
}

Subject subject_of(Peer peer) { return {peer.id, subject_peer}; }

Socket* listener_at(const Context& context, size_t index) {
  for (Socket* const socket : context.kernel.bound_sockets()) {
    if (socket->state != SocketState::listening || socket->outside) continue;
    if (index-- == 0) return socket;
  }
  return nullptr;
}

Socket* outside_listener(const Context& context, uint16_t port) {
  for (Socket* const socket : context.kernel.bound_sockets())
    if (socket->outside && socket->local.port == port) return socket;
  return nullptr;
}

Address loopback_address(Family family, uint16_t port) {
  Address address;
  address.family = family;
  address.port = port;
  if (family == Family::ipv4) {
    address.bytes[0] = 127;
    address.bytes[3] = 1;
  } else {
    address.bytes[15] = 1;
  }
  return address;
}

Peer connect_name(Context& context, const std::string& name) {
  Socket& socket = *context.kernel.new_socket(Family::pipe);
  const Peer peer = enrol(context, socket);
  const int error = context.kernel.connect_name(socket, name);
  if (error != 0) context.kernel.connect_fails(socket, -error);
  context.event(What::peer_connect, subject_of(peer), error);
  return peer;
}

}  // namespace

size_t Network::listeners() const {
  size_t count = 0;
  for (const Socket* const socket : running().kernel.bound_sockets())
    count += socket->state == SocketState::listening && !socket->outside ? 1 : 0;
  return count;
}

Listener Network::listener(size_t index) const {
  Context& context = running();
  const Socket* const socket = listener_at(context, index);
  if (socket == nullptr) violate(context, "", Subject{}, "there is no listener %zu", index);
  Listener listener;
  listener.family = socket->family;
  listener.port = socket->local.port;
  listener.name = socket->family == Family::pipe ? socket->path : text_of(socket->local);
  listener.descriptor = socket->fd;
  listener.queued = static_cast<uint32_t>(socket->queued());
  listener.backlog = socket->backlog;
  return listener;
}

Peer Network::connect(size_t listener_index) {
  Context& context = running();
  const ledger::Outside outside;
  const Socket* const socket = listener_at(context, listener_index);
  if (socket == nullptr)
    violate(context, "", Subject{}, "there is no listener %zu to connect to", listener_index);
  if (socket->family == Family::pipe) return connect_name(context, socket->path);
  return connect(socket->family, socket->local.port);
}

Peer Network::connect(Family family, uint16_t port) {
  Context& context = running();
  const ledger::Outside outside;
  Socket& socket = *context.kernel.new_socket(family);
  const Peer peer = enrol(context, socket);
  context.kernel.connect(socket, loopback_address(family, port));
  context.event(What::peer_connect, subject_of(peer), port);
  return peer;
}

Peer Network::connect(std::string_view pipe_name) {
  const ledger::Outside outside;
  return connect_name(running(), std::string(pipe_name));
}

uint16_t Network::listen(uint16_t port, uint32_t backlog) {
  Context& context = running();
  const ledger::Outside outside;
  // The wildcard address of IPv6 takes IPv4 too.
  Socket& socket = *context.kernel.new_socket(Family::ipv6);
  socket.outside = true;
  if (context.kernel.bind(socket, Address{Family::ipv6, port, {}, 0}) != 0) return 0;
  context.kernel.listen(socket, static_cast<int>(backlog));
  context.event(What::peer_listen, Subject{}, socket.local.port);
  return socket.local.port;
}

Peer Network::accept(uint16_t port) {
  Context& context = running();
  const ledger::Outside outside;
  Socket* const listener = outside_listener(context, port);
  if (listener == nullptr || listener->queued() == 0) return Peer{};
  Socket& socket = *listener->queue[listener->queue_head++];
  socket.accepted = true;
  const Peer peer = enrol(context, socket);
  context.event(What::peer_accept, subject_of(peer), port);
  return peer;
}

void Network::stop_listening(uint16_t port) {
  Context& context = running();
  if (Socket* const listener = outside_listener(context, port)) context.kernel.close(*listener);
}

size_t Network::send(Peer peer, const void* bytes, size_t size) {
  Context& context = running();
  const ledger::Outside outside;
  Socket& socket = socket_of(context, peer);
  if (socket.orphan) return 0;
  const uv_buf_t buffer{const_cast<char*>(static_cast<const char*>(bytes)), size};
  const ssize_t count = context.kernel.write(socket, &buffer, 1, size);
  context.event(What::peer_send, subject_of(peer), count);
  return count < 0 ? 0 : static_cast<size_t>(count);
}

bool Network::send_urgent(Peer peer, char byte) {
  Context& context = running();
  const ledger::Outside outside;
  Socket& socket = socket_of(context, peer);
  const bool taken = !socket.orphan && context.kernel.write_urgent(socket, byte);
  context.event(What::peer_urgent, subject_of(peer), taken ? 1 : 0);
  return taken;
}

size_t Network::read(Peer peer, void* bytes, size_t size) {
  Context& context = running();
  const ledger::Outside outside;
  Socket& socket = socket_of(context, peer);
  if (socket.visible() == 0 || size == 0) return 0;
  const ssize_t count = context.kernel.read(socket, static_cast<char*>(bytes), size);
  context.event(What::peer_read, subject_of(peer), count);
  return static_cast<size_t>(count);
}

void Network::half_close(Peer peer) {
  Context& context = running();
  Socket& socket = socket_of(context, peer);
  if (socket.orphan) return;
  context.event(What::peer_fin, subject_of(peer), 0);
  context.kernel.shutdown_write(socket);
}

void Network::close(Peer peer) {
  Context& context = running();
  Socket& socket = socket_of(context, peer);
  if (socket.orphan) return;
  context.event(What::peer_close, subject_of(peer), 0);
  context.kernel.close(socket);
}

void Network::reset(Peer peer) {
  Context& context = running();
  Socket& socket = socket_of(context, peer);
  if (socket.orphan) return;
  context.event(What::peer_reset, subject_of(peer), 0);
  socket.reset_at_close();
  context.kernel.close(socket);
}

void Network::set_buffers(Peer peer, size_t send, size_t receive) {
  Context& context = running();
  Socket& socket = socket_of(context, peer);
  socket.send_room = send;
  socket.set_receive_room(receive);
}

PeerView Network::view(Peer peer) const {
  Context& context = running();
  const Socket& socket = socket_of(context, peer);
  PeerView view;
  view.sent = socket.sent;
  view.received = socket.received;
  view.port = socket.local.port;
  view.reset = socket.reset_seen;
  if (socket.orphan) return view;
  switch (socket.state) {
    case SocketState::connecting: view.state = PeerState::connecting; return view;
    case SocketState::dead:
      view.state = socket.refused ? PeerState::refused : PeerState::established;
      break;
    default: view.state = PeerState::established; break;
  }
  view.readable = socket.visible();
  view.unread = socket.in.size();
  view.held = socket.peer == nullptr ? 0 : Kernel::held(*socket.peer);
  view.fin_sent = socket.fin_queued;
  view.fin = socket.fin_arrived();
  view.program_closed = socket.peer == nullptr || socket.peer->orphan;
  view.accepted = socket.peer != nullptr && socket.peer->accepted;
  if (socket.state == SocketState::established && !socket.write_shut && !view.program_closed)
    view.writable = context.kernel.room(socket);
  return view;
}

size_t Network::peers() const { return running().kernel.peers.size(); }

bool Network::signal(int signum) {
  Context& context = running();
  const ledger::Outside outside;
  context.event(What::signal, Subject{}, signum);
  return deliver_signal(context, signum);
}

void Network::advance(uint64_t ns) {
  Context& context = running();
  context.event(What::advance, Subject{}, static_cast<int64_t>(ns));
  spend(context, ns);
  context.kernel.run_timers();
}

uint64_t Network::now_ns() const { return running().now_ns; }

Peer Network::asked_about() const { return Peer{running().asked_about}; }

void Network::leave() { running().leave_wanted = true; }

size_t Network::open_connections() const { return running().kernel.connections; }

size_t Network::own_connections() const { return running().kernel.own_connections; }

size_t Network::open_handles() const { return running().open_handles; }

size_t Network::open_descriptors() const { return running().kernel.open_descriptors(); }

void Network::leave_descriptors(uint32_t count) {
  Context& context = running();
  context.options.descriptors = context.kernel.open_descriptors() + count;
}

bool Network::loop_has_work() const {
  for (LoopState* const state : running().loops) {
    if (anything_ready(*state)) return true;
    if (!empty(link_of(state->loop->pending_queue)) || state->loop->closing_handles != nullptr)
      return true;
    if (!state->timers.empty() && state->timers[0]->timeout <= running().now_ns / 1'000'000)
      return true;
  }
  return false;
}

}  // namespace uvsim
