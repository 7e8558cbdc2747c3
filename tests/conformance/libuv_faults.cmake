# Faults seeded into private copies of libuv's source, of different kinds. The scripts find each on the
# simulated kernel, and of three arms the two that are right name the copy: uvsim, and the unaltered libuv on
# the same kernel. So the fault is in libuv's code and nowhere else.
#
#   libuv_fault(NAME FILE WHAT_STANDS_THERE WHAT_STANDS_THERE_INSTEAD [OPTION...])
#
# Of libuv nothing is kept here but the lines that are altered; the source comes from ci/libuv-source. The
# altered file is linked before the archive, which then has nothing to add for it.
set(libuv_source build/libuv-source/source)
if(NOT EXISTS ${PROJECT_SOURCE_DIR}/${libuv_source}/src/unix/stream.c)
  message(STATUS "Faults in libuv are left out: ci/libuv-source plain obtains its source")
  return()
endif()
include(${PROJECT_SOURCE_DIR}/cmake/altered_copy.cmake)

function(libuv_fault name file from to)
  set(copy ${CMAKE_CURRENT_BINARY_DIR}/libuv/${name}.c)
  set(program libuv_with_${name})
  altered_copy(${libuv_source}/src/${file}.c ${copy} "${from}" "${to}")
  add_library(altered_${program} OBJECT ${copy})
  set(source ${PROJECT_SOURCE_DIR}/${libuv_source})
  target_include_directories(altered_${program} PRIVATE
    ${source}/include ${source}/src ${source}/src/unix)
  target_compile_definitions(altered_${program} PRIVATE _GNU_SOURCE)
  target_compile_options(altered_${program} PRIVATE -w)
  add_executable(${program} scripts_floor2.cpp floor2_play.cpp)
  target_link_libraries(${program} PRIVATE conformance_arm altered_${program} conformance_floor2)
  set_target_properties(${program} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/negative/bin)
  add_test(NAME conformance.libuv_fault.${name}
           COMMAND conformance_scripts ${ARGN} $<TARGET_FILE:conformance_scripts_floor2>
                   -- $<TARGET_FILE:conformance_scripts_sim> 1.44 -- $<TARGET_FILE:${program}>)
  set_tests_properties(conformance.libuv_fault.${name} PROPERTIES
    LABELS "conformance;negative" TIMEOUT 300
    PASS_REGULAR_EXPRESSION "THE ONE THAT DIFFERS: [^\n]*${program}\n")
endfunction()

# ---- Writing -----------------------------------------------------------------------------------

libuv_fault(try_write_overtakes unix/stream
  [[  if (stream->connect_req != NULL || stream->write_queue_size != 0)
    return UV_EAGAIN;]] [[  if (stream->connect_req != NULL)
    return UV_EAGAIN;]])
libuv_fault(lost_write_callback unix/stream
  [[    if (req->cb)
      req->cb(req, req->error);]] [[    if (req->cb && req->error != UV_EPIPE)
      req->cb(req, req->error);]])
libuv_fault(wrong_status_of_what_was_cancelled unix/stream
  [[  uv__stream_flush_write_queue(stream, UV_ECANCELED);
  uv__write_callbacks(stream);
  uv__drain(stream);]] [[  uv__stream_flush_write_queue(stream, 0);
  uv__write_callbacks(stream);
  uv__drain(stream);]])
libuv_fault(writes_in_the_wrong_order unix/stream
  [[QUEUE_INSERT_TAIL(&stream->write_queue, &req->queue);]]
  [[QUEUE_INSERT_HEAD(&stream->write_queue, &req->queue);]])
