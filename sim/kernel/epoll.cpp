// epoll(7).
#include "epoll.hpp"

#include <algorithm>
#include <cerrno>

#include "machine.hpp"

namespace kernel {

namespace {

constexpr uint32_t always = EPOLLERR | EPOLLHUP;
constexpr uint32_t manner = EPOLLET | EPOLLONESHOT | EPOLLWAKEUP | EPOLLEXCLUSIVE;
constexpr uint32_t allowed_exclusive =
    EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;

void erase(std::vector<Watch*>& from, Watch* watch) {
  from.erase(std::remove(from.begin(), from.end(), watch), from.end());
}

uint32_t what_is_ready(const Watch& watch) { return watch.file->ready() & watch.events & ~manner; }

}  // namespace

Epoll::~Epoll() {
  for (Watch* watch : watches_) delete watch;
}

// Entries that are not ready after all leave the list here.
uint32_t Epoll::ready() {
  while (!list_.empty()) {
    if (what_is_ready(*list_.front()) != 0) return EPOLLIN | EPOLLRDNORM;
    list_.front()->listed = false;
    list_.erase(list_.begin());
  }
  return 0;
}

// An epoll has requests of its own, none of them simulated.
long Epoll::ioctl(unsigned long, int*) { return -EINVAL; }

void Epoll::on_closed() {
  while (!watches_.empty()) forget(*watches_.back());
  machine().bury(*this);
}

Watch* Epoll::find(const File& file, int fd) const {
  for (Watch* watch : file.watches)
    if (watch->owner == this && watch->fd == fd) return watch;
  return nullptr;
}

long Epoll::control(int operation, File& file, int fd, const epoll_event* event) {
  Watch* const watch = find(file, fd);
  const uint32_t events = event == nullptr ? 0 : event->events;
  const bool exclusive = (events & EPOLLEXCLUSIVE) != 0;
  switch (operation) {
    case EPOLL_CTL_ADD: {
      if (exclusive && (events & ~allowed_exclusive) != 0) return -EINVAL;
      if (watch != nullptr) return -EEXIST;
      if (file.as_epoll() != nullptr) return unsimulated;
      Watch* const added = new Watch{this, &file, fd, events | always, event->data, false};
      watches_.push_back(added);
      file.watches.insert(exclusive ? file.watches.end() : file.watches.begin(), added);
      list_if_ready(*added);
      return 0;
    }
    case EPOLL_CTL_MOD:
      if (exclusive) return -EINVAL;
      if (watch == nullptr) return -ENOENT;
      if ((watch->events & EPOLLEXCLUSIVE) != 0) return -EINVAL;
      watch->events = events | always;
      watch->data = event->data;
      list_if_ready(*watch);
      return 0;
    case EPOLL_CTL_DEL:
      if (watch == nullptr) return -ENOENT;
      forget(*watch);
      return 0;
    default: return -EINVAL;
  }
}

int Epoll::collect(epoll_event* events, int count) {
  std::vector<Watch*> seen;
  seen.swap(list_);
  int found = 0;
  size_t next = 0;
  for (; next < seen.size() && found < count; ++next) {
    Watch& watch = *seen[next];
    watch.listed = false;
    const uint32_t ready = what_is_ready(watch);
    if (ready == 0) continue;
    events[found].events = ready;
    events[found].data = watch.data;
    ++found;
    if ((watch.events & EPOLLONESHOT) != 0) {
      watch.events &= manner;
    } else if ((watch.events & EPOLLET) == 0) {
      list(watch);
    }
  }
  // Those that did not fit come first the next time.
  list_.insert(list_.begin(), seen.begin() + static_cast<long>(next), seen.end());
  return found;
}

void Epoll::on_wake(Watch& watch, uint32_t events) {
  if ((watch.events & ~manner) == 0) return;  // delivered, and not armed again
  if (events == 0 || (events & watch.events) != 0) list(watch);
}

void Epoll::forget(Watch& watch) {
  erase(list_, &watch);
  erase(watches_, &watch);
  erase(watch.file->watches, &watch);
  delete &watch;
}

void Epoll::list(Watch& watch) {
  if (watch.listed) return;
  watch.listed = true;
  list_.push_back(&watch);
}

void Epoll::list_if_ready(Watch& watch) {
  if (what_is_ready(watch) != 0) list(watch);
}

}  // namespace kernel
