// The life of one connection as data: states, events, and the table that joins them.
//
// This file holds data and the look-up, and no other code. A pair of state and event that the table
// does not list is a programmer error. The table drives the Connection (connection.hpp), the proof
// at compile time (props/transitions_proof.cpp), the diagram in README, and the tests.
//
// Each connection has one operation in flight. The server reads into the loop's scratch buffer and
// writes those bytes at once; it reads no more until the kernel or a block has all of them. A
// connection holds a block only for bytes that the kernel did not take. Three things follow. Memory
// for a connection is bounded. The server stops reading from a client that does not read. And EOF
// arrives only after the kernel has taken everything before it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/assert.hpp"

namespace echoproof {

enum class State : std::uint8_t {
  reading,     // libuv reads; the client sent data lately, or has not acknowledged all of its echo
  quiet,       // libuv reads; the client has acknowledged everything and sends nothing
  writing,     // uv_try_write is under way; ends before the read callback returns
  flushing,    // libuv writes a block that holds what the kernel did not take; reading is stopped
  lingering,   // EOF came and FIN is sent; the client has not acknowledged much of its echo
  cancelling,  // the close is under way; libuv has the block until the write callback
  closing,     // the close is under way; libuv has no block of ours
  closed,      // the close callback has run; the session may be freed
};

enum class Event : std::uint8_t {
  data,        // nread > 0
  empty_read,  // nread == 0: nothing now (R3)
  eof,         // UV_EOF; less than Limits::linger bytes are unacknowledged (R4)
  eof_owed,    // UV_EOF; at least Limits::linger bytes are unacknowledged
  reset,       // a call or a callback says that the client is gone; normal input (R10, R14)
  error,       // a call or a callback failed in another way
  refused,     // uv_accept, an option of the socket or uv_read_start failed (R9, R38)
  wrote_all,   // uv_try_write took every byte
  wrote_part,  // uv_try_write took some bytes, or none (R18)
  write_done,  // the write callback with status 0; it may come after the close (R24)
  taking,      // a look found unacknowledged echo, and the write limit has not passed
  caught_up,   // a look found everything acknowledged
  deadline,    // a look found that the client took nothing for the write limit
  idle,        // the client was quiet for the idle limit
  stop,        // the server ends; the client has acknowledged everything
  stop_owed,   // the server ends; some echo is unacknowledged
  close_done,  // the close callback: libuv has let go of everything (R25)
};

// What the adapter does next. `read`, `write`, `flush` and `finish` are calls with an outcome: the
// adapter reports it as the next event, at once.
enum class Action : std::uint8_t {
  none,
  read,     // uv_read_start
  write,    // uv_try_write of what is unsent
  flush,    // uv_read_stop, then uv_write of what is unsent
  finish,   // shutdown(2) for writing: the kernel sends FIN after the bytes that it holds
  close,    // uv_close: FIN
  reset,    // uv_tcp_close_reset: RST tells the client that its echo was cut
  release,  // free the session
};

struct Transition {
  State from;
  Event event;
  State to;
  Action action;
};

namespace detail {
using enum State;
using enum Event;
using A = Action;

inline constexpr auto transitions = std::to_array<Transition>({
    {reading, data, writing, A::write},
    {reading, empty_read, reading, A::none},
    {reading, eof, closing, A::close},
    {reading, eof_owed, lingering, A::finish},
    {reading, Event::reset, closing, A::reset},
    {reading, error, closing, A::reset},
    {reading, refused, closing, A::reset},
    {reading, taking, reading, A::none},
    {reading, caught_up, quiet, A::none},
    {reading, deadline, closing, A::reset},
    {reading, stop, closing, A::close},
    {reading, stop_owed, closing, A::reset},

    {quiet, data, writing, A::write},
    {quiet, empty_read, quiet, A::none},
    {quiet, eof, closing, A::close},
    {quiet, Event::reset, closing, A::reset},
    {quiet, error, closing, A::reset},
    {quiet, idle, closing, A::close},
    {quiet, stop, closing, A::close},

    {writing, wrote_all, reading, A::none},
    {writing, wrote_part, flushing, A::flush},
    {writing, Event::reset, closing, A::reset},
    {writing, error, closing, A::reset},

    {flushing, write_done, reading, A::read},
    {flushing, Event::reset, closing, A::reset},
    {flushing, error, closing, A::reset},
    {flushing, taking, flushing, A::none},
    {flushing, deadline, cancelling, A::reset},
    {flushing, stop_owed, cancelling, A::reset},

    {lingering, taking, lingering, A::none},
    {lingering, caught_up, closing, A::close},
    {lingering, Event::reset, closing, A::reset},
    {lingering, error, closing, A::reset},
    {lingering, deadline, closing, A::reset},
    {lingering, stop_owed, closing, A::reset},

    {cancelling, write_done, closing, A::none},
    {cancelling, Event::reset, closing, A::none},
    {cancelling, error, closing, A::none},

    {closing, close_done, closed, A::release},
});
}  // namespace detail

inline constexpr auto& transitions = detail::transitions;
inline constexpr std::size_t state_count = static_cast<std::size_t>(State::closed) + 1;
inline constexpr std::size_t event_count = static_cast<std::size_t>(Event::close_done) + 1;

// The states in which a connection holds a block. Leaving them gives the block back.
constexpr bool holds_block(State state) {
  return state == State::flushing || state == State::cancelling;
}

// The states in which a connection has unsent bytes.
constexpr bool holds_bytes(State state) { return holds_block(state) || state == State::writing; }

// Whether the close is not under way yet.
constexpr bool is_open(State state) { return state < State::cancelling; }

// Which list of the Service a connection is in. States that an echo passes through share one, so
// that an echo moves no connection.
enum class Line : std::uint8_t { watched, quiet, none };

constexpr Line line_of(State state) {
  if (!is_open(state)) return Line::none;
  return state == State::quiet ? Line::quiet : Line::watched;
}

// One entry of the table for the look-up, with facts about its states that are worked out once.
struct Cell {
  bool legal = false;  // the table lists it
  bool ends = false;   // it starts the close
  bool drops = false;  // it ends the states with unsent bytes
  bool moves = false;  // it changes the list, or closes the connection
  State from{};
  State to{};
  Action action{};
};

namespace detail {
struct Cells {
  Cell of[state_count][event_count];
};

inline constexpr Cells cells = [] {
  Cells table{};
  for (const Transition& t : transitions) {
    Cell& cell = table.of[static_cast<std::size_t>(t.from)][static_cast<std::size_t>(t.event)];
    ECHOPROOF_ASSERT(!cell.legal);  // no pair is listed twice
    cell = {.legal = true,
            .ends = is_open(t.from) && !is_open(t.to),
            .drops = holds_bytes(t.from) && !holds_bytes(t.to),
            .moves = line_of(t.from) != line_of(t.to) || t.to == State::closed,
            .from = t.from,
            .to = t.to,
            .action = t.action};
  }
  return table;
}();
}  // namespace detail

constexpr const Cell& cell_of(State state, Event event) {
  return detail::cells.of[static_cast<std::size_t>(state)][static_cast<std::size_t>(event)];
}

}  // namespace echoproof
