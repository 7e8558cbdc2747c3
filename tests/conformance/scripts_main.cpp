// Feeds random scripts to two or three arms and compares their traces. A divergence is shrunk,
// shown, and printed as a C program; the exit status is then 1.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "scripts_compare.hpp"

namespace conformance {
namespace {

constexpr const char* usage =
    "usage: conformance_scripts [OPTION...] REAL ARM... -- OTHER ARM... [-- THIRD "
    "ARM...]\n"
    "\n"
    "REAL, OTHER and THIRD are commands that answer scripts with traces: "
    "conformance_scripts_loopback,\n"
    "ci/newer-libuv run conformance_scripts_loopback-newer-libuv.node, conformance_scripts_sim "
    "1.44,\n"
    "conformance_scripts_floor2. Of three arms the one is named that the two others contradict.\n"
    "\n"
    "  --count N     scripts to play (300)\n"
    "  --deep        10,000 scripts\n"
    "  --seed N      another series of scripts (1)\n"
    "  --large       only large scripts;  --small  only small ones\n"
    "  --script FILE play the one script in FILE\n"
    "  --reach       print how often each callback, status and close path was reached, and fail "
    "if\n"
    "                one of those that random scripts are for was not\n"
    "  --keep-going  look for more divergences after the first\n"
    "  --program FILE  write the C program of the first divergence there; otherwise it is "
    "printed\n";

struct Settings {
  unsigned count = 300;
  unsigned long seed = 1;
  std::optional<bool> is_large;
  std::string script;
  std::string program;
  bool shows_reach = false;
  bool keeps_going = false;
  std::vector<std::vector<std::string>> arms;
};

std::optional<Settings> settings_of(int argc, char** argv) {
  Settings settings;
  int i = 1;
  for (; i < argc && std::strncmp(argv[i], "--", 2) == 0; i++) {
    const std::string option = argv[i];
    const auto value = [&] { return i + 1 < argc ? argv[++i] : ""; };
    if (option == "--count") {
      settings.count = static_cast<unsigned>(std::strtoul(value(), nullptr, 10));
    } else if (option == "--deep") {
      settings.count = 10000;
    } else if (option == "--seed") {
      settings.seed = std::strtoul(value(), nullptr, 10);
    } else if (option == "--large" || option == "--small") {
      settings.is_large = option == "--large";
    } else if (option == "--script") {
      settings.script = value();
    } else if (option == "--program") {
      settings.program = value();
    } else if (option == "--reach") {
      settings.shows_reach = true;
    } else if (option == "--keep-going") {
      settings.keeps_going = true;
    } else {
      return std::nullopt;
    }
  }
  settings.arms.emplace_back();
  for (; i < argc; i++) {
    if (std::strcmp(argv[i], "--") == 0) {
      settings.arms.emplace_back();
    } else {
      settings.arms.back().emplace_back(argv[i]);
    }
  }
  const auto& arms = settings.arms;
  if (arms.size() < 2 || arms.size() > 3) return std::nullopt;
  if (std::any_of(arms.begin(), arms.end(), [](const auto& arm) { return arm.empty(); }))
    return std::nullopt;
  return settings;
}

Script script_in(const std::string& path) {
  Script script;
  std::ifstream file(path);
  for (std::string text; std::getline(file, text);) {
    if (text == "play large") script.is_large = true;
    if (const auto line = parse_line(text)) script.lines.push_back(*line);
  }
  return script;
}

Script generated(unsigned long seed, unsigned number, std::optional<bool> is_large) {
  for (unsigned variant = 0;; variant++) {
    std::seed_seq seeds{static_cast<unsigned>(seed), number, variant};
    std::mt19937 random(seeds);
    Script script = random_script([&](unsigned n) { return static_cast<unsigned>(random() % n); });
    if (!is_large || script.is_large == *is_large) return script;
  }
}

// ------------------------------------------------------------------------------------------ reach

/// How often each kind of event was seen: the measure of how much the scripts can find.
class Reach {
 public:
  void add(const std::string& trace) {
    std::istringstream lines(trace);
    std::string within = "main";
    for (std::string line; std::getline(lines, line) && line != "the end";) {
      if (line.rfind("turn", 0) == 0 || line == "settled") within = "main";
      const std::string kind = kind_of(line);
      if (kind.empty()) continue;
      seen_[kind]++;
      if (line[0] == '>') within = kind.substr(2);
      if (kind == "close" || kind == "reset 0") seen_["close within " + within]++;
    }
  }

  void print() const {
    for (const auto& [kind, count] : seen_) std::printf("%9lu  %s\n", count, kind.c_str());
  }

