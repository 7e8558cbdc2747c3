// Unix stream sockets, with names and in pairs.
#ifndef KERNEL_UNIX_HPP
#define KERNEL_UNIX_HPP

#include <vector>

#include "socket.hpp"

namespace kernel {

// A message is charged to its sender until the receiver has taken its last byte.
class UnixSocket final : public Socket {
 public:
  explicit UnixSocket(Machine& machine) : Socket(machine, AF_UNIX) {}

  static void connect_pair(UnixSocket& first, UnixSocket& second);

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

 private:
  enum class State { closed, listening, connected };

  size_t limit() const;
  void leave(bool was_accepted);
  void take_messages(size_t size);
  void on_taken(size_t charge);

  State state_ = State::closed;
  Address local_ = any(AF_UNIX);
  Address remote_ = any(AF_UNIX);  // of a peer that is gone
  UnixSocket* peer_ = nullptr;
  ByteQueue queue_;
  std::vector<size_t> messages_;  // the bytes that are left of each message in the queue
  std::vector<size_t> charges_;   // what its sender is charged for it
  size_t charged_ = 0;            // for what this socket has sent
  std::vector<UnixSocket*> waiting_;
  size_t backlog_ = 0;
};

}  // namespace kernel

#endif
