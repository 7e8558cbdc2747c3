# Installs uvsim from BUILD below WORK, and builds and runs the programs in SOURCE with it: through
# find_package and through pkg-config, in C and in C++.
file(REMOVE_RECURSE ${WORK})
set(prefix ${WORK}/prefix)
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix} --component uvsim
                OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
# A user's project has its own compiler flags, not those of this build.
set(ENV{CFLAGS} "")
set(ENV{CXXFLAGS} "")

set(uv_include "")
foreach(directory IN LISTS UV_INCLUDES)
  if(NOT directory STREQUAL "/usr/include")
    set(uv_include ${directory})
  endif()
endforeach()

foreach(language C CXX)
  set(build ${WORK}/${language})
  execute_process(COMMAND ${CMAKE_COMMAND} -G ${GENERATOR} -S ${SOURCE} -B ${build} -DLANGUAGE=${language}
                          -DCMAKE_${language}_COMPILER=${${language}} -DUV_INCLUDE_DIR=${uv_include}
                          -DCMAKE_PREFIX_PATH=${prefix}
                  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${CMAKE_COMMAND} --build ${build} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${build}/consumer COMMAND_ERROR_IS_FATAL ANY)
endforeach()

file(GLOB_RECURSE pkg_config_file ${prefix}/uvsim.pc)
get_filename_component(directory ${pkg_config_file} DIRECTORY)
set(ENV{PKG_CONFIG_PATH} ${directory})
execute_process(COMMAND pkg-config --cflags --libs uvsim OUTPUT_VARIABLE flags
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(flags UNIX_COMMAND "${flags}")
if(uv_include)
  list(PREPEND flags -I${uv_include})
endif()
execute_process(COMMAND ${C} ${SOURCE}/echo.c ${flags} -o ${WORK}/echo COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${WORK}/echo COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CXX} -std=c++20 ${SOURCE}/driver.cpp ${flags} -o ${WORK}/driver
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${WORK}/driver COMMAND_ERROR_IS_FATAL ANY)

# Without a shared library; the linker's word about getaddrinfo and its like is no error.
execute_process(COMMAND pkg-config --static --cflags --libs uvsim OUTPUT_VARIABLE flags
                OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
separate_arguments(flags UNIX_COMMAND "${flags}")
if(uv_include)
  list(PREPEND flags -I${uv_include})
endif()
execute_process(COMMAND ${C} -static ${SOURCE}/echo.c ${flags} -o ${WORK}/echo-static ERROR_QUIET
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${WORK}/echo-static COMMAND_ERROR_IS_FATAL ANY)
