// A crowd: thousands of clients that take without giving, in one epoll loop on a thread of its own,
// so that a test can be an honest client beside them.
#pragma once

#include <sys/epoll.h>
#include <sys/resource.h>

#include <atomic>
#include <exception>
#include <memory>
#include <thread>

#include "client.hpp"

namespace loopback {

inline void allow_descriptors(rlim_t count) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) fail_system("getrlimit");
  if (limit.rlim_cur >= count) return;
  limit.rlim_cur = std::min(count, limit.rlim_max);
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) fail_system("setrlimit");
}

class Crowd {
 public:
  // Small buffers and segments, so that little sending already leaves the server with a write that
  // cannot proceed, and the kernel is not what runs out of memory.
  static constexpr Client::Shape narrow{
      .receive_buffer = 4096, .send_buffer = 32 * 1024, .segment = 536};

  struct Behaviour {
    std::size_t size;
    std::size_t bytes = std::size_t{160} * 1024;  // that each sends, as far as they go
    milliseconds byte_each{0};                    // reads one byte at a time; 0: never reads
    bool half_close = false;                      // when all is sent; and stays
    bool come_again = false;                      // when cut
    Client::Shape shape = narrow;
  };

  Crowd(std::uint16_t port, const Behaviour& behaviour)
      : port_(port),
        behaviour_(behaviour),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        bytes_(behaviour.bytes, 'x') {
    if (epoll_.get() < 0) fail_system("epoll_create1");
    allow_descriptors(behaviour.size + 1000);
    thread_ = std::thread([this] { live(); });
  }
  ~Crowd() { disperse(); }
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  // All are there, and each has sent what goes.
  void gather() {
    const bool there = eventually([this] { return failed_ || satisfied_ >= behaviour_.size; });
    if (failed_) std::rethrow_exception(failure_);
    if (!there) throw std::runtime_error("deadline passed: the crowd gathers");
  }

  // All leave.
  void disperse() {
    leave_ = true;
    if (thread_.joinable()) thread_.join();
    members_.clear();
  }

  std::size_t ended() const { return ended_; }  // connections that the server ended

 private:
  struct Member {
    std::unique_ptr<Client> client = {};
    std::size_t sent = 0;
    bool satisfied = false;  // it has sent what goes, once
    Clock::time_point last_read = {};
  };

  void live() try {
    members_.resize(behaviour_.size);
    for (std::size_t index = 0; index < members_.size() && !leave_; ++index) come(index);
    std::vector<epoll_event> events(256);
    while (!leave_) {
      const int count =
          ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 10);
      for (int ready = 0; ready < count; ++ready) {
        const epoll_event& event = events[static_cast<std::size_t>(ready)];
        on_ready(event.data.u64, event.events);
      }
      if (behaviour_.byte_each > milliseconds(0)) read_bytes();
    }
  } catch (...) {
    failure_ = std::current_exception();
    failed_ = true;
  }

  void come(std::size_t index) {
    Member& member = members_[index];
    member.client = std::make_unique<Client>(port_, behaviour_.shape);
    member.sent = 0;
    member.last_read = Clock::now();
    watch(index, EPOLLOUT | EPOLLRDHUP, EPOLL_CTL_ADD);
  }

  void watch(std::size_t index, std::uint32_t events, int operation) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = index;
    if (::epoll_ctl(epoll_.get(), operation, members_[index].client->descriptor(), &event) != 0) {
      fail_system("epoll_ctl");
    }
  }

  void on_ready(std::size_t index, std::uint32_t events) {
    Member& member = members_[index];
    if ((events & EPOLLOUT) != 0 && member.sent < bytes_.size()) send(index);
    if ((events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) == 0) return;
    ++ended_;
    satisfy(member);
    member.client.reset();  // closing takes it out of the epoll set
    if (behaviour_.come_again) come(index);
  }

  void send(std::size_t index) {
    Member& member = members_[index];
    const std::size_t went = member.client->send_some(std::string_view(bytes_).substr(member.sent));
    member.sent += went;
    satisfy(member);
    if (member.sent < bytes_.size()) return;  // the kernel takes no more for now
    if (behaviour_.half_close) member.client->shutdown_write();
    watch(index, EPOLLRDHUP, EPOLL_CTL_MOD);
  }

  void satisfy(Member& member) {
    if (!std::exchange(member.satisfied, true)) ++satisfied_;
  }

  void read_bytes() {
    const Clock::time_point now = Clock::now();
    for (Member& member : members_) {
      if (member.client == nullptr || now - member.last_read < behaviour_.byte_each) continue;
      member.last_read = now;
      member.client->receive_some(1);
    }
  }

  std::uint16_t port_;
  Behaviour behaviour_;
  Descriptor epoll_;
  std::string bytes_;
  std::vector<Member> members_;
  std::atomic<std::size_t> satisfied_{0};
  std::atomic<std::size_t> ended_{0};
  std::atomic<bool> leave_{false};
  std::atomic<bool> failed_{false};
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace loopback
