# What the proof, the explorers, the torture and the properties must find out, with the words that are
# expected: see fuzz/negative/faulty_copies.cmake.

# A program of such a copy. It finds out soon what is wrong, and need not be fast.
function(add_faulty_program program)
  add_executable(${program} ${ARGN})
  target_compile_options(${program} PRIVATE -O0)
  use_precompiled(rapidcheck ${program})
  set_target_properties(${program} PROPERTIES LINKER_LANGUAGE CXX
                        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/negative/bin)
endfunction()

# ---- Tables that the proof must reject, each with one row of transitions.hpp altered ---------------

# Every row is needed, and none may be there twice.
add_test(NAME negative.proof.each_row
         COMMAND ${CMAKE_COMMAND} -D TABLE=${PROJECT_SOURCE_DIR}/src/core/transitions.hpp
                 -D WORK=${PROJECT_BINARY_DIR}/negative/proof/rows -D "COMPILER=${CMAKE_CXX_COMPILER}"
                 -D "OPTIONS=${proof_options}" -D SOURCE=${PROJECT_SOURCE_DIR}
                 -P ${CMAKE_CURRENT_SOURCE_DIR}/negative_rows.cmake)
set_tests_properties(negative.proof.each_row PROPERTIES LABELS negative)

function(add_negative_proof_test name row replacement)
  set(directory ${PROJECT_BINARY_DIR}/negative/proof/${name})
  faulty_copy(${directory} core/transitions.hpp "${row}" "${replacement}")
  add_negative_test(proof.${name} "(static assertion failed|static_assert failed|assertion_failed)"
                    ${CMAKE_CXX_COMPILER} -std=c++20 -fsyntax-only ${proof_options} -I ${directory}
                    -I ${PROJECT_SOURCE_DIR}/src ${CMAKE_CURRENT_SOURCE_DIR}/transitions_proof.cpp)
endfunction()

add_negative_proof_test(row_never_used
  "{quiet, idle, closing, A::close}," "{quiet, idle, closing, A::close}, {writing, stop, closing, A::close},")
add_negative_proof_test(block_freed_while_queued
  "{flushing, deadline, cancelling" "{flushing, deadline, closing")
add_negative_proof_test(not_closed "{reading, eof, closing, A::close}" "{reading, eof, closing, A::none}")
add_negative_proof_test(closed_twice
  "{cancelling, write_done, closing, A::none}" "{cancelling, write_done, closing, A::close}")
add_negative_proof_test(not_freed "closed, A::release}" "closed, A::none}")
add_negative_proof_test(reads_twice "{reading, empty_read, reading, A::none}"
                                    "{reading, empty_read, reading, A::read}")
add_negative_proof_test(never_reads_again "reading, A::read}" "reading, A::none}")
add_negative_proof_test(write_lost "{quiet, data, writing, A::write}" "{quiet, data, writing, A::none}")
add_negative_proof_test(cut_without_a_word "{reading, deadline, closing, A::reset}"
                                           "{reading, deadline, closing, A::close}")
add_negative_proof_test(cut_without_need "{lingering, caught_up, closing, A::close}"
                                         "{lingering, caught_up, closing, A::reset}")

# ---- Faulty cores: by the explorer, which tells the shortest path, and by the properties ------------

function(plant name model file from to verdict)
  if(model STREQUAL "connection" AND NOT ARGN STREQUAL "not_by_the_explorer")
    set(program core_explorer_${name})
    add_faulty_program(${program} core_explorer.cpp)
    target_link_libraries(${program} PRIVATE core_${name} connection_model)
    add_negative_test(exhaustive.core.${name} "After [0-9]+ step.s.:.*(${verdict})"
                      $<TARGET_FILE:${program}> ${ARGN})
  endif()
  # These take long to compile, and what needs a long run they find too late: the seeds are for that.
  set(by_properties leak double_release wrong_bytes cut_without_a_word)
  if(NOT name IN_LIST by_properties)
    return()
  endif()
  set(program ${model}_props_${name})
  add_faulty_program(${program} ${model}_props.cpp)
  target_link_libraries(${program} PRIVATE core_${name} ${model}_model rapidcheck)
  add_negative_test(props.${model}.${name} "Falsifiable.*(${verdict}).*as bytes" $<TARGET_FILE:${program}>)
  set_tests_properties(negative.props.${model}.${name} PROPERTIES
                       ENVIRONMENT "RC_PARAMS=seed=1 max_success=2000")
endfunction()
include(${PROJECT_SOURCE_DIR}/fuzz/negative/planted.cmake)

# ---- Faulty servers: some of those that the engine is tried with -----------------------------------

set(faulty_servers read_start_unchecked accept_refusal_unnoticed no_memory_no_accept deaf_listener
    spare_left_open write_refusal_unnoticed would_block_is_an_error wrong_offset closed_twice
    cut_by_an_ordinary_end)

# variants.cmake calls this for every one.
function(variant name file from to verdict)
  if(name IN_LIST faulty_servers)
    faulty_server(${name} ${file} "${from}" "${to}")
    set(verdict_of_${name} "${verdict}" PARENT_SCOPE)
  endif()
endfunction()
include(${PROJECT_SOURCE_DIR}/tests/harness/variants.cmake)

# Found by this program, and the run that shows it is told as a script.
function(add_negative_server_test program name)
  add_faulty_program(${program}_${name})
  target_link_libraries(${program}_${name} PRIVATE ${program}_main script server_${name})
  add_negative_test(${program}.${name} "(${verdict_of_${name}}).*as a scenario:.*.stage = "
                    $<TARGET_FILE:${program}_${name}> ${ARGN})
endfunction()

add_negative_server_test(torture read_start_unchecked)
add_negative_server_test(torture accept_refusal_unnoticed)
add_negative_server_test(torture no_memory_no_accept)
add_negative_server_test(torture deaf_listener)
add_negative_server_test(torture spare_left_open)
add_negative_server_test(torture write_refusal_unnoticed)
add_negative_server_test(server_explorer would_block_is_an_error echo)
add_negative_server_test(server_explorer wrong_offset --actions 0 echo)
add_negative_server_test(server_explorer closed_twice --paces 0 "a client that never reads")

foreach(name IN ITEMS closed_twice cut_by_an_ordinary_end write_refusal_unnoticed)
  add_faulty_program(server_props_${name})
  target_link_libraries(server_props_${name} PRIVATE server_props_main script server_${name})
  add_negative_test(props.server.${name} "Falsifiable.*.stage = .*(${verdict_of_${name}})"
                    $<TARGET_FILE:server_props_${name}>)
  set_tests_properties(negative.props.server.${name} PROPERTIES
                       ENVIRONMENT "RC_PARAMS=seed=1 max_success=4000")
endforeach()
