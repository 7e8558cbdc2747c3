# Precompiled headers, for what is around the product: most of its compile time is the headers of the
# standard library and of the test frameworks. The product is compiled without them, and so is all of
# preset `clang` (CMAKE_DISABLE_PRECOMPILE_HEADERS): a header that a file forgot to include is missed
# there, and by clang-tidy, which takes its flags from that preset.
#
#   precompiled_headers(KIND HEADER...)  headers that targets share, compiled with the flags of this
#                                        directory, and the options that `KIND_options` lists
#   use_precompiled(KIND TARGET...)      these targets use them; their flags must be the same
#   use_precompiled_in(KIND DIR...)      all targets of these directories do, but those that use another
#                                        kind or have the property DISABLE_PRECOMPILE_HEADERS
#
# <uv.h> is not among them: copies are compiled against another one. A compiler cache needs
# CCACHE_SLOPPINESS=pch_defines,time_macros.
include_guard(GLOBAL)

# Programs are compiled as libraries are, so that one compiled header serves both.
set(CMAKE_CXX_COMPILE_OPTIONS_PIE ${CMAKE_CXX_COMPILE_OPTIONS_PIC})

function(precompiled_headers kind)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/precompiled_${kind}.cpp)
  file(CONFIGURE OUTPUT ${source} CONTENT "// A target needs a source.\n")
  add_library(precompiled_${kind} OBJECT EXCLUDE_FROM_ALL ${source})
  target_compile_options(precompiled_${kind} PRIVATE ${${kind}_options})
  target_precompile_headers(precompiled_${kind} PRIVATE ${ARGN})
  # CMake looks whether there is one for sources in C, also where these do without.
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/CMakeFiles/precompiled_${kind}.dir/cmake_pch.h
       CONTENT "")
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # A cache that gives the file back gives it another time.
    target_compile_options(precompiled_${kind} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  endif()
endfunction()

function(use_precompiled kind)
  foreach(target IN LISTS ARGN)
    get_target_property(directory ${target} SOURCE_DIR)
    get_target_property(sources ${target} SOURCES)
    list(FILTER sources INCLUDE REGEX "[.]c$")  # these are not for C
    foreach(source IN LISTS sources)
      cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY ${directory})
      set_property(SOURCE ${source} TARGET_DIRECTORY ${target} PROPERTY SKIP_PRECOMPILE_HEADERS ON)
    endforeach()
    target_precompile_headers(${target} REUSE_FROM precompiled_${kind})
  endforeach()
endfunction()

function(use_precompiled_in kind)
  foreach(directory IN LISTS ARGN)
    get_property(targets DIRECTORY ${directory} PROPERTY BUILDSYSTEM_TARGETS)
    foreach(target IN LISTS targets)
      get_target_property(type ${target} TYPE)
      get_target_property(other ${target} PRECOMPILE_HEADERS_REUSE_FROM)
      get_target_property(off ${target} DISABLE_PRECOMPILE_HEADERS)
      if(type MATCHES "EXECUTABLE|_LIBRARY" AND NOT type STREQUAL "INTERFACE_LIBRARY" AND NOT other
         AND NOT off AND NOT target MATCHES "^precompiled_")
        use_precompiled(${kind} ${target})
      endif()
    endforeach()
  endforeach()
endfunction()
