// What the sources of floor 2 share: one run of a program whose system calls the simulated kernel
// answers.
//
// Theory. The program runs as a plain call on this thread. Each of its system calls comes here
// first (on_call): it is counted, it may fail, and it is noted when it was answered. Where the
// program would wait, the driver's hook is called (act). The World's clients are descriptors of a
// second process of the same machine. A run is left by a long jump out of a system call.
#ifndef FLOOR2_CONTEXT_HPP
#define FLOOR2_CONTEXT_HPP

#include <csetjmp>
#include <cstdint>
#include <optional>
#include <vector>

#include "kernel/tcp.hpp"
#include "src/trace.hpp"
#include "syscalls/syscalls.hpp"
#include "uvsim/ledger.hpp"
#include "uvsim/uvsim.hpp"

namespace uvsim {

using Context = Simulation::Context;

// The system calls come first, so that a call's number is its event's.
// clang-format off
#define FLOOR2_HAPPENINGS(X)                                                                      \
  X(peer_connect) X(peer_send) X(peer_read) X(peer_fin) X(peer_close) X(peer_reset)               \
  X(peer_listen) X(peer_accept) X(peer_urgent) X(signal) X(advance) X(note) X(finding)
// clang-format on
enum class What : uint8_t {
#define FLOOR2_ENUMERATOR(name) name,
  SYSCALLS_CALLS(FLOOR2_ENUMERATOR) first_happening,
  FLOOR2_HAPPENINGS(FLOOR2_ENUMERATOR)
#undef FLOOR2_ENUMERATOR
};
constexpr uint8_t subject_peer = 201;
constexpr uint8_t subject_descriptor = 202;

struct Simulation::Context final : private syscalls::World, private kernel::Chooser {
  explicit Context(Simulation& of) : simulation(of) {}

  // A descriptor of the program.
  struct Descriptor {
    bool connected = false;  // one end of a connection
    bool own = false;        // which the program asked for
    uint32_t peer_id = 0;    // of its other end; 0: not known
  };
  // One end that the World plays.
  struct Outside {
    int fd = -1;
    bool closed = false;  // by the World
    bool accepted = false;
    uint16_t port = 0;
    uint64_t sent = 0;
    uint64_t received = 0;
  };

  void reset(Choices& source);
  void begin(Choices& source);
  const Report& end(int result);
  uint32_t pick(uint32_t n, ChoicePoint point, uint32_t peer_id);
  // The same where Linux has only the first `real` answers; the others are given on request.
  uint32_t fault(uint32_t real, uint32_t n, ChoicePoint point, uint32_t peer_id) {
    return pick(next_options.impossible.has(point) ? n : real, point, peer_id);
  }
  void event(What what, Subject subject, int64_t value, const char* text = nullptr);
  void advance(uint64_t ns);

  // The ways out of the program.
  [[noreturn]] void leave();
  [[noreturn]] void violate(const char* message);
  [[noreturn]] void limit_reached(Limit limit);
  [[noreturn]] void exit(int status);

  Descriptor* descriptor(int fd);
  uint32_t peer_of(int fd);
  const kernel::Tcp* tcp_of(int fd) const;
  const kernel::Tcp* tcp_of(const Outside& one) const;
  void judge_leaks(const void* stack);

  Simulation& simulation;
  Options options;
  Options next_options;
  PollHook hook;
  std::function<void(int)> end_hook;
  EventHook event_hook = nullptr;
  void* event_context = nullptr;
  Report report;
  Trace trace;
  Network network;
  Choices* choices = nullptr;
  bool asks = false;  // there is somebody to ask

  std::optional<kernel::Machine> machine;
  std::optional<kernel::Process> program;
  std::optional<kernel::Process> world;
  std::vector<Descriptor> descriptors;  // by number, from syscalls::first_descriptor
  std::vector<int> listeners;           // of the program, oldest first
  std::vector<Outside> outside;         // by Peer::id - 1
  std::vector<int> outside_listeners;   // descriptors of the World
  uint32_t asked_about = 0;

  uint64_t step = 0;
  uint64_t calls_here = 0;  // since the program last waited
  uint64_t hooks = 0;       // in a row, since the program last made a call
  uint64_t end_ns = 0;
  bool in_call = false;  // a call of the program is being answered
  bool slept = false;    // the program has slept since it last waited
  bool leave_wanted = false;
  bool can_leave = false;
  bool was_left = false;
  bool leaks_are_judged = false;
  bool ledger_running = false;
  uint64_t baseline_live = 0;
  int base_inside = 0;
  int program_result = 0;
  std::jmp_buf way_out{};

 private:
  bool act(const syscalls::Pause& pause) override;
  int on_call(syscalls::Call call, int fd) override;
  void on_answer(syscalls::Call call, int fd, long answer) override;
  int on_events(epoll_event* events, int count) override;
  void on_broken_pipe() override;
  void on_deadlock() override;
  unsigned pick(unsigned n, kernel::Question question) override;
  // The errno value with which the call fails; 0: it happens.
  int fault_of(syscalls::Call call, int fd);
  int fault_of_connection(syscalls::Call call, kernel::Tcp& tcp, uint32_t peer_id);
  int fault_of_socket(syscalls::Call call, kernel::Tcp& tcp, uint32_t peer_id);
  int fault_without_connection(syscalls::Call call);
  void note(syscalls::Call call, int fd, long answer);
  void begin_ledger();
  void end_ledger();
  void tell(const TraceEvent& event, uint32_t peer_id);

  int fd_called_ = -1;
  int inside_before_ = 0;
};

}  // namespace uvsim

#endif
