# Installs uvsim and the harness from BUILD below WORK, builds the example in SOURCE against them as a
# stranger would, and lets its fuzz target find
# the bug.
file(REMOVE_RECURSE ${WORK})
set(prefix ${WORK}/prefix)
foreach(component uvsim harness)
  execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix} --component ${component}
                  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endforeach()
# A user's project has its own compiler flags, not those of this build.
set(ENV{CFLAGS} "")
set(ENV{CXXFLAGS} "")
execute_process(COMMAND ${CMAKE_COMMAND} -G ${GENERATOR} -S ${SOURCE} -B ${WORK}/build
                        -DCMAKE_C_COMPILER=${C} -DCMAKE_CXX_COMPILER=${CXX}
                        -DCMAKE_PREFIX_PATH=${prefix}
                OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${WORK}/build OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
# The defect is found, by its rule; and nothing in the mended server.
execute_process(COMMAND ${WORK}/build/chat_fuzzer -seed=1 -runs=100000 -artifact_prefix=${WORK}/
                RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(result EQUAL 0)
  message(FATAL_ERROR "the bug escaped:\n${output}")
elseif(NOT output MATCHES "R27-[^\n]*")
  message(FATAL_ERROR "it failed, but not as expected:\n${output}")
endif()
message(STATUS "${CMAKE_MATCH_0}")
execute_process(COMMAND ${WORK}/build/mended_chat_fuzzer -seed=1 -runs=20000 -artifact_prefix=${WORK}/
                RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "the mended server is accused:\n${output}")
endif()
