// What is said to a server of which nothing is known: each kind of talk is what it says it is.
#include "harness/talk.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace {

using harness::Talk;
using namespace std::string_literals;

std::string owed(Talk talk, std::string_view said) {
  return harness::echo_of(talk).answer(said, false);
}

TEST(Talk, a_line_is_owed_when_it_has_ended) {
  EXPECT_EQ(owed(Talk::lines, "one\ntwo\nthr"), "one\ntwo\n");
  EXPECT_EQ(owed(Talk::lines, "thr"), "");
}

TEST(Talk, a_frame_is_owed_when_it_is_whole) {
  EXPECT_EQ(owed(Talk::frames_of_1, "\2ab\3ab"), "\2ab");
  EXPECT_EQ(owed(Talk::frames_of_2, "\0\2ab\0\0\0"s), "\0\2ab\0\0"s);
  EXPECT_EQ(owed(Talk::frames_of_4, "\0\0\0\1a\0\0"s), "\0\0\0\1a"s);
  EXPECT_EQ(owed(Talk::frames_of_4_little, "\2\0\0\0ab\1\0\0\0"s), "\2\0\0\0ab"s);
}

TEST(Talk, each_message_is_whole_and_owed_at_once) {
  for (std::uint32_t i = 1; i < harness::talk_count; ++i) {
    const auto talk = static_cast<Talk>(i);
    const std::string said = harness::one_of_each(talk, 0);
    EXPECT_EQ(owed(talk, said), said) << harness::words_for(talk);
    EXPECT_LT(owed(talk, said.substr(0, said.size() - 1)).size(), said.size() - 1);
  }
}

TEST(Talk, no_two_clients_say_the_same) {
  for (std::uint32_t i = 0; i < harness::talk_count; ++i) {
    const auto talk = static_cast<Talk>(i);
    EXPECT_NE(harness::message(talk, 0, 0, 0), harness::message(talk, 1, 0, 0));
  }
}

TEST(Talk, what_is_answered_is_said_first) {
  const harness::Speech speech = harness::anything("PING\n", {"frobnicate"});
  EXPECT_EQ(speech.generator(0, 0, 0), "PING\n");
  bool said = false;
  for (std::uint32_t choice = 0; choice < 256; ++choice) {
    said = said || speech.generator(0, 0, choice) == "frobnicate\n";
  }
  EXPECT_TRUE(said);
}

TEST(Talk, words_are_what_somebody_may_type) {
  const auto words = harness::words_in(
      "GET \0%s left\n\0quit\r\n\0\0\0\1\2\0GET \0a long one, longer than any command\0"s);
  EXPECT_EQ(words, (std::vector<std::string>{"GET ", "quit"}));
}

}  // namespace
