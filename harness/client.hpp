// The state of a client in a run, and the reasons why the server may owe it less than its whole
// echo.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "harness/kind.hpp"
#include "harness/known_answer.hpp"
#include "uvsim/uvsim.hpp"

namespace harness {

// Why a connection may end before the client has got everything. Without an excuse it is a finding.
enum class Excuse : std::uint8_t {
  none = 0,
  own = 1,        // the client closed or reset it, or was promised nothing
  fault = 2,      // a chosen fault concerned this connection
  stop = 4,       // the server was told to end
  silence = 8,    // the client was silent for longer than the server has to wait
  stalling = 16,  // it was owed bytes and took none for longer than the server has to wait
  age = 32        // it connected longer ago than the server serves a client
};

// What a client says to a server that does not echo (speech.hpp), and what it is owed for it.
struct Words {
  std::string said;
  std::string answer;      // the whole answer to all that was said
  std::string unsaid;      // the rest of the message that it is saying
  std::uint32_t messages;  // that it has begun
  // To all that was said; null: it is not known. `heard` is kept only where answers are known.
  const KnownAnswer* known;
  std::string heard;
};

struct Client {
  uvsim::Peer peer;
  uvsim::PeerView view;  // as of the last look
  std::uint32_t number = 0;
  Kind kind = Kind::ordinary;

  // What the client did and saw.
  Words* words = nullptr;  // null: bytes without meaning
  std::uint64_t sent = 0;
  std::uint64_t due = 0;  // bytes that it is owed for `sent`, in all
  std::uint64_t received = 0;
  std::uint32_t readings = 0;  // in which something came
  bool named = true;           // its listener is the one that the Subject speaks of
  bool promised = true;        // and promises an echo
  bool half_closed = false;
  bool over = false;      // the client closed or reset it
  bool seen_end = false;  // it has read everything, then FIN or RST
  bool whole = false;     // it got everything, and then the end

  // What the client will do.
  bool stalled = false;          // it reads no more
  std::uint32_t patience = 0;    // for this many readings it does as its kind does
  std::uint32_t returns = 0;     // how often it will connect again
  std::uint64_t acts_at_ns = 0;  // 0: not decided

  // What the Judge knows of the client. A client takes bytes when they arrive in its receive
  // buffer, read or not: this is what the server's kernel can learn of.
  std::uint64_t delivered = 0;
  std::uint64_t took_at_ns = 0;        // last delivery, or the last moment when it was owed nothing
  std::uint64_t known_took_at_ns = 0;  // took_at_ns, as far as the server had time to see it
  std::uint64_t caught_up_at_ns = 0;   // when it had last read all that it had said
  std::uint64_t connected_at_ns = 0;
  std::uint64_t spoke_at_ns = 0;  // its last data, or its connect
  std::uint64_t heard_at_ns = 0;  // the server's last read from it
  std::uint64_t half_closed_at_ns = 0;
  std::uint64_t accepted_at_ns = 0;  // or when the World first saw it accepted
  std::uint64_t waits_since_ns = 0;  // for the server alone
  std::uint64_t write_queued_at_ns = 0;
  std::uint32_t writes_queued = 0;  // by uv_write, and not called back yet
  bool closed = false;              // by the server: what happens now excuses nothing
  std::size_t window = 0;           // bytes that its buffers hold, or the server's, if less
  bool ending = false;              // the server has ended its output, or is about to
  bool owed_at_half_close = false;
  // A write failed, and the writes that the server queued behind it before it was told succeeded.
  // So libuv left a hole in the stream, which is not the server's fault.
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
  bool is_itself() const { return patience > 0; }  // it still acts as its kind does

  // It has got all that it is owed for what it has said.
  bool has_everything() const { return received >= due; }
  // Bytes that it is owed and that have not arrived.
  std::uint64_t owed() const { return due > delivered ? due - delivered : 0; }
  // It is owed bytes and has taken all that the server has written. So it waits, and does not
  // stall.
  bool waits_for_server() const { return owed() > 0 && view.unread == 0; }
};

}  // namespace harness
