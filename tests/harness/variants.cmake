# The test of the testers: faulty copies of our server, each with one place altered, as real servers
# had it (the names in parentheses are of the catalogue of bugs). The World must find every one.
#
# The product is not touched and has no #ifdef for this. A place that is no longer there, or is there
# twice, fails the configure step: a faulty copy must not become a correct one unnoticed.
#
#   variant(NAME FILE WHAT_STANDS_THERE WHAT_STANDS_THERE_INSTEAD VERDICT)
#
# VERDICT is a regular expression for how it is found out: an oracle, an assertion, or a sanitizer.

# --- Reading (1A) ---------------------------------------------------------------------------------

variant(empty_read_is_eof uv/server.cpp
  [[Event::empty_read, now)]] [[Event::eof, now)]]
  "oracle (whole|apart)")
variant(eof_not_closed core/transitions.hpp
  [[{filling, eof, closing, A::close}]] [[{filling, eof, closing, A::none}]]
  "oracle alive")
variant(hang_up_without_a_block core/transitions.hpp
  [[{reading, no_buffer, waiting, A::wait}]] [[{reading, no_buffer, closing, A::close}]]
  "oracle (whole|apart)")
variant(read_error_not_closed core/transitions.hpp
  [[{filling, read_error, closing, A::close}]] [[{filling, read_error, closing, A::none}]]
  "oracle alive|assertion failed")
variant(read_error_is_a_bug uv/server.cpp
  [["a connection failed while reading", static_cast<int>(nread));]]
  [["a connection failed while reading", static_cast<int>(nread)); ECHOPROOF_ASSERT(nread == UV_EOF);]]
  "assertion failed")
