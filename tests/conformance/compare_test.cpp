// The comparison itself: what it must not let pass, and the little that it must.
#include <gtest/gtest.h>

#include <ostream>

#include "scenario.hpp"
#include "scripts_compare.hpp"

namespace conformance {
namespace {

// ---- golden traces

const Scenario sample{"sample", "R1", R"(
  stays
  [1.44] older
  [1.45+] newer
)",
                      nullptr};

TEST(GoldenTrace, keeps_only_the_lines_of_its_version) {
  EXPECT_EQ(golden_trace(sample, Version::v1_44), "stays\nolder\n");
  EXPECT_EQ(golden_trace(sample, Version::v1_52), "stays\nnewer\n");
}

// ---- normalised traces

const std::string large_trace =
    "c0.connect = 0\n"
    "> c0 connect 0\n"
    "c0.write(12582912 in 1) = 0\n"
    "> p0 read 65536\n"
    "> p0 read 12517376\n"
    "> c0 write(12582912) 0\n"
    "> p0 read EOF\n"
    "> p0 closed\n"
    "> c0 closed\n"
    "loop_close = 0\n";

std::string with(std::string trace, const std::string& part, const std::string& instead) {
  const std::size_t at = trace.find(part);
  EXPECT_NE(at, std::string::npos) << part;
  return trace.replace(at, part.size(), instead);
}

struct Alteration {
  const char* name;
  const char* part;
  const char* instead;
};

void PrintTo(const Alteration& alteration, std::ostream* out) { *out << alteration.name; }

class AlteredTrace : public testing::TestWithParam<Alteration> {};

TEST_P(AlteredTrace, differs_in_a_large_script) {
  const std::string altered = with(large_trace, GetParam().part, GetParam().instead);
  EXPECT_NE(normalised(altered, true), normalised(large_trace, true));
}

TEST_P(AlteredTrace, differs_in_a_small_script) {
  const std::string altered = with(large_trace, GetParam().part, GetParam().instead);
  EXPECT_NE(normalised(altered, false), normalised(large_trace, false));
}

INSTANTIATE_TEST_SUITE_P(
    Negative, AlteredTrace,
    testing::Values(Alteration{"status_of_a_call", "c0.connect = 0", "c0.connect = EISCONN"},
                    Alteration{"status_of_a_callback", "connect 0", "connect ECONNREFUSED"},
                    Alteration{"total_of_reads", "read 12517376", "read 12517375"},
                    Alteration{"wrong_bytes", "read 12517376", "read 12517376 WRONG BYTES"},
                    Alteration{"lost_callback", "> c0 write(12582912) 0\n", ""},
                    Alteration{"callback_twice", "> c0 closed\n", "> c0 closed\n> c0 closed\n"},
                    Alteration{"failed_write", "write(12582912) 0", "write(12582912) EPIPE"},
                    Alteration{"end_of_input", "> p0 read EOF", "> p0 read ECONNRESET"},
                    Alteration{"end_without_a_buffer", "read EOF", "read EOF without a buffer"},
                    Alteration{"bytes_after_the_end", "> p0 read EOF\n",
                               "> p0 read EOF\n> p0 read 1\n"},
                    Alteration{"another_handle", "> c0 connect 0", "> c1 connect 0"},
                    Alteration{"loop_that_does_not_close", "loop_close = 0", "loop_close = EBUSY"}),
    [](const testing::TestParamInfo<Alteration>& altered) { return altered.param.name; });

TEST(NormalisedTrace, ignores_how_bytes_are_split_in_large_scripts_only) {
  const std::string split =
      with(large_trace, "> p0 read 65536\n", "> p0 read 65535\n> p0 read 1\n");
  EXPECT_EQ(normalised(split, true), normalised(large_trace, true));
  EXPECT_NE(normalised(split, false), normalised(large_trace, false));
}

TEST(NormalisedTrace, ignores_which_handle_goes_first_in_large_scripts_only) {
  const std::string swapped =
      with(large_trace, "> p0 closed\n> c0 closed\n", "> c0 closed\n> p0 closed\n");
  EXPECT_EQ(normalised(swapped, true), normalised(large_trace, true));
  EXPECT_NE(normalised(swapped, false), normalised(large_trace, false));
}

// Whether the last read before a reset was short decides what 1.44 makes of it.
TEST(NormalisedTrace, ignores_how_a_reset_shows_in_large_scripts_only) {
  const std::string failed = "> c0 write(12582912) ECANCELED\n";
  const std::string reset = "> p0 read ECONNRESET\np0.write(1 in 1) = EPIPE\n> p0 closed\n";
  const std::string end =
      "> p0 read EOF without a buffer\np0.write(1 in 1) = 0\n> p0 write(1) EPIPE\n> p0 closed\n";
  EXPECT_EQ(normalised(failed + reset, true), normalised(failed + end, true));
  EXPECT_NE(normalised(failed + reset, false), normalised(failed + end, false));
  EXPECT_NE(normalised("> p0 read EOF\n", true),
            normalised("> p0 read EOF without a buffer\n", true));
  EXPECT_NE(normalised(failed + "> p0 closed\n", true), normalised(failed + end, true));
  EXPECT_NE(normalised(failed + with(end, "> p0 closed\n", ""), true),
            normalised(failed + end, true));
  EXPECT_NE(normalised(failed + end + "> c0 connect 0\n", true), normalised(failed + end, true));
}

// The hang-up, which needs both sides to have ended, may be found together with the last bytes.
TEST(NormalisedTrace, ignores_the_buffer_of_the_end_where_both_sides_ended_in_large_scripts_only) {
  const std::string shut = "p0.shutdown = 0\n> p0 shutdown 0\n";
  const std::string lent = shut + "> p0 read EOF\n";
  const std::string not_lent = shut + "> p0 read EOF without a buffer\n";
  EXPECT_EQ(normalised(lent, true), normalised(not_lent, true));
  EXPECT_NE(normalised(lent, false), normalised(not_lent, false));
  const std::string of_another = with(lent, "p0.shutdown", "c0.shutdown");
  EXPECT_NE(normalised(of_another, true),
            normalised(with(of_another, "EOF", "EOF without a buffer"), true));
}

// ---- the comparison

TEST(Comparison, finds_no_agreement_in_two_arms_that_fail_alike) {
  Arm one({"/bin/false"});
  Arm two({"/bin/false"});
  EXPECT_TRUE(Comparison(one, two).divergence(Script{}).has_value());
}

TEST(Comparison, finds_no_agreement_in_arms_that_are_not_there) {
  Arm one({"/nowhere/arm"});
  Arm two({"/nowhere/arm"});
  EXPECT_TRUE(Comparison(one, two).divergence(Script{}).has_value());
}

// ---- of three arms

// It says the same of every script.
Arm arm_that_says(const char* trace) {
  return Arm({"/bin/sh", "-c",
              std::string("while read line; do case $line in play*) echo ") + trace +
                  "; echo .;; esac; done"});
}

const Arm* odd_of(Arm& real, Arm& other, Arm& third) {
  const auto found = Comparison(real, other, &third).divergence(Script{});
  EXPECT_TRUE(found.has_value());
  return found ? found->odd : nullptr;
}

TEST(ThreeArms, agree_when_all_say_the_same) {
  Arm one = arm_that_says("this");
  Arm two = arm_that_says("this");
  Arm three = arm_that_says("this");
  EXPECT_FALSE(Comparison(one, two, &three).divergence(Script{}).has_value());
}

TEST(ThreeArms, name_the_one_that_two_others_contradict) {
  Arm one = arm_that_says("this");
  Arm two = arm_that_says("this");
  Arm three = arm_that_says("that");
  EXPECT_EQ(odd_of(one, two, three), &three);
  EXPECT_EQ(odd_of(one, three, two), &three);
  EXPECT_EQ(odd_of(three, one, two), &three);
}

TEST(ThreeArms, name_nobody_when_all_differ) {
  Arm one = arm_that_says("this");
  Arm two = arm_that_says("that");
  Arm three = arm_that_says("neither");
  EXPECT_EQ(odd_of(one, two, three), nullptr);
}

// ---- scripts as text

TEST(ScriptText, is_read_as_it_was_written) {
  for (const char* text : {"do connect c0 0 0", "on read p0 2 write p0 1000 6",
                           "on run check 0 stop_loop s 0 0", "do start t1 20 0"}) {
    const auto line = parse_line(text);
    ASSERT_TRUE(line.has_value()) << text;
    EXPECT_EQ(text_of(*line), text);
  }
}

TEST(ScriptText, refuses_what_is_no_line) {
  for (const char* text : {"", "do", "do dance c0 0 0", "do write c9 0 0", "do write c0 1",
                           "on tuesday c0 0 write c0 1 1", "perhaps write c0 1 1"}) {
    EXPECT_FALSE(parse_line(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace conformance
