// An open file description: what descriptors stand for, polls ask and epolls watch.
#ifndef KERNEL_FILE_HPP
#define KERNEL_FILE_HPP

#include <cstdint>
#include <vector>

#include "buffers.hpp"

namespace kernel {

class Epoll;
class Machine;
class Socket;
class Tcp;
class TimerFd;
struct Watch;

// Its life: the machine owns it and every descriptor holds it. When the last descriptor is closed,
// on_closed() is called and the file decides when it is buried; most are at once.
class File {
 public:
  explicit File(Machine& machine);
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  virtual ~File();

  // What poll would report: EPOLLIN and its kin. It may remember that it was asked.
  virtual uint32_t ready() = 0;
  virtual long read(const Buffers& to);
  virtual long write(const Buffers& from);
  virtual long ioctl(unsigned long request, int* value);
  // The kind of file, as in st_mode; 0 for one of the kernel's own.
  virtual unsigned kind() const { return 0; }
  virtual bool can_read() const { return true; }
  virtual bool can_write() const { return true; }
  virtual void on_closed();

  virtual Socket* as_socket() { return nullptr; }
  virtual Tcp* as_tcp() { return nullptr; }
  virtual Epoll* as_epoll() { return nullptr; }
  virtual TimerFd* as_timer() { return nullptr; }

  void hold() { ++holders_; }
  void drop();  // closes the file when no descriptor holds it any more

  // Tells those that wait that something of `events` happened; 0 stands for anything at all.
  void wake(uint32_t events);

  Machine& machine() const { return machine_; }
  bool non_blocking() const;
  int status = 0;               // O_NONBLOCK and the access mode
  std::vector<Watch*> watches;  // each belongs to its epoll; the first is told first

 protected:
  // What a call that cannot proceed answers.
  long would_wait() const;

 private:
  friend class Machine;
  Machine& machine_;
  size_t index_ = 0;  // in the machine's list
  unsigned holders_ = 0;
  bool buried_ = false;
};

}  // namespace kernel

#endif