variant(no_buffer_spins uv/server.cpp
  [[      case Action::wait:
        static_cast<void>(uv_read_stop(session.stream()));  // cannot fail (R11)]]
  [[      case Action::wait:]]
  "assertion failed|oracle (alive|contract|whole|apart)")
variant(reads_while_writing uv/server.cpp
  [[      case Action::flush: {
        static_cast<void>(uv_read_stop(session.stream()));  // cannot fail (R11)]]
  [[      case Action::flush: {]]
  "assertion failed|oracle")
variant(read_start_unchecked uv/server.cpp
  [[if (uv_read_start(session.stream(), on_alloc, on_read) == 0) return;]]
  [[static_cast<void>(uv_read_start(session.stream(), on_alloc, on_read)); return;]]
  "oracle alive")

# --- Writing (1B) ---------------------------------------------------------------------------------

variant(block_returned_while_written core/transitions.hpp
  [[state == State::cancelling;]] [[false;]]
  "oracle contract.*R1[23]|assertion failed|AddressSanitizer")
variant(block_returned_too_early core/transitions.hpp
  [[  return state == State::filling || state == State::writing || state == State::flushing ||]]
  [[  return state == State::filling || state == State::writing ||]]
  "assertion failed|oracle|AddressSanitizer")
variant(one_request_for_all uv/server.cpp
  [[writes_[session.block_index()];]] [[writes_[0];]]
  "oracle contract.*R13")
variant(write_refusal_unnoticed uv/server.cpp
  [[if (uv_write(&request, session.stream(), &unsent, 1, on_write) == 0) return;]]
  [[static_cast<void>(uv_write(&request, session.stream(), &unsent, 1, on_write)); return;]]
  "oracle alive|assertion failed")
variant(write_error_unnoticed uv/server.cpp
  [[status == 0 ? Event::write_done : Event::write_failed;]]
  [[status == 0 ? Event::write_done : Event::write_done;]]
  "oracle (prefix|alive)")
variant(short_write_is_all uv/server.cpp
  [[static_cast<std::size_t>(std::max(wrote, 0)), now());]]
  [[wrote > 0 ? session.unsent().size() : 0, now());]]
  "oracle (prefix|alive|whole|apart)")
variant(would_block_is_an_error uv/server.cpp
  [[if (wrote >= 0 || wrote == UV_EAGAIN) {]] [[if (wrote >= 0) {]]
  "oracle (whole|apart)")
variant(wrong_offset core/connection.hpp
  [[return buffer().subspan(sent_, received_ - sent_); }]]
  [[return buffer().subspan(0, received_ - sent_); }]]
  "oracle prefix")
variant(one_byte_lost core/connection.hpp
  [[    sent_ += static_cast<std::uint32_t>(size);
    return on(]]
  [[    sent_ += static_cast<std::uint32_t>(size);
    if (size > 2 && sent_ + 1 == received_) ++sent_;
    return on(]]
  "oracle (prefix|alive|whole|apart)")
variant(write_deadline_never_set core/service.cpp
  [[  if (!writing_.empty()) when = std::min({when, stop_at_, writing_end()});]]
  [[  if (!writing_.empty()) when = std::min({when, stop_at_});]]
  "oracle alive")
variant(buffers_without_limit uv/server.cpp
  [[  uv_tcp_t tcp;]] [[  uv_tcp_t tcp;
  std::byte room[4096];]]
  "oracle bound")

# --- Closing (1C) ---------------------------------------------------------------------------------

variant(closed_twice core/transitions.hpp
  [[{cancelling, write_failed, closing, A::none}]] [[{cancelling, write_failed, closing, A::close}]]
  "oracle contract.*R27")
variant(freed_before_close_callback uv/server.cpp
  [[      case Action::close: uv_close(handle(session.tcp), on_close); return;]]
  [[      case Action::close: uv_close(handle(session.tcp), nullptr); delete &session; return;]]
  "oracle (contract|ledger).*R28|AddressSanitizer")
variant(session_never_freed uv/server.cpp
  [[      case Action::release: delete &session; return;]]
  [[      case Action::release: return;]]
  "oracle (ledger|bound|clean)|assertion failed")
variant(every_late_write_is_canceled core/transitions.hpp
  [[    {cancelling, write_done, closing, A::none},
]] [[]]
  "assertion failed")
variant(touched_after_release uv/server.cpp
  [[  server.perform(session, server.service_.on(session, Event::close_done, server.now()));
  server.settle();]]
  [[  server.perform(session, server.service_.on(session, Event::close_done, server.now()));
  session.server.settle();]]
  "AddressSanitizer")
variant(listener_closed_twice uv/server.cpp
  [[  if (listener_state_ != Handle::open) return;
  listener_state_]]
  [[  if (listener_state_ == Handle::none) return;
  listener_state_]]
  "oracle contract.*R27")
variant(timer_left_open uv/server.cpp
  [[  if (timer_state_ != Handle::open) return;
  timer_state_ = Handle::closing;]]
  [[  if (timer_state_ != Handle::none) return;
  timer_state_ = Handle::closing;]]
  "assertion failed|oracle")
variant(waiting_clients_survive_the_stop core/service.cpp
  [[  if (stopping && !waiting_.empty()) return]] [[  if (stopping && waiting_.size() > 1) return]]
  "oracle (alive|clean)|assertion failed")
variant(drain_without_end uv/server.cpp
  [[  service_.stop_at(now() + timeout);]] [[  static_cast<void>(timeout);]]
  "oracle (alive|clean)|assertion failed")
variant(one_error_ends_all uv/server.cpp
  [[    action = server.service_.on(session, Event::read_error, now);]]
  [[    server.service_.stop_at(now); action = server.service_.on(session, Event::read_error, now);]]
  "oracle (apart|whole|alive)")

# --- Waiting for a block --------------------------------------------------------------------------

variant(waiter_forgotten core/transitions.hpp
  [[{waiting, block_lent, filling, A::read}]] [[{waiting, block_lent, filling, A::none}]]
  "oracle (alive|whole|apart)")
variant(waiter_never_served core/service.cpp
  [[  if (!waiting_.empty() && pool_.available() > 0) {]]
  [[  if (waiting_.size() > 1 && pool_.available() > 0) {]]
  "oracle alive")
variant(idle_deadline_of_the_busy core/service.cpp
  [[    idle_.leave(connection);
    idle_.enter(connection, now);]] [[]]
  "oracle (whole|apart)")

# --- Accepting (1D) -------------------------------------------------------------------------------

variant(accept_refusal_unnoticed uv/server.cpp
  [[    perform(session, service_.on(session, Event::read_refused, now()));
  }
  if (accepted != 0)]]
  [[  }
  if (accepted != 0)]]
  "oracle (alive|clean|ledger)|assertion failed")
variant(deaf_listener uv/server.cpp
  [[  if (accepted != 0) reopen_listener(accepted);]] [[]]
  "oracle alive")
variant(parked_client_forgotten uv/server.cpp
  [[    server.parked_ = true;]] [[    server.parked_ = server.service_.has_room();]]
  "oracle alive")
variant(no_memory_no_accept uv/server.cpp
  [[return turn_away();
  Session]] [[return;
  Session]]
  "oracle alive")
variant(handle_initialised_or_not uv/server.cpp
  [[if (made == nullptr || uv_tcp_init(loop_, &made->tcp) != 0) return turn_away();]]
  [[if (made == nullptr || (uv_tcp_init(loop_, &made->tcp), false)) return turn_away();]]
  "oracle contract|AddressSanitizer")
variant(spare_left_open uv/server.cpp
  [[    uv_close(handle(spare_), on_spare_close);]] [[]]
  "oracle (alive|clean|contract|ledger)|assertion failed")
variant(listen_unchecked uv/server.cpp
  [[  if (status == 0) status = uv_listen(listener(), backlog_, on_connection);]]
  [[  if (status == 0) static_cast<void>(uv_listen(listener(), backlog_, on_connection));]]
  "oracle")
