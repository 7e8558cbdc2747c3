# The test of the test: kernels with one place altered. The scripts must find every one.
#
#   altered(NAME FILE WHAT_STANDS_THERE WHAT_STANDS_THERE_INSTEAD)
#
# The altered file is linked before the library, which then has nothing to add for it.
include(${PROJECT_SOURCE_DIR}/cmake/altered_copy.cmake)

function(altered name file from to)
  set(copy ${CMAKE_CURRENT_BINARY_DIR}/altered/${name}.cpp)
  altered_copy(sim/kernel/${file}.cpp ${copy} "${from}" "${to}")
  add_executable(kernel_${name} ${copy})
  target_link_libraries(kernel_${name} PRIVATE kernel_scripts)
  target_include_directories(kernel_${name} PRIVATE ${PROJECT_SOURCE_DIR}/sim/kernel)
  target_compile_options(kernel_${name} PRIVATE -w)
  set_target_properties(kernel_${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/negative/bin)
  add_test(NAME kernel.altered.${name} COMMAND kernel_${name})
  set_tests_properties(kernel.altered.${name} PROPERTIES LABELS negative TIMEOUT 120
    ENVIRONMENT KERNEL_SCRIPTS=5000
    PASS_REGULAR_EXPRESSION "difference in script" SKIP_REGULAR_EXPRESSION "skipped:")
endfunction()

altered(hang_up_missing tcp_state [[events |= EPOLLHUP;]] [[events |= 0;]])
altered(end_without_rdhup tcp_state
  [[  done_ = true;
  shutdown_ |= no_receive;]] [[  done_ = true;]])
altered(no_reset_for_unread_bytes tcp_state [[(arrived_ > 0 || now)]] [[(now)]])
altered(no_reset_for_late_bytes tcp_state
  [[if (fin_sent_ && (shutdown_ & no_receive) != 0) {]] [[if (false) {]])
altered(error_told_twice socket [[  error_ = 0;]] [[]])
altered(room_told_too_early unix
  [[if (state_ != State::listening && charged_ * 4 <= limit())]]
  [[if (state_ != State::listening && charged_ < limit())]])
altered(backlog_ignored tcp_connect
  [[listener->waiting_.size() <= listener->backlog_]] [[listener->waiting_.size() < 4096]])
altered(backlog_one_less tcp_connect
  [[listener->waiting_.size() <= listener->backlog_]]
  [[listener->waiting_.size() < listener->backlog_]])
altered(edge_is_level epoll [[} else if ((watch.events & EPOLLET) == 0) {]] [[} else {]])
altered(one_shot_again epoll [[watch.events &= manner;]] [[list(watch);]])
altered(order_of_readiness_lost epoll
  [[exclusive ? file.watches.end() : file.watches.begin()]] [[file.watches.end()]])
altered(no_sigpipe socket [[if ((flags & MSG_NOSIGNAL) == 0) machine()]] [[if (false) machine()]])
altered(urgent_byte_in_the_stream tcp_transfer [[skipped = 1;]] [[skipped = 0;]])
altered(time_wait_forgotten tcp_state [[    machine().ports.linger(*this);]] [[]])
altered(listen_queue_not_reset unix [[child->leave(false);]] [[child->leave(true);]])
altered(page_not_shared pipe [[page(used_ - 1).end + odd <= page_size]] [[false]])
