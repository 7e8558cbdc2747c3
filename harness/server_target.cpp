// The fuzz target for a server whose main() was renamed: what uvsim_fuzz_server() links.
//
//   HARNESS_FINDINGS=FOLDER   keep what is found there and go on (harness/findings.hpp)
//   HARNESS_PAST=R21          go on past these, from the first run on: to replay such a finding
#include "harness/server_target.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "harness/findings.hpp"
#include "harness/first_look.hpp"
#include "harness/plan.hpp"
#include "harness/program.hpp"
#include "harness/promises.hpp"
#include "harness/trial.hpp"

namespace harness {
namespace {

// The function that made what was leaked, as the ledger's words have it: "made in step 7 by on_read
// /home/me/chat.c:12".
std::string_view maker_in(std::string_view message) {
  const std::size_t by = message.find(" by ");
  if (by == std::string_view::npos) return {};
  std::string_view name = message.substr(by + 4);
  name = name.substr(0, name.find_first_of(" ("));
  return name.starts_with("0x") ? std::string_view() : name;
}

class Target {
 public:
  Target() {
    subject_.name = uvsim_server_names[0];
    subject_.start = [this] { return program_.run(); };
    subject_.ending = [this] {
      return Subject::Ending{program_.end() == Program::End::exited, program_.last_words()};
    };
    look();
    for (auto text = uvsim_server_promises; *text != nullptr; ++text) {
      if (promise(subject_, *text)) continue;
      std::fprintf(stderr, "%s: '%s' is no promise; there are:\n%s", uvsim_server_names[0], *text,
                   promises().c_str());
      std::_Exit(2);
    }
    const char* const past = std::getenv("HARNESS_PAST");
    if (past != nullptr && std::strstr(past, "R21") != nullptr) go_past_sigpipe();
  }

  void run(const std::uint8_t* data, std::size_t size) {
    program_.prepare();
    Plan plan(data, size, trial_.options().asked);
    const Verdict& verdict = trial_.run(subject_, {}, plan);
    program_.finish();
    if (verdict.ok()) return;
    const std::string name = name_of(verdict, maker_in(verdict.message));
    if (Findings* const findings = Findings::wanted()) {
      findings->keep(name, data, size, trial_.summary() + past_);
      if (verdict.rule == "R21") go_past_sigpipe();
      return;
    }
    std::fprintf(stderr, "%s: %s", name.c_str(), trial_.summary().c_str());
    std::abort();
  }

 private:
  void look() {
    program_.prepare();
    const FirstLook look = look_at(subject_.start);
    program_.finish();
    if (!look.listens) return;
    subject_.echoes = look.echoes;
    if (look.stop_signal != 0) subject_.stop_signal = look.stop_signal;
    if (std::getenv("HARNESS_FIRST_LOOK") == nullptr) return;
    std::fprintf(stderr, "%s: %s; %s\n", uvsim_server_names[0],
                 look.echoes ? "sends back what it receives"
                             : "does not send back what it receives: prefix, whole and apart are "
                               "not held (echoes=true insists)",
                 look.stop_signal == 0
                     ? "no signal ends it"
                     : (std::string("SIG") + sigabbrev_np(look.stop_signal) + " ends it").c_str());
  }

  // As if the program had ignored SIGPIPE: what it does afterwards would not be seen otherwise.
  void go_past_sigpipe() {
    trial_.options().check_sigpipe = false;
    past_ = "past: R21\n";
  }

  Program program_;
  Trial trial_;
  Subject subject_;
  std::string past_;
};

}  // namespace
}  // namespace harness

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static harness::Target target;
  target.run(data, size);
  return 0;
}
