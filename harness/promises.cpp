#include "harness/promises.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstring>

namespace harness {
namespace {

struct Flag {
  std::string_view name;
  bool Subject::* field;
};
struct Number {
  std::string_view name;
  std::uint64_t Subject::* field;
};
struct Signal {
  std::string_view name;
  int Subject::* field;
};

#define FIELD(name) {#name, &Subject::name}
constexpr std::array flags{
    Flag FIELD(echoes),          Flag FIELD(answers_half_close), Flag FIELD(echoes_urgent),
    Flag FIELD(may_reject),      Flag FIELD(reopens_listener),   Flag FIELD(ends_clean),
    Flag FIELD(fails_clean),     Flag FIELD(notices_taking),     Flag FIELD(tells_of_cuts),
    Flag FIELD(answers_at_once), Flag FIELD(ends_when_answered),
};
constexpr std::array numbers{
    Number FIELD(start_bytes_max),  Number FIELD(live_bytes_max), Number FIELD(connections_max),
    Number FIELD(idle_ms),          Number FIELD(write_ms),       Number FIELD(idle_at_most_ms),
    Number FIELD(write_at_most_ms), Number FIELD(linger_bytes),   Number FIELD(answer_ms),
    Number FIELD(reopens_ms),       Number FIELD(grace_ms),       Number FIELD(drain_ms),
    Number FIELD(end_ms),           Number FIELD(hears_at_most),  Number FIELD(session_ms),
};
constexpr std::array signals{Signal FIELD(stop_signal), Signal FIELD(other_signal)};
#undef FIELD

bool number(std::string_view text, std::uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

// SIGINT, or its number.
bool signal_number(std::string_view text, int& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value >= 0 && value < NSIG;
  if (text.starts_with("SIG")) text.remove_prefix(3);
  for (int i = 1; i < NSIG; ++i) {
    const char* const name = sigabbrev_np(i);
    if (name != nullptr && text == name) {
      value = i;
      return true;
    }
  }
  return false;
}

// A message as it is written on a command line.
std::string unescaped(std::string_view text) {
  std::string out;
  for (; !text.empty(); text.remove_prefix(1)) {
    if (text[0] != '\\' || text.size() == 1) {
      out += text[0];
      continue;
    }
    text.remove_prefix(1);
    std::uint8_t byte = 0;
    if (text[0] == 'x' && text.size() > 2 &&
        std::from_chars(text.data() + 1, text.data() + 3, byte, 16).ptr == text.data() + 3) {
      out += static_cast<char>(byte);
      text.remove_prefix(2);
    } else {
      out += text[0] == 'n' ? '\n' : text[0] == 'r' ? '\r' : text[0] == '0' ? '\0' : text[0];
    }
  }
  return out;
}

// IDLE_MS is idle_ms: build files shout.
std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

}  // namespace

bool promise(Subject& subject, std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string name = lower(text.substr(0, equals));
  const std::string_view value = text.substr(equals + 1);
  for (const Flag& flag : flags) {
    if (flag.name != name) continue;
    const std::string word = lower(value);
    const bool yes = word == "true" || word == "on" || word == "yes" || word == "1";
    if (!yes && word != "false" && word != "off" && word != "no" && word != "0") return false;
    subject.*flag.field = yes;
    return true;
  }
  for (const Number& one : numbers) {
    std::uint64_t parsed = 0;
    if (one.name == name) return number(value, parsed) && ((subject.*one.field = parsed), true);
  }
  if (name == "echoes_at") {
    subject.echoes_at = value;
    return true;
  }
  if (name == "upstream") {
    std::uint64_t port = 0;
    if (!number(value, port) || port == 0 || port > 0xffff) return false;
    const auto known = static_cast<std::uint16_t>(port);
    if (std::ranges::find(subject.upstreams, known) == subject.upstreams.end()) {
      subject.upstreams.push_back(known);
    }
    return true;
  }
  if (name == "says") {
    subject.speech.dictionary.push_back(unescaped(value));
    return !subject.speech.dictionary.back().empty();
  }
  for (const Signal& one : signals) {
    int parsed = 0;
    if (one.name == name)
      return signal_number(value, parsed) && ((subject.*one.field = parsed), true);
  }
  return false;
}

std::string promises() {
  std::string text;
  for (const Flag& flag : flags) text += "  " + std::string(flag.name) + "=true|false\n";
  for (const Number& one : numbers) text += "  " + std::string(one.name) + "=NUMBER\n";
  for (const Signal& one : signals) text += "  " + std::string(one.name) + "=SIGNAL\n";
  return text + "  echoes_at=PORT|PIPE\n  upstream=PORT\n  says=MESSAGE, with \\r, \\n, \\xNN\n";
}

}  // namespace harness
