# Makes one object OUT of OBJECTS, and of what they need of ARCHIVES, in which main has another name.
# Objects of C and of C++ alike; only the name changes, so a main() of C++ that returns nothing returns 0.
get_filename_component(directory ${OUT} DIRECTORY)
file(MAKE_DIRECTORY ${directory})
execute_process(COMMAND ${C} -r -nostdlib -Wl,-u,main
                        -Wl,-T,${CMAKE_CURRENT_LIST_DIR}/words.ld ${OBJECTS} ${ARCHIVES} -o ${OUT}
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${NM} ${OUT} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
if(NOT symbols MATCHES " T main\n")
  file(REMOVE ${OUT})
  message(FATAL_ERROR "${NAME}: none of its files defines main(): a program is needed, with all its files")
endif()
execute_process(COMMAND ${OBJCOPY} --redefine-sym main=uvsim_server_main ${OUT} COMMAND_ERROR_IS_FATAL ANY)
