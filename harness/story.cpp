#include "harness/story.hpp"

#include <execinfo.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <span>
#include <string_view>

extern "C" [[gnu::weak]] std::size_t __asan_get_alloc_stack(void* address, void** trace,
                                                            std::size_t size, int* thread);
extern "C" [[gnu::weak]] std::size_t __asan_get_free_stack(void* address, void** trace,
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

// Leaves out frames of uvsim, the harness and the engine.
bool is_machinery(std::string_view frame) {
  static constexpr std::array words{"/sim/src/",   "/harness/",    "__interceptor", "backtrace",
                                    "csu/",        "uvsim::",      "harness::",     "__asan",
                                    "__sanitizer", "operator new", "fuzzer::",      "malloc",
                                    "calloc",      "realloc",      "std::",         "uv_run",
                                    "_start",      "libc.so",      "LLVMFuzzer",    "main <null>"};
  return std::any_of(words.begin(), words.end(), [frame](const char* word) {
    return frame.find(word) != std::string_view::npos;
  });
}

// "on_read /home/me/chat.c:84:5" becomes "on_read (chat.c:84)", and main has its name again.
std::string told(std::string_view frame) {
  constexpr std::string_view no_line = " <null>";
  if (frame.ends_with(no_line)) frame.remove_suffix(no_line.size());
  const std::size_t space = frame.rfind(" /");
  std::string name(frame.substr(0, space));
  if (name == "uvsim_server_main") name = "main";
  if (space == std::string_view::npos) return name;
  std::string_view place = frame.substr(frame.rfind('/') + 1);
  const std::size_t line = place.find(':');
  if (line != std::string_view::npos) place = place.substr(0, place.find(':', line + 1));
  return name + " (" + std::string(place) + ")";
}

// The program's own functions in a call stack, the innermost first.
std::vector<std::string> program_frames(std::span<const void* const> frames) {
  std::vector<std::string> stack;
  for (const void* const address : frames) {
    std::array<char, 400> text{};
    const std::string_view frame = uvsim::ledger::symbolise(address, text.data(), text.size());
    if (is_machinery(frame) || frame == "free <null>" || frame.starts_with("free (")) continue;
    stack.push_back(told(frame));
    if (stack.back().starts_with("main (")) break;  // further frames started the program
  }
  return stack;
}

// AddressSanitizer keeps the whole call stack of a live block, the ledger only the nearest callers.
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
  return program_frames(std::span(frames).first(size));
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
  open_.clear();
  callers_.clear();
  evidence_.clear();
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
  if (name == "finding") note_callers();
  note_life(event, step.who);
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
  // uvsim reports a call when it returns, after the callbacks that the call made.
  auto place = steps_.end();
  while (place != steps_.begin() && std::prev(place)->step > step.step) --place;
  steps_.insert(place, std::move(step));
  note_loans();
}

// Blocks made and freed since the previous step belong to it.
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

// Notes what libuv has borrowed after this step.
void Story::note_loans() {
  if (!uvsim::ledger::running()) return;
  std::vector<uvsim::ledger::Loan> loans;
  uvsim::ledger::for_each_loan(
      [](void* all, const uvsim::ledger::Loan& loan) {
        static_cast<std::vector<uvsim::ledger::Loan>*>(all)->push_back(loan);
      },
      &loans);
  std::map<std::uint64_t, std::string> lent;  // by the block's identity
  for (const auto& loan : loans) {
    const uvsim::ledger::Allocation* const around = uvsim::ledger::find(loan.address);
    if (around == nullptr) continue;
    lent[around->identity] =
        std::string("libuv, as ") + name_of(loan.kind) + " (R" + std::to_string(loan.rule) + ")";
  }
  for (Block& block : blocks_) {
    if (block.freed != still_live) continue;
    const auto loan = lent.find(block.identity);
    const std::string owner = loan == lent.end() ? the_server : loan->second;
    if (block.owners.back().owner != owner) block.owners.push_back({last_step_, owner});
  }
}

const Story::Block* Story::culprit() const {
  const std::size_t at = verdict_.message.find("allocation #");
  if (at != std::string::npos) {
    const std::uint64_t identity = std::strtoull(verdict_.message.c_str() + at + 12, nullptr, 10);
    const auto block = std::ranges::find(blocks_, identity, &Block::identity);
    return block == blocks_.end() ? nullptr : &*block;
  }
  if (verdict_.broken != Oracle::ledger || !verdict_.rule.empty()) return nullptr;
  // A block made since the first client came was made for a client.
  const auto first = std::ranges::find(steps_, Lane::client, &Step::lane);
  if (first == steps_.end()) return nullptr;
  const auto block = std::ranges::find_if(blocks_, [&first](const Block& one) {
    return one.freed == still_live && one.made > first->step;
  });
  return block == blocks_.end() ? nullptr : &*block;
}

void Story::end(const Verdict& verdict) {
  if (!running_) return;
  running_ = false;
  running = nullptr;
  note_blocks();
  verdict_ = verdict;
  evidence_ = verdict.evidence;
  if (verdict.broken == Oracle::alive && verdict.rule.empty()) evidence_ += what_goes_on();
  note_second_free();
  put_times_in_order();
  mark_broken();
  fold();
  tell();
}

void Story::note_callers() {
  if (running == nullptr) return;
  const uvsim::ledger::Outside outside;
  std::array<void*, 64> frames{};
  const int size = backtrace(frames.data(), static_cast<int>(frames.size()));
  const std::vector<const void*> all(frames.begin(), frames.begin() + std::max(size, 0));
  running->callers_ = program_frames(all);
}

