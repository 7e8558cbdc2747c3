# Runs the programs LEFT and RIGHT and fails unless both print the same.
execute_process(COMMAND ${LEFT} OUTPUT_FILE ${WORK}/left.txt COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${RIGHT} OUTPUT_FILE ${WORK}/right.txt COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} -E compare_files ${WORK}/left.txt ${WORK}/right.txt
                RESULT_VARIABLE different)
if(different)
  message(FATAL_ERROR "They differ: compare ${WORK}/left.txt with ${WORK}/right.txt")
endif()
