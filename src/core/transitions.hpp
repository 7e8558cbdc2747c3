// The life of one connection as data: every state, every event, and what follows from the two.
//
// Rules of this file: no code but the look-up; a pair that is not listed cannot happen, and it is a
// programmer error if it does. What is derived from the table: the Connection (connection.hpp), the
// proof at compile time (props/transitions_proof.cpp), the diagram in README, the tests.
//
// Theory. One operation is in flight at a time: bytes are read into the loop's scratch buffer and
// written at once, and nothing is read until they are on their way. A block is held only for what
// the kernel did not take. So memory for a connection is bounded, a client that does not read is
// not read from, and EOF can only arrive when everything before it has been handed to the kernel.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/assert.hpp"

namespace echoproof {

enum class State : std::uint8_t {
  reading,     // libuv reads for us; the client spoke lately, or the kernel still owes it bytes
  quiet,       // libuv reads for us; the client has acknowledged everything and says nothing
  writing,     // what was read is being written, at once; ends before the read callback does
  flushing,    // a block holds what the kernel did not take, libuv writes it; reading is stopped
  lingering,   // EOF came, our FIN is sent, and the client has yet to acknowledge much of its echo
  cancelling,  // the close was asked for; the queued write has our block until its callback
  closing,     // the close was asked for; nothing of ours is lent
  closed,      // the close callback has run: the session may be freed
};

enum class Event : std::uint8_t {
  data,        // nread > 0
  empty_read,  // nread == 0: nothing now (R3)
  eof,         // UV_EOF, and the client has acknowledged all but a small share (R4)
  eof_owed,    // UV_EOF, and the kernel still holds more than that
  reset,       // a call or a callback says that the client is gone; normal input (R10, R14)
  error,       // a call or a callback failed in any other way
  refused,     // the socket could not be accepted or set up, or uv_read_start failed (R9, R38)
  wrote_all,   // uv_try_write took every byte
  wrote_part,  // uv_try_write took some bytes, or none (R18)
  write_done,  // the write callback with status 0: also after the close (R24)
  taking,      // a look found echo that is owed, and the client within its time
  caught_up,   // a look found everything acknowledged
  deadline,    // a look found that the client took nothing of what it is owed for too long
  idle,        // the client was quiet for too long
  stop,        // the server ends; the client is owed nothing
  stop_owed,   // the server ends; the client is still owed some of its echo
  close_done,  // the close callback: libuv has let go of everything (R25)
};

// What the adapter is to do next. It answers `read`, `write`, `flush` and `finish` with an event at
// once where the call itself has an outcome.
enum class Action : std::uint8_t {
  none,
  read,     // uv_read_start
  write,    // uv_try_write of what is unsent
  flush,    // uv_read_stop, then uv_write of what is unsent
  finish,   // shutdown(2) of our side: FIN after what the kernel holds
  close,    // uv_close: FIN
  reset,    // uv_tcp_close_reset: RST, so that the client can tell that its echo was cut
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

// A block is held in exactly these states: entering one takes it, leaving the last gives it back.
constexpr bool holds_block(State state) {
  return state == State::flushing || state == State::cancelling;
}

// Bytes are unsent in exactly these.
constexpr bool holds_bytes(State state) { return holds_block(state) || state == State::writing; }

// Whether the close was not asked for yet.
constexpr bool is_open(State state) { return state < State::cancelling; }

// Which list of the Service a connection stands in; an active one moves between none.
enum class Line : std::uint8_t { watched, quiet, none };

constexpr Line line_of(State state) {
  if (!is_open(state)) return Line::none;
  return state == State::quiet ? Line::quiet : Line::watched;
}

// One entry of the table as it is looked up, with what follows from its states; `legal` is false
// where the table is blank.
struct Cell {
  bool legal = false;
  bool ends = false;   // the close is asked for
  bool drops = false;  // nothing is unsent any more, and no block is held
  bool moves = false;  // to another list, or out of all, or away
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
    ECHOPROOF_ASSERT(!cell.legal);  // listed twice
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
