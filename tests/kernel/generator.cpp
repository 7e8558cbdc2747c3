// Which steps are likely, and after which.
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <iterator>

#include "script.hpp"

uint64_t Random::next() {
  uint64_t z = state_ += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

namespace {

constexpr int families[] = {AF_INET, AF_INET, AF_INET6, AF_UNIX};
constexpr int sizes[] = {0, 1, 2, 3, 10, 100, 1000, 5000};
constexpr int message_flags[] = {0, 0, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_DONTWAIT | MSG_NOSIGNAL};

}  // namespace

Generator::Generator(uint64_t seed) : random_(seed), nonblocking_(!random_.one_in(8)) {
  plan_connection();
}

// A listener with a connection or two, or a pair.
void Generator::plan_connection() {
  if (random_.one_in(4)) {
    plan({Call::socketpair, nonblocking_ ? O_NONBLOCK : 0});
    return;
  }
  const int family = random_.of(families);
  const int fd = free_from(3);
  const int next = free_from(fd + 1);
  const int flags = nonblocking_ ? O_NONBLOCK : 0;
  plan({Call::socket, family, flags});
  plan({Call::bind, fd, family == AF_UNIX ? random_.of({abstract_name, path}) : free_port,
        random_.below(3)});
  plan({Call::listen, fd, random_.below(4)});
  plan({Call::socket, family, flags});
  plan({Call::connect, next, same_as, fd});
  plan({Call::accept4, fd, flags});
  if (family == AF_UNIX || !random_.one_in(8)) return;
  // The client ends it first, and another socket wants its port.
  const int accepted = free_from(next + 1);
  plan({Call::shutdown, next, SHUT_WR});
  plan({Call::close, accepted});
  plan({Call::socket, family, flags});
  plan({Call::bind, accepted, same_as, next});
}

// The lowest free descriptor from `fd` on.
int Generator::free_from(int fd) const {
  while (fd < last_kind && kinds_[fd] != Kind::none) ++fd;
  return fd;
}

// More clients than the listen queue holds, and no call that accepts them.
void Generator::plan_crowd() {
  const int family = random_.of(families);
  const int flags = nonblocking_ ? O_NONBLOCK : 0;
  const int backlog = random_.below(2);
  const int listener = free_from(3);
  plan({Call::socket, family, flags});
  plan({Call::bind, listener, family == AF_UNIX ? abstract_name : free_port, random_.below(3)});
  plan({Call::listen, listener, backlog});
  int client = listener;
  for (int i = 0; i < backlog + 2; ++i) {
    client = free_from(client + 1);
    plan({Call::socket, family, flags});
    plan({Call::connect, client, same_as, listener});
  }
  const bool accepts = random_.one_in(2);
  plan({accepts ? Call::accept4 : Call::close, listener, O_NONBLOCK});
  if (!accepts && flags != 0) plan({Call::read, free_from(listener + 1), 10});
}

// As many small messages as a pipe has pages, and one more.
void Generator::plan_small_messages() {
  constexpr int pages = 16;
  const int reader = free_from(3);
  const int size = random_.of({1, 100, 1000});
  plan({Call::pipe2, O_NONBLOCK});
  for (int i = 0; i <= pages; ++i) plan({Call::write, free_from(reader + 1), size});
}

// One of the scenes above.
void Generator::plan_scene() {
  if (random_.one_in(12)) {
    plan_small_messages();
  } else if (random_.one_in(4)) {
    plan_crowd();
  } else {
    plan_connection();
  }
}

int Generator::pick(bool (*fits)(Kind)) {
  int found = -1;
  int count = 0;
  for (int fd = 3; fd < fds_; ++fd) {
    if (!fits(kinds_[fd])) continue;
    if (random_.one_in(++count)) found = fd;
  }
  return found >= 0 && !random_.one_in(50) ? found : 3 + random_.below(12);
}

int Generator::any_fd() {
  return pick([](Kind kind) { return kind != Kind::none; });
}

Step Generator::next() {
  if (!planned_.empty()) {
    const Step step = planned_.front();
    planned_.erase(planned_.begin());
    return step;
  }
  switch (random_.below(20)) {
    case 0: plan_scene(); return next();
    case 1: return making();
    case 2:
    case 3:
    case 4: return naming();
    case 5: return option();
    case 6:
    case 7:
    case 8: return descriptor();
    case 9:
    case 10:
    case 11:
    case 12: return readiness();
    default: return transfer();
  }
}

// Is there an epoll? While a buffer is filled, room comes and goes for as long as acknowledgements
// are on their way; one that is edge triggered tells of it.
bool Generator::watched() const {
  return std::any_of(kinds_, kinds_ + fds_, [](Kind kind) { return kind == Kind::epoll; });
}

Step Generator::transfer() {
  const int fd = pick([](Kind kind) { return kind >= Kind::tcp && kind <= Kind::writer; });
  const int size = random_.of(sizes);
  const int flags = random_.of(message_flags);
  switch (random_.below(16)) {
    case 0: return {Call::readv, fd, size, random_.of(sizes)};
    case 1: return {Call::writev, fd, size, random_.of(sizes)};
    case 2: return {Call::send, fd, size, flags | (random_.one_in(3) ? MSG_OOB : 0)};
    case 3: return {Call::sendmsg, fd, size, flags};
    case 4: return {Call::recv, fd, size, flags | (random_.one_in(2) ? MSG_PEEK : 0)};
    case 5: return {Call::recv, fd, size, MSG_OOB | (random_.one_in(3) ? MSG_PEEK : 0)};
    case 6: return {Call::recvmsg, fd, size, flags};
    case 7:
      return {Call::count, pick([](Kind kind) { return kind == Kind::event; }),
              random_.of({0, 1, 2, -1, -2})};
    case 8:
      return {Call::read,
              pick([](Kind kind) { return kind == Kind::event || kind == Kind::timer; }),
              random_.of({8, 8, 8, 4, 16})};
    case 9: return {fills && !watched() && random_.one_in(4) ? Call::fill : Call::drain, fd};
    case 10:
    case 11:
    case 12: return {Call::read, fd, size};
    default: return {Call::write, fd, size};
  }
}

Step Generator::naming() {
  const int fd = pick([](Kind kind) { return kind >= Kind::tcp && kind <= Kind::named; });
  const int other = pick([](Kind kind) { return kind >= Kind::tcp && kind <= Kind::named; });
  switch (random_.below(12)) {
    case 0:
      return {Call::bind, fd,
              random_.of({any_port, free_port, same_as, over_ipv4, abstract_name, path}),
              random_.one_in(2) ? other : random_.below(3)};
    case 1: return {Call::listen, fd, random_.of({0, 1, 2, -1})};
    case 2:
    case 3: return {Call::connect, fd, random_.one_in(4) ? over_ipv4 : same_as, other};
    case 4: return {Call::getsockname, fd};
    case 5: return {Call::getpeername, fd};
    case 6:
      if (random_.one_in(2)) return {Call::unlink, random_.below(3)};
      return {Call::connect, fd, random_.of({abstract_name, path}), random_.below(3)};
    case 7:
    case 8: return {Call::shutdown, fd, random_.below(3)};
    default: return {Call::accept4, fd, random_.of({0, O_NONBLOCK, O_NONBLOCK, O_CLOEXEC})};
  }
}

Step Generator::descriptor() {
  const int fd = any_fd();
  switch (random_.below(12)) {
    case 0: return {Call::dup, fd};
    case 1: return {Call::dup2, fd, random_.one_in(2) ? any_fd() : 3 + random_.below(20)};
    case 2: return {Call::dup3, fd, any_fd(), random_.of({0, O_CLOEXEC})};
    case 3: return {Call::fcntl, fd, random_.of({F_GETFL, F_GETFD}), 0};
    case 4: return {Call::fcntl, fd, F_SETFL, random_.of({0, O_NONBLOCK, O_NONBLOCK})};
    case 5: return {Call::fcntl, fd, F_SETFD, random_.below(2)};
    case 6: return {Call::fcntl, fd, random_.of({F_DUPFD, F_DUPFD_CLOEXEC}), random_.below(26)};
    case 7: return {Call::ioctl, fd, random_.of({FIONBIO, FIOCLEX, FIONCLEX}), random_.below(2)};
    case 8:
      return {Call::ioctl, fd,
              random_.of({FIONREAD, FIONREAD, SIOCOUTQ, static_cast<int>(SIOCATMARK)}), 0};
    default: return {Call::close, fd};
  }
}

Step Generator::option() {
  const int fd = pick([](Kind kind) { return kind >= Kind::tcp && kind <= Kind::named; });
  struct Option {
    int level;
    int name;
  };
  constexpr Option known[] = {
      {SOL_SOCKET, SO_ERROR},       {SOL_SOCKET, SO_ERROR},      {SOL_SOCKET, SO_ERROR},
      {SOL_SOCKET, SO_REUSEADDR},   {SOL_SOCKET, SO_OOBINLINE},  {SOL_SOCKET, SO_OOBINLINE},
      {SOL_SOCKET, SO_KEEPALIVE},   {SOL_SOCKET, SO_LINGER},     {SOL_SOCKET, SO_LINGER},
      {SOL_SOCKET, SO_TYPE},        {SOL_SOCKET, SO_DOMAIN},     {SOL_SOCKET, SO_PROTOCOL},
      {SOL_SOCKET, SO_ACCEPTCONN},  {IPPROTO_TCP, TCP_KEEPIDLE}, {IPPROTO_TCP, TCP_KEEPCNT},
      {IPPROTO_TCP, TCP_KEEPINTVL},
  };
  const Option& option = known[random_.below(static_cast<int>(std::size(known)))];
  if (random_.one_in(2)) return {Call::getsockopt, fd, option.level, option.name};
  return {Call::setsockopt, fd, option.level, option.name,
          random_.of({0, 1, 1, 2, 100, 40000, -1})};
}

Step Generator::readiness() {
  const int epoll = pick([](Kind kind) { return kind == Kind::epoll; });
  constexpr int events[] = {EPOLLIN,
                            EPOLLIN,
                            EPOLLOUT,
                            EPOLLIN | EPOLLOUT,
                            EPOLLIN | EPOLLRDHUP,
                            0,
                            EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP};
  constexpr int manners[] = {0,
                             0,
                             static_cast<int>(EPOLLET),
                             static_cast<int>(EPOLLET),
                             EPOLLONESHOT,
                             EPOLLONESHOT,
                             EPOLLEXCLUSIVE};
  switch (random_.below(9)) {
    case 0: return {Call::select, any_fd()};
    case 1: return {Call::epoll_ctl, epoll, EPOLL_CTL_DEL, any_fd(), 0};
    case 2:
      return {Call::epoll_ctl, epoll, EPOLL_CTL_MOD, any_fd(),
              random_.of(events) | random_.of(manners)};
    case 3:
    case 4:
    case 5:
      return {Call::epoll_ctl, epoll, EPOLL_CTL_ADD, any_fd(),
              random_.of(events) | random_.of(manners)};
    default: return {Call::epoll_wait, epoll, random_.of({1, 2, 16, 16, 16, 0})};
  }
}

Step Generator::making() {
  const int flags = random_.of({0, O_NONBLOCK, O_NONBLOCK, O_NONBLOCK | O_CLOEXEC});
  switch (random_.below(8)) {
    case 0: return {Call::socket, random_.of(families), flags};
    case 1: return {Call::socketpair, flags};
    case 2: return {Call::eventfd2, random_.below(3), flags | (random_.one_in(3) ? 1 : 0)};
    case 3: return {Call::timerfd_create, flags};
    case 4:
      return {Call::timerfd_settime, pick([](Kind kind) { return kind == Kind::timer; }),
              random_.below(3)};
    case 5: return {Call::timerfd_gettime, pick([](Kind kind) { return kind == Kind::timer; })};
    case 6: return {Call::epoll_create1, flags & O_CLOEXEC};
    default: return {Call::pipe2, flags};
  }
}

void Generator::on_done(const Step& step, long result, const int fds[2]) {
  const auto become = [&](long fd, Kind kind) {
    if (fd < 0 || fd > last_kind) return;
    kinds_[fd] = kind;
    if (fd >= fds_) fds_ = static_cast<int>(fd) + 1;
  };
  if (result < 0) return;
  switch (step.call) {
    case Call::socket:
      return become(result, step.a == AF_INET    ? Kind::tcp
                            : step.a == AF_INET6 ? Kind::tcp6
                                                 : Kind::named);
    case Call::accept4:
    case Call::dup: return become(result, kinds_[step.a]);
    case Call::dup2:
    case Call::dup3: return become(step.b, kinds_[step.a]);
    case Call::fcntl:
      if (step.b == F_DUPFD || step.b == F_DUPFD_CLOEXEC) become(result, kinds_[step.a]);
      return;
    case Call::close: return become(step.a, Kind::none);
    case Call::socketpair: become(fds[0], Kind::named); return become(fds[1], Kind::named);
    case Call::pipe2: become(fds[0], Kind::reader); return become(fds[1], Kind::writer);
    case Call::eventfd2: return become(result, Kind::event);
    case Call::timerfd_create: return become(result, Kind::timer);
    case Call::epoll_create1:
      become(result, Kind::epoll);
      // What is there is watched.
      for (int fd = 3; fd < fds_; ++fd)
        if (kinds_[fd] != Kind::none && kinds_[fd] != Kind::epoll && random_.one_in(2))
          plan({Call::epoll_ctl, static_cast<int>(result), EPOLL_CTL_ADD, fd,
                static_cast<int>(EPOLLIN | EPOLLOUT | EPOLLRDHUP |
                                 (random_.one_in(2) ? uint32_t{EPOLLET} : 0))});
      return;
    default: return;
  }
}
