// A client, as far as it has come, and why the server may owe it less than its whole echo.
#pragma once

#include <cstdint>

#include "uvsim/uvsim.hpp"

namespace harness {

// Why a connection may end before the client has got everything. Without one, the server is to
// blame.
enum class Excuse : std::uint8_t {
  none = 0,
  own = 1,       // the client closed or reset it, or was promised nothing
  fault = 2,     // a fault that was chosen concerned this connection
  stop = 4,      // the server was told to end
  silence = 8,   // the client was silent for as long as the server has to bear it
  stalling = 16  // the client was slow for as long as the server has to bear it
};

struct Client {
  uvsim::Peer peer;
  uvsim::PeerView view;  // when it was last looked at
  std::uint32_t number = 0;
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  std::uint64_t spoke_at_ns = 0;      // its last data, or when it came
  std::uint64_t heard_at_ns = 0;      // the server last read something from it
  std::uint64_t accepted_at_ns = 0;   // or when that was seen first
  std::uint64_t caught_up_at_ns = 0;  // when it last was owed nothing
  std::uint64_t waits_since_ns = 0;   // it last spoke, ended its output, or read
  std::uint64_t write_queued_at_ns = 0;
  std::uint32_t writes_queued = 0;  // by uv_write, and not called back yet
  // A write failed for the moment, and what the server had queued or wrote behind it before it was
  // told went out: libuv leaves a hole in the stream, which is nobody's fault.
  bool hole = false;
  bool write_error_untold = false;
  bool turned_down = false;   // the server had no memory to read into just now
  std::uint32_t in_line = 0;  // since then it is not read from; which one in the line, 0: none
  std::uint8_t excuses = 0;
  bool half_closed = false;
  bool owed_at_half_close = false;
  bool over = false;      // closed or reset by itself
  bool seen_end = false;  // FIN or RST from the server, and everything before it was read
  bool stalled = false;
  bool whole = false;  // it got everything, and then the end

  bool excused() const { return excuses != 0; }
  bool excused(Excuse why) const { return (excuses & static_cast<std::uint8_t>(why)) != 0; }
  void excuse(Excuse why) { excuses |= static_cast<std::uint8_t>(why); }
  bool established() const { return view.state == uvsim::PeerState::established; }
  bool can_send() const { return !over && !half_closed && established(); }
};

}  // namespace harness
