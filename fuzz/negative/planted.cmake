# The planted faults: copies of the core with one altered place. In each, one statement of a model
# (model/) does not hold.
#
#   plant(NAME MODEL FILE WHAT_STANDS_THERE WHAT_STANDS_THERE_INSTEAD VERDICT [EXPLORER_OPTION...])
#
# MODEL is `connection` or `pool`. VERDICT is a regular expression for the expected words. These must
# find each fault:
#
# * the seeds, and a search from an empty corpus (fuzz/CMakeLists.txt);
# * for `connection` the explorer with these options, unless `not_by_the_explorer` says that the fault
#   needs larger limits;
# * the properties, for the faults that props/negative.cmake names.
#
# WHAT_STANDS_THERE is quoted only as far as it is unique. ci/mutate makes faults without names.

# --- Memory ---------------------------------------------------------------------------------------

plant(leak pool core/block_pool.hpp
  [[std::swap(pool_, other.pool_)]] [[pool_ = std::exchange(other.pool_, nullptr)]]
  "broken: what is not lent is available")
plant(double_release pool core/block_pool.hpp
  [[pool_(std::exchange(other.pool_, nullptr))]] [[pool_(other.pool_)]]
  "broken: a block that was moved|assertion failed: lent_.index|broken: what is not lent")
plant(block_kept connection core/connection.hpp
  [[if (block_) block_ = Block();]] [[if (block_ && ended_by_ == Event::data) block_ = Block();]]
  "assertion failed: .*block_|broken: exactly the connections with a queued write")
plant(wrong_bytes connection core/connection.hpp
  [[unsent_.subspan(size)]] [[unsent_.first(unsent_.size() - size)]]
  "broken: the client's own bytes")
plant(one_block_too_many connection core/service.cpp
  [[std::min(large - 1, limits.connections)]] [[std::min(large, limits.connections)]]
  "broken: the limit on memory is kept" --clients 4 --large-blocks 1)
plant(too_much_to_keep connection core/service.hpp
  [[large_.available() > 0 ? layout_.scratch_size : layout_.small_size]] [[layout_.scratch_size]]
  "broken: there is always room for a read, and no more" --clients 2 --large-blocks 1 --shares 1)
plant(two_with_one_number connection core/service.cpp
  [[block.is_of(large_) ? small_.capacity() : 0]] [[block.is_of(large_) ? 0 : 0]]
  "broken: no two clients share a block" --clients 2 --large-blocks 1 --shares 1)
plant(one_connection_too_many connection core/service.hpp
  [[open_ < limits_.connections]] [[open_ <= limits_.connections]]
  "broken: there is room until")
plant(grant_not_returned pool core/kernel_budget.hpp
  [[rest_ += grant.bytes - least]] [[rest_ += least - least]]
  "broken: what came back can be granted again")
plant(granted_twice pool core/kernel_budget.hpp
  [[rest_ -= grant.bytes - least]] [[rest_ -= least - least]]
  "broken: no more is granted than there is")
plant(grant_uncounted connection core/service.cpp
  [[kernel_.give_back(connection.grant_)]] [[static_cast<void>(0)]]
  "broken: kernel memory comes back once" --clients 1 --kernel-memory 0)
plant(buffers_beyond_the_grant connection core/kernel_budget.hpp
  [[bytes > least ? half() : least_send]] [[half()]]
  "broken: the buffers stay within the grant" --clients 1 --kernel-memory 0)
plant(window_shrinks connection core/kernel_budget.hpp
  [[std::max(promised, half())]] [[half()]]
  "broken: no window that a client was told of shrinks" --clients 1 --kernel-memory 0)

# --- Time -----------------------------------------------------------------------------------------

plant(unfair pool core/deadline_list.hpp
  [[return *ends_.next_]] [[return *ends_.previous_]]
  "broken: the first entry has been there longest")
plant(early connection core/service.cpp
  [[quiet_(limits.idle)]] [[quiet_(limits.idle / 2)]]
  "broken: no client is closed early while idle" --clients 1 --idle 12)
plant(late connection core/service.cpp
  [[plus(connection.moved_at_, limits_.write)]]
  [[plus(connection.moved_at_, plus(limits_.write, limits_.write))]]
  "broken: (no client is closed late|the timer is not later)" --clients 1 --idle 24 --write 24)
plant(timer_not_brought_forward connection core/service.cpp
  [[std::min({wake_at_, stop_at_, plus(now, list.due_after)})]]
  [[wake_at_ == Time::max() ? std::min(stop_at_, plus(now, list.due_after)) : wake_at_]]
  "broken: (the timer is not later|no client is closed late)" --clients 2 --block-size 1 --shares 1 --idle 100 --write 1)
plant(always_awake connection core/service.cpp
  [[std::max(next, as_of + wake_pause_)]] [[next]]
  "broken: no connection is looked at all the time" not_by_the_explorer)
plant(steady_reader_cut connection core/service.hpp
  [[connection.unacknowledged_ = Connection::unknown;]] [[]]
  "broken: no client is cut that took something in time" --clients 1)
plant(stop_spares_some connection core/service.cpp
  [[as_of >= std::min(stop_at_, plus(first.since(), list->due_after))]]
  [[as_of >= plus(first.since(), list->due_after)]]
  "broken: (a stop ends everything|the timer is not set to the past)")

# --- How a connection ends, and what is counted -----------------------------------------------------

plant(cut_without_a_word connection core/transitions.hpp
  [[{flushing, deadline, cancelling, A::reset}]] [[{flushing, deadline, cancelling, A::close}]]
  "broken: a cut client gets a reset")
plant(not_stayed_with connection core/service.cpp
  [[unacknowledged >= limits_.linger]] [[unacknowledged > limits_.linger]]
  "broken: a client that is owed much is stayed with")
plant(wrong_reason connection core/service.cpp
  [[case Event::deadline: return Reason::write_limit]] [[case Event::deadline: return Reason::idle]]
  "broken: the right reason is counted")
plant(end_uncounted connection core/service.cpp
  [[if (cell.ends) ++closed_]] [[if (cell.ends && cell.from != State::quiet) ++closed_]]
  "broken: each end is counted once")
plant(echo_uncounted connection core/service.cpp
  [[bytes_echoed_ += connection.unsent().size();]] [[]]
  "broken: every echoed byte is counted")
plant(echo_uncounted_for_its_client connection core/connection.hpp
  [[bytes_echoed_ += size;]] [[]]
  "broken: each echo is counted for its client")
