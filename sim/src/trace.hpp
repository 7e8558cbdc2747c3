// The trace: what happened, as small records in a ring. They become text only on request. The trace
// must not depend on addresses, so that a run and its repetition have the same text and hash.
#ifndef UVSIM_TRACE_HPP
#define UVSIM_TRACE_HPP

#include <cstdint>
#include <string>
#include <vector>

namespace uvsim {

// What can happen. Each simulation has its own list, and words for it.
enum class What : uint8_t;
struct Subject;
const char* name_of(What what) noexcept;
bool is_callback(What what) noexcept;
std::string text_of(Subject subject);
std::string name_of_error(int64_t result);  // of a negative one

// The handle, loop or peer that an event of the trace is about: a kind and a number, which do not
// depend on addresses.
struct Subject {
  uint32_t id = 0;
  uint8_t kind = 0;  // uv_handle_type, or one of the simulation's own
};

struct TraceEvent {
  uint64_t step;
  uint64_t time_ns;
  int64_t value;
  int64_t result;
  const char* text;
  Subject subject;
  What what;
  uint8_t depth;  // of callbacks around it
  bool has_result;
};

class Trace {
 public:
  void reset(uint32_t keep, bool on);
  // Returns the event's number, for result().
  uint64_t add(const TraceEvent& event) {
    mix(static_cast<uint64_t>(event.what) | uint64_t{event.subject.id} << 8);
    mix(static_cast<uint64_t>(event.value));
    const uint64_t number = count_++;
    if (!kept_.empty()) kept_[number & mask_] = event;
    return number;
  }
  void result(uint64_t number, int64_t value) {
    mix(static_cast<uint64_t>(value));
    if (kept_.empty() || count_ - number > kept_.size()) return;
    kept_[number & mask_].result = value;
    kept_[number & mask_].has_result = true;
  }
  // A call learns what it is about after it was noted.
  void subject(uint64_t number, Subject subject) {
    mix(subject.id);
    if (!kept_.empty()) kept_[number & mask_].subject = subject;
  }
  uint64_t hash() const { return hash_; }
  std::string text(uint64_t last) const;
  std::string json() const;

 private:
  void mix(uint64_t word) {
    hash_ = (hash_ ^ word) * 0x9e3779b97f4a7c15u;
    hash_ ^= hash_ >> 29;
  }
  uint64_t first(uint64_t last) const;
  std::vector<TraceEvent> kept_;
  uint64_t mask_ = 0;
  uint64_t count_ = 0;
  uint64_t hash_ = 0;
};

}  // namespace uvsim

#endif