  /// What no series of a few hundred scripts may miss.
  bool is_enough() const {
    bool is_enough = true;
    for (const char* kind : {"> connection 0",
                             "> connect 0",
                             "> connect ECONNREFUSED",
                             "> connect ECANCELED",
                             "> read data",
                             "> read 0",
                             "> read EOF",
                             "> read ECONNRESET",
                             "> read ENOBUFS",
                             "> write 0",
                             "> write ECANCELED",
                             "> write EPIPE",
                             "> write ECONNRESET",
                             "> shutdown 0",
                             "> shutdown ECANCELED",
                             "> shutdown ENOTCONN",
                             "> timer runs",
                             "> idle runs",
                             "> async runs",
                             "> closed",
                             "write EPIPE",
                             "write EBADF",
                             "shutdown ENOTCONN",
                             "read_start EALREADY",
                             "read_start EINVAL",
                             "read_start ENOTCONN",
                             "try_write EAGAIN",
                             "accept EAGAIN",
                             "reset EINVAL",
                             "connect EALREADY",
                             "close within connection 0",
                             "close within connect 0",
                             "close within read data",
                             "close within read EOF",
                             "close within write 0",
                             "close within shutdown 0",
                             "close within closed",
                             "close within timer runs",
                             "close within main"}) {
      if (seen_.count(kind) != 0) continue;
      std::printf("never reached: %s\n", kind);
      is_enough = false;
    }
    return is_enough;
  }

 private:
  /// "> c0 write(5) 0" is "> write 0"; "p1.shutdown = ENOTCONN" is "shutdown ENOTCONN".
  static std::string kind_of(const std::string& line) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (word == ">") {
      std::string actor;
      std::string event;
      std::string status;
      words >> actor >> event >> status;
      event = event.substr(0, event.find('('));
      if (event == "runs") return "> " + (actor[0] == 't' ? std::string("timer") : actor) + " runs";
      if (event == "read" && status[0] >= '1' && status[0] <= '9') status = "data";
      return "> " + event + (status.empty() ? "" : " " + status);
    }
    const std::size_t dot = word.find('.');
    if (dot == std::string::npos) return "";
    const std::string call = word.substr(dot + 1, word.find('(') - dot - 1);
    const std::size_t equals = line.rfind("= ");
    if (equals == std::string::npos) return call;
    const std::string status = line.substr(equals + 2);
    return call + " " + (status[0] >= '1' && status[0] <= '9' ? "bytes" : status);
  }

  std::map<std::string, unsigned long> seen_;
};

// --------------------------------------------------------------------------------------- the runs

void show(const Divergence& found, const Settings& settings, bool is_first) {
  std::printf("\nthe script:\n%s\nthe traces:\n%s", text_of(found.script).c_str(),
              difference(found).c_str());
  if (!is_first) return;
  if (settings.program.empty()) {
    std::printf("\nthe program:\n%s", c_program(found.script).c_str());
  } else {
    std::ofstream(settings.program) << c_program(found.script);
    std::printf("\nthe program: %s\n", settings.program.c_str());
  }
}

void announce(const std::deque<Arm>& arms, const Divergence& found) {
  for (const Arm& arm : arms) std::printf("  %s\n", arm.name().c_str());
  if (arms.size() < 3) return;
  if (found.odd == nullptr) {
    std::printf("No two of them agree.\n");
  } else {
    std::printf("THE ONE THAT DIFFERS: %s\n", found.odd->name().c_str());
  }
}

int compare(const Settings& settings) {
  std::deque<Arm> arms;
  for (const auto& command : settings.arms) arms.emplace_back(command);
  Comparison comparison(arms[0], arms[1], arms.size() > 2 ? &arms[2] : nullptr);
  Reach reach;
  unsigned divergences = 0;
  unsigned played = 0;
  unsigned large = 0;
  const auto start = std::chrono::steady_clock::now();
  const unsigned count = settings.script.empty() ? settings.count : 1;
  for (; played < count && (divergences == 0 || settings.keeps_going); played++) {
    const Script script = settings.script.empty()
                              ? generated(settings.seed, played, settings.is_large)
                              : script_in(settings.script);
    large += script.is_large ? 1 : 0;
    const auto found = comparison.divergence(script);
    reach.add(comparison.last_trace);
    if (!found) continue;
    divergences++;
    std::printf("DIVERGENCE in script %u of seed %lu, between\n", played, settings.seed);
    announce(arms, *found);
    show(comparison.shrunk(*found), settings, divergences == 1);
    std::fflush(stdout);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (settings.shows_reach) reach.print();
  std::printf(
      "%u scripts (%u large), %u divergences, %u agreed at a later attempt, %.0f scripts/s\n",
      played, large, divergences, comparison.varied, played / seconds.count());
  if (settings.shows_reach && !reach.is_enough()) return 1;
  return divergences == 0 ? 0 : 1;
}

}  // namespace
}  // namespace conformance

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--help") == 0) {
    std::fputs(conformance::usage, stdout);
    return 0;
  }
  const auto settings = conformance::settings_of(argc, argv);
  if (!settings) {
    std::fputs(conformance::usage, stderr);
    return 2;
  }
  return conformance::compare(*settings);
}
