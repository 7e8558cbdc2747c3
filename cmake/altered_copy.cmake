# What tests the tests: a copy of a source with one place altered. The source is not touched and has no #ifdef
# for this.
include_guard(GLOBAL)

# Writes <copy>: <original>, a path below the project, with `to` where `from` stands. A place that is no longer
# there, or is there twice, fails the configure step: an altered copy must not become a correct one unnoticed.
# The copy is not touched when nothing changed, so that nothing is compiled again.
function(altered_copy original copy from to)
  set(file ${PROJECT_SOURCE_DIR}/${original})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(READ ${file} text)
  string(FIND "${text}" "${from}" first)
  string(FIND "${text}" "${from}" last REVERSE)
  if(first EQUAL -1 OR NOT first EQUAL last)
    message(FATAL_ERROR "${original}: this is to be altered, and is not there once:\n${from}")
  endif()
  string(REPLACE "${from}" "${to}" text "${text}")
  file(WRITE ${copy}.altered "${text}")
  configure_file(${copy}.altered ${copy} COPYONLY)
  file(REMOVE ${copy}.altered)
endfunction()
