// Each oracle has a small faulty server that it finds, and that no other oracle is blamed for. So
// an oracle that has gone blind is noticed, and so is one that says what is another's to say.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "harness/marks.hpp"
#include "harness/plan.hpp"
#include "harness/trial.hpp"
#include "patient_server.hpp"
#include "subjects/canary.hpp"

// What the faulty servers leave behind is what these tests are about.
extern "C" int __lsan_is_turned_off() { return 1; }

namespace {

using canary::Defect;
using harness::Oracle;

// Leaves out faults that the small server does not claim to survive, and all faults if the test
// needs none: a client that a fault concerned is owed less.
uvsim::ChoiceSet no_faults() {
  using enum uvsim::ChoicePoint;
  return uvsim::ChoiceSet::none().with(ready_order).with(read_size).with(write_size);
}

uvsim::ChoiceSet faults() { return harness::Trial::usual_faults(); }

harness::Setting as_it_is(harness::Setting setting) {
  setting.vary = harness::Setting::Vary::nothing();
  return setting;
}

class Worlds {
 public:
  explicit Worlds(uvsim::ChoiceSet asked) : asked_(asked) { trial_.options().asked = asked; }
  uvsim::Options& options() { return trial_.options(); }

  // The oracles that had something to say of so many random runs.
  std::set<std::string> judge(const harness::Subject& subject, const harness::Setting& setting,
                              int runs) {
    return judge_varied(subject, as_it_is(setting), runs);
  }
  // The same on machines as the choices say.
  std::set<std::string> judge_varied(const harness::Subject& subject,
                                     const harness::Setting& setting, int runs) {
    std::set<std::string> said;
    for (int i = 0; i < runs; ++i) {
      harness::Plan plan = next_plan();
      const harness::Verdict& verdict = trial_.run(subject, setting, plan);
      if (!verdict.ok()) said.insert(harness::name_of(verdict.broken));
      if (verdict.ok()) continue;
      const std::size_t whom = verdict.message.find(": ");
      words_.insert(verdict.message.substr(whom == std::string::npos ? 0 : whom + 2));
    }
    return said;
  }
  // Their messages, without the client's name.
  const std::set<std::string>& words() const { return words_; }

  bool repeats(const harness::Subject& subject, int runs) {
    bool same = true;
    for (int i = 0; i < runs; ++i) {
      harness::Plan plan = next_plan();
      same = trial_.repeats(subject, as_it_is({}), plan) && same;
    }
    return same;
  }

  const uvsim::Report& report() const { return trial_.report(); }

 private:
  harness::Plan next_plan() {
    uvsim::Random random(++seed_, 0);
    for (std::uint8_t& byte : bytes_) {
      byte = static_cast<std::uint8_t>(random.pick(256, uvsim::ChoicePoint::detail));
    }
    return {bytes_.data(), 1 + seed_ % bytes_.size(), asked_};
  }

  harness::Trial trial_;
  uvsim::ChoiceSet asked_;
  std::set<std::string> words_;
  std::array<std::uint8_t, 64> bytes_{};
  std::uint64_t seed_ = 0;
};

constexpr int runs = 400;

struct Case {
  Defect defect;
  Oracle oracle;
  std::uint32_t clients;

  friend std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << harness::name_of(c.oracle);
  }
};

class EachOracle : public testing::TestWithParam<Case> {};

TEST_P(EachOracle, finds_its_faulty_server_and_is_the_only_one_to_complain) {
  Worlds worlds(no_faults());
  const Case& c = GetParam();
  const harness::Setting setting{.clients = c.clients, .clients_max = c.clients};
  const auto said = worlds.judge(canary::echo_server(c.defect), setting, runs);
  if (c.oracle == Oracle::ledger && !worlds.report().ledger.active) {
    GTEST_SKIP() << "no ledger in this build";
  }
  EXPECT_EQ(said, std::set<std::string>{harness::name_of(c.oracle)});
}

