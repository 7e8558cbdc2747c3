// See trace.hpp.
#include "trace.hpp"

#include <cinttypes>
#include <cstdio>
#include <string>

namespace uvsim {

void Trace::reset(uint32_t keep, bool on) {
  hash_ = 0x5bd1e995;
  count_ = 0;
  size_t size = on ? 64 : 0;
  while (on && size < keep) size *= 2;
  if (kept_.size() != size) kept_.assign(size, TraceEvent{});
  mask_ = size == 0 ? 0 : size - 1;
}

uint64_t Trace::first(uint64_t last) const {
  uint64_t available = count_ < kept_.size() ? count_ : kept_.size();
  if (last < available) available = last;
  return count_ - available;
}

std::string Trace::text(uint64_t last) const {
  std::string out;
  if (kept_.empty()) return out;
  if (first(last) > 0) out += "  (" + std::to_string(first(last)) + " earlier events)\n";
  for (uint64_t i = first(last); i < count_; ++i) {
    const TraceEvent& event = kept_[i & mask_];
    char line[96];
    std::snprintf(line, sizeof line, "  %6" PRIu64 " %10.3f ms  ", event.step,
                  static_cast<double>(event.time_ns) / 1e6);
    out += line;
    out.append(size_t{event.depth} * 2, ' ');
    out += is_callback(event.what) ? "-> " : "";
    out += name_of(event.what);
    if (event.subject.id != 0) out += " " + text_of(event.subject);
    if (event.text != nullptr) out += std::string(" ") + event.text;
    if (event.value != 0) out += " " + std::to_string(event.value);
    if (event.has_result) {
      out += " = " + std::to_string(event.result);
      if (event.result < 0) out += " " + name_of_error(event.result);
    }
    out += "\n";
  }
  return out;
}

std::string Trace::json() const {
  std::string out = "[";
  for (uint64_t i = first(count_); i < count_; ++i) {
    const TraceEvent& event = kept_[i & mask_];
    out += out.size() > 1 ? ",\n" : "\n";
    out += "{\"step\":" + std::to_string(event.step) + ",\"ns\":" + std::to_string(event.time_ns) +
           ",\"what\":\"" + name_of(event.what) + "\",\"depth\":" + std::to_string(event.depth);
    if (event.subject.id != 0) out += ",\"subject\":\"" + text_of(event.subject) + "\"";
    if (event.text != nullptr) {
      out += ",\"text\":\"";
      for (const char* c = event.text; *c != '\0'; ++c) {
        if (*c == '"' || *c == '\\') out += '\\';
        out += static_cast<unsigned char>(*c) < ' ' ? ' ' : *c;
      }
      out += "\"";
    }
    out += ",\"value\":" + std::to_string(event.value);
    if (event.has_result) out += ",\"result\":" + std::to_string(event.result);
    out += "}";
  }
  return out + "\n]\n";
}

}  // namespace uvsim
