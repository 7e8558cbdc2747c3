// The model of the core: around the real Service and its connections it says what libuv, the
// clients' kernels, the clock and the operator may do, and what must hold.
//
// What must hold is stated from a client's side, independently of the code:
//
// * A client that takes something is not cut. A client that takes nothing is cut.
// * A client that says nothing is closed after the idle limit.
// * A client that is cut with echo owed gets a reset.
// * A client that has something to say is read from.
//
// A driver decides which possible step happens and how each question is answered: bytes
// (fuzz/connection_fuzzer), a generator (props/connection_props) or all in turn
// (props/core_explorer). The model does not allocate.
#pragma once

#include <sanitizer/asan_interface.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "core/service.hpp"
#include "model/answers.hpp"

namespace model {

using echoproof::Time;

inline constexpr std::size_t clients_max = 6;

enum class Kind : std::uint8_t {
  clock,         // time passes, and due timers run
  data,          // on_alloc, then on_read with bytes
  take,          // a client acknowledges some of what it is owed
  written,       // on_write with 0, also after uv_close (R24)
  connect,       // a client was accepted
  timer,         // time passes until the timer, which runs
  eof,           // on_read with UV_EOF
  closed,        // on_close
  nothing,       // on_read with 0
  read_failed,   // on_read with an error
  write_failed,  // on_write with an error, also UV_ECANCELED after uv_close
  stop,          // the operator stops the server
};
inline constexpr std::size_t kind_count = static_cast<std::size_t>(Kind::stop) + 1;

// The size and the limits of the modelled server.
struct CoreShape {
  std::size_t clients = 2;
  std::size_t block_size = 2;    // bytes
  std::size_t large_blocks = 0;  // at most as many as clients; 0 if block_size is a small one's
  std::size_t owed_max =
      2;         // shares; a client that is owed more says nothing until it has taken some
  Time idle{2};  // a tick is a millisecond; Time::max() is never
  Time write{2};
  Time drain{1};
  std::size_t kernel_memory = echoproof::KernelBudget::unlimited;  // bytes
  std::size_t tuned_socket = 1;
  std::array<Time, 8> pauses{Time(1)};  // the lengths in which time passes
  std::size_t pause_count = 1;

  static CoreShape pick(Answers& answers);
  bool ends_by_time() const { return idle != Time::max() && write != Time::max(); }
};

// A connection, or none. Its memory is poisoned while there is none.
class ConnectionMemory {
 public:
  ConnectionMemory() { ASAN_POISON_MEMORY_REGION(memory_, sizeof memory_); }
  ~ConnectionMemory() { ASAN_UNPOISON_MEMORY_REGION(memory_, sizeof memory_); }
  ConnectionMemory(const ConnectionMemory&) = delete;
  ConnectionMemory& operator=(const ConnectionMemory&) = delete;

  explicit operator bool() const { return connection_ != nullptr; }
  echoproof::Connection& operator*() const { return *connection_; }
  echoproof::Connection* operator->() const { return connection_; }

  void make() {
    ASAN_UNPOISON_MEMORY_REGION(memory_, sizeof memory_);
    connection_ = new (memory_) echoproof::Connection;
  }
  void free() {
    std::exchange(connection_, nullptr)->~Connection();
    ASAN_POISON_MEMORY_REGION(memory_, sizeof memory_);
  }

 private:
  alignas(echoproof::Connection) std::byte memory_[sizeof(echoproof::Connection)];
  echoproof::Connection* connection_ = nullptr;
};

class CoreModel {
 public:
  using Shape = CoreShape;

  explicit CoreModel(const Shape& shape);

  // Whether the step can happen to client `who`. For a step that concerns no client, `who` is 0.
  bool possible(Kind kind, std::size_t who) const;
  // Plays the step with the first client from `step.who` on for which it is possible, and sets
  // `step.who` to it. Returns false if there is none; then nothing has happened.
  bool play(Step& step, Answers& answers);
  // Checks what must hold between any two steps.
  void check() const;

  // Whether there is no client.
  bool empty() const { return here_ == 0; }
  // Whether the timer is due.
  bool timer_due() const { return now_ >= timer_at(); }
  // The operator stops the server, and libuv makes its remaining callbacks. Checks that no client
  // is left.
  void end();
  // Only time passes, and no client says or takes anything. Checks that no client is left.
  void end_by_time();

  // Everything that the future depends on, and nothing else. States that differ only in the
  // identity of clients or blocks, or in the time, have the same key.
  using Key = std::array<std::uint8_t, 6 * clients_max + 3>;
  Key key() const;

  // Whether the model prints what happens on stderr.
  bool telling = false;

  // How often each row of the table was used, by any model.
  using Rows =
      std::array<std::array<std::uint32_t, echoproof::event_count>, echoproof::state_count>;
  static Rows rows_used;

 private:
  // What libuv and the kernels know of a client.
  struct Known {
    echoproof::KernelBudget::Grant grant;
    bool open = false;       // uv_close was not called yet
    bool reading = false;    // uv_read_start was called, uv_read_stop was not
    bool queued = false;     // a write callback is owed
    bool lingering = false;  // both sides have sent FIN
    std::uint8_t name = 0;   // unique among the clients that are here
    std::uint8_t owed = 0;   // shares that its kernel has not acknowledged
    std::size_t slot = 0;    // of the block, while queued
    std::uint64_t said = 0;  // bytes that were read from it
    std::uint64_t heard = 0;
    Time sign_at{};  // when the server's kernel last learnt that it said or took something
  };
  struct Client : Known {
    ConnectionMemory connection;  // none: no client is here
  };

  void clock(Time pause);
  void run_timer(Answers& answers);
  static std::size_t unacknowledged(const Client& client);
  void look(Time as_of, Answers& answers);
  void looked(Client& client, echoproof::Action action, Time as_of);
  void stop(Answers& answers);
  void connect(Client& client, Answers& answers);
  void start_reading(Client& client, Answers& answers);
  void data(Client& client, Answers& answers);
  void try_write(Client& client, std::size_t size, Answers& answers);
  void eof(Client& client, Answers& answers);
  void written(Client& client, Answers& answers);
  void write_failed(Client& client, Answers& answers);
  void fail(Client& client, Answers& answers);
  void ended(Client& client, echoproof::Action action, echoproof::Action wanted,
             echoproof::Reason reason);
  void closed(Client& client);
  void report_owed(Answers& answers);

  echoproof::Action on(Client& client, echoproof::Event event);
  static void used(echoproof::State from, echoproof::Event event);
  void check_bytes(const Client& client) const;
  Time end_of(const Client& client) const;
  Time timer_at() const;
  std::size_t number_of(const Client& client) const;
  Client& client_of(const echoproof::Connection& connection);
  void describe(const Client& client, std::uint8_t* to) const;
  std::uint8_t age(Time since) const;
  [[gnu::format(printf, 2, 3)]] void say(const char* form, ...) const;

  Shape shape_;
  std::size_t small_size_;
  echoproof::Service service_;
  std::array<Client, clients_max> clients_;
  std::size_t here_ = 0;
  std::uint64_t loans_ = 0;
  std::uint64_t echoed_ = 0;
  std::array<std::uint64_t, echoproof::reason_count> reasons_{};
  std::uint8_t names_ = 0;
  Time now_{100};
  Time stop_at_ = Time::max();
  Time due_since_ = Time::max();  // limits were reached then, and are to be judged
};

}  // namespace model
