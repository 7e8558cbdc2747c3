#include "harness/story.hpp"

#include <uv.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

extern "C" [[gnu::weak]] std::size_t __asan_get_alloc_stack(void* address, void** trace,
                                                            std::size_t size, int* thread);

namespace harness {
namespace {

constexpr std::uint8_t subject_loop = 200;
constexpr std::uint8_t subject_peer = 201;

Story* running = nullptr;

std::string count(std::int64_t n, const char* what) {
  return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

std::string code(std::int64_t status) {
  std::array<char, 64> name{};
  uv_err_name_r(static_cast<int>(status), name.data(), name.size());
  return name.data();
}

std::string who_is(const uvsim::EventView& event) {
  if (event.subject_id == 0) return "";
  const std::string number = std::to_string(event.subject_id);
  if (event.subject_kind == subject_peer) return "client " + number;
  if (event.subject_kind == subject_loop) return "loop#" + number;
  const char* const type = uv_handle_type_name(static_cast<uv_handle_type>(event.subject_kind));
  return std::string(type == nullptr ? "handle" : type) + "#" + number;
}

std::string signal_name(std::int64_t number) {
  const char* const name = sigabbrev_np(static_cast<int>(number));
  return name == nullptr ? "signal " + std::to_string(number) : std::string("SIG") + name;
}

// The choice point that a note of the World is about, or null.
const char* meaning_of_note(const char* text) {
  for (std::uint32_t i = 0; uvsim::is_machines(static_cast<uvsim::ChoicePoint>(i)); ++i) {
    const auto point = static_cast<uvsim::ChoicePoint>(i);
    if (std::strcmp(uvsim::name_of(point), text) == 0) return uvsim::meaning_of(point);
  }
  return nullptr;
}

// "does a read fail: no, ECONNRESET, ETIMEDOUT" and 1 become "does a read fail: ECONNRESET".
std::string answer_of(const char* meaning, std::int64_t answer) {
  const std::string_view all(meaning);
  const std::size_t colon = all.find(": ");
  if (colon == std::string_view::npos) return std::string(all);
  std::string_view answers = all.substr(colon + 2);
  for (std::int64_t i = 0; i < answer; ++i) {
    const std::size_t comma = answers.find(", ");
    if (comma == std::string_view::npos)
      return std::string(all) + " (" + std::to_string(answer) + ")";
    answers.remove_prefix(comma + 2);
  }
  return std::string(all.substr(0, colon)) + "? " +
         std::string(answers.substr(0, answers.find(", ")));
}

std::string words_of_happening(std::string_view name, std::int64_t value) {
  if (name == "peer_connect") return "connects";
  if (name == "peer_send")
    return value < 0 ? "cannot send: " + code(value) : "sends " + count(value, "byte");
  if (name == "peer_read") return "reads " + count(value, "byte");
  if (name == "peer_fin") return "ends its output (FIN)";
  if (name == "peer_close") return "closes its end";
  if (name == "peer_reset") return "resets the connection (RST)";
  if (name == "signal") return signal_name(value) + " is sent to the server";
  if (name == "advance") return "time passes: " + std::to_string(value / 1'000'000) + " ms";
  if (name == "time_jump")
    return "nothing to do until a timer, " + std::to_string(value / 1'000'000) + " ms on";
  return std::string(name) + " " + std::to_string(value);
}

std::string words_of_callback(std::string_view name, std::int64_t value, bool closing) {
  const std::string after = closing ? ", after uv_close" : "";
  if (name == "connection_cb")
    return value == 0 ? "libuv: a client has come" : "libuv: no client can come: " + code(value);
  if (name == "alloc_cb") return "libuv asks for a buffer to read into";
  if (name == "read_cb") {
    if (value > 0) return "libuv hands over " + count(value, "byte");
    if (value == 0) return "libuv: nothing to read just now, the buffer comes back";
    return value == UV_EOF ? "libuv: end of input" : "libuv: reading failed: " + code(value);
  }
  if (name == "write_cb")
    return (value == 0 ? "libuv: written" : "libuv: the write failed: " + code(value)) + after;
  if (name == "shutdown_cb")
    return (value == 0 ? "libuv: output is shut down" : "libuv: shutdown failed: " + code(value)) +
           after;
  if (name == "close_cb") return "libuv has let go of the handle";
  if (name == "timer_cb") return "libuv: the timer is due";
  if (name == "signal_cb") return "libuv: " + signal_name(value);
  return "libuv calls " + std::string(name) + " " + std::to_string(value) + after;
}

std::string words_of_call(const uvsim::EventView& event) {
  std::string words = event.name;
  const std::string_view name = words;
  if (name == "uv_timer_start") words += " for " + std::to_string(event.value) + " ms";
  if (name == "uv_write" || name == "uv_try_write")
    words += event.value > 1 ? ", " + count(event.value, "buffer") : "";
  if (event.has_result && event.result < 0) return words + " is refused: " + code(event.result);
  if (event.has_result && event.result > 0) words += " = " + std::to_string(event.result);
  return words;
}

constexpr const char* the_server = "the server";

const char* name_of(uvsim::ledger::LoanKind kind) {
  switch (kind) {
    case uvsim::ledger::LoanKind::loop: return "a loop";
    case uvsim::ledger::LoanKind::handle: return "a handle that is not closed";
    case uvsim::ledger::LoanKind::request: return "a request that is not called back";
    case uvsim::ledger::LoanKind::buffer: return "bytes to read into or to write";
  }
  return "?";
}

// Frames of the machinery say nothing to who reads the server's story.
bool is_machinery(std::string_view frame) {
  static constexpr std::array words{"uvsim::",      "harness::",  "__asan",     "__sanitizer",
                                    "operator new", "fuzzer::",   "malloc",     "calloc",
                                    "realloc",      "std::",      "uv_run",     "_start",
                                    "libc.so",      "LLVMFuzzer", "main <null>"};
  return std::any_of(words.begin(), words.end(), [frame](const char* word) {
    return frame.find(word) != std::string_view::npos;
  });
}

// AddressSanitizer remembers the whole stack of what is live; the ledger the nearest callers.
std::vector<std::string> stack_of(const uvsim::ledger::Allocation& allocation) {
  std::array<const void*, 24> frames{};
  std::size_t size = 0;
  if (__asan_get_alloc_stack != nullptr) {
    std::array<void*, 24> trace{};
    int thread = 0;
    auto* const address = const_cast<void*>(allocation.address);
    size = __asan_get_alloc_stack(address, trace.data(), trace.size(), &thread);
    std::copy_n(trace.begin(), size, frames.begin());
  }
  if (size == 0) {
    while (size < allocation.frames.size() && allocation.frames[size] != nullptr) ++size;
    std::copy_n(allocation.frames.begin(), size, frames.begin());
  }
  std::vector<std::string> stack;
  for (std::size_t i = 0; i < size; ++i) {
    std::array<char, 400> text{};
    const std::string_view frame = uvsim::ledger::symbolise(frames[i], text.data(), text.size());
    if (is_machinery(frame)) continue;
    constexpr std::string_view no_line = " <null>";
    stack.emplace_back(
        frame.substr(0, frame.size() - (frame.ends_with(no_line) ? no_line.size() : 0)));
  }
  return stack;
}

void on_abort(int) {
  if (running != nullptr) running->cut_short("the program ended itself: stderr says why");
  std::signal(SIGABRT, SIG_DFL);
  std::abort();
}

}  // namespace

const char* name_of(Lane lane) {
  switch (lane) {
    case Lane::client: return "client";
    case Lane::kernel: return "kernel";
    case Lane::server: return "connection";
  }
  return "?";
}

Story* Story::wanted() {
  static Story* const story = []() -> Story* {
    const char* const form = std::getenv("HARNESS_STORY");
    if (form == nullptr) return nullptr;
    auto* const made = new Story;  // as long as the process
    made->form_ = form;
    if (const char* const file = std::getenv("HARNESS_STORY_FILE")) made->file_ = file;
    std::signal(SIGABRT, on_abort);
    return made;
  }();
  return story;
}

void Story::begin(const char* subject) {
  subject_ = subject;
  steps_.clear();
  blocks_.clear();
  known_allocations_ = known_releases_ = last_step_ = 0;
  acting_ = "the program";
  running_ = true;
  running = this;
}

void Story::on_event(const uvsim::EventView& event) {
  const uvsim::ledger::Outside outside;
  Step step{.step = event.step,
            .time_ns = event.time_ns,
            .lane = Lane::server,
            .depth = event.depth,
            .who = who_is(event),
            .words = {},
            .client = event.peer.id,
            .unkind = false};
  const std::string_view name = event.name;
  switch (event.kind) {
    case uvsim::EventKind::happening:
      if (name == "turn") return;
      step.words = words_of_happening(name, event.value);
      step.lane =
          event.subject_kind == subject_peer && event.subject_id != 0 ? Lane::client : Lane::kernel;
      if (step.lane == Lane::client) step.client = event.subject_id;
      if (name == "note" && event.text != nullptr) {
        const char* const meaning = meaning_of_note(event.text);
        step.unkind = true;
        step.words = meaning == nullptr ? event.text : "unkind: " + answer_of(meaning, event.value);
      }
      if (name == "finding") step.words = "here a rule is broken";
      break;
    case uvsim::EventKind::callback:
      step.words = words_of_callback(name, event.value, event.closing);
      break;
    case uvsim::EventKind::call: step.words = words_of_call(event); break;
  }
  if (event.kind != uvsim::EventKind::happening && step.client != 0) {
    step.who += " (client " + std::to_string(step.client) + ")";
  }
  note_blocks();
  if (event.kind == uvsim::EventKind::callback) {
    acting_ = step.who.empty() ? "the program" : std::string(name) + " of " + step.who;
  }
  last_step_ = std::max(last_step_, step.step);
  // Calls are told of when they return, after the callbacks that they made.
  auto place = steps_.end();
  while (place != steps_.begin() && std::prev(place)->step > step.step) --place;
  steps_.insert(place, std::move(step));
  note_loans();
}

// What was made and freed since the step before belongs to that one.
void Story::note_blocks() {
  if (!uvsim::ledger::running()) return;
  const uvsim::ledger::Totals& totals = uvsim::ledger::totals();
  if (totals.allocations == known_allocations_ && totals.releases == known_releases_) return;
  known_allocations_ = totals.allocations;
  known_releases_ = totals.releases;
  std::vector<uvsim::ledger::Allocation> live;
  uvsim::ledger::for_each_live(
      [](void* all, const uvsim::ledger::Allocation& one) {
        static_cast<std::vector<uvsim::ledger::Allocation>*>(all)->push_back(one);
      },
      &live);
  for (Block& block : blocks_) {
    const bool lives = std::any_of(live.begin(), live.end(), [&block](const auto& one) {
      return one.identity == block.identity;
    });
    if (block.freed == still_live && !lives) block.freed = last_step_;
  }
  for (const auto& one : live) {
    if (!blocks_.empty() && one.identity <= blocks_.back().identity) continue;
    blocks_.push_back({.identity = one.identity,
                       .size = one.size,
                       .made = one.step,
                       .freed = still_live,
                       .maker = acting_,
                       .stack = stack_of(one),
                       .owners = {{one.step, the_server}}});
  }
}

// What libuv has borrowed after this step.
void Story::note_loans() {
  if (!uvsim::ledger::running()) return;
  std::vector<uvsim::ledger::Loan> loans;
  uvsim::ledger::for_each_loan(
      [](void* all, const uvsim::ledger::Loan& loan) {
        static_cast<std::vector<uvsim::ledger::Loan>*>(all)->push_back(loan);
      },
      &loans);
  for (Block& block : blocks_) {
    if (block.freed != still_live) continue;
    std::string owner = the_server;
    for (const auto& loan : loans) {
      const uvsim::ledger::Allocation* const around = uvsim::ledger::find(loan.address);
      if (around == nullptr || around->identity != block.identity) continue;
      owner =
          std::string("libuv, as ") + name_of(loan.kind) + " (R" + std::to_string(loan.rule) + ")";
    }
    if (block.owners.back().owner != owner) block.owners.push_back({last_step_, owner});
  }
}

const Story::Block* Story::culprit() const {
  const std::size_t at = verdict_.message.find("allocation #");
  if (at == std::string::npos) return nullptr;
  const std::uint64_t identity = std::strtoull(verdict_.message.c_str() + at + 12, nullptr, 10);
  for (const Block& block : blocks_) {
    if (block.identity == identity) return &block;
  }
  return nullptr;
}

void Story::end(const Verdict& verdict) {
  if (!running_) return;
  running_ = false;
  running = nullptr;
  note_blocks();
  verdict_ = verdict;
  tell();
}

void Story::cut_short(const char* reason) {
  const uvsim::ledger::Outside outside;
  Verdict verdict;  // no oracle of ours: the program itself, or a sanitizer
  verdict.message = reason;
  verdict.step = steps_.empty() ? 0 : steps_.back().step;
  end(verdict);
}

void Story::tell() const {
  const std::string told = form_ == "html"   ? story_html(*this)
                           : form_ == "json" ? story_json(*this)
                                             : story_text(*this);
  std::FILE* const out = file_.empty() ? stdout : std::fopen(file_.c_str(), "w");
  if (out == nullptr || std::fwrite(told.data(), 1, told.size(), out) != told.size()) {
    std::fprintf(stderr, "the story cannot be written to %s\n", file_.c_str());
  }
  if (out == nullptr) return;
  if (out == stdout) {
    std::fflush(out);
  } else {
    std::fclose(out);
  }
}

}  // namespace harness

// AddressSanitizer calls this when it has found something, before it says so and ends the process.
extern "C" void __asan_on_error() {
  if (harness::running != nullptr) {
    harness::running->cut_short("stderr says why");
  }
}
