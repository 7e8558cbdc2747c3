# Runs PROGRAM and fails unless PROGRAM fails, with EXPECTED (a regular expression) in its output, and
# with STATUS where that is given.
execute_process(COMMAND ${PROGRAM} ${ARGUMENTS} RESULT_VARIABLE result OUTPUT_VARIABLE output
                ERROR_VARIABLE output TIMEOUT 50)
message("${output}")
if(result EQUAL 0)
  message(FATAL_ERROR "It was not found out.")
endif()
if(DEFINED STATUS AND NOT result EQUAL STATUS)
  message(FATAL_ERROR "It ended with ${result}, not with ${STATUS}.")
endif()
if(NOT output MATCHES "${EXPECTED}")
  message(FATAL_ERROR "It failed (${result}), but not with: ${EXPECTED}")
endif()
