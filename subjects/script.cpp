#include "subjects/script.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "core/assert.hpp"
#include "harness/marks.hpp"
#include "uvsim/ledger.hpp"

// A sanitizer's, if there is one.
extern "C" [[gnu::weak]] void __sanitizer_set_death_callback(void (*callback)());

namespace subjects {
namespace {

std::function<void()>& last_words() {
  static std::function<void()> tell;
  return tell;
}

void tell_last_words() {
  const uvsim::ledger::Outside outside;  // no allocation fails any more
  if (const auto tell = std::exchange(last_words(), {})) tell();
}

template <class Value>
void field(std::string& code, const char* name, const Value& value, const Value& otherwise) {
  if (value == otherwise) return;
  code += std::string(code.back() == '{' ? "." : ", .") + name + " = " + std::to_string(value);
}

void field(std::string& code, const char* name, echoproof::Time value, echoproof::Time otherwise) {
  if (value == otherwise) return;
  code += std::string(code.back() == '{' ? "." : ", .") + name + " = ";
  code += value == echoproof::Time::max() ? "Time::max()"
                                          : "Time(" + std::to_string(value.count()) + ")";
}

std::string code_of(const Stage& stage) {
  const Stage usual;
  std::string code = "{";
  if (stage.version != usual.version) code += ".version = Version::v1_44";
  field(code, "clients", stage.clients, usual.clients);
  field(code, "connections", stage.connections, usual.connections);
  field(code, "large_blocks", stage.large_blocks, usual.large_blocks);
  field(code, "block_size", stage.block_size, usual.block_size);
  field(code, "small_block", stage.small_block, usual.small_block);
  field(code, "linger", stage.linger, usual.linger);
  if (stage.little_kernel_memory) {
    code += std::string(code.back() == '{' ? "" : ", ") + ".little_kernel_memory = true";
  }
  field(code, "send_window", stage.send_window, usual.send_window);
  field(code, "receive_window", stage.receive_window, usual.receive_window);
  field(code, "descriptors", stage.descriptors, usual.descriptors);
  field(code, "idle", stage.idle, usual.idle);
  field(code, "write", stage.write, usual.write);
  field(code, "drain", stage.drain, usual.drain);
  return code + "}";
}

std::string code_of(const ScriptedAction& one) {
  std::string code = std::string("{") + name_of(one.action);
  for (std::size_t i = 0; i < one.answers.size(); ++i) {
    code += (i == 0 ? ", {" : ", ") + std::to_string(one.answers[i]);
  }
  return code + (one.answers.empty() ? "}" : "}}");
}

std::string code_of(const Fault& fault) {
  std::string code = std::string("{.point = ") + uvsim::name_of(fault.point);
  field(code, "nth", fault.nth, Fault().nth);
  field(code, "answer", fault.answer, Fault().answer);
  field(code, "times", fault.times, Fault().times);
  return code + "}";
}

template <class Item>
std::string code_of(const char* name, const std::vector<Item>& items) {
  if (items.empty()) return "";
  std::string code = std::string(",\n  .") + name + " = {";
  for (const Item& item : items) code += (&item == items.data() ? "" : ", ") + code_of(item);
  return code + "}";
}

}  // namespace

std::string code_of(const Script& script) {
  return "{.stage = " + code_of(script.stage) + code_of("actions", script.actions) +
         code_of("faults", script.faults) + "}";
}

std::uint32_t ScriptChoices::pick(std::uint32_t n, uvsim::ChoicePoint point) {
  if (!uvsim::is_machines(point)) return answer_world(n, point);
  const std::uint32_t count = asked_[static_cast<std::size_t>(point)]++;
  for (const Fault& fault : script_->faults) {
    if (fault.point != point || count < fault.nth || count - fault.nth >= fault.times) continue;
    return std::min(fault.answer, n - 1);
  }
  return 0;
}

std::uint32_t ScriptChoices::answer_world(std::uint32_t n, uvsim::ChoicePoint point) {
  if (point == uvsim::ChoicePoint::action) {
    next_answer_ = 0;
    current_ = actions_over() ? nullptr : &script_->actions[next_action_++];
    return current_ == nullptr ? 0 : static_cast<std::uint32_t>(current_->action);
  }
  if (current_ == nullptr || next_answer_ == current_->answers.size()) return 0;
  return current_->answers[next_answer_++] % n;
}

std::uint32_t Scribe::pick(std::uint32_t n, uvsim::ChoicePoint point) {
  const std::uint32_t answer = source_.pick(n, point) % n;
  if (uvsim::is_machines(point)) {
    const std::uint32_t nth = asked_[static_cast<std::size_t>(point)]++;
    if (answer != 0) note(point, nth, answer);
  } else if (point == uvsim::ChoicePoint::action) {
    actions_.push_back({static_cast<harness::Action>(answer < harness::action_count ? answer : 0)});
  } else if (!actions_.empty()) {
    actions_.back().answers.push_back(answer);
  }
  return answer;
}

void Scribe::note(uvsim::ChoicePoint point, std::uint32_t nth, std::uint32_t answer) {
  const auto last = std::find_if(faults_.rbegin(), faults_.rend(),
                                 [point](const Fault& fault) { return fault.point == point; });
  if (last != faults_.rend() && last->answer == answer && last->nth + last->times == nth) {
    ++last->times;
  } else {
    faults_.push_back({.point = point, .nth = nth, .answer = answer});
  }
}

// What comes after the end of a script is kind, so what is kind at its end need not be said.
Script Scribe::script(const Stage& stage) const {
  Script script{.stage = stage, .actions = actions_, .faults = faults_};
  for (ScriptedAction& one : script.actions) {
    while (!one.answers.empty() && one.answers.back() == 0) one.answers.pop_back();
  }
  while (!script.actions.empty() && script.actions.back().action == harness::Action::let_go &&
         script.actions.back().answers.empty()) {
    script.actions.pop_back();
  }
  return script;
}

bool is_failure(uvsim::ChoicePoint point) {
  using enum uvsim::ChoicePoint;
  switch (point) {
    case ready_order:
    case ready_count:
    case turn_time:
    case thread_turn:
    case thread_order:
    case worker_start:
    case read_size:
    case read_again:
    case write_size:
    case write_again:
    case action:
    case detail: return false;
    default: return true;
  }
}

Runner::Runner()
    : trial_([] {
        uvsim::Options options = harness::Trial::default_options();
        options.asked = server_faults();
        options.impossible = uvsim::ChoiceSet::all();
        options.fail_allocations = true;
        options.strict_ledger = true;
        return options;
      }()) {}

const harness::Verdict& Runner::run(const Stage& stage, uvsim::Choices& choices) {
  uvsim::Options& options = trial_.options();
  options.version = stage.version;
  options.send_window = stage.send_window;
  options.receive_window = stage.receive_window;
  options.descriptors = stage.descriptors;
  const std::size_t kernel_memory = stage.little_kernel_memory
                                        ? stage.connections * echoproof::KernelBudget::least
                                        : echoproof::KernelBudget::unlimited;
  shape_ = {.limits = {.connections = stage.connections,
                       .buffer_memory = buffer_memory(stage.connections, stage.small_block,
                                                      stage.large_blocks, stage.block_size),
                       .block_size = stage.block_size,
                       .kernel_memory = kernel_memory,
                       .tuned_socket = 1,
                       .idle = stage.idle,
                       .write = stage.write,
                       .small_block = stage.small_block,
                       .linger = stage.linger},
            .drain = stage.drain,
            .clients = stage.clients};
  harness::Subject subject = server_subject(shape_);
  // libuv itself turns clients away when descriptors are short (R39).
  if (stage.descriptors != 0) {
    subject.may_reject = true;
    subject.reopens_ms = harness::Subject::unlimited;  // nor is there always one for the listener
  }
  const std::size_t block_size = stage.block_size;
  const harness::Setting setting{.clients = stage.clients,
                                 .send_max = block_size * 20,
                                 .said_max = block_size * 50,
                                 .vary = harness::Setting::Vary::nothing()};
  harness::Marks::forget();
  return trial_.run(subject, setting, choices);
}

const harness::Verdict& Runner::run(const Script& script) {
  ScriptChoices script_choices(script);
  return run(script.stage, script_choices);
}

void on_death(std::function<void()> tell) {
  last_words() = std::move(tell);
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(tell_last_words);
}

}  // namespace subjects

// In place of the product's, which says nothing of what led there.
void echoproof::assertion_failed(const char* condition, const char* file, int line) noexcept {
  static_cast<void>(std::fflush(stdout));
  std::fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
  subjects::tell_last_words();
  std::abort();
}
