# uvsim_fuzz_server(): one line that makes a fuzz target of a libuv server that exists.
#
#   include(/path/to/echoproof/cmake/uvsim_fuzz_server.cmake)   # or find_package(echoproof_harness)
#   uvsim_fuzz_server(chat SOURCES chat.c rooms.c ARGS --port 7000)
#
# makes the program chat_fuzzer. The server is not changed: it has its own main(), which is renamed in
# its object file, so that C and C++ keep their meaning, and uvsim takes libuv's place.
#
#   uvsim_fuzz_server(NAME
#     SOURCES file...       C, C++, objects and static libraries (.a); the word may be left out
#     TARGET target         in place of SOURCES: an executable of this project, with all that it says
#     ARGS word...          the command line, without the program's name
#     ENVIRONMENT N=v...    the environment; nothing else is in it
#     SUBJECT promise...    what it promises: IDLE_MS=2000, STOP_SIGNAL=SIGINT, ECHOES=OFF ...
#                           (harness/subject.hpp says what they mean)
#     LIBRARIES lib...      to link with, beside libuv
#     INCLUDES directory... to look for headers in
#     DEFINITIONS word...   for the compiler
#     OPTIONS word...       for the compiler: whatever else
#   )
#
# It needs clang, for libFuzzer is clang's.
include_guard(GLOBAL)

set(uvsim_fuzz_server_directory ${CMAKE_CURRENT_LIST_DIR} CACHE INTERNAL "")

macro(_uvsim_server_library)
  if(NOT TARGET echoproof::harness_server)
    add_subdirectory(${uvsim_fuzz_server_directory}/library ${CMAKE_BINARY_DIR}/echoproof EXCLUDE_FROM_ALL)
  endif()
endmacro()

# "a", "b", as C has them.
function(_uvsim_server_strings out)
  set(text "")
  foreach(word IN LISTS ARGN)
    string(REPLACE "\\" "\\\\" word "${word}")
    string(REPLACE "\"" "\\\"" word "${word}")
    string(APPEND text "\"${word}\", ")
  endforeach()
  set(${out} "${text}0" PARENT_SCOPE)
endfunction()

# What an executable of the project is made of and compiled with.
function(_uvsim_server_like_target library target)
  get_target_property(directory ${target} SOURCE_DIR)
  get_target_property(sources ${target} SOURCES)
  foreach(source IN LISTS sources)
    if(NOT source MATCHES "^\\$<")
      get_filename_component(source ${source} ABSOLUTE BASE_DIR ${directory})
    endif()
    target_sources(${library} PRIVATE ${source})
  endforeach()
  foreach(property IN ITEMS C_STANDARD CXX_STANDARD C_EXTENSIONS CXX_EXTENSIONS)
    get_target_property(value ${target} ${property})
    if(NOT value MATCHES "NOTFOUND")
      set_target_properties(${library} PROPERTIES ${property} ${value})
    endif()
  endforeach()
  target_include_directories(${library} PRIVATE $<TARGET_PROPERTY:${target},INCLUDE_DIRECTORIES>)
  target_compile_definitions(${library} PRIVATE $<TARGET_PROPERTY:${target},COMPILE_DEFINITIONS>)
  target_compile_options(${library} PRIVATE $<TARGET_PROPERTY:${target},COMPILE_OPTIONS>)
  target_compile_features(${library} PRIVATE $<TARGET_PROPERTY:${target},COMPILE_FEATURES>)
endfunction()

