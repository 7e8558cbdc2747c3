// TCP sockets, for IPv4 and IPv6.
//
// Theory. The wire is instant. Two connected sockets know each other, and each has one queue for
// what is on its way to it: the first `arrived_` bytes are in its receive buffer, the rest waits in
// the send buffer of the other end until the window opens. A FIN arrives behind the last byte. The
// states of RFC 9293 are `state_` and three marks: FIN sent, FIN acknowledged, FIN received.
//
// A socket that the program has closed lives on as an orphan until its connection has ended, so
// that its bytes and its FIN still arrive, and late bytes are answered with RST.
#ifndef KERNEL_TCP_HPP
#define KERNEL_TCP_HPP

#include <vector>

#include "machine.hpp"
#include "socket.hpp"

namespace kernel {

class Tcp final : public Socket, public Timed {
 public:
  Tcp(Machine& machine, sa_family_t family) : Socket(machine, family) {}
  ~Tcp() override;

  uint32_t ready() override;
  long bind(const Address& address) override;
  long listen(int backlog) override;
  long accept(Socket** accepted) override;
  long connect(const Address& address, long wrong) override;
  long send(const Buffers& from, int flags) override;
  long receive(const Buffers& to, int flags, int* said) override;
  long shutdown(int how) override;
  long ioctl(unsigned long request, int* value) override;
  Address local() const override { return local_; }
  long remote(Address* address) const override;
  bool is_listening() const override { return state_ == State::listening; }
  void on_closed() override;
  void on_deadline() override;  // the next SYN, or a probe
  Tcp* as_tcp() override { return this; }

  // For who looks at the machine from outside.
  bool is_connecting() const { return state_ == State::connecting; }
  bool is_connected() const { return state_ == State::connected; }
  size_t arrived() const { return arrived_; }          // bytes that can be read
  size_t on_the_way() const { return queue_.size(); }  // and those that wait at the other end
  size_t send_room() const;
  bool fin_received() const { return fin_received_; }
  bool was_reset() const { return was_reset_; }   // by the other end, or by fail()
  const Tcp* other_end() const { return peer_; }  // null: it has gone
  bool fin_sent() const { return fin_sent_; }
  bool is_orphan() const { return orphan_; }
  uint16_t remote_port() const { return remote_.port; }
  size_t waiting() const { return waiting_.size(); }  // of a listener: not yet accepted
  size_t backlog() const { return backlog_; }
  // The connection ends with this errno value, because of something between the two ends.
  void fail(int error);
  // The first connection that waits to be accepted is reset.
  void drop_first();

 private:
  enum class State { closed, listening, connecting, connected };
  // What connect(2) has promised: the states of a socket beside those of its connection.
  enum class Promise { none, in_progress, kept, dropped };
  enum class Urgent { none, announced, waiting, taken };

  // The connection: tcp_state.cpp.
  void establish(Tcp& listener);
  void on_fin();
  void on_fin_acknowledged();
  void on_reset();
  void send_fin();
  void send_reset();
  Tcp* part();
  void finish();
  void disconnect();
  void stop_listening();
  void announce_window();
  void let_in();
  void release_port();
  void on_room();
  size_t window() const;
  bool is_writable() const;
  int unacknowledged() const;
  bool can_send() const { return state_ == State::connected && !fin_sent_; }

  // Calls: tcp_connect.cpp, tcp_transfer.cpp.
  long choose_port(const Address& wanted);
  long begin_connect(const Address& address);
  bool send_syn();
  long end_connect();
  long receive_urgent(const Buffers& to, int flags, int* said);
  size_t take(const Buffers& to, int flags);
  long nothing_to_read(int flags);
  size_t readable() const;
  void set_urgent();
  void note_urgent();
  void on_taken();
  bool is_urgent_at(uint64_t position) const {
    return urgent_ != Urgent::none && urgent_at_ == position;
  }

  State state_ = State::closed;
  Promise promise_ = Promise::none;
  bool fin_sent_ = false;
  bool fin_acknowledged_ = false;
  bool fin_received_ = false;
  bool done_ = false;    // the end of the stream has been seen here
  bool orphan_ = false;  // the program has closed it
  bool was_reset_ = false;
  bool holds_port_ = false;  // `local_.port` is this socket's
  bool bound_ = false;       // to a port of the program's choice
  bool bound_host_ = false;  // and to an address
  bool no_room_ = false;     // a poll or a writer waits for room in the send buffer
  Address local_ = any(family_);
  Address remote_ = any(family_);
  Tcp* peer_ = nullptr;

  int left_ = 0;  // bytes and marks that were unacknowledged when the connection was reset

  // What is on its way here.
  ByteQueue queue_;
  size_t arrived_ = 0;
  uint64_t position_ = 0;  // of the first byte of the queue in the stream
  bool window_shut_ = false;
  Urgent urgent_ = Urgent::none;
  uint64_t urgent_at_ = 0;
  char urgent_byte_ = 0;

  // Of a listener.
  std::vector<Tcp*> waiting_;  // not yet accepted, the oldest first
  size_t backlog_ = 0;

  int syns_ = 0;             // sent again
  bool tried_ipv4_ = false;  // from an IPv6 socket: another attempt is not simulated
};

}  // namespace kernel

#endif
