// Names of findings say what failed, and a server's promises are read as they are written.
#include "harness/findings.hpp"

#include <gtest/gtest.h>

#include <csignal>

#include "harness/promises.hpp"

namespace harness {
namespace {

std::string name(Oracle oracle, const char* rule, const char* message,
                 std::string_view where = {}) {
  Verdict verdict;
  verdict.broken = oracle;
  verdict.rule = rule;
  verdict.message = message;
  return name_of(verdict, where);
}

TEST(Findings, are_named_by_oracle_and_what_failed) {
  EXPECT_EQ(name(Oracle::whole, "",
                 "client 2 (7 bytes sent, 0 received): a client to which nothing had happened did "
                 "not get its whole echo"),
            "whole-lost-tail");
  EXPECT_EQ(name(Oracle::contract, "R21", "tcp#2: this write raises SIGPIPE, and ..."),
            "R21-SIGPIPE");
  EXPECT_EQ(name(Oracle::ledger, "", "3 allocation(s) leaked; the first: ...", "on_read"),
            "ledger-leak-on_read");
}

TEST(Findings, have_the_same_name_when_only_numbers_differ) {
  EXPECT_EQ(name(Oracle::contract, "R21", "tcp#2: something odd at step 18"),
            name(Oracle::contract, "R21", "tcp#5: something odd at step 1"));
  EXPECT_NE(name(Oracle::alive, "", "this takes long"), name(Oracle::alive, "", "that never ends"));
}

TEST(Findings, have_names_that_are_fit_for_files) {
  const std::string text =
      name(Oracle::ledger, "", "leak; a/b \"c\" $(d)", "ns::Class<int>::f(char)");
  EXPECT_EQ(text.find_first_of("/\"$()<>:; "), std::string::npos) << text;
  EXPECT_LE(name(Oracle::ledger, "", "leak", std::string(500, 'x')).size(), 100U);
}

TEST(Findings, that_uvsim_cannot_run_are_no_accusation) {
  EXPECT_EQ(name(Oracle::contract, "", "uv_udp_init is not simulated by uvsim"), "cannot-run");
}

TEST(Promises, are_read_whichever_way_they_are_written) {
  Subject subject;
  EXPECT_TRUE(promise(subject, "IDLE_MS=2500"));
  EXPECT_EQ(subject.idle_ms, 2500U);
  EXPECT_TRUE(promise(subject, "echoes=off"));
  EXPECT_FALSE(subject.echoes);
  EXPECT_TRUE(promise(subject, "stop_signal=SIGHUP"));
  EXPECT_EQ(subject.stop_signal, SIGHUP);
  EXPECT_TRUE(promise(subject, "stop_signal=2"));
  EXPECT_EQ(subject.stop_signal, SIGINT);
}

TEST(Promises, that_are_none_change_nothing) {
  Subject subject;
  for (const char* const text : {"idle_ms", "idle_ms=", "idle_ms=-1", "idle_ms=5s", "idle=5", "",
                                 "echoes=perhaps", "stop_signal=SIGNOTHING", "stop_signal=999"}) {
    EXPECT_FALSE(promise(subject, text)) << text;
  }
  EXPECT_EQ(subject.idle_ms, Subject().idle_ms);
}

}  // namespace
}  // namespace harness
