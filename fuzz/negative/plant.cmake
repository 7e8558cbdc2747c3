# What tests the tests. plant() makes a faulty copy of the core: all of src/core, with one line
# replaced. The fuzz targets and the properties are built on it and must fail, and with the words
# that are expected, for a test that fails for another reason shows nothing.
#
# The source is not touched and has no #ifdef for this. A line that is no longer there, or is there
# twice, fails the configure step: a plant must not become a correct copy unnoticed.

# Replaces a line of src/core/<file> in the copy at <directory>.
function(replace_line directory file line replacement)
  set(original ${PROJECT_SOURCE_DIR}/src/core/${file})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${original})
  file(READ ${original} text)
  string(FIND "${text}" "\n${line}\n" first)
  string(FIND "${text}" "\n${line}\n" last REVERSE)
  if(first EQUAL -1 OR NOT first EQUAL last)
    message(FATAL_ERROR "src/core/${file}: to be replaced, but not there exactly once:\n${line}")
  endif()
  string(REPLACE "\n${line}\n" "\n${replacement}\n" text "${text}")
  file(CONFIGURE OUTPUT ${directory}/core/${file} CONTENT "${text}" @ONLY)
endfunction()

# The library echoproof_core_<name>, to be linked in place of echoproof_core.
function(plant name file line replacement)
  set(directory ${PROJECT_BINARY_DIR}/negative/${name})
  file(GLOB files CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/src/core
       ${PROJECT_SOURCE_DIR}/src/core/*.?pp)
  foreach(copied IN LISTS files)
    if(NOT copied STREQUAL file)
      configure_file(${PROJECT_SOURCE_DIR}/src/core/${copied} ${directory}/core/${copied} COPYONLY)
    endif()
  endforeach()
  replace_line(${directory} ${file} "${line}" "${replacement}")
  add_library(echoproof_core_${name} STATIC ${directory}/core/service.cpp)
  target_include_directories(echoproof_core_${name} BEFORE PUBLIC ${directory})
  target_link_libraries(echoproof_core_${name} PUBLIC echoproof_assert)
endfunction()

# A test that passes if the command fails and says what the regular expression `verdict` matches.
function(add_negative_test name verdict)
  add_test(NAME negative.${name}
           COMMAND ${CMAKE_COMMAND} -D "verdict=${verdict}"
                   -P ${PROJECT_SOURCE_DIR}/fuzz/negative/must_fail.cmake -- ${ARGN})
  set_tests_properties(negative.${name} PROPERTIES LABELS negative)
endfunction()

plant(leak block_pool.hpp
  "    std::swap(pool_, other.pool_);"
  "    pool_ = std::exchange(other.pool_, nullptr);  // Planted: what was held is not given back.")
plant(double_release block_pool.hpp
  "      : pool_(std::exchange(other.pool_, nullptr)), index_(other.index_) {}"
  "      : pool_(other.pool_), index_(other.index_) {}  // Planted: two owners.")
plant(unfair deadline_list.hpp
  "    return *ends_.next_;"
  "    return *ends_.previous_;  // Planted: last come, first served.")
plant(early service.cpp
  "  if (now - connection.since() > limits_.idle / idle_slack_divisor) {"
  "  if (now - connection.since() > limits_.idle) {  // Planted: the time of the last data is lost.")
plant(late service.cpp
  "  wake_at_ = next == Time::max() ? next : std::min(wake_at_, next);"
  "  if (wake_at_ == Time::max()) wake_at_ = next;  // Planted: the timer is never brought forward.")
plant(wrong_bytes connection.hpp
  "  std::span<const std::byte> unsent() const { return buffer().subspan(sent_, received_ - sent_); }"
  "  std::span<const std::byte> unsent() const { return buffer().first(received_ - sent_); }")
