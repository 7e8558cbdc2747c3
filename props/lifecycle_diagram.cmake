# Compares docs/lifecycle.dot with what the table says today, and docs/lifecycle.svg with what
# Graphviz makes of it where Graphviz is installed. To bring both up to date:
#   build/dev/bin/lifecycle_diagram > docs/lifecycle.dot && dot -Tsvg docs/lifecycle.dot -o docs/lifecycle.svg
execute_process(COMMAND ${PROGRAM} OUTPUT_VARIABLE today COMMAND_ERROR_IS_FATAL ANY)
file(READ ${DOCS}/lifecycle.dot committed)
if(NOT today STREQUAL committed)
  message(FATAL_ERROR "docs/lifecycle.dot is out of date; how to renew it is in ${CMAKE_CURRENT_LIST_FILE}")
endif()

find_program(dot dot)
if(dot)
  execute_process(COMMAND ${dot} -Tsvg ${DOCS}/lifecycle.dot OUTPUT_VARIABLE today
                  COMMAND_ERROR_IS_FATAL ANY)
  file(READ ${DOCS}/lifecycle.svg committed)
  # Another Graphviz places things a little differently: the words are what counts.
  foreach(picture IN ITEMS today committed)
    string(REGEX MATCHALL ">[^<\n]+</text>" ${picture} "${${picture}}")
  endforeach()
  if(NOT today STREQUAL committed)
    message(FATAL_ERROR "docs/lifecycle.svg is out of date; how to renew it is in ${CMAKE_CURRENT_LIST_FILE}")
  endif()
endif()
