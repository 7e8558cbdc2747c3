# Tests of the tests: faulty copies of the product, each with one altered place. A test must find each
# copy, and with the expected words, because a test that fails for another reason shows nothing.
include(${PROJECT_SOURCE_DIR}/cmake/altered_copy.cmake)

# Writes <directory>/<file>: src/<file> with `to` where `from` stands. Headers are named from src/ on,
# so code that looks in <directory> first is compiled with the altered file.
function(faulty_copy directory file from to)
  # What an earlier version altered is not to be found any more.
  file(GLOB_RECURSE stale ${directory}/*)
  list(REMOVE_ITEM stale ${directory}/${file})
  if(stale)
    file(REMOVE ${stale})
  endif()
  altered_copy(src/${file} ${directory}/${file} "${from}" "${to}")
endfunction()

# Compiles our own <sources> of the target again, as the altered file demands: the file itself, or all
# of them for a header. What is not compiled again comes from the libraries, for of an archive the
# linker takes only what it does not have.
function(faulty_sources target directory file)
  foreach(source IN LISTS ARGN)
    if(source STREQUAL ${PROJECT_SOURCE_DIR}/src/${file})
      target_sources(${target} PRIVATE ${directory}/${file})
    elseif(file MATCHES "hpp$")
      target_sources(${target} PRIVATE ${source})
    endif()
  endforeach()
  target_compile_options(${target} PRIVATE -Wno-unused -Wno-unused-parameter -g0)
  if(CMAKE_BUILD_TYPE STREQUAL "Fuzz" AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    target_compile_options(${target} PRIVATE -fno-sanitize-coverage=trace-cmp)  # as the product
  endif()
endfunction()

# The library core_<name>, to be linked before core and model: what of both the altered file demands.
function(faulty_core name model file from to)
  set(directory ${PROJECT_BINARY_DIR}/negative/core_${name})
  faulty_copy(${directory} ${file} "${from}" "${to}")
  if(model STREQUAL "connection")
    set(model core)
  endif()
  add_library(core_${name} OBJECT)
  faulty_sources(core_${name} ${directory} ${file} ${PROJECT_SOURCE_DIR}/src/core/service.cpp
                 ${PROJECT_SOURCE_DIR}/model/${model}_model.cpp)
  target_include_directories(core_${name} BEFORE PUBLIC ${directory} ${PROJECT_SOURCE_DIR})
  target_link_libraries(core_${name} PUBLIC echoproof_assert)
endfunction()

# The library server_<name>, to be linked in place of <subject>, which is server_subject unless it is
# given: core, adapter, program, and the Subject around them.
function(faulty_server name file from to)
  set(subject server_subject ${ARGN})
  list(GET subject -1 subject)
  set(directory ${PROJECT_BINARY_DIR}/negative/server_${name})
  faulty_copy(${directory} ${file} "${from}" "${to}")
  add_library(server_${name} OBJECT)
  faulty_sources(server_${name} ${directory} ${file} ${PROJECT_SOURCE_DIR}/src/core/service.cpp
                 ${PROJECT_SOURCE_DIR}/src/uv/server.cpp ${PROJECT_SOURCE_DIR}/src/program.cpp
                 ${PROJECT_SOURCE_DIR}/subjects/server_subject.cpp)
  target_include_directories(server_${name} BEFORE PRIVATE ${directory})
  target_link_libraries(server_${name} PUBLIC ${subject})
endfunction()

# A test that passes if the command fails and says what the regular expression `verdict` matches.
function(add_negative_test name verdict)
  add_test(NAME negative.${name}
           COMMAND ${CMAKE_COMMAND} -D "verdict=${verdict}"
                   -P ${PROJECT_SOURCE_DIR}/fuzz/negative/must_fail.cmake -- ${ARGN})
  set_tests_properties(negative.${name} PROPERTIES LABELS negative)
endfunction()
