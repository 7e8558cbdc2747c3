// Other people's kinds of server on a machine that varies: the wrong ones are found, each by the
// oracle whose business it is, and nothing is said against the right ones.
#include "stranger.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <ostream>
#include <set>
#include <string>

#include "harness/plan.hpp"
#include "harness/rests.hpp"
#include "harness/trial.hpp"

// What the faulty servers leave behind is what these tests are about.
extern "C" int __lsan_is_turned_off() { return 1; }

namespace {

using stranger::Defect;
using stranger::Shape;

constexpr int runs = 600;

class Campaign {
 public:
  // The oracles that had something to say of so many random runs.
  std::set<std::string> judge(const harness::Subject& subject, int count = runs) {
    using enum uvsim::ChoicePoint;
    // The machine varies, but no call fails: a client that a fault concerned is owed less.
    trial_.options().asked = uvsim::ChoiceSet::none().with(ready_order).with(read_size);
    std::set<std::string> said;
    for (int i = 0; i < count; ++i) said.insert(judge(subject, next_plan()));
    said.erase("");
    return said;
  }

  // The oracle that has something to say of this run, or "".
  std::string judge(const harness::Subject& subject, harness::Plan plan) {
    const harness::Verdict& verdict = trial_.run(subject, setting, plan);
    if (verdict.ok()) return "";
    words_ = verdict.message;
    return harness::name_of(verdict.broken);
  }

  harness::Setting setting{.clients = 3, .send_max = 4000, .said_max = 16'000};
  harness::Trial& trial() { return trial_; }
  const std::string& words() const { return words_; }

 private:
  harness::Plan next_plan() {
    uvsim::Random random(++seed_, 0);
    for (std::uint8_t& byte : bytes_) {
      byte = static_cast<std::uint8_t>(random.pick(256, uvsim::ChoicePoint::detail));
    }
    return {bytes_.data(), 1 + seed_ % bytes_.size(), trial_.options().asked};
  }

  harness::Trial trial_;
  std::string words_;
  std::array<std::uint8_t, 48> bytes_{};
  std::uint64_t seed_ = 0;
};

class RightStranger : public testing::TestWithParam<Shape> {};

TEST_P(RightStranger, is_left_in_peace) {
  Campaign campaign;
  EXPECT_EQ(campaign.judge(stranger::server(GetParam())), std::set<std::string>{})
      << campaign.words();
}

INSTANTIATE_TEST_SUITE_P(All, RightStranger,
                         testing::Values(Shape::plain, Shape::free_list, Shape::table, Shape::cache,
                                         Shape::ticks, Shape::frames, Shape::idle, Shape::admin,
                                         Shape::shouts, Shape::relay));

// Inputs that say one thing again and again: ten minutes without a client a hundred times in a row.
TEST_P(RightStranger, is_left_in_peace_by_inputs_of_equal_bytes) {
  Campaign campaign;
  campaign.setting.actions_max = 400;
  std::array<std::uint8_t, 2000> bytes{};
  for (int value = 0; value < 256; ++value) {
    bytes.fill(static_cast<std::uint8_t>(value));
    EXPECT_EQ(campaign.judge(stranger::server(GetParam()),
                             {bytes.data(), bytes.size(), uvsim::ChoiceSet::none()}),
              "")
        << "of bytes of " << value << ": " << campaign.words();
  }
}

struct Wrong {
  Shape shape;
  Defect defect;
  std::string oracle;  // one of those that find it