INSTANTIATE_TEST_SUITE_P(All, EachOracle,
                         testing::Values(Case{Defect::wrong_byte, Oracle::prefix, 2},
                                         Case{Defect::ends_early, Oracle::whole, 1},
                                         Case{Defect::leak, Oracle::ledger, 2},
                                         Case{Defect::closed_twice, Oracle::contract, 2},
                                         Case{Defect::hoards, Oracle::bound, 2},
                                         Case{Defect::never_closes, Oracle::alive, 2},
                                         Case{Defect::ends_others, Oracle::apart, 3},
                                         Case{Defect::bad_exit, Oracle::clean, 2}),
                         testing::PrintToStringParamName());

TEST(RightServer, gives_no_oracle_anything_to_say) {
  Worlds worlds(faults());
  EXPECT_EQ(worlds.judge(canary::echo_server(Defect::none), {}, 10 * runs),
            std::set<std::string>{});
}

// Clients of small windows say little at once, and who is owed much keeps a larger window.
TEST(RightServer, is_through_with_small_windows_soon) {
  Worlds worlds(faults());
  worlds.options().max_steps = 4'000;
  EXPECT_EQ(worlds.judge(canary::echo_server(Defect::none), {}, 10 * runs),
            std::set<std::string>{});
}

TEST(RightServer, is_through_with_long_messages_soon) {
  Worlds worlds(faults());
  worlds.options().max_steps = 4'000;
  harness::Subject subject = canary::echo_server(Defect::none);
  subject.speech.dictionary = {std::string(65'000, 'x')};
  EXPECT_EQ(worlds.judge(subject, {}, 10 * runs), std::set<std::string>{});
}

TEST(RightServer, does_the_same_with_the_same_choices) {
  Worlds worlds(faults());
  EXPECT_TRUE(worlds.repeats(canary::echo_server(Defect::none), runs));
}

TEST(SelfCheck, notices_a_server_that_does_not_do_the_same_again) {
  Worlds worlds(faults());
  EXPECT_FALSE(worlds.repeats(canary::echo_server(Defect::moody), 1));
}

// --- What is owed in time. -----------------------------------------------------------------------

using harness::Kind;
using harness::Subject;
using Time = patient::Defect;

struct InTime {
  const char* name;
  Time defect;
  std::array<Kind, 2> kinds;
  // Held against it, and nothing else.
  std::set<std::string> words;
  // What is not promised in this case, for what is to be seen alone.
  void (*change)(Subject&) = [](Subject&) {};
  std::uint32_t send_window = 1;

  friend std::ostream& operator<<(std::ostream& out, const InTime& c) { return out << c.name; }
};

constexpr const char* not_whole =
    "a client to which nothing had happened did not get its whole echo";

class WhatIsOwedInTime : public testing::TestWithParam<InTime> {
 protected:
  WhatIsOwedInTime() : worlds_(no_faults()) {
    worlds_.options().send_window = GetParam().send_window;
    setting_.send_max = 1000;
    const std::array<Kind, 2> kinds = GetParam().kinds;
    for (std::size_t i = 0; i < setting_.kinds.size(); ++i) setting_.kinds[i] = kinds[i % 2];
  }
  void judge(Time defect) {
    Subject subject = patient::echo_server(defect);
    GetParam().change(subject);
    worlds_.judge(subject, setting_, runs);
  }

  Worlds worlds_;
  harness::Setting setting_;
};

TEST_P(WhatIsOwedInTime, is_held_against_the_server_that_is_wrong) {
  judge(GetParam().defect);
  EXPECT_EQ(worlds_.words(), GetParam().words);
}

TEST_P(WhatIsOwedInTime, is_given_by_the_server_that_is_right) {
  judge(Time::none);
  EXPECT_EQ(worlds_.words(), std::set<std::string>{});
}

INSTANTIATE_TEST_SUITE_P(
    All, WhatIsOwedInTime,
    testing::Values(InTime{"a_steady_slow_reader_is_not_cut",
                           Time::cuts_slow_readers,
                           {Kind::steady, Kind::half_closes},
                           {not_whole}},
                    InTime{"one_byte_at_a_time_is_taking",
                           Time::cuts_slow_readers,
                           {Kind::trickle, Kind::trickle},
                           {not_whole}},
                    InTime{"an_owed_reader_is_not_silent",
                           Time::calls_readers_silent,
                           {Kind::burst, Kind::steady},
                           {not_whole}},
                    InTime{"who_is_cut_is_told",
                           Time::ends_quietly,
                           {Kind::never_reads, Kind::comes_back},
                           {"a client whose echo was cut saw an ordinary end"}},
                    InTime{"who_reads_is_answered_at_once_beside_others",
                           Time::one_at_a_time,
                           {Kind::never_reads, Kind::ordinary},
                           {"a client waits for the server, with nothing of its own in the way"}},
                    InTime{"who_reads_is_answered_in_time_beside_others",
                           Time::one_at_a_time,
                           {Kind::never_reads, Kind::ordinary},
                           {"a client is not answered because of what others do not do"},
                           [](Subject& subject) {
                             subject.answers_at_once = false;
                             subject.answer_ms = 200;
                           }},
                    InTime{"a_never_reader_is_ended",
                           Time::keeps_never_readers,
                           {Kind::never_reads, Kind::comes_back},
                           {"a client that takes nothing is not closed in time"}},
                    InTime{"who_ended_and_takes_nothing_is_ended",
                           Time::keeps_who_ended,
                           {Kind::never_reads, Kind::never_reads},
                           {"a client that has ended takes nothing, and is not closed in time",
                            "a connection is left open although its client is gone"},
                           // Here the kernel holds it all.
                           [](Subject& subject) { subject.notices_taking = false; },
                           400},
                    InTime{"a_silent_client_is_ended",
                           Time::keeps_the_silent,
                           {Kind::stays, Kind::ordinary},
                           {"a silent client is not closed in time"}}),
    testing::PrintToStringParamName());

// All kinds, as the input says, on a machine that is slow at times.
TEST(RightServer, that_is_patient_gives_no_oracle_anything_to_say) {
  using enum uvsim::ChoicePoint;
  Worlds worlds(no_faults().with(ready_count).with(turn_time).with(read_again).with(write_again));
  worlds.options().send_window = 1;
  harness::Marks::forget();
  worlds.judge(patient::echo_server(Time::none), {.clients = 3, .send_max = 1000}, 40 * runs);
  EXPECT_EQ(worlds.words(), std::set<std::string>{});
  const std::vector<const char*> hit = harness::Marks::of_this_run();
  for (const char* const mark :
       {"client_steady", "client_trickle", "client_burst", "client_never_reads",
        "client_comes_back", "client_half_closes", "client_stays", "client_lingers",
        "client_returns", "client_says_nothing", "client_pair", "client_crowd", "waited_long",
        "lingered_for", "cut_by_reset"}) {
    EXPECT_TRUE(std::ranges::any_of(hit, [mark](std::string_view one) { return one == mark; }))
        << mark;
  }
}

// A client may end its output by choice before the time comes at which it would have by itself.
TEST(RightServer, that_reads_at_times_gives_no_oracle_anything_to_say) {
  Worlds worlds(no_faults());
  harness::Setting setting{.clients = 3, .send_max = 1000};
  setting.kinds.fill(Kind::lingers);
  worlds.judge(patient::echo_server_that_reads_at_times(), setting, 10 * runs);
  EXPECT_EQ(worlds.words(), std::set<std::string>{});
}

TEST(Operator, may_tell_the_server_by_a_function) {
  Worlds worlds(no_faults());
  worlds.options().send_window = 1;
  harness::Marks::forget();
  worlds.judge(patient::echo_server_that_is_told(), {}, runs);
  EXPECT_EQ(worlds.words(), std::set<std::string>{});
  const std::vector<const char*> hit = harness::Marks::of_this_run();
  for (const char* const mark : {"ended", "stopped", "stopped_idle"}) {
    EXPECT_TRUE(std::ranges::any_of(hit, [mark](std::string_view one) { return one == mark; }))
        << mark;
  }
}

TEST(WithoutMemory, a_server_that_ends_at_once_is_still_judged) {
  uvsim::Options options;
  options.asked = uvsim::ChoiceSet::none().with(uvsim::ChoicePoint::allocation);
  options.fail_allocations = true;
  harness::Trial trial(options);
  harness::Subject subject;
  subject.start = [] { return 0; };
  uvsim::OneFault first(0, 1);  // the World's own, for the server asks for none
  EXPECT_EQ(trial.run(subject, as_it_is({}), first).broken, Oracle::alive);
}

}  // namespace
