# What the proof, the explorers, the torture and the properties must find out, with the words that are
# expected: see fuzz/negative/faulty_copies.cmake.

# A program of such a copy. It finds out soon what is wrong, and need not be fast.
function(add_faulty_program program)
  add_executable(${program} ${ARGN})
  target_compile_options(${program} PRIVATE -O0)
  set_target_properties(${program} PROPERTIES LINKER_LANGUAGE CXX
                        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/negative/bin)
endfunction()

# ---- Tables that the proof must reject, each with one row of transitions.hpp altered ---------------

function(add_negative_proof_test name row replacement)
  set(directory ${PROJECT_BINARY_DIR}/negative/proof/${name})
  faulty_copy(${directory} core/transitions.hpp "\n${row}\n" "\n${replacement}\n")
  add_negative_test(proof.${name} "(static assertion failed|static_assert failed|assertion_failed)"
                    ${CMAKE_CXX_COMPILER} -std=c++20 -fsyntax-only ${proof_options} -I ${directory}
                    -I ${PROJECT_SOURCE_DIR}/src ${CMAKE_CURRENT_SOURCE_DIR}/transitions_proof.cpp)
endfunction()

add_negative_proof_test(row_removed
  "    {cancelling, write_failed, closing, A::none}," "")
add_negative_proof_test(row_twice
  "    {waiting, stop, closing, A::close},"
  "    {waiting, stop, closing, A::close},\n    {waiting, stop, closing, A::none},")
add_negative_proof_test(row_never_used
  "    {waiting, stop, closing, A::close},"
  "    {waiting, stop, closing, A::close},\n    {waiting, write_done, closing, A::close},")
add_negative_proof_test(block_freed_while_queued
  "    {flushing, deadline, cancelling, A::close},"
  "    {flushing, deadline, closing, A::close},")
add_negative_proof_test(not_closed
  "    {filling, eof, closing, A::close},"
  "    {filling, eof, closing, A::none},")
add_negative_proof_test(closed_twice
  "    {cancelling, write_done, closing, A::none},"
  "    {cancelling, write_done, closing, A::close},")
add_negative_proof_test(not_freed
  "    {closing, close_done, closed, A::release},"
  "    {closing, close_done, closed, A::none},")
add_negative_proof_test(reads_twice
  "    {filling, empty_read, reading, A::none},"
  "    {filling, empty_read, reading, A::read},")
add_negative_proof_test(never_reads_again
  "    {flushing, write_done, reading, A::read},"
  "    {flushing, write_done, reading, A::none},")
add_negative_proof_test(write_lost
  "    {filling, data, writing, A::write},"
  "    {filling, data, writing, A::none},")

# ---- Faulty cores ----------------------------------------------------------------------------------

# The shortest path to the fault is told.
function(add_negative_core_exploration fault verdict)
  set(program core_explorer_${fault})
  add_faulty_program(${program} core_explorer.cpp core_world.cpp)
  target_link_libraries(${program} PRIVATE echoproof_core_${fault})
  add_negative_test(exhaustive.core.${fault} "After [0-9]+ event.s.:.*${verdict}"
                    $<TARGET_FILE:${program}> --clients 3 --blocks 1)
endfunction()

add_negative_core_exploration(leak "broken: what nobody holds is available")
add_negative_core_exploration(double_release "assertion failed: lent_.index|use-after-poison")
add_negative_core_exploration(unfair "broken: (nobody is closed late|who has waited longest)")
add_negative_core_exploration(early "broken: nobody is closed early")
add_negative_core_exploration(late "broken: a stop ends everything")
add_negative_core_exploration(wrong_bytes "broken: what is to be written is what the client said")

function(add_negative_property_test name fault verdict)
  set(program ${name}_props_${fault})
  add_faulty_program(${program} ${name}_props.cpp)
  target_link_libraries(${program} PRIVATE echoproof_core_${fault} rapidcheck)
  add_negative_test(props.${name}.${fault} "Falsifiable.*${verdict}" $<TARGET_FILE:${program}>)
  set_tests_properties(negative.props.${name}.${fault} PROPERTIES
                       ENVIRONMENT "RC_PARAMS=seed=1 max_success=2000")
endfunction()

add_negative_property_test(pool leak "available")
add_negative_property_test(pool double_release "(lent_.index|holder.block|available|use-after-poison)")
add_negative_property_test(connection leak "available")
add_negative_property_test(connection double_release "(lent_.index|available|use-after-poison)")

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
add_negative_server_test(server_explorer wrong_offset --deeds 0 echo)
add_negative_server_test(server_explorer closed_twice --paces 0 "a client that never reads")
add_negative_server_test(server_explorer cut_by_an_ordinary_end --deeds 0 "lingering and cut by reset")

foreach(name IN ITEMS closed_twice cut_by_an_ordinary_end write_refusal_unnoticed)
  add_faulty_program(server_props_${name})
  target_link_libraries(server_props_${name} PRIVATE server_props_main script server_${name})
  add_negative_test(props.server.${name} "Falsifiable.*.stage = .*(${verdict_of_${name}})"
                    $<TARGET_FILE:server_props_${name}>)
  set_tests_properties(negative.props.server.${name} PROPERTIES
                       ENVIRONMENT "RC_PARAMS=seed=1 max_success=400")
endforeach()
