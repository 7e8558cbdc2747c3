# Finds libuv in parts, because the linker is the project's only test seam:
#   uv::headers  the genuine <uv.h>, for everything that compiles against libuv but must not link it;
#   uv::real     headers and library, for what runs on the real thing;
#   uv::archive  the same as an archive, whose system calls the linker can replace; it is not there if
#                the system has none.
# ECHOPROOF_UV_INCLUDE_DIR puts another version's headers in place of the system's, ECHOPROOF_LIBUV another
# libuv: a prefix with include/ and an archive in lib/. See ci/libuv-source.
set(ECHOPROOF_UV_INCLUDE_DIR "" CACHE PATH "Directory of another <uv.h> to compile against")
set(ECHOPROOF_LIBUV "" CACHE PATH "Prefix of another libuv, an archive, to compile against and to run on")

find_package(PkgConfig REQUIRED)
if(ECHOPROOF_LIBUV)
  find_library(LIBUV_ARCHIVE NAMES libuv_a.a libuv.a PATHS ${ECHOPROOF_LIBUV}/lib REQUIRED NO_DEFAULT_PATH)
  set(libuv_INCLUDE_DIRS ${ECHOPROOF_LIBUV}/include)
else()
  pkg_check_modules(libuv REQUIRED IMPORTED_TARGET libuv>=1.44)
  find_library(LIBUV_ARCHIVE NAMES libuv_a.a libuv.a HINTS ${libuv_LIBRARY_DIRS})
endif()

add_library(uv_headers INTERFACE)
add_library(uv::headers ALIAS uv_headers)
if(ECHOPROOF_UV_INCLUDE_DIR)
  target_include_directories(uv_headers SYSTEM INTERFACE ${ECHOPROOF_UV_INCLUDE_DIR})
else()
  target_include_directories(uv_headers SYSTEM INTERFACE ${libuv_INCLUDE_DIRS})
endif()

if(LIBUV_ARCHIVE AND NOT ECHOPROOF_UV_INCLUDE_DIR)
  add_library(uv_archive INTERFACE)
  add_library(uv::archive ALIAS uv_archive)
  target_link_libraries(uv_archive INTERFACE uv::headers ${LIBUV_ARCHIVE} ${CMAKE_DL_LIBS} pthread)
endif()

add_library(uv_real INTERFACE)
add_library(uv::real ALIAS uv_real)
if(ECHOPROOF_LIBUV)
  target_link_libraries(uv_real INTERFACE uv::archive)
else()
  target_link_libraries(uv_real INTERFACE uv::headers PkgConfig::libuv)
endif()