// Which handles are open.
void Story::note_life(const uvsim::EventView& event, const std::string& who) {
  if (who.empty() || event.subject_kind == subject_peer || event.subject_kind == subject_loop)
    return;
  if (event.kind == uvsim::EventKind::happening) return;
  const auto known = std::find(open_.begin(), open_.end(), who);
  const bool ends = event.closing || std::strcmp(event.name, "close_cb") == 0;
  if (known == open_.end() && !ends) open_.push_back(who);
  if (known != open_.end() && ends) open_.erase(known);
}

// What a program does that does not end: which callbacks, how often, and what is open.
std::string Story::what_goes_on() const {
  constexpr std::size_t recent = 400;
  std::map<std::string, std::size_t> times;
  const std::size_t first = steps_.size() > recent ? steps_.size() - recent : 0;
  for (std::size_t i = first; i < steps_.size(); ++i) {
    if (steps_[i].lane == Lane::server) ++times[steps_[i].who + ": " + steps_[i].words];
  }
  std::vector<std::pair<std::size_t, std::string>> most;
  for (const auto& [words, count] : times) {
    if (count >= 5) most.emplace_back(count, words);
  }
  std::sort(most.rbegin(), most.rend());
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(most.size(), 4); ++i) {
    if (i == 0)
      text +=
          "in the last " + count(static_cast<std::int64_t>(steps_.size() - first), "step") + "\n";
    text += "  " + std::to_string(most[i].first) + " x " + most[i].second + "\n";
  }
  text += "open";
  for (const std::string& one : open_) text += (&one == open_.data() ? ": " : ", ") + one;
  return text + (open_.empty() ? ": nothing\n" : "\n");
}

// Notes the callers of the first free, if a sanitizer remembers them.
void Story::note_second_free() {
  const std::size_t at = verdict_.message.find("double free of ");
  if (at == std::string::npos || __asan_get_free_stack == nullptr) return;
  const auto address = std::strtoull(verdict_.message.c_str() + at + 15, nullptr, 16);
  const Block* const block = culprit();
  if (block == nullptr || address == 0) return;
  std::array<void*, 24> trace{};
  int thread = 0;
  const std::size_t size =
      __asan_get_free_stack(reinterpret_cast<void*>(address), trace.data(), trace.size(), &thread);
  const std::vector<const void*> frames(trace.begin(),
                                        trace.begin() + static_cast<std::ptrdiff_t>(size));
  blocks_[static_cast<std::size_t>(block - blocks_.data())].freed_by = program_frames(frames);
}

// uvsim reports a call when it returns. This moves it to where it began, before its consequences.
void Story::put_times_in_order() {
  for (std::size_t i = steps_.size(); i-- > 1;) {
    steps_[i - 1].time_ns = std::min(steps_[i - 1].time_ns, steps_[i].time_ns);
  }
}

// Marks the step that matters: where a rule was broken; for a leak, where the block was made; for a
// finding about a client, the client's last step.
void Story::mark_broken() {
  if (verdict_.ok() && verdict_.message.empty()) return;
  if (steps_.empty()) return;
  std::uint64_t at = verdict_.step;
  const Block* const block = culprit();
  if (verdict_.broken == Oracle::ledger && block != nullptr && block->freed == still_live) {
    at = block->made;
  }
  auto place = std::find_if(steps_.begin(), steps_.end(),
                            [at](const Step& step) { return step.step >= at; });
  if (place == steps_.end()) --place;
  if (verdict_.rule.empty() && client() != 0) {
    for (auto one = steps_.begin(); one != steps_.end(); ++one) {
      if (one->client == client() && !one->unkind) place = one;
    }
  }
  place->broken = true;
}

// Whether the `length` steps from `from` on come again right after.
bool Story::repeats(std::size_t from, std::size_t length) const {
  if (from + 2 * length > steps_.size()) return false;
  for (std::size_t i = from; i < from + length; ++i) {
    const Step& one = steps_[i];
    const Step& other = steps_[i + length];
    if (one.words != other.words || one.who != other.who || one.lane != other.lane) return false;
    if (one.broken || other.broken) return false;
  }
  return true;
}

// Folds equal steps, and equal sequences of a few steps, into one.
void Story::fold() {
  constexpr std::uint32_t longest = 8;
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    for (std::uint32_t length = 1; length <= longest; ++length) {
      std::uint32_t times = 1;
      while (repeats(i + (times - 1) * length, length)) ++times;
      if (times < 3) continue;
      steps_[i + length - 1].times = times;
      steps_[i + length - 1].group = length;
      for (std::size_t j = i + length; j < i + times * length; ++j) steps_[j].folded = true;
      i += times * length - 1;
      break;
    }
  }
}

std::uint32_t Story::client() const {
  constexpr std::string_view word = "client ";
  if (!verdict_.message.starts_with(word)) return 0;
  return static_cast<std::uint32_t>(
      std::strtoul(verdict_.message.c_str() + word.size(), nullptr, 10));
}

void Story::cut_short(const char* reason) {
  const uvsim::ledger::Outside outside;
  Verdict verdict;  // not an oracle, but the program itself or a sanitizer
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

// AddressSanitizer calls this when it has found something, before it prints it and ends the
// process.
extern "C" void __asan_on_error() {
  if (harness::running != nullptr) {
    harness::running->cut_short("stderr says why");
  }
}
