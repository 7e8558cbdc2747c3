// The life of one connection as data: every state, every event, and what follows from the two.
//
// Rules of this file: no code but the look-up; a pair that is not listed cannot happen, and it is a
// programmer error if it does. What is derived from the table: the Connection (connection.hpp), the
// proof at compile time (props/transitions_proof.cpp), the diagram in README, the tests.
//
// Theory. One operation is in flight at a time: bytes are read into a block, the block is written,
// and nothing is read meanwhile. So memory per connection is constant, a client that does not read
// is not read from, and EOF can only arrive when everything before it has been handed to the
// kernel: closing at EOF loses nothing, and a half-closing client gets its whole echo.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/assert.hpp"

namespace echoproof {

enum class State : std::uint8_t {
  reading,     // libuv reads for us; nothing of ours is lent: an idle connection costs no block
  filling,     // libuv reads for us, into our block
  writing,     // the block is being written, at once; ends before the callback does
  flushing,    // the rest of the block is queued in libuv; reading is stopped
  waiting,     // no block was to be had; reading is stopped until it is this connection's turn
  cancelling,  // uv_close was called; the queued write still has our block until its callback
  closing,     // uv_close was called; nothing of ours is lent
  closed,      // the close callback has run: the session may be freed
};

enum class Event : std::uint8_t {
  block_lent,     // the pool lent a block: to on_alloc, or to the first in the waiting line
  no_buffer,      // UV_ENOBUFS: on_alloc had no block to give, and there is something to read (R7)
  data,           // nread > 0
  empty_read,     // nread == 0: nothing now (R3); or UV_ENOBUFS when libuv only tried for more
  eof,            // UV_EOF, with or without a block (R4)
  read_error,     // any other read error; ECONNRESET is normal input (R10)
  read_refused,   // the socket could not be set up or uv_read_start failed (R9, R38)
  wrote_all,      // uv_try_write took every byte
  wrote_part,     // uv_try_write took some bytes, or none (R18)
  write_refused,  // uv_try_write failed, or uv_write did and queued nothing (R14)
  write_done,     // the write callback, with status 0: also after uv_close (R24)
  write_failed,   // the write callback, with any other status
  deadline,       // idle too long, or held its block too long
  stop,           // the server ends, and so does every connection
  close_done,     // the close callback: libuv has let go of everything (R25)
};

// What the adapter is to do next. It answers `write`, `flush` and `read` with an event at once
// where the libuv call itself has an outcome.
enum class Action : std::uint8_t {
  none,
  read,     // uv_read_start
  wait,     // uv_read_stop; the pool resumes the connection
  write,    // uv_try_write of what is unsent
  flush,    // uv_read_stop, then uv_write of what is unsent
  close,    // uv_close
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
    {reading, block_lent, filling, A::none},
    {reading, no_buffer, waiting, A::wait},
    {reading, empty_read, reading, A::none},
    {reading, eof, closing, A::close},
    {reading, read_error, closing, A::close},
    {reading, read_refused, closing, A::close},
    {reading, deadline, closing, A::close},
    {reading, stop, closing, A::close},

    {filling, data, writing, A::write},
    {filling, empty_read, reading, A::none},
    {filling, eof, closing, A::close},
    {filling, read_error, closing, A::close},
    {filling, read_refused, closing, A::close},
    {filling, deadline, closing, A::close},
    {filling, stop, closing, A::close},

    {writing, wrote_all, reading, A::none},
    {writing, wrote_part, flushing, A::flush},
    {writing, write_refused, closing, A::close},

    {flushing, write_done, reading, A::read},
    {flushing, write_failed, closing, A::close},
    {flushing, write_refused, closing, A::close},
    {flushing, deadline, cancelling, A::close},
    {flushing, stop, cancelling, A::close},

    {waiting, block_lent, filling, A::read},
    {waiting, deadline, closing, A::close},
    {waiting, stop, closing, A::close},

    {cancelling, write_done, closing, A::none},
    {cancelling, write_failed, closing, A::none},

    {closing, close_done, closed, A::release},
});
}  // namespace detail

inline constexpr auto& transitions = detail::transitions;
inline constexpr std::size_t state_count = static_cast<std::size_t>(State::closed) + 1;
inline constexpr std::size_t event_count = static_cast<std::size_t>(Event::close_done) + 1;

// A block is held in exactly these states: entering one takes it, leaving the last gives it back.
constexpr bool holds_block(State state) {
  return state == State::filling || state == State::writing || state == State::flushing ||
         state == State::cancelling;
}

// One entry of the table as it is looked up; `legal` is false where the table is blank.
struct Cell {
  bool legal = false;
  State to{};
  Action action{};
};

namespace detail {
inline constexpr auto cells = [] {
  std::array<std::array<Cell, event_count>, state_count> table{};
  for (const Transition& t : transitions) {
    Cell& cell = table[static_cast<std::size_t>(t.from)][static_cast<std::size_t>(t.event)];
    ECHOPROOF_ASSERT(!cell.legal);  // listed twice
    cell = {true, t.to, t.action};
  }
  return table;
}();
}  // namespace detail

constexpr const Cell& cell_of(State state, Event event) {
  return detail::cells[static_cast<std::size_t>(state)][static_cast<std::size_t>(event)];
}

}  // namespace echoproof
