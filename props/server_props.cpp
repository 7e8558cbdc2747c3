// Properties of whole servers: the core and the adapter on uvsim, in a World that rapidcheck
// drives. A failure is shrunk to a short script and printed as a row for scenarios.cpp.
#include <rapidcheck.h>

#include <algorithm>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "harness/marks.hpp"
#include "property.hpp"
#include "subjects/script.hpp"

namespace subjects {  // where the names that it prints live

void showValue(const Script& script, std::ostream& os) {
  os << "{\"found by a property\",\n " << code_of(script) << ",\n {}},\n";
}

}  // namespace subjects

namespace {

using echoproof::Time;
using harness::Action;
using subjects::Fault;
using subjects::Script;
using subjects::ScriptedAction;
using subjects::Stage;
using uvsim::ChoicePoint;

// How connections ended, the rarest first. A case is tagged with the first that it reached. No
// client is cut by FIN here: that needs a second failure, of the reset, which torture tries.
const std::vector<std::string> ends = {
    "closed_for_stalling", "closed_for_silence", "turned_away",         "cut_by_reset",
    "reset_unaccepted",    "reset_owed",         "closed_unread",       "closed_owed",
    "whole_echo_late",     "whole_echo",         "half_closed_at_once", "failed_to_start",
};

// The other marks that cases have to reach.
const std::vector<std::string> other_paths = {
    "stopped", "stopped_twice", "sent_after_stop",         "queued", "stalled", "waited_for_timer",
    "ended",   "sent_urgent",   "stayed_after_half_close",
};

// --- Scripts. -----------------------------------------------------------------------------------

// Chooses one of the values. Shrinks to the first.
template <class Value>
rc::Gen<Value> one_of(std::vector<Value> values) {
  // The same range for every size of case.
  const auto index = rc::gen::inRange<std::size_t>(0, values.size());
  return rc::gen::map(rc::gen::resize(rc::kNominalSize, index),
                      [values = std::move(values)](std::size_t i) { return values[i]; });
}

rc::Gen<Stage> any_stage() {
  using rc::gen::set;
  using Numbers = std::vector<std::uint32_t>;
  using Times = std::vector<Time>;
  return rc::gen::build<Stage>(
      set(&Stage::version,
          one_of(std::vector<uvsim::Version>{uvsim::Version::v1_52, uvsim::Version::v1_44})),
      set(&Stage::clients, one_of(Numbers{1, 2, 3})),
      set(&Stage::connections, one_of(Numbers{8, 1, 2})),
      set(&Stage::large_blocks, one_of(Numbers{2, 0, 1})),
      set(&Stage::block_size, one_of(Numbers{8, 1, 64})),
      set(&Stage::small_block, one_of(Numbers{2, 1, 8})),
      set(&Stage::linger, one_of(Numbers{8, 1, 64})),
      set(&Stage::little_kernel_memory, one_of(std::vector<bool>{false, true})),
      set(&Stage::send_window, one_of(Numbers{256, 8, 1})),
      set(&Stage::receive_window, one_of(Numbers{256, 40})),
      set(&Stage::idle, one_of(Times{Time::max(), Time(2000)})),
      set(&Stage::drain, one_of(Times{Time(700), Time(0)})));
}

rc::Gen<ScriptedAction> any_action(const std::vector<Action>& actions) {
  using namespace rc::gen;
  // Few, so that what is not asked is not there.
  const auto answer = resize(rc::kNominalSize, inRange(0U, 8U));
  return build<ScriptedAction>(
      set(&ScriptedAction::action, one_of(actions)),
      set(&ScriptedAction::answers, resize(2, container<std::vector<std::uint32_t>>(answer))));
}

rc::Gen<Fault> any_fault(const std::vector<ChoicePoint>& points) {
  using namespace rc::gen;
  return build<Fault>(set(&Fault::point, one_of(points)),
                      set(&Fault::nth, resize(rc::kNominalSize, inRange(0U, 10U))),
                      set(&Fault::answer, one_of(std::vector<std::uint32_t>{1, 2, 3})),
                      set(&Fault::times, one_of(std::vector<std::uint32_t>{1, 1, 1, 2, 8, 40})));
}

rc::Gen<Script> any_script(const std::vector<Action>& actions,
                           const std::vector<ChoicePoint>& points, const rc::Gen<Stage>& stage) {
  using namespace rc::gen;
  return build<Script>(
      set(&Script::stage, stage),
      set(&Script::actions, container<std::vector<ScriptedAction>>(any_action(actions))),
      set(&Script::faults, resize(6, container<std::vector<Fault>>(any_fault(points)))));
}

// Whether a failure of this call only keeps the server from starting. torture tries these calls.
bool only_at_start(ChoicePoint point) {
  using enum ChoicePoint;
  return point == call_loop_init || point == call_signal_init || point == call_signal_start ||
         point == call_timer_init || point == call_address;
}

std::vector<ChoicePoint> points_of(bool failures) {
  std::vector<ChoicePoint> points;
  for (std::uint32_t i = 0; i < uvsim::choice_point_count; ++i) {
    const auto point = static_cast<ChoicePoint>(i);
    if (!uvsim::is_machines(point) || !subjects::server_faults().has(point)) continue;
    if (subjects::is_failure(point) && (!failures || only_at_start(point))) continue;
    points.push_back(point);
  }
  return points;
}

// An action is as likely as it is often listed. The most likely let the server work or begin
// something.
const std::vector<Action> all_actions = {
    Action::let_go,      Action::let_go,         Action::let_go,     Action::let_go,
    Action::connect,     Action::connect,        Action::send,       Action::send,
    Action::send,        Action::read,           Action::half_close, Action::close,
    Action::reset,       Action::stall,          Action::pass_time,  Action::shrink,
    Action::shrink,      Action::wait_for_timer, Action::stop,       Action::other_signal,
    Action::send_urgent, Action::connect_as};

// The actions after which a client is still owed everything.
const std::vector<Action> patient_actions = {Action::let_go,     Action::connect,     Action::send,
                                             Action::send,       Action::send_urgent, Action::read,
                                             Action::half_close, Action::shrink};

// --- Properties. --------------------------------------------------------------------------------

subjects::Runner& runner() {
  static subjects::Runner instance;
  return instance;
}

struct Nothing {};

void holds(const Script& script, props::Reached& reached) {
  props::play<Nothing>([&](Nothing&) {
    if (!runner().run(script).ok()) RC_FAIL(runner().trial().summary());
  });
  const auto marks = harness::Marks::of_this_run();
  const auto hit = [&marks](const std::string& mark) {
    return std::ranges::find(marks, mark) != marks.end();
  };
  for (auto& [path, count] : reached) count += hit(path) ? 1 : 0;
  const auto end = std::ranges::find_if(ends, hit);
  RC_TAG(end == ends.end() ? "nobody said anything" : *end);
}

void every_oracle_holds(props::Reached& reached) {
  holds(*any_script(all_actions, points_of(true), any_stage()), reached);
}

// No split of data loses a byte, neither the clients' nor the kernel's.
void echo_is_the_identity(props::Reached& reached) {
  Script script = *any_script(patient_actions, points_of(false), any_stage());
  // Time that passes must not reach a client's limit.
  script.stage.idle = script.stage.write = Time::max();
  holds(script, reached);
  const auto marks = harness::Marks::of_this_run();
  for (const std::string_view mark : {"cut_by_end", "cut_by_reset", "turned_away"}) {
    RC_ASSERT(std::ranges::find(marks, mark) == marks.end());
  }
}

// The printed script is the run: playing it gives the same run.
void scripts_tell_all() {
  const Script script = *any_script(all_actions, points_of(true), any_stage());
  props::play<Nothing>([&](Nothing&) {
    subjects::ScriptChoices script_choices(script);
    subjects::Scribe scribe(script_choices);
    const std::uint64_t hash = runner().run(script.stage, scribe).trace_hash;
    const Script told = scribe.script(script.stage);
    RC_ASSERT(runner().run(told).trace_hash == hash);
  });
}

}  // namespace

// --all-paths: also fail if no case took one of the paths.
int main(int argc, char** argv) {
  const bool all_wanted = argc > 1 && std::string_view(argv[1]) == "--all-paths";
  return props::run([&] {
    props::Reached reached;
    for (const std::string& path : ends) reached[path] = 0;
    for (const std::string& path : other_paths) reached[path] = 0;
    bool ok = rc::check("whatever happens around a server, every oracle holds",
                        [&] { every_oracle_holds(reached); });
    ok = rc::check("the echo is the identity, however the bytes are split",
                   [&] { echo_is_the_identity(reached); }) &&
         ok;
    ok = rc::check("a run can be told as a script, and is the same run again", scripts_tell_all) &&
         ok;
    if (!ok) return false;
    const bool all = props::print_reached(reached);
    return all || !all_wanted;
  });
}
