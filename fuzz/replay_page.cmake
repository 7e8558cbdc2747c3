# Replays a canary's finding as a page, and looks at it in a browser without a screen: it must show
# the verdict, the stack of the allocation, and any step that is asked for.
#   cmake -D FUZZER=... -D BROWSER=... -D WORK=... -P replay_page.cmake
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
execute_process(COMMAND ${FUZZER} -seed=1 -runs=30000 -max_len=128 -verbosity=0
                        -exact_artifact_path=${WORK}/input
                WORKING_DIRECTORY ${WORK} OUTPUT_QUIET ERROR_QUIET)
execute_process(COMMAND ${CMAKE_COMMAND} -E env HARNESS_STORY=html HARNESS_STORY_FILE=${WORK}/page.html
                        ASAN_OPTIONS=detect_leaks=0 ${FUZZER} ${WORK}/input
                OUTPUT_QUIET ERROR_QUIET)

function(look step)
  execute_process(COMMAND ${BROWSER} --headless --no-sandbox --disable-gpu --user-data-dir=${WORK}/profile
                          --virtual-time-budget=2000 --dump-dom "file://${WORK}/page.html#step-${step}"
                  OUTPUT_VARIABLE page ERROR_QUIET RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "the browser did not start")
  endif()
  foreach(shown IN LISTS ARGN)
    if(NOT page MATCHES "${shown}")
      message(FATAL_ERROR "at step ${step} the page does not show: ${shown}")
    endif()
  endforeach()
endfunction()

look(1 "oracle ledger" "What must hold: every allocation" ">step 1 of [0-9]+<")
look(999999 "class=\"block culprit\">.*on_connection" "where it broke")
