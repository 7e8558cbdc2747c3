// epoll: what is watched, and the list of what has become ready.
#ifndef KERNEL_EPOLL_HPP
#define KERNEL_EPOLL_HPP

#include <sys/epoll.h>

#include <vector>

#include "file.hpp"

namespace kernel {

struct Watch {
  Epoll* owner;
  File* file;
  int fd;           // under which the program registered it
  uint32_t events;  // with EPOLLET and its kin
  epoll_data_t data;
  bool listed;  // in the list of what may be ready
};

// The list is in the order in which things happened. An entry says that something may be ready; it
// is asked again when it is delivered. Level triggered ones go to the end of the list then.
class Epoll final : public File {
 public:
  explicit Epoll(Machine& machine) : File(machine) {}
  ~Epoll() override;

  Epoll* as_epoll() override { return this; }
  uint32_t ready() override;
  long ioctl(unsigned long request, int* value) override;
  bool can_read() const override { return false; }
  bool can_write() const override { return false; }
  void on_closed() override;

  // `event` may be null for EPOLL_CTL_DEL.
  long control(int operation, File& file, int fd, const epoll_event* event);
  // What is ready now, up to `count`; it does not wait.
  int collect(epoll_event* events, int count);

  void on_wake(Watch& watch, uint32_t events);  // a file says so
  void forget(Watch& watch);

 private:
  Watch* find(const File& file, int fd) const;
  void list(Watch& watch);
  void list_if_ready(Watch& watch);

  std::vector<Watch*> watches_;
  std::vector<Watch*> list_;
};

}  // namespace kernel

#endif
