// The fuzz target for a server whose main() was renamed: what uvsim_fuzz_server() links.
//
//   HARNESS_FINDINGS=FOLDER   keep findings in FOLDER and go on (harness/findings.hpp)
//   HARNESS_FORGIVE=R21,...   go on past these findings (harness/forgiven.hpp), for replays
//
// With a folder for findings, every second run goes on past earlier findings, so that one finding
// does not hide the next. The other runs do not, so that smaller inputs for a finding are found.
#include "harness/server_target.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "harness/findings.hpp"
#include "harness/first_look.hpp"
#include "harness/plan.hpp"
#include "harness/promises.hpp"
#include "harness/talk.hpp"
#include "harness/trial.hpp"

// The program's constants: the linker names the ends of what words.ld has put together.
extern "C" [[gnu::weak]] const char __start_subject_words[];
extern "C" [[gnu::weak]] const char __stop_subject_words[];

namespace harness {
namespace {

// The function that allocated a leaked block, from the ledger's message: "made in step 7 by on_read
// /home/me/chat.c:12".
std::string_view maker_in(std::string_view message) {
  const std::size_t by = message.find(" by ");
  if (by == std::string_view::npos) return {};
  std::string_view name = message.substr(by + 4);
  name = name.substr(0, name.find_first_of(" ("));
  return name.starts_with("0x") ? std::string_view() : name;
}

using Texts = std::vector<std::string>;

Texts texts_of(const char* const* list) {
  Texts texts;
  for (; *list != nullptr; ++list) texts.emplace_back(*list);
  return texts;
}

std::vector<char*> pointers_to(Texts& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

// What each run of the program begins with: its arguments, and its environment, which is all that
// is in its environment. It may change them.
class Invocation {
 public:
  Invocation() : given_(texts_of(uvsim_server_arguments)) {
    given_.insert(given_.begin(), uvsim_server_names[0]);
  }

  // Before a run and after it.
  void begin() {
    arguments_ = given_;
    environment_ = variables_;
    argv_ = pointers_to(arguments_);
    envp_ = pointers_to(environment_);
    outer_environment_ = environ;
    environ = envp_.data();
  }
  void end() { environ = outer_environment_; }

  int call_main() {
    return uvsim_server_main(static_cast<int>(arguments_.size()), argv_.data(), environ);
  }

 private:
  Texts given_;
  const Texts variables_ = texts_of(uvsim_server_environment);
  Texts arguments_, environment_;
  std::vector<char*> argv_, envp_;
  char** outer_environment_ = nullptr;
};

// The program's constructors run when the process begins, too, and want their environment.
[[gnu::constructor(101)]] void give_environment() {
  for (auto text = uvsim_server_environment; *text != nullptr; ++text) {
    putenv(const_cast<char*>(*text));
  }
}

class Target {
 public:
  Target() {
    subject_.name = uvsim_server_names[0];
    subject_.start = [this] { return invocation_.call_main(); };
    Subject promised;
    keep_promises(promised);
    look(promised);
    keep_promises(subject_);
    given_ = trial_.forgiven();
  }

  void run(const std::uint8_t* data, std::size_t size) {
    const std::string past = trial_.runs() % 2 == 0 ? "" : past_;
    trial_.forgiven() = given_;
    trial_.forgiven().add(past);
    trial_.options().check_sigpipe = true;
    invocation_.begin();
    Plan plan(data, size, trial_.options().asked);
    const Verdict& verdict = trial_.run(subject_, {}, plan);
    invocation_.end();
    if (verdict.ok()) return;
    const std::string name = name_of(verdict, maker_in(verdict.message));
    if (Findings* const findings = Findings::wanted()) {
      const std::string how = past.empty() ? "" : "past: " + past + "\n";
      const std::string summary = trial_.summary();
      const std::string words = summary.substr(0, summary.find('\n') + 1);
      findings->keep(name, data, size, words + verdict.evidence + how);
      go_past(verdict);
      return;
    }
    std::fprintf(stderr, "%s: %s", name.c_str(), trial_.summary().c_str());
    std::abort();
  }

 private:
  static void keep_promises(Subject& subject) {
    for (auto text = uvsim_server_promises; *text != nullptr; ++text) {
      if (promise(subject, *text)) continue;
      std::fprintf(stderr, "%s: '%s' is no promise; there are:\n%s", uvsim_server_names[0], *text,
                   promises().c_str());
      std::_Exit(2);
    }
  }

  void look(const Subject& promised) {
    const Startable server{.start = subject_.start,
                           .before = [this] { invocation_.begin(); },
                           .after = [this] { invocation_.end(); }};
    const FirstLook look = look_at(server, promised.upstreams);
    if (!look.listens) return;
    subject_.echoes = look.echoes;
    subject_.echoes_at = look.echoes_at;
    subject_.hears_at_most = look.hears_at_most;
    subject_.session_ms = look.session_ms;
    subject_.upstreams = look.upstreams;
    if (look.sends_without_end) {
      // It fills every buffer, in as many steps as there is room.
      constexpr std::uint32_t little = 1U << 14;
      trial_.options().send_window = trial_.options().receive_window = little;
    }
    if (look.stop_signal != 0) subject_.stop_signal = look.stop_signal;
    if (look.echoes) {
      if (!promised.speech.speaks())
        subject_.speech = echo_of(look.talk, look.greeting, look.echoes_halves);
    } else if (!promised.speech.speaks() && !insists_on_echoes()) {
      subject_.speech = anything(look.answered, words_in(constants_of_the_program()));
      subject_.speech.known = look.known;
    }
    if (std::getenv("HARNESS_FIRST_LOOK") != nullptr) tell(look);
  }

  static bool insists_on_echoes() {
    Subject subject;
    subject.echoes = false;
    keep_promises(subject);
    return subject.echoes;
  }

  // Byte by byte: AddressSanitizer keeps others from reading what is between two constants.
  [[gnu::no_sanitize_address]] static std::string constants_of_the_program() {
    std::string text;
    for (const char* at = __start_subject_words; at != __stop_subject_words; ++at) {
      const char byte = *at;
      text += byte;
    }
    return text;
  }

  static void tell(const FirstLook& look) {
    std::string text = look.echoes
                           ? std::string("sends back ") + words_for(look.talk) +
                                 (look.talk == Talk::bytes ? " it receives" : " that it receives")
                           : "does not send back what it receives: prefix, whole and apart are "
                             "not held (echoes=true insists)";
    if (!look.known.empty()) {
      text += "; it gives the same answer each time to " + std::to_string(look.known.size()) +
              (look.known.size() == 1 ? " message" : " messages") +
              ", and that answer may not be cut";
    }
    if (!look.greeting.empty()) text += ", after a greeting";
    if (look.hears_at_most != Subject::unlimited) {
      text += ", up to " + std::to_string(look.hears_at_most) + " bytes of a client";
    }
    if (look.session_ms != Subject::unlimited) {
      text += ", for " + std::to_string(look.session_ms / 1000) + " s";
    }
    if (!look.echoes_at.empty()) text += ", at " + look.echoes_at;
    for (const std::uint16_t port : look.upstreams) {
      text += "; connects to port " + std::to_string(port);
    }
    text += look.stop_signal == 0
                ? "; no signal ends it"
                : std::string("; SIG") + sigabbrev_np(look.stop_signal) + " ends it";
    std::fprintf(stderr, "%s: %s\n", uvsim_server_names[0], text.c_str());
  }

  // The rule, or the start of the message up to what differs from run to run.
  void go_past(const Verdict& verdict) {
    std::string_view words = verdict.rule;
    if (words.empty()) {
      words = verdict.message;
      const std::size_t client = words.find("): ");
      if (words.starts_with("client ") && client != std::string_view::npos) {
        words.remove_prefix(client + 3);
      }
      words = words.substr(0, words.find_first_of(",;0123456789"));
    }
    if (words.size() < 3 || trial_.forgiven().has(words, "", words)) return;
    if (past_.find(words) == std::string::npos)
      past_ += (past_.empty() ? "" : ",") + std::string(words);
  }

  Invocation invocation_;
  Trial trial_;
  Subject subject_;
  Forgiven given_;    // by the environment
  std::string past_;  // earlier findings
};

}  // namespace
}  // namespace harness

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static harness::Target target;
  target.run(data, size);
  return 0;
}
