// What is said to a server of which nothing is known. Bytes of no meaning do for one that sends
// back what it receives; one that waits for the end of a line, for a whole frame or for a request
// would never do anything. The first look (first_look.hpp) tries these talks, and the World keeps
// to what it found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "harness/speech.hpp"

namespace harness {

// X(name, the part of "sends back ... that it receives")
#define HARNESS_TALKS(X)                                                 \
  X(bytes, "what")                                                       \
  X(lines, "the lines")                                                  \
  X(short_lines, "the short lines")                                      \
  X(frames_of_2, "the frames (2 bytes of length, big-endian)")           \
  X(frames_of_4, "the frames (4 bytes of length, big-endian)")           \
  X(frames_of_4_little, "the frames (4 bytes of length, little-endian)") \
  X(frames_of_1, "the frames (1 byte of length)")

enum class Talk : std::uint8_t {
#define HARNESS_TALK(name, words) name,
  HARNESS_TALKS(HARNESS_TALK)
#undef HARNESS_TALK
};

inline constexpr std::uint32_t talk_count = 0
#define HARNESS_TALK(name, words) +1
    HARNESS_TALKS(HARNESS_TALK)
#undef HARNESS_TALK
    ;

const char* words_for(Talk talk);

// Message number `number` of client number `client`; `choice` says how long it is, 0 a few bytes.
std::string message(Talk talk, std::uint32_t client, std::uint32_t number, std::uint32_t choice);
// One for each length that there is.
std::string one_of_each(Talk talk, std::uint32_t client);

// For a server that sends back each message of this talk, after its greeting: once the message is
// whole, or (`halves`) each part of it.
Speech echo_of(Talk talk, const std::string& greeting = "", bool halves = false);

// Requests of protocols that many servers speak; some name a port on 127.0.0.1 to connect to.
const std::vector<std::string>& requests();

// For a server that does not: of everything, first what it is known to `answer`. `words` are the
// program's own, with which it may compare what it reads.
Speech anything(const std::string& answered, const std::vector<std::string>& words);

// The texts among a program's constants that a person may type.
std::vector<std::string> words_in(std::string_view constants);

}  // namespace harness
