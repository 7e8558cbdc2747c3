# Makes one object OUT of OBJECTS, and of what they need of ARCHIVES, that can be run many times: main
# has another name, its data lies together, and what ends a process ends a run (harness/program.hpp).
# Objects of C and of C++ alike; only names change, so a main() of C++ that returns nothing returns 0.
get_filename_component(directory ${OUT} DIRECTORY)
file(MAKE_DIRECTORY ${directory})
execute_process(COMMAND ${C} -r -nostdlib -Wl,-u,main -Wl,--force-group-allocation
                        -Wl,-T,${CMAKE_CURRENT_LIST_DIR}/program.ld ${OBJECTS} ${ARCHIVES} -o ${OUT}
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${NM} ${OUT} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
if(NOT symbols MATCHES " T main\n")
  file(REMOVE ${OUT})
  message(FATAL_ERROR "${NAME}: none of its files defines main(): a program is needed, with all its files")
endif()
set(renamed --redefine-sym main=uvsim_server_main)
foreach(name IN ITEMS __cxa_atexit atexit exit _exit _Exit quick_exit abort __assert_fail)
  list(APPEND renamed --redefine-sym ${name}=uvsim_program_${name})
endforeach()
execute_process(COMMAND ${OBJCOPY} ${renamed} ${OUT} COMMAND_ERROR_IS_FATAL ANY)
