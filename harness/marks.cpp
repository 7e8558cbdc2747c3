#include "harness/marks.hpp"

#include <cerrno>
#include <cstring>

namespace harness {
namespace {

constexpr std::array names{
#define HARNESS_MARK(name, meaning) #name,
    HARNESS_MARKS(HARNESS_MARK)
#undef HARNESS_MARK
#define HARNESS_KIND(name, meaning, ...) "client_" #name,
        HARNESS_KINDS(HARNESS_KIND)
#undef HARNESS_KIND
};

// The events that a stream server meets, on either version of libuv.
struct Expected {
  const char* event;
  Marks::Outcome outcome;
  const char* words;
};
constexpr std::array expected{
    Expected{"connection_cb", Marks::zero, "a client has come"},
    Expected{"connection_cb", Marks::failed, "no client can come (1.44 only)"},
    Expected{"read_cb", Marks::positive, "data"},
    Expected{"read_cb", Marks::zero, "nothing to read (R3)"},
    Expected{"read_cb", Marks::eof, "end of input"},
    Expected{"read_cb", Marks::failed, "reading failed, or there was no buffer"},
    Expected{"write_cb", Marks::zero, "written"},
    Expected{"write_cb", Marks::failed, "writing failed"},
    Expected{"write_cb", Marks::canceled, "canceled by uv_close"},
    Expected{"write_cb", Marks::zero_when_closing, "written, but told after uv_close (R24)"},
    Expected{"close_cb", Marks::zero_when_closing, "closed"},
    Expected{"timer_cb", Marks::zero, "time is up"},
    Expected{"signal_cb", Marks::positive, "a signal"},
    Expected{"uv_try_write", Marks::failed, "refused or would block (R18)"},
    Expected{"uv_write", Marks::failed, "refused (R14)"},
    Expected{"uv_read_start", Marks::failed, "refused (R9)"},
    Expected{"uv_accept", Marks::failed, "refused (R38)"},
    Expected{"uv_listen", Marks::failed, "refused (R40)"},
    Expected{"uv_tcp_init", Marks::failed, "refused (R29)"},
    Expected{"uv_tcp_bind", Marks::failed, "refused (R40)"},
    Expected{"uv_tcp_nodelay", Marks::failed, "refused"},
    Expected{"uv_timer_start", Marks::failed, "refused"},
};

bool possible(Mark mark, bool ends) {
  switch (mark) {
    case Mark::quiescent: return !ends;
    case Mark::ended:
    case Mark::stopped:
    case Mark::stopped_idle:
    case Mark::stopped_twice:
    case Mark::sent_after_stop: return ends;
    default: return true;
  }
}

std::array<const char*, Marks::events_max> event_names;

Marks::Outcome outcome_of(const uvsim::EventView& event) {
  constexpr int eof = -4095;
  constexpr int canceled = -ECANCELED;
  const std::int64_t value = event.kind == uvsim::EventKind::callback ? event.value : event.result;
  if (value > 0) return Marks::positive;
  if (value == 0) return event.closing ? Marks::zero_when_closing : Marks::zero;
  if (value == eof) return Marks::eof;
  return value == canceled ? Marks::canceled : Marks::failed;
}

}  // namespace

void Marks::hit(const uvsim::EventView& event) {
  if (event.kind == uvsim::EventKind::happening || event.what >= events_max) return;
  event_names[event.what] = event.name;
  now[first_event + event.what * outcomes + outcome_of(event)] = 1;
}

// libFuzzer reads this section, and sets it to zero before each run.
[[gnu::used, gnu::section("__libfuzzer_extra_counters")]] std::uint8_t Marks::now[Marks::count];
std::array<std::uint8_t, Marks::count> Marks::before;
std::array<std::uint8_t, Marks::count> Marks::ever;

void Marks::begin_run() {
  std::memcpy(before.data(), now, count);
  forget();
}

void Marks::gather() {
  for (std::size_t i = 0; i < count; ++i) {
    ever[i] |= now[i];
    now[i] |= before[i];
  }
}

void Marks::forget() { std::memset(now, 0, sizeof now); }

std::size_t Marks::number_of(const char* event) {
  for (std::size_t what = 0; what < events_max; ++what) {
    if (event_names[what] != nullptr && std::strcmp(event_names[what], event) == 0) return what;
  }
  return events_max;
}

bool Marks::has_unkind(uvsim::ChoicePoint point) {
  const std::uint8_t* const answers =
      now + first_answer + static_cast<std::size_t>(point) * answers_max;
  return (answers[1] | answers[2] | answers[3]) != 0;
}

std::vector<const char*> Marks::of_this_run() {
  std::vector<const char*> hit;
  for (std::size_t i = 0; i < named; ++i) {
    if (now[i] != 0) hit.push_back(names[i]);
  }
  return hit;
}

std::size_t Marks::reached() {
  std::size_t reached = 0;
  for (const std::uint8_t hit : ever) reached += hit;
  return reached;
}

std::vector<std::string> Marks::unreached(uvsim::ChoiceSet faults, bool ends) {
  std::vector<std::string> missing;
  for (std::size_t i = 0; i < named; ++i) {
    if (ever[i] == 0 && possible(static_cast<Mark>(i), ends)) missing.emplace_back(names[i]);
  }
  for (std::size_t i = 0; uvsim::is_machines(static_cast<uvsim::ChoicePoint>(i)); ++i) {
    const auto point = static_cast<uvsim::ChoicePoint>(i);
    if (faults.has(point) && ever[first_answer + i * answers_max + 1] == 0) {
      missing.emplace_back(std::string("unkind ") + uvsim::name_of(point));
    }
  }
  for (const Expected& one : expected) {
    bool hit = false;
    for (std::size_t what = 0; what < events_max; ++what) {
      if (event_names[what] == nullptr || std::strcmp(event_names[what], one.event) != 0) continue;
      hit = ever[first_event + what * outcomes + one.outcome] != 0;
    }
    if (!hit) missing.emplace_back(std::string(one.event) + ": " + one.words);
  }
  return missing;
}

}  // namespace harness
