// See scripts_compare.hpp. No libuv is linked here: the arms are other processes.
#include "scripts_compare.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <sstream>

namespace conformance {

// ----------------------------------------------------------------------------------------- an arm

namespace {

constexpr const char* failed_process = "the process ";

}  // namespace

Arm::Arm(std::vector<std::string> command) : command_(std::move(command)) {
  // An arm that dies is noticed by answer(), not by a signal.
  std::signal(SIGPIPE, SIG_IGN);
}

Arm::~Arm() { stop(); }

std::string Arm::name() const {
  std::string name;
  for (const std::string& word : command_) name += (name.empty() ? "" : " ") + word;
  return name;
}

void Arm::start() {
  int in[2];
  int out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) std::abort();
  pid_ = fork();
  if (pid_ == 0) {
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    std::vector<char*> words;
    for (std::string& word : command_) words.push_back(word.data());
    words.push_back(nullptr);
    execvp(words[0], words.data());
    _exit(127);
  }
  ::close(in[0]);
  ::close(out[1]);
  to_ = in[1];
  from_ = out[0];
}

void Arm::stop() {
  if (pid_ < 0) return;
  ::close(to_);
  ::close(from_);
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void Arm::ask(const Script& script) {
  if (pid_ < 0) start();
  const std::string text = text_of(script);
  std::size_t sent = 0;
  while (sent < text.size()) {
    const ssize_t n = ::write(to_, text.data() + sent, text.size() - sent);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // answer() finds out that the process is gone
    sent += static_cast<std::size_t>(n);
  }
}

std::string Arm::answer() {
  constexpr int patience_ms = 60000;
  std::string trace;
  const auto is_whole = [&] {
    return trace == ".\n" || (trace.size() > 3 && trace.compare(trace.size() - 3, 3, "\n.\n") == 0);
  };
  while (!is_whole()) {
    pollfd ready{from_, POLLIN, 0};
    if (poll(&ready, 1, patience_ms) <= 0) {
      stop();
      return trace + std::string(failed_process) + "hangs\n";
    }
    char bytes[65536];
    const ssize_t n = ::read(from_, bytes, sizeof bytes);
    if (n <= 0) {
      int status = 0;
      waitpid(pid_, &status, 0);
      pid_ = -1;
      ::close(to_);
      ::close(from_);
      return trace + failed_process +
             (WIFSIGNALED(status) ? "died of signal " + std::to_string(WTERMSIG(status)) + '\n'
                                  : "ended\n");
    }
    trace.append(bytes, static_cast<std::size_t>(n));
  }
  trace.resize(trace.size() - 2);
  return trace;
}

// ---------------------------------------------------------------------------------- normalisation

namespace {

struct Channel {
  std::string text;
  unsigned long long read_in_a_row = 0;
  bool is_over = false;

  void end_reads(bool totals_count) {
    if (read_in_a_row == 0) return;
    text += totals_count ? "read " + std::to_string(read_in_a_row) + '\n' : "read some\n";
    read_in_a_row = 0;
  }
};

bool contains(const std::string& line, const char* part) {
  return line.find(part) != std::string::npos;
}

bool is_failed_write(const std::string& line) {
  return line[0] == '>' && contains(line, " write(") && line.compare(line.size() - 2, 2, " 0") != 0;
}

bool cuts_a_stream_short(const std::string& line) {
  return is_failed_write(line) || contains(line, "read ECONNRESET") || contains(line, ".reset = 0");
}

bool ends_reading(const std::string& line) {
  return contains(line, "read EOF") || contains(line, "read ECONNRESET");
}

std::string actor_of(const std::string& line) {
  const std::size_t start = line[0] == '>' ? 2 : 0;
  return line.substr(start, line.find_first_of(" .:", start) - start);
}

/// "c0 read", "c0 write" or, for what is neither, "c0".
std::string channel_of(const std::string& line) {
  if (contains(line, "read")) return actor_of(line) + " read";
  if (contains(line, "write") || contains(line, "shutdown")) return actor_of(line) + " write";
  return actor_of(line);
}

/// The lines that count. Of an end that has shut its own side down is left out whether it was lent
/// a buffer for the end of input.
std::vector<std::string> lines_of(const std::string& trace) {
  constexpr const char* lent_nothing = "read EOF without a buffer";
  std::vector<std::string> lines;
  std::set<std::string> shut;
  std::istringstream all(trace);
  for (std::string line; std::getline(all, line);) {
    if (line.empty() || line == "settled") continue;
    if (contains(line, ".shutdown = 0")) shut.insert(actor_of(line));
    if (contains(line, lent_nothing) && shut.count(actor_of(line)) != 0)
      line.erase(line.find(" without"));
    lines.push_back(line);
  }
  return lines;
}

}  // namespace

std::string normalised(const std::string& trace, bool is_large) {
  if (!is_large) return trace;
  const std::vector<std::string> lines = lines_of(trace);
  const bool totals_count = std::none_of(lines.begin(), lines.end(), cuts_a_stream_short);
  std::map<std::string, Channel> channels;
  for (const std::string& line : lines) {
    Channel& channel = channels[channel_of(line)];
    if (channel.is_over) continue;
    const std::size_t read = line.find(" read ");
    const bool is_data = line[0] == '>' && read != std::string::npos &&
                         line.find_first_not_of("0123456789", read + 6) == std::string::npos;
    if (is_data) {
      channel.read_in_a_row += std::strtoull(line.c_str() + read + 6, nullptr, 10);
      continue;
    }
    channel.end_reads(totals_count);
    if (!totals_count && ends_reading(line)) {
      channel.is_over = channels[actor_of(line) + " write"].is_over = true;
      channel.text += "the end\n";
      continue;
    }
    channel.text += line + '\n';
  }
  std::string result;
  for (auto& [name, channel] : channels) {
    channel.end_reads(totals_count);
    result += channel.text;
  }
  return result;
}

// ------------------------------------------------------------------------------------- comparison

Divergence Comparison::judged(const Script& script, const std::string& real,
                              const std::string& other, const std::string& third) {
  if (third_ == nullptr) return {script, real, other};
  if (real == other) return {script, real, third, third_};
  if (real == third) return {script, real, other, &other_};
  if (other == third) return {script, other, real, &real_};
  return {script, real, other};
}

std::optional<Divergence> Comparison::divergence(const Script& script) {
  real_.ask(script);
  other_.ask(script);
  if (third_ != nullptr) third_->ask(script);
  last_trace = real_.answer();
  const std::string real = normalised(last_trace, script.is_large);
  const std::string other = normalised(other_.answer(), script.is_large);
  const std::string third =
      third_ == nullptr ? other : normalised(third_->answer(), script.is_large);
  // Arms that fail alike agree about nothing.
  if (contains(last_trace, failed_process)) return judged(script, real, other, third);
  if (real == other && other == third) return std::nullopt;
  for (int attempt = 0; attempt < 4 && other == third; attempt++) {
    real_.ask(script);
    if (normalised(real_.answer(), script.is_large) == other) {
      varied++;
      return std::nullopt;
    }
  }
  return judged(script, real, other, third);
}

namespace {

Script without(const Script& script, std::size_t first, std::size_t count) {
  Script shorter = script;
  const auto start = shorter.lines.begin() + static_cast<std::ptrdiff_t>(first);
  const std::size_t end = std::min(first + count, script.lines.size());
  shorter.lines.erase(start, shorter.lines.begin() + static_cast<std::ptrdiff_t>(end));
  return shorter;
}

/// Simpler forms of one line, simplest first.
std::vector<Line> simpler(const Line& line) {
  std::vector<Line> forms;
  const auto with = [&](auto change) {
    Line form = line;
    change(form);
    if (text_of(form) != text_of(line)) forms.push_back(form);
  };
  if (line.what == V_WRITE || line.what == V_TRY_WRITE) {
    with([](Line& form) { form.a = std::min(form.a, 1U); });
    with([](Line& form) { form.a = std::min(form.a, 100U); });
    with([](Line& form) { form.b = std::min(form.b, 1U); });
  }
  if (line.cause) with([](Line& form) { form.cause->occurrence = 0; });
  if (line.what == V_SETTLE) with([](Line& form) { form.what = V_TURN; });
  return forms;
}

}  // namespace

Divergence Comparison::shrunk(Divergence found) {
  for (std::size_t size = std::max<std::size_t>(found.script.lines.size() / 2, 1);;) {
    bool is_shorter = false;
    for (std::size_t first = 0; first < found.script.lines.size();) {
      auto smaller = divergence(without(found.script, first, size));
      if (smaller && smaller->odd == found.odd) {
        found = *smaller;
        is_shorter = true;
      } else {
        first += size;
      }
    }
    if (size == 1 && !is_shorter) break;
    size = std::max<std::size_t>(size / 2, 1);
  }
  for (std::size_t i = 0; i < found.script.lines.size(); i++) {
    for (const Line& form : simpler(found.script.lines[i])) {
      Script candidate = found.script;
      candidate.lines[i] = form;
      auto smaller = divergence(candidate);
      if (smaller && smaller->odd == found.odd) {
        found = *smaller;
        break;
      }
    }
  }
  return found;
}

std::string difference(const Divergence& divergence) {
  std::istringstream expected(divergence.expected);
  std::istringstream got(divergence.got);
  std::ostringstream text;
  std::string left;
  std::string right;
  for (;;) {
    const bool has_left = static_cast<bool>(std::getline(expected, left));
    const bool has_right = static_cast<bool>(std::getline(got, right));
    if (has_left && has_right && left == right) {
      text << "    " << left << '\n';
      continue;
    }
    if (has_left) text << "expected " << left << '\n';
    if (has_right) text << "got      " << right << '\n';
    return text.str();
  }
}

// --------------------------------------------------------------------------------- as a C program

extern const char* const interpreter_header;
extern const char* const interpreter_source;

namespace {

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

std::string call_of(const Line& line) {
  return "interpreter_do(V_" + upper(operation_names[line.what]) + ", " +
         upper(actor_names[line.whom]) + ", " + std::to_string(line.a) + ", " +
         std::to_string(line.b) + ");";
}

std::string without_include(std::string source, const std::string& include) {
  const std::size_t at = source.find(include);
  if (at != std::string::npos) source.erase(at, include.size());
  return source;
}

}  // namespace

std::string c_program(const Script& script) {
  std::ostringstream text;
  text << "/* cc this.c -luv && ./a.out */\n"
       << interpreter_header << without_include(interpreter_source, "#include \"interpreter.h\"\n")
       << R"(
/* ---- the script ---------------------------------------------------------------------------- */

void interpreter_line(const char* line) { puts(line); }

void interpreter_reaction(enum moment moment, enum actor actor, unsigned occurrence) {
  (void)moment, (void)actor, (void)occurrence;
)";
  for (const Line& line : script.lines) {
    if (!line.cause) continue;
    text << "  if (moment == ON_" << upper(moment_names[line.cause->when])
         << " && actor == " << upper(actor_names[line.cause->whose])
         << " && occurrence == " << line.cause->occurrence << ")\n    " << call_of(line) << '\n';
  }
  text << "}\n\nint main(void) {\n  signal(SIGPIPE, SIG_IGN);\n  interpreter_begin("
       << (script.is_large ? 1 : 0) << ");\n";
  for (const Line& line : script.lines) {
    if (!line.cause) text << "  " << call_of(line) << '\n';
  }
  text << "  interpreter_end();\n  return 0;\n}\n";
  return text.str();
}

}  // namespace conformance
