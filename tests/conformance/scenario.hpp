// What a conformance scenario is, and the list of all of them.
//
// A scenario is a small libuv program, written against <uv.h> alone through the helpers of
// fixture.hpp. It is performed on an arm: real libuv over loopback, or uvsim. Each call and each
// callback adds a line to its trace, and the trace must be the golden one that stands beside the
// scenario. So a wrong simulator shows, and so does a wrong expectation of libuv.
//
// Lines of a golden trace that begin with [1.44] or [1.45+] are expected of these versions only.
#pragma once

#include <string>
#include <vector>

namespace conformance {

/// The two behaviours of libuv that this project supports; see section 2.7 of the contract.
enum class Version { v1_44, v1_52 };

class Fixture;

/// What a machine must have for a scenario, beside a loopback for IPv4.
enum class Needs { nothing, simulator, ipv6 };

struct Scenario {
  const char* name;
  /// The rules of the libuv contract that it shows, as in "R24 R25"; "-" for behaviour without one.
  const char* rules;
  const char* golden;
  void (*perform)(Fixture& fixture);
  Needs needs = Needs::nothing;
};

std::vector<Scenario>& scenarios();

/// The golden trace as VERSION must produce it: no indentation, no blank lines, no foreign lines.
std::string golden_trace(const Scenario& scenario, Version version);

struct Registration {
  explicit Registration(const Scenario& scenario) { scenarios().push_back(scenario); }
};

}  // namespace conformance

#define SCENARIO(name, rules, golden) CONFORMANCE_SCENARIO(name, rules, golden, nothing)

#define IPV6_SCENARIO(name, rules, golden) CONFORMANCE_SCENARIO(name, rules, golden, ipv6)

/// For what cannot be had on every machine that has a loopback. The comment above such a scenario
/// says what it is.
#define SIM_SCENARIO(name, rules, golden) CONFORMANCE_SCENARIO(name, rules, golden, simulator)

#define CONFORMANCE_SCENARIO(name, rules, golden, needed)                                        \
  static void scenario_##name(conformance::Fixture& fixture);                                    \
  static const conformance::Registration registration_##name(                                    \
      conformance::Scenario{#name, rules, golden, scenario_##name, conformance::Needs::needed}); \
  static void scenario_##name([[maybe_unused]] conformance::Fixture& fixture)
