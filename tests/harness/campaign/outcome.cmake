# Runs PROGRAM; fails unless its exit status is STATUS (a regular expression) and its output matches
# EXPECTED and not UNEXPECTED.
execute_process(COMMAND ${PROGRAM} ${ARGUMENTS} RESULT_VARIABLE status OUTPUT_VARIABLE output
                ERROR_VARIABLE output TIMEOUT 100)
message("${output}")
if(NOT status MATCHES "^(${STATUS})$")
  message(FATAL_ERROR "The exit status is ${status}, and not ${STATUS}.")
endif()
if(NOT output MATCHES "${EXPECTED}")
  message(FATAL_ERROR "It did not say: ${EXPECTED}")
endif()
if(UNEXPECTED AND output MATCHES "${UNEXPECTED}")
  message(FATAL_ERROR "It said: ${UNEXPECTED}")
endif()
