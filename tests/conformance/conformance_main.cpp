// Performs every scenario on the arm that this program is linked with and compares its trace with
// the golden one. `--print` performs them and prints their traces instead.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <set>
#include <string>

#include "arm.hpp"
#include "scenario.hpp"

namespace conformance {
namespace {

const char* version_name(Version version) {
  return version == Version::v1_44 ? "libuv_1_44" : "libuv_1_52";
}

class ScenarioTest : public testing::Test {
 public:
  ScenarioTest(const Scenario& scenario, Version version)
      : scenario_(scenario), version_(version) {}

  void TestBody() override {
    if (scenario_.needs == Needs::ipv6 && !has_ipv6()) GTEST_SKIP() << "there is no IPv6 here";
    if (const char* reason = why_not(scenario_)) GTEST_SKIP() << reason;
    EXPECT_EQ(golden_trace(scenario_, version_), perform(scenario_, version_));
  }

 private:
  const Scenario& scenario_;
  const Version version_;
};

/// Rules that no program can show without breaking libuv, or that are advice to the program.
const char* exempt(int rule) {
  switch (rule) {
    case 19: return "there is no such rule";
    case 21: return "a program that does not ignore SIGPIPE dies";
    case 27: return "a second uv_close stops libuv by assertion";
    default: return nullptr;
  }
}

TEST(Scenarios, show_every_rule_of_the_contract) {
  std::string shown = " ";
  for (const Scenario& scenario : scenarios()) shown += std::string(scenario.rules) + " ";
  for (int rule = 1; rule <= 40; rule++) {
    const bool is_shown = shown.find(" R" + std::to_string(rule) + " ") != std::string::npos;
    EXPECT_NE(is_shown, exempt(rule) != nullptr) << "R" << rule;
  }
}

TEST(Scenarios, have_names_of_their_own) {
  std::set<std::string> names;
  for (const Scenario& scenario : scenarios()) {
    EXPECT_TRUE(names.insert(scenario.name).second) << scenario.name;
  }
}

bool is_for_this_arm(const Scenario& scenario) {
  return scenario.needs != Needs::simulator || std::strcmp(arm_name(), "sim") == 0;
}

void register_tests() {
  for (const Version version : arm_versions()) {
    const std::string suite = std::string(arm_name()) + "_" + version_name(version);
    for (const Scenario& scenario : scenarios()) {
      if (!is_for_this_arm(scenario)) continue;
      testing::RegisterTest(
          suite.c_str(), scenario.name, nullptr, nullptr, __FILE__, __LINE__,
          [&scenario, version]() -> testing::Test* { return new ScenarioTest(scenario, version); });
    }
  }
}

int print_traces(const char* wanted) {
  for (const Version version : arm_versions()) {
    for (const Scenario& scenario : scenarios()) {
      if (!is_for_this_arm(scenario)) continue;
      if (why_not(scenario) != nullptr) continue;
      if (wanted != nullptr && std::strcmp(wanted, scenario.name) != 0) continue;
      std::printf("== %s %s\n%s", scenario.name, version_name(version),
                  perform(scenario, version).c_str());
      std::fflush(stdout);
    }
  }
  return 0;
}

}  // namespace
}  // namespace conformance

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--print") == 0) {
    return conformance::print_traces(argc > 2 ? argv[2] : nullptr);
  }
  conformance::register_tests();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
