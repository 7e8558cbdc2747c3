# Takes each row out of the table, and puts each there twice: the proof must reject every such table.
#   cmake -D TABLE=... -D WORK=... -D COMPILER=... -D OPTIONS=... -D SOURCE=... -P negative_rows.cmake
file(READ ${TABLE} text)
string(REGEX MATCHALL "\n    {[a-zA-Z:_]+, [a-zA-Z:_]+, [a-zA-Z:_]+, A::[a-z]+}," rows "${text}")
list(LENGTH rows count)
if(count LESS 30)
  message(FATAL_ERROR "only ${count} rows of the table were found in ${TABLE}")
endif()
file(MAKE_DIRECTORY ${WORK}/core)
foreach(row IN LISTS rows)
  foreach(replacement IN ITEMS "" "${row}${row}")
    string(REPLACE "${row}" "${replacement}" altered "${text}")
    file(WRITE ${WORK}/core/transitions.hpp "${altered}")
    execute_process(COMMAND ${COMPILER} -std=c++20 -fsyntax-only ${OPTIONS} -I ${WORK} -I ${SOURCE}/src
                            ${SOURCE}/props/transitions_proof.cpp
                    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
    if(result EQUAL 0 OR NOT output MATCHES "static assertion failed|static_assert failed|assertion_failed")
      message(FATAL_ERROR "not rejected: the row${row} replaced by \"${replacement}\"\n${output}")
    endif()
  endforeach()
endforeach()
message(STATUS "failed as it has to: ${count} tables with a row less, ${count} with one twice")