  friend std::ostream& operator<<(std::ostream& out, const Wrong& w) { return out << w.oracle; }
};

class WrongStranger : public testing::TestWithParam<Wrong> {};

TEST_P(WrongStranger, is_found) {
  Campaign campaign;
  const auto said = campaign.judge(stranger::server(GetParam().shape, GetParam().defect));
  if (GetParam().oracle == "ledger" && !campaign.trial().report().ledger.active) {
    GTEST_SKIP() << "no ledger in this build";
  }
  EXPECT_TRUE(said.contains(GetParam().oracle)) << testing::PrintToString(said);
}

INSTANTIATE_TEST_SUITE_P(All, WrongStranger,
                         testing::Values(Wrong{Shape::plain, Defect::keeps_a_node, "ledger"},
                                         Wrong{Shape::plain, Defect::keeps_a_byte, "ledger"},
                                         Wrong{Shape::relay, Defect::keeps_a_handle, "ledger"},
                                         Wrong{Shape::plain, Defect::keeps_the_gone, "alive"},
                                         Wrong{Shape::idle, Defect::stops_reading, "whole"},
                                         Wrong{Shape::shouts, Defect::whispers, "prefix"},
                                         Wrong{Shape::relay, Defect::drops_a_byte, "prefix"},
                                         Wrong{Shape::frames, Defect::takes_others_down, "apart"},
                                         Wrong{Shape::admin, Defect::keeps_the_gone, "alive"}));

TEST(Forgiven, findings_are_passed_by_and_others_are_not) {
  Campaign campaign;
  const auto subject = stranger::server(Shape::plain, Defect::keeps_the_gone);
  campaign.trial().forgiven().add("a connection is left open");
  EXPECT_EQ(campaign.judge(subject), std::set<std::string>{}) << campaign.words();
  const auto other = stranger::server(Shape::frames, Defect::takes_others_down);
  EXPECT_FALSE(campaign.judge(other).empty());
  campaign.trial().forgiven().add("whole,apart");
  EXPECT_EQ(campaign.judge(other), std::set<std::string>{}) << campaign.words();
}

TEST(Setting, switches_off_what_is_varied) {
  Campaign campaign;
  campaign.setting.vary = harness::Vary::nothing();
  campaign.trial().options().version = uvsim::Version::v1_44;
  EXPECT_EQ(campaign.judge(stranger::server(Shape::plain), 10), std::set<std::string>{});
  EXPECT_EQ(campaign.trial().options().version, uvsim::Version::v1_44);
}

// --- What is growth. -----------------------------------------------------------------------------

using harness::Rests;

// Of a server that keeps so many blocks after its nth client.
template <class Kept>
std::string verdict_of(Kept kept, std::uint64_t clients_each = 1) {
  Rests rests;
  rests.begin({}, 100, 20);
  std::uint64_t clients = clients_each;
  const auto measure = [&] { return Rests::Measure{.blocks = kept(clients)}; };
  for (rests.rested(measure(), clients); rests.asks_for_more(); rests.rested(measure(), clients)) {
    clients += clients_each;
  }
  return rests.verdict(measure());
}

TEST(Growth, is_none_where_everything_is_given_back) {
  EXPECT_EQ(verdict_of([](std::uint64_t) { return 0U; }), "");
}

TEST(Growth, is_none_of_a_cache_that_is_full_after_as_many_clients_as_are_allowed) {
  EXPECT_EQ(verdict_of([](std::uint64_t n) { return std::min<std::uint64_t>(n, 100); }), "");
  EXPECT_NE(verdict_of([](std::uint64_t n) { return std::min<std::uint64_t>(n, 1000); }), "");
}

TEST(Growth, is_a_node_for_each_client_or_for_some_of_them) {
  EXPECT_NE(verdict_of([](std::uint64_t n) { return n; }), "");
  EXPECT_NE(verdict_of([](std::uint64_t n) { return n / 10; }, 10), "");
  EXPECT_NE(verdict_of([](std::uint64_t n) { return n; }, 8), "");
}

TEST(Growth, is_a_table_that_doubles_its_size_again_and_again) {
  EXPECT_NE(verdict_of([](std::uint64_t n) { return std::bit_ceil(n); }), "");
}

TEST(Growth, is_none_where_a_long_time_alone_takes_it_away) {
  Rests rests;
  rests.begin({}, 100, 20);
  std::uint64_t clients = 1;
  for (rests.rested({.blocks = 1}, 1); rests.asks_for_more();) {
    ++clients;
    rests.rested({.blocks = clients}, clients);
  }
  EXPECT_TRUE(rests.suspects());
  EXPECT_EQ(rests.verdict({.blocks = 1}), "");
}

}  // namespace
