# The test of the testers: faulty copies of our server, each with one place altered, as real servers
# had it (the names in parentheses are of the catalogue of bugs). The World must find every one.
#
# The product is not touched and has no #ifdef for this. A place that is no longer there, or is there
# twice, fails the configure step: a faulty copy must not become a correct one unnoticed.
#
#   variant(NAME FILE WHAT_STANDS_THERE WHAT_STANDS_THERE_INSTEAD VERDICT [SEEDED])
#
# VERDICT is a regular expression for how it is found out: an oracle, an assertion, or a sanitizer.
# A defect shows in more than one way, and which comes first is the engine's luck: all are listed.

# --- Reading (1A) ---------------------------------------------------------------------------------

variant(empty_read_is_eof uv/server.cpp
  [[Event::empty_read, now)]] [[Event::eof, now)]]
  "oracle (whole|alive|apart)")
variant(eof_not_closed core/transitions.hpp
  [[{reading, eof, closing, A::close}]] [[{reading, eof, closing, A::none}]]
  "oracle (whole|alive|apart)")
variant(hang_up_of_the_quiet core/transitions.hpp
  [[{quiet, eof, closing, A::close}]] [[{quiet, eof, closing, A::none}]]
  "oracle (whole|alive|apart)")
variant(read_error_not_closed core/transitions.hpp
  [[{reading, Event::reset, closing, A::reset}]] [[{reading, Event::reset, closing, A::none}]]
  "oracle (whole|alive|apart)|assertion failed")
variant(read_error_is_a_bug uv/server.cpp
  [[    action = service.on(session, failure_of(static_cast<int>(nread)), now);]]
  [[    ECHOPROOF_ASSERT(nread == UV_EOF);]]
  "assertion failed")
variant(urgent_data_is_lost uv/server.cpp
  [[  if (status == 0) status = set_option(listener_, SO_OOBINLINE);]] [[]]
  "oracle (prefix|whole|alive|apart)")
variant(reads_while_writing uv/server.cpp
  [[static_cast<void>(uv_read_stop(session.stream()));]] [[]]
  "assertion failed|oracle")
variant(read_start_unchecked uv/server.cpp
  [[if (uv_read_start(session.stream(), on_alloc, on_read) == 0) return;]]
  [[static_cast<void>(uv_read_start(session.stream(), on_alloc, on_read)); return;]]
  "oracle (whole|alive|apart)")

# --- Writing (1B) ---------------------------------------------------------------------------------

variant(block_returned_while_written core/transitions.hpp
  [[|| state == State::cancelling;]] [[;]]
  "oracle contract.*R1[23]|assertion failed|AddressSanitizer")
variant(block_returned_too_early core/transitions.hpp
  [[state == State::flushing || state]] [[state]]
  "assertion failed|oracle|AddressSanitizer")
variant(one_request_for_all uv/server.cpp
  [[writes_[service_.slot_of(session)];]] [[writes_[0];]]
  "oracle contract.*R13")