libuv_fault(buffers_leak_after_a_write unix/stream
  [[  if (req->error == 0) {
    if (req->bufs != req->bufsml)
      uv__free(req->bufs);]] [[  if (req->error == 0) {]])
libuv_fault(buffers_leak_after_a_failed_write unix/stream
  [[      stream->write_queue_size -= uv__write_req_size(req);
      if (req->bufs != req->bufsml)
        uv__free(req->bufs);]] [[      stream->write_queue_size -= uv__write_req_size(req);]])
libuv_fault(part_of_a_write_is_sent_again unix/stream
  [[    buf->base += len;]] [[]] --large)
libuv_fault(writes_are_forgotten_when_connect_fails unix/stream
  [[  if (error < 0) {
    uv__stream_flush_write_queue(stream, UV_ECANCELED);]] [[  if (error == 1) {
    uv__stream_flush_write_queue(stream, UV_ECANCELED);]])

# ---- Reading, ending ---------------------------------------------------------------------------

libuv_fault(end_of_input_again_and_again unix/stream
  [[  stream->flags &= ~UV_HANDLE_READING;
  uv__io_stop(stream->loop, &stream->io_watcher, POLLIN);
  uv__handle_stop(stream);
  uv__stream_osx_interrupt_select(stream);
  stream->read_cb(stream, UV_EOF, buf);]] [[  stream->read_cb(stream, UV_EOF, buf);]])
libuv_fault(shutdown_callback_twice unix/stream
  [[    if (req->cb != NULL)
      req->cb(req, err);]] [[    if (req->cb != NULL) {
      uv_shutdown_t again = *req;
      req->cb(&again, err);
      req->cb(req, err);
    }]])
libuv_fault(shutdown_overtakes_writes unix/stream
  [[  stream->shutdown_req = req;]]
  [[  stream->shutdown_req = req;
  shutdown(uv__stream_fd(stream), SHUT_WR);]])
libuv_fault(reset_is_a_plain_close unix/tcp
  [[struct linger l = { 1, 0 };]] [[struct linger l = { 0, 0 };]])

# ---- Connections -------------------------------------------------------------------------------

libuv_fault(listener_goes_deaf unix/stream
  [[    if (err == 0)
      uv__io_start(server->loop, &server->io_watcher, POLLIN);]] [[]] --deep --small)
libuv_fault(waiting_connection_leaks unix/stream
  [[  if (handle->accepted_fd != -1) {
    uv__close(handle->accepted_fd);]] [[  if (handle->accepted_fd != -1) {]])
libuv_fault(second_connect_is_swallowed unix/tcp
  [[return UV_EALREADY;  /* FIXME]] [[return 0;  /* FIXME]])

# ---- The loop ----------------------------------------------------------------------------------

libuv_fault(stale_event_after_close_in_the_same_batch unix/epoll
  [[        events[i].data.fd = -1;]] [[        ;]] --small --seed 3 --count 2000)
libuv_fault(pending_work_survives_close unix/core
  [[  QUEUE_REMOVE(&w->pending_queue);

  /* Remove stale]] [[  /* Remove stale]])
libuv_fault(lost_close_callback unix/core
  [[  if (handle->close_cb) {]] [[  if (handle->close_cb && handle->type != UV_TIMER) {]])
libuv_fault(closed_handles_in_the_wrong_order unix/core
  [[  handle->next_closing = handle->loop->closing_handles;
  handle->loop->closing_handles = handle;]] [[  uv_handle_t** last = &handle->loop->closing_handles;
  while (*last != NULL) last = &(*last)->next_closing;
  handle->next_closing = NULL;
  *last = handle;]])
libuv_fault(finished_write_keeps_the_loop_alive unix/stream
  [[    QUEUE_REMOVE(q);
    uv__req_unregister(stream->loop, req);]] [[    QUEUE_REMOVE(q);]])
libuv_fault(turn_that_must_not_wait_waits unix/core
  [[    if ((mode == UV_RUN_ONCE && can_sleep) || mode == UV_RUN_DEFAULT)]] [[    if (1)]])
libuv_fault(timer_is_armed_again_too_late timer
  [[    uv_timer_again(handle);
    handle->timer_cb(handle);]] [[    handle->timer_cb(handle);
    uv_timer_again(handle);]] --deep --small)
libuv_fault(timers_of_the_same_time_in_the_wrong_order timer
  [[  return a->start_id < b->start_id;]] [[  return a->start_id > b->start_id;]] --deep --small)
libuv_fault(async_send_is_lost unix/async
  [[    if (0 == uv__async_spin(h))]] [[    if (0 == uv__async_spin(h) || loop->stop_flag != 0)]] --deep --small)