function(uvsim_fuzz_server)
  set(lists SOURCES ARGS ENVIRONMENT SUBJECT LIBRARIES INCLUDES DEFINITIONS OPTIONS)
  cmake_parse_arguments(PARSE_ARGV 0 given "" "NAME;TARGET" "${lists}")
  set(words ${given_NAME} ${given_UNPARSED_ARGUMENTS})
  list(POP_FRONT words name)
  set(sources ${words} ${given_SOURCES})
  if(NOT given_NAME AND name MATCHES "\\.(c|cc|cpp|cxx|C)$")
    list(PREPEND sources ${name})
    get_filename_component(name ${name} NAME_WE)
  endif()
  if(NOT name OR (NOT sources AND NOT given_TARGET))
    message(FATAL_ERROR "uvsim_fuzz_server: a name, and SOURCES or a TARGET, are needed")
  endif()
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang" OR NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "uvsim_fuzz_server: libFuzzer is clang's; configure a build of its own with\n"
            "  cmake -B build-fuzz -DCMAKE_C_COMPILER=clang-19 -DCMAKE_CXX_COMPILER=clang++-19")
  endif()
  _uvsim_server_library()

  set(work ${CMAKE_CURRENT_BINARY_DIR}/${name}_fuzzer.dir)
  set(archives ${sources})
  list(FILTER archives INCLUDE REGEX "\\.(a|o)$")
  list(FILTER sources EXCLUDE REGEX "\\.(a|o)$")
  list(TRANSFORM archives REPLACE "^([^/].*)" "${CMAKE_CURRENT_SOURCE_DIR}/\\1")

  # The server, compiled with the eyes of the search and of AddressSanitizer; assertions stay, and so
  # does each function in a call stack.
  add_library(${name}_server OBJECT EXCLUDE_FROM_ALL ${sources})
  if(given_TARGET)
    _uvsim_server_like_target(${name}_server ${given_TARGET})
  endif()
  target_include_directories(${name}_server PRIVATE ${given_INCLUDES})
  target_include_directories(${name}_server SYSTEM PRIVATE ${libuv_INCLUDE_DIRS} ${uvsim_uv_include})
  target_compile_definitions(${name}_server PRIVATE ${given_DEFINITIONS})
  target_compile_options(${name}_server PRIVATE ${given_OPTIONS} -UNDEBUG -O1 -g -fno-omit-frame-pointer
    -fno-optimize-sibling-calls -fno-inline -fno-lto -fsanitize=address,fuzzer-no-link
    # What gcc lets pass in C is no reason to refuse a server.
    $<$<COMPILE_LANGUAGE:C>:-Wno-error=implicit-function-declaration;-Wno-error=implicit-int;-Wno-error=int-conversion;-Wno-error=incompatible-function-pointer-types>)

  # One object of it all, in which main has another name.
  find_program(UVSIM_OBJCOPY NAMES objcopy llvm-objcopy-19 llvm-objcopy REQUIRED)
  find_program(UVSIM_NM NAMES nm llvm-nm-19 llvm-nm REQUIRED)
  set(object ${work}/server.o)
  add_custom_command(OUTPUT ${object}
    COMMAND ${CMAKE_COMMAND} -D "C=${CMAKE_C_COMPILER}" -D "OBJCOPY=${UVSIM_OBJCOPY}" -D "NM=${UVSIM_NM}"
            -D "OBJECTS=$<TARGET_OBJECTS:${name}_server>" -D "ARCHIVES=${archives}" -D "OUT=${object}"
            -D "NAME=${name}" -P ${uvsim_fuzz_server_directory}/rename_main.cmake
    DEPENDS ${name}_server $<TARGET_OBJECTS:${name}_server> ${archives}
            ${uvsim_fuzz_server_directory}/rename_main.cmake ${uvsim_fuzz_server_directory}/words.ld
    COMMENT "Renaming main of ${name}" VERBATIM)

  _uvsim_server_strings(uvsim_name ${name})
  _uvsim_server_strings(uvsim_arguments ${given_ARGS})
  _uvsim_server_strings(uvsim_environment ${given_ENVIRONMENT})
  _uvsim_server_strings(uvsim_promises ${given_SUBJECT})
  configure_file(${uvsim_fuzz_server_directory}/server_program.c.in ${work}/program.c @ONLY)

  add_executable(${name}_fuzzer ${work}/program.c ${object})
  set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
  set_target_properties(${name}_fuzzer PROPERTIES LINKER_LANGUAGE CXX)
  # All of uvsim comes first, so that nothing is left for a libuv that the libraries bring along.
  target_link_libraries(${name}_fuzzer PRIVATE -Wl,--whole-archive uvsim::uvsim -Wl,--no-whole-archive
    echoproof::harness_server ${given_LIBRARIES} -fsanitize=fuzzer,address)
  if(given_TARGET)
    target_link_libraries(${name}_fuzzer PRIVATE $<TARGET_PROPERTY:${given_TARGET},LINK_LIBRARIES>)
  endif()
endfunction()