variant(write_refusal_unnoticed uv/server.cpp
  [[        if (status == 0) return;
        action = service_.on(session, failure_of(status), now());  // no callback]]
  [[        if (status <= 0) return;
        action = service_.on(session, failure_of(status), now());  // no callback]]
  "oracle (whole|alive|apart)|assertion failed")
variant(write_error_unnoticed uv/server.cpp
  [[status == 0 ? Event::write_done : failure_of(status);]]
  [[status == 0 ? Event::write_done : Event::write_done;]]
  "oracle (prefix|whole|alive|apart)" SEEDED)
variant(short_write_is_all uv/server.cpp
  [[static_cast<std::size_t>(std::max(wrote, 0)), now());]]
  [[wrote > 0 ? session.unsent().size() : 0, now());]]
  "oracle (prefix|whole|ledger|alive|apart)")
variant(would_block_is_an_error uv/server.cpp
  [[if (wrote >= 0 || wrote == UV_EAGAIN) {]] [[if (wrote >= 0) {]]
  "oracle (whole|alive|apart)")
variant(wrong_offset core/connection.hpp
  [[unsent_.subspan(size)]] [[unsent_.first(unsent_.size() - size)]]
  "oracle prefix")
variant(one_byte_lost core/connection.hpp
  [[block.bytes().first(rest.size())]]
  [[block.bytes().first(rest.size() - (rest.size() > 2 ? 1 : 0))]]
  "oracle (prefix|whole|alive|apart)")
variant(write_deadline_never_set core/service.cpp
  [[as_of < plus(connection.moved_at_, limits_.write)]] [[as_of < Time::max()]]
  "oracle (whole|alive|apart)")
variant(buffers_without_limit uv/server.cpp
  [[  uv_tcp_t tcp;]] [[  uv_tcp_t tcp;
  std::byte room[4096];]]
  "oracle bound")

# --- Closing (1C) ---------------------------------------------------------------------------------

variant(closed_twice core/transitions.hpp
  [[{cancelling, error, closing, A::none}]] [[{cancelling, error, closing, A::close}]]
  "oracle contract.*R27")
variant(freed_before_close_callback uv/server.cpp
  [[      case Action::close: return close(session, false);]]
  [[      case Action::close: uv_close(handle(session.tcp), nullptr); delete &session; return;]]
  "oracle (contract|ledger).*R28|AddressSanitizer")
variant(cut_by_an_ordinary_end uv/server.cpp
  [[      case Action::reset: return close(session, true);]]
  [[      case Action::reset: return close(session, false);]]
  "oracle (whole|apart)")
variant(reset_refusal_unnoticed uv/server.cpp
  [[  if (by_reset && uv_tcp_close_reset(&session.tcp, on_close) == 0) return;]]
  [[  if (by_reset && uv_tcp_close_reset(&session.tcp, on_close) <= 0) return;]]
  "oracle (whole|ledger|bound|alive|apart|clean)|assertion failed")
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
variant(clients_survive_the_stop core/service.cpp
  [[as_of >= std::min(stop_at_, plus(first.since(), list->due_after))]]
  [[as_of >= plus(first.since(), list->due_after)]]
  "oracle (whole|alive|apart|clean)|assertion failed")
variant(drain_without_end uv/server.cpp
  [[  service_.stop_at(now() + timeout);]] [[  static_cast<void>(timeout);]]
  "oracle (whole|alive|apart|clean)|assertion failed")
variant(one_error_ends_all uv/server.cpp
  [[    action = service.on(session, failure_of(static_cast<int>(nread)), now);]]
  [[    service.stop_at(now); action = service.on(session, failure_of(static_cast<int>(nread)), now);]]
  "oracle (whole|alive|apart)|assertion failed")

# --- Accepting (1D) -------------------------------------------------------------------------------

variant(accept_refusal_unnoticed uv/server.cpp
  [[    perform(session, service_.on(session, Event::refused, now()));
  }
  if (accepted != 0)]]
  [[  }
  if (accepted != 0)]]
  "oracle (whole|ledger|alive|apart|clean)|assertion failed")
variant(deaf_listener uv/server.cpp
  [[  if (accepted != 0) reopen_listener(accepted);]] [[]]
  "oracle (whole|alive|apart)")
variant(parked_client_forgotten uv/server.cpp
  [[    server.parked_ = true;]] [[    server.parked_ = server.service_.has_room();]]
  "oracle (whole|alive|apart)")
variant(no_memory_no_accept uv/server.cpp
  [[return turn_away();
  Session]] [[return;
  Session]]
  "oracle (whole|alive|apart)")
variant(handle_initialised_or_not uv/server.cpp
  [[if (made == nullptr || uv_tcp_init(loop_, &made->tcp) != 0) return turn_away();]]
  [[if (made == nullptr || (uv_tcp_init(loop_, &made->tcp), false)) return turn_away();]]
  "oracle contract|AddressSanitizer")
variant(spare_left_open uv/server.cpp
  [[    uv_close(handle(spare_), on_spare_close);]] [[]]
  "oracle (whole|ledger|contract|alive|apart|clean)|assertion failed")
variant(listen_unchecked uv/server.cpp
  [[  if (status == 0) status = uv_listen(listener(), backlog_, on_connection);]]
  [[  if (status == 0) static_cast<void>(uv_listen(listener(), backlog_, on_connection));]]
  "oracle")

# --- Beyond the catalogue: states and lines --------------------------------------------------------

variant(stop_leaves_the_quiet core/transitions.hpp
  [[{quiet, stop, closing, A::close}]] [[{quiet, stop, closing, A::none}]]
  "oracle (whole|bound|alive|apart|clean)|assertion failed")
variant(reading_not_resumed core/transitions.hpp
  [[{flushing, write_done, reading, A::read}]]
  [[{flushing, write_done, reading, A::none}]]
  "oracle (whole|alive|apart)")
variant(block_returned_at_the_deadline core/transitions.hpp
  [[{flushing, deadline, cancelling]] [[{flushing, deadline, closing]]
  "oracle contract|assertion failed|AddressSanitizer")
variant(refused_write_ends_nothing core/transitions.hpp
  [[{writing, error, closing, A::reset}]] [[{writing, error, closing, A::none}]]
  "oracle (whole|alive|apart)|assertion failed")
variant(refused_flush_ends_nothing core/transitions.hpp
  [[{flushing, error, closing, A::reset}]] [[{flushing, error, closing, A::none}]]
  "oracle (whole|alive|apart)|assertion failed")
variant(last_byte_is_enough core/service.hpp
  [[size == connection.unsent().size()]] [[size + 1 >= connection.unsent().size()]]
  "oracle (prefix|whole|alive|apart)")
variant(one_connection_too_many core/service.hpp
  [[return open_ < limits_.connections;]]
  [[return open_ <= limits_.connections;]]
  "oracle bound|assertion failed")
variant(one_block_too_many core/service.cpp
  [[std::min(large - 1, limits.connections)]] [[std::min(large, limits.connections)]]
  "oracle bound")

# --- Beyond the catalogue: time --------------------------------------------------------------------

variant(no_timer_for_the_first core/service.cpp
  [[  enter(watched_, connection, now);]] [[  watched_.enter(connection, now);]]
  "oracle (whole|alive|apart)")
variant(closed_although_busy core/service.cpp
  [[quiet_(limits.idle)]] [[quiet_(limits.idle / 2)]]
  "oracle (whole|alive|apart)")
variant(idle_for_too_long core/service.cpp
  [[quiet_(limits.idle)]] [[quiet_(plus(limits.idle, limits.idle))]]
  "oracle (whole|alive|apart)")
variant(limits_swapped core/service.cpp
  [[plus(connection.moved_at_, limits_.write)]] [[plus(connection.moved_at_, limits_.idle)]]
  "oracle (whole|alive|apart)")
variant(timer_never_brought_forward core/service.cpp
  [[std::min({wake_at_, stop_at_, plus(now, list.due_after)})]]
  [[wake_at_ == Time::max() ? std::min(stop_at_, plus(now, list.due_after)) : wake_at_]]
  "oracle (whole|alive|apart)")
variant(timer_in_the_wrong_unit uv/server.cpp
  [[static_cast<std::uint64_t>(std::max(at - now(), Time(0)).count())]]
  [[static_cast<std::uint64_t>(std::max(at - now(), Time(0)).count() * 10)]]
  "oracle (whole|alive|apart)")
variant(timer_at_a_time_of_day uv/server.cpp
  [[static_cast<std::uint64_t>(std::max(at - now(), Time(0)).count())]]
  [[static_cast<std::uint64_t>(at.count())]]
  "oracle (whole|alive|apart)")
variant(listener_rests_for_minutes uv/server.cpp
  [[reopen_pause{100}]]
  [[reopen_pause{100000}]]
  "oracle (whole|alive|apart)")

# --- Beyond the catalogue: wake-ups and the listener -----------------------------------------------

variant(timer_not_set_after_a_read uv/server.cpp
  [[  server.perform(session, action);
  server.settle();]]
  [[  server.perform(session, action);]]
  "oracle (whole|alive|apart)")
variant(room_comes_back_unnoticed uv/server.cpp
  [[  server.perform(session, server.service_.on(session, Event::close_done, server.now()));
  server.settle();]]
  [[  server.perform(session, server.service_.on(session, Event::close_done, server.now()));]]
  "oracle (whole|alive|apart)")
variant(spare_comes_back_unnoticed uv/server.cpp
  [[  server.spare_state_ = Handle::none;
  server.settle();]]
  [[  server.spare_state_ = Handle::none;]]
  "oracle (whole|alive|apart)")
variant(accepts_on_a_closed_listener uv/server.cpp
  [[  parked_ = false;  // libuv closes the client with the listener
]]
  [[]]
  "oracle contract.*R15")
variant(listener_never_opened_again uv/server.cpp
  [[  if (status != 0 && listener_state_ == Handle::none) reopen_at_ = now() + reopen_pause;
]]
  [[]]
  "oracle (whole|alive|apart)")
variant(listener_opened_twice uv/server.cpp
  [[  if (now() < reopen_at_) return;
  reopen_at_ = Time::max();]]
  [[  if (now() < reopen_at_) return;]]
  "oracle contract|assertion failed")
variant(listener_on_another_port uv/server.cpp
  [[  int size = sizeof address_;
  status = uv_tcp_getsockname(&listener_, reinterpret_cast<sockaddr*>(&address_), &size);
]]
  [[]]
  "oracle (whole|alive|apart)")
variant(spare_used_twice uv/server.cpp
  [[service_.has_room() && spare_state_ == Handle::none)]]
  [[service_.has_room())]]
  "oracle contract|assertion failed|AddressSanitizer")
variant(turned_away_in_vain uv/server.cpp
  [[  if (status != 0) reopen_listener(status);
}]]
  [[}]]
  "oracle (whole|alive|apart)")
