# Two libuvs in one program, for the target `script`: an object of the interpreter, libuv's archive and the
# simulated kernel, linked together with libuv's system calls replaced, and then with every name local but the
# way in, and the mark by which AddressSanitizer knows that it has seen the program's globals. uvsim, whose
# names are the same, is linked beside it as usual.
#
#   script_arms(NAME [SOURCE...])  makes the library NAME of both arms; the sources come before the archives
# Others cannot take the groups apart that keep a name of C++ global.
find_program(GNU_LD NAMES ld.bfd REQUIRED)

function(script_arms name)
  set(arm ${PROJECT_SOURCE_DIR}/tests/conformance)
  set(parts ${name}_floor2_parts)
  add_library(${parts} OBJECT ${ARGN} script_floor2.cpp ${arm}/floor2.cpp ${arm}/floor2_play.cpp
    ${arm}/interpreter.c ${arm}/script.cpp ${arm}/script_play.cpp ${arm}/scripts_arm.cpp)
  target_include_directories(${parts} PRIVATE
    ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/sim ${PROJECT_SOURCE_DIR}/sim/kernel)
  # A unique symbol of the GNU linker cannot be made local.
  target_compile_options(${parts} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique>)
  target_link_libraries(${parts} PRIVATE uv::headers)
  get_target_property(wraps uvsim_syscalls INTERFACE_LINK_OPTIONS)
  list(TRANSFORM wraps REPLACE "^LINKER:" "")
  set(file ${CMAKE_CURRENT_BINARY_DIR}/${name}_floor2.o)
  add_custom_command(OUTPUT ${file}
    COMMAND ${GNU_LD} -r --force-group-allocation ${wraps} -o ${file}
            $<TARGET_OBJECTS:${parts}> --start-group $<TARGET_FILE:uvsim_syscalls>
            $<TARGET_FILE:uvsim_kernel> ${LIBUV_ARCHIVE} --end-group
    COMMAND ${CMAKE_OBJCOPY} --keep-global-symbol=script_on_floor2
            --keep-global-symbol=___asan_globals_registered ${file}
    DEPENDS ${parts} $<TARGET_OBJECTS:${parts}> uvsim_syscalls uvsim_kernel
            ${LIBUV_ARCHIVE}
    COMMAND_EXPAND_LISTS VERBATIM)
  add_library(${name} STATIC ${arm}/interpreter.c ${arm}/script.cpp ${arm}/script_play.cpp
    ${arm}/scripts_arm.cpp ${arm}/sim_play.cpp ${file})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC uvsim::uvsim uv::headers)
endfunction()
