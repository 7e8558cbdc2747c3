// A client, as far as it has come, and why the server may owe it less than its whole echo.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "harness/kind.hpp"
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
  stalling = 16  // it was owed bytes and took none for as long as the server has to bear it
};

// What a client says where that has a meaning (speech.hpp), and what it is owed for it.
struct Words {
  std::string said;
  std::string answer;      // all of it, for all that was said
  std::string unsaid;      // the rest of the message that it is saying
  std::uint32_t messages;  // that it has begun
};

struct Client {
  uvsim::Peer peer;
  uvsim::PeerView view;  // when it was last looked at
  std::uint32_t number = 0;
  Kind kind = Kind::ordinary;

  // What it did and saw.
  Words* words = nullptr;  // null: bytes of no meaning
  std::uint64_t sent = 0;
  std::uint64_t due = 0;  // what it is owed for that, in all
  std::uint64_t received = 0;
  bool promised = true;  // an answer, by the listener that it came to
  bool half_closed = false;
  bool over = false;      // closed or reset by itself
  bool seen_end = false;  // FIN or RST from the server, and everything before it was read
  bool whole = false;     // it got everything, and then the end

  // What it is about to do.
  bool stalled = false;          // it reads no more
  std::uint32_t patience = 0;    // for so many readings it does as its kind does
  std::uint32_t returns = 0;     // so often it will come back
  std::uint64_t acts_at_ns = 0;  // 0: not decided

  // What the Judge knows of it. Taking is what the server's kernel can learn of: bytes that have
  // arrived in the client's receive buffer, read or not.
  std::uint64_t delivered = 0;
  std::uint64_t took_at_ns = 0;        // something was delivered, or it was owed nothing until then
  std::uint64_t known_took_at_ns = 0;  // the same, as far as the server had time to find out
  std::uint64_t caught_up_at_ns = 0;   // when it had last read all that it had said
  std::uint64_t spoke_at_ns = 0;       // its last data, or when it came
  std::uint64_t heard_at_ns = 0;       // the server last read something from it
  std::uint64_t half_closed_at_ns = 0;
  std::uint64_t accepted_at_ns = 0;  // or when that was seen first
  std::uint64_t waits_since_ns = 0;  // for the server, with nothing of its own in the way
  std::uint64_t write_queued_at_ns = 0;
  std::uint32_t writes_queued = 0;  // by uv_write, and not called back yet
  bool closed = false;              // by the server: what happens now excuses nothing
  std::size_t window = 0;           // bytes that its buffers hold, or the server's, if less
  bool ending = false;              // the server has ended its output, or is about to
  bool owed_at_half_close = false;
  // A write failed for the moment, and what the server had queued or wrote behind it before it was
  // told went out: libuv leaves a hole in the stream, which is nobody's fault.
  bool hole = false;
  bool write_error_untold = false;
  std::uint8_t excuses = 0;

  bool excused() const { return excuses != 0; }
  bool excused(Excuse why) const { return (excuses & static_cast<std::uint8_t>(why)) != 0; }
  void excuse(Excuse why) { excuses |= static_cast<std::uint8_t>(why); }
  void expect_again(Excuse why) {
    excuses &= static_cast<std::uint8_t>(~static_cast<unsigned>(why));
  }
  bool established() const { return view.state == uvsim::PeerState::established; }
  bool can_send() const { return !over && !half_closed && established(); }
  const Habits& habits() const { return habits_of(kind); }
  bool is_itself() const { return patience > 0; }  // it still does as its kind does

  // It has got all that it is owed for what it has said so far.
  bool has_everything() const { return received >= due; }
  // Bytes that it is owed and that have not come to its end of the connection.
  std::uint64_t owed() const { return due > delivered ? due - delivered : 0; }
  // It is owed bytes and has taken all that the server has written: it waits, and does not stall.
  bool waits_for_server() const { return owed() > 0 && view.unread == 0; }
};

}  // namespace harness