variant(nodelay_refusal_unnoticed uv/server.cpp
  [[  if (accepted == 0 && set_up(session, grant)) {
    perform(session, Action::read);
  } else {]]
  [[  if (accepted == 0 && set_up(session, grant)) {
    perform(session, Action::read);
  } else if (accepted != 0) {]]
  "oracle (whole|alive|apart)")
variant(listener_error_borne uv/server.cpp
  [[  } else if (server.refusals_ < refusals_max) {]]
  [[  } else if (server.refusals_ > 0) {]]
  "oracle (whole|alive|apart)" SEEDED)
variant(timeout_is_nothing uv/server.cpp
  [[  } else if (nread == UV_EOF) {]]
  [[  } else if (nread == UV_ETIMEDOUT) {
    action = service.on(session, Event::empty_read, now);
  } else if (nread == UV_EOF) {]]
  "oracle (whole|alive|apart|clean)")

# --- Beyond the catalogue: drain and counts --------------------------------------------------------

variant(drain_is_a_stop uv/server.cpp
  [[service_.stop_at(now() + timeout);]]
  [[service_.stop_at(now());]]
  "oracle (whole|alive|apart)")
variant(drain_opens_again uv/server.cpp
  [[  accepting_ = false;
  reopen_at_ = Time::max();]]
  [[  accepting_ = false;]]
  "oracle (whole|alive|apart)")
variant(drain_goes_on_accepting uv/server.cpp
  [[  reopen_at_ = Time::max();
  close_listener();
]]
  [[  reopen_at_ = Time::max();
]]
  "oracle (whole|alive|apart|clean)")
variant(drain_spares_writers core/transitions.hpp
  [[{flushing, stop_owed, cancelling, A::reset}]] [[{flushing, stop_owed, cancelling, A::none}]]
  "oracle (whole|alive|apart)|assertion failed")
variant(drain_wakes_nobody core/service.cpp
  [[when = std::min({when, stop_at_, plus(]] [[when = std::min({when, plus(]]
  "oracle (whole|alive|apart)")
variant(second_request_to_end_ignored core/service.cpp
  [[  stop_at_ = std::min(stop_at_, when);]]
  [[  if (stop_at_ == Time::max()) stop_at_ = when;]]
  "oracle alive")
variant(half_of_the_echo_uncounted core/service.cpp
  [[bytes_echoed_ += connection.unsent().size();]] [[]]
  "oracle ledger")
variant(echo_counted_twice core/service.hpp
  [[bytes_echoed_ += size;]] [[bytes_echoed_ += connection.unsent().size();]]
  "oracle ledger")
variant(canceled_is_echoed uv/server.cpp
  [[status == 0 ? Event::write_done]]
  [[status == 0 || status == UV_ECANCELED ? Event::write_done]]
  "oracle ledger")
variant(open_counted_wrong uv/server.cpp
  [[.connections = service_.open()]]
  [[.connections = service_.open() + turned_away_]]
  "oracle ledger")
variant(accepted_although_refused uv/server.cpp
  [[if (accepted == 0) ++accepted_;]]
  [[++accepted_;]]
  "oracle ledger")
variant(released_twice_on_paper uv/server.cpp
  [[~Session() { ++server.ledger_.sessions_released; }]]
  [[~Session() { server.ledger_.sessions_released += state() == State::closed ? 1 : 2; }]]
  "oracle clean|assertion failed")
