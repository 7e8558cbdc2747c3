#include "target.hpp"

#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "zoo.h"

bool zoo_bugs[zoo_count];
int zoo_port() { return 7; }
void zoo_listening(const uv_tcp_t*) {}

namespace zoo {
namespace {

struct Specimen {
  const char* name;
  const char* shape;
  std::array<zoo_specimen, zoo_set_max> bugs;
};

constexpr std::array specimens{
#define ZOO_ROW(name, shape, ...) Specimen{#name, #shape, {__VA_ARGS__}},
    ZOO_SPECIMENS(ZOO_ROW)
#undef ZOO_ROW
};

// What may be asked of each shape.
harness::Subject subject_of(std::string_view shape) {
  harness::Subject subject;
  subject.drain_ms = 0;
  subject.may_reject = true;  // it has room for three
  if (shape == "tutorial") {
    subject.name = "tutorial";
    subject.start = tutorial_main;
    subject.reopens_listener = true;  // it turns away whom it cannot serve
    // Three clients; each has a buffer being read into, and echoes pending.
    constexpr std::uint64_t buffers = 3 * (2 + 1);
    constexpr std::uint64_t buffer_size = 65536 + 1024;
    subject.live_bytes_max = buffers * buffer_size;
    subject.idle_ms = subject.write_ms = harness::Subject::unlimited;
  } else if (shape == "pooled") {
    subject.name = "pooled";
    subject.start = pooled_main;
    subject.may_reject = false;
    subject.live_bytes_max = 0;
    subject.idle_ms = subject.write_ms = harness::Subject::unlimited;
  } else if (shape == "timed") {
    subject.name = "timed";
    subject.start = timed_main;
    subject.write_at_most_ms = subject.write_ms;
    subject.drain_ms = subject.idle_ms + subject.write_ms;
  } else {
    subject.name = "owners";
    subject.start = owners_main;
    subject.reopens_listener = true;
    subject.idle_ms = subject.write_ms = harness::Subject::unlimited;
  }
  return subject;
}

// All that can fail in the life of these servers, and timers. A fresh handle cannot fail to accept
// (R38): those that accept late rely on it, for if it did they would be deaf from then on. Those
// that must serve to the end have a listener that does not fail.
uvsim::ChoiceSet faults_of(const harness::Subject& subject) {
  using enum uvsim::ChoicePoint;
  // Also what libuv cannot refuse: these servers look at it all the same.
  uvsim::ChoiceSet faults = uvsim::ChoiceSet::all()
                                .without(connect_result)
                                .without(call_loop_init)
                                .without(call_async_init)
                                .without(call_tcp_init)
                                .without(call_pipe_init)
                                .without(call_signal_init)
                                .without(call_signal_start)
                                .without(call_connect)
                                .without(option_error)
                                .without(ioctl_error)
                                .without(thread_turn)
                                .without(thread_order)
                                .without(worker_start);
  if (std::string_view(subject.name) != "timed") faults = faults.without(call_accept);
  if (subject.reopens_listener) faults = faults.without(accept_error);
  return faults;
}

const char* choose(const char* name) {
  for (const Specimen& specimen : specimens) {
    if (std::string_view(name) != specimen.name) continue;
    for (const zoo_specimen bug : specimen.bugs) zoo_bugs[bug] = true;
    return specimen.shape;
  }
  for (const char* shape : {"tutorial", "pooled", "timed", "owners"}) {
    if (std::string_view(name) == shape) return shape;
  }
  std::fprintf(stderr, "ZOO_SPECIMEN: there is no '%s'; there are the shapes, and:\n", name);
  for (const Specimen& specimen : specimens) std::fprintf(stderr, "  %s\n", specimen.name);
  std::exit(2);
}

uvsim::Options options_of(const harness::Subject& subject) {
  uvsim::Options options = harness::Trial::default_options();
  options.asked = faults_of(subject);
  options.impossible = uvsim::ChoiceSet::all();
  options.fail_allocations = true;
  options.strict = true;
  options.strict_ledger = true;
  return options;
}

}  // namespace

Target::Target(const char* name)
    : subject_(subject_of(choose(name))), trial_(options_of(subject_)) {
  set_up(0, 0);
}

void Target::set_up(std::uint8_t first, std::uint8_t second) {
  static constexpr std::array<std::uint32_t, 4> windows{24, 1, 256, 65536};
  static constexpr std::array<std::uint32_t, 4> clients{2, 1, 3, 5};
  uvsim::Options& options = trial_.options();
  options.version = first % 2 == 0 ? uvsim::Version::v1_52 : uvsim::Version::v1_44;
  options.send_window = options.receive_window = windows[first / 2 % 4];
  setting_.clients = clients[first / 8 % 4];
  setting_.stalled = second / 4 % 4;
  setting_.send_max = 2048;
  setting_.said_max = 8192;
  setting_.vary = harness::Setting::Vary::nothing();
  // No limit, or as many as a loop, a signal, a listener, libuv's spare, three clients and the one
  // that waits in the listener need.
  options.descriptors = second % 4 == 1 ? 10 : 0;
}

void Target::run(uvsim::Choices& choices) {
  if (trial_.run(subject_, setting_, choices).ok()) return;
  std::fprintf(stderr, "%s%s", trial_.trace_text().c_str(), trial_.summary().c_str());
  std::abort();
}

Target& wanted() {
  static Target target([] {
    const char* const name = std::getenv("ZOO_SPECIMEN");
    return name == nullptr ? "" : name;
  }());
  return target;
}

}  // namespace zoo
