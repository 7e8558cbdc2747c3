// The program under test as a child process: started with arguments and a setting, spoken to by
// signals, judged by its two streams, its exit status and what /proc says about it.
//
// Always reaped: the destructor kills what a failed test left running, and the kernel kills it
// when the test itself is killed. The program is the one that CMake built beside the tests, or the
// one that the environment variable ECHO_SERVER names.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <vector>

#include "client.hpp"

namespace loopback {

using Arguments = std::vector<std::string>;

// What the child finds when it starts, beside its arguments.
struct Setting {
  std::vector<std::string> environment = {};  // "NAME=value", added to ours
  std::optional<rlim_t> descriptors = {};     // RLIMIT_NOFILE
  std::vector<int> closed = {};               // standard streams that are closed
  std::vector<int> inherited = {};            // descriptors that stay open
  std::string directory = {};                 // working directory, when not ours
  std::vector<int> blocked = {};              // signals
  std::vector<int> ignored = {};              // signals
  std::optional<rlim_t> processes = {};       // RLIMIT_NPROC, for a user without other processes
  std::optional<rlim_t> file_size = {};       // RLIMIT_FSIZE
  int output = -1;                            // stdout, when it is not the pipe that is read here
  int errors = -1;                            // stderr, when it is not the file that is read here
  std::string program = {};                   // when it is not the program under test
};

struct Statistics {
  long connections = -1, blocks_lent = -1, blocks = -1, accepted = -1;
};

struct Pair {
  unsigned long acquired = 0, released = 0;
};

struct Ledger {
  Pair sessions, blocks;
  unsigned long outstanding = 0;
};

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// The number that follows "name": in a flat line of JSON; -1 when there is none.
inline long number_in(const std::string& line, const std::string& name) {
  const std::size_t at = line.find("\"" + name + "\":");
  if (at == std::string::npos) return -1;
  return std::strtol(line.c_str() + at + name.size() + 3, nullptr, 10);
}

// The ledger line has one form, to the byte.
inline std::optional<Ledger> parse_ledger(const std::string& line) {
  Ledger ledger;
  int end = -1;
  std::sscanf(line.c_str(),
              "{\"event\":\"ledger\",\"sessions\":{\"acquired\":%lu,\"released\":%lu},"
              "\"blocks\":{\"acquired\":%lu,\"released\":%lu},\"outstanding\":%lu}%n",
              &ledger.sessions.acquired, &ledger.sessions.released, &ledger.blocks.acquired,
              &ledger.blocks.released, &ledger.outstanding, &end);
  if (end < 0 || static_cast<std::size_t>(end) != line.size()) return std::nullopt;
  return ledger;
}

// Whether the program under test runs on the libuv that tests/loopback/CMakeLists.txt calls newer.
inline bool on_newer_libuv() {
  const char* const program = std::getenv("ECHO_SERVER");
  return program != nullptr && std::string(program).find("newer-libuv") != std::string::npos;
}

// Where a process can be started that sees no /proc.
inline bool can_hide_proc() {
  return std::system("unshare --mount sh -c 'mount -t tmpfs none /proc' 2>/dev/null") == 0;
}

class ServerProcess {
 public:
  // What starts a program, with its arguments after it, without /proc.
  static constexpr const char* hider = "/usr/bin/unshare";
  static Arguments hidden_proc() {
    return {"--mount", "sh", "-c", "mount -t tmpfs none /proc && exec \"$0\" \"$@\"", program()};
  }

  // The program under test.
  static std::string program() {
    const char* const other = std::getenv("ECHO_SERVER");
    return other != nullptr && *other != '\0' ? other : ECHO_SERVER_PROGRAM;
  }

  // Whether the program brings a sanitizer's run time, which is linked into it. Then operator new
  // is the sanitizer's, and no preloaded library replaces it; and it needs /proc and threads of its
  // own.
  static bool sanitized() {
    static const bool found = [] {
      std::ifstream file(program(), std::ios::binary);
      const std::string bytes((std::istreambuf_iterator<char>(file)), {});
      return bytes.find("__sanitizer_") != std::string::npos;
    }();
    return found;
  }

  // On a free port, and answering.
  static ServerProcess start(Arguments arguments = {}, const Setting& setting = {}) {
    arguments.insert(arguments.begin(), {"--port", "0"});
    ServerProcess server(arguments, setting);
    server.wait_ready();
    return server;
  }

  ServerProcess(const Arguments& arguments, const Setting& setting) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) fail_system("pipe2");
    output_ = Descriptor(ends[0]);
    Descriptor child_output(ends[1]);
    // A file, not a pipe: a server that logs much is never held up by a test that does not read.
    errors_ = Descriptor(::memfd_create("stderr", MFD_CLOEXEC));
    if (errors_.get() < 0) fail_system("memfd_create");
    launch(arguments, setting, child_output.get());
  }

  ServerProcess(ServerProcess&& other) noexcept
      : process_(std::exchange(other.process_, -1)),
        exit_event_(std::move(other.exit_event_)),
        output_(std::move(other.output_)),
        errors_(std::move(other.errors_)),
        pending_(std::move(other.pending_)),
        ready_(std::move(other.ready_)),
        port_(other.port_) {}
  ServerProcess& operator=(ServerProcess&&) = delete;

  ~ServerProcess() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }

  pid_t process() const { return process_; }
  std::uint16_t port() const { return port_; }
  const std::string& ready_line() const { return ready_; }

  void wait_ready() {
    ready_ = output_line();
    if (ready_.find("\"event\":\"listening\"") == std::string::npos) {
      throw std::runtime_error("no ready line but: " + ready_ + "\n" + errors());
    }
    port_ = static_cast<std::uint16_t>(number_in(ready_, "port"));
  }

  // The next line of stdout.
  std::string output_line() {
    const Deadline deadline;
    for (;;) {
      const std::size_t end = pending_.find('\n');
      if (end != std::string::npos) {
        std::string line = pending_.substr(0, end);
        pending_.erase(0, end + 1);
        return line;
      }
      if (!read_output(deadline)) throw std::runtime_error("stdout ended; stderr: " + errors());
      deadline.require("a line on stdout");
    }
  }

  // The rest of stdout, once the program has ended.
  std::string output_rest() {
    const Deadline deadline;
    while (read_output(deadline)) deadline.require("the end of stdout");
    return std::exchange(pending_, {});
  }

  void close_output() { output_.close(); }

  // All of stderr so far.
  std::string errors() const {
    std::string text;
    char piece[4096];
    for (ssize_t count; (count = ::pread(errors_.get(), piece, sizeof piece,
                                         static_cast<off_t>(text.size()))) > 0;) {
      text.append(piece, static_cast<std::size_t>(count));
    }
    return text;
  }

  void signal(int number) const {
    if (::kill(process_, number) != 0) fail_system("kill");
  }

  Statistics statistics() {
    signal(SIGUSR1);
    const std::string line = output_line();
    if (line.find("\"event\":\"statistics\"") == std::string::npos) {
      throw std::runtime_error("no statistics but: " + line);
    }
    return {number_in(line, "connections"), number_in(line, "blocks_lent"),
            number_in(line, "blocks"), number_in(line, "accepted")};
  }

  // Stopped as by SIGSTOP, which takes a moment.
  bool stopped() const {
    std::ifstream file(proc("status"));
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with("State:")) return line.find('T') != std::string::npos;
    }
    return false;
  }

  bool running() const { return !wait_exit_event(Clock::duration::zero()); }

  // The wait status, once the program has ended by itself.
  int wait_status() {
    if (!wait_exit_event(patience)) throw std::runtime_error("still running; " + errors());
    int status = 0;
    if (::waitpid(std::exchange(process_, -1), &status, 0) < 0) fail_system("waitpid");
    return status;
  }

  // Seconds in which the program wanted the processor, whether it got it or, on a busy machine,
  // waited for it. Of a program that spins that is all the time there is.
  double busy_seconds() const {
    std::ifstream file(proc("schedstat"));
    double on_processor = -1;
    double waiting_for_it = -1;
    if (!(file >> on_processor >> waiting_for_it)) throw std::runtime_error("no schedstat");
    return (on_processor + waiting_for_it) / 1e9;
  }

  // Memory that this process has written to and does not share. Private_Clean is left out:
  // pages of a program file count there as soon as the last other process that runs it has ended.
  std::size_t private_bytes() const { return kibibytes("smaps_rollup", "Private_Dirty:"); }

  // A sanitizer's shadow takes terabytes of address space; then memory figures say nothing.
  bool has_shadow_memory() const { return kibibytes("status", "VmSize:") > (std::size_t{1} << 40); }

  std::vector<int> descriptors() const {
    std::vector<int> numbers;
    for (const auto& entry : std::filesystem::directory_iterator(proc("fd"))) {
      numbers.push_back(std::stoi(entry.path().filename()));
    }
    std::ranges::sort(numbers);
    return numbers;
  }

  void limit_descriptors(rlim_t soft) const {
    rlimit limit{};
    if (::prlimit(process_, RLIMIT_NOFILE, nullptr, &limit) != 0) fail_system("prlimit");
    limit.rlim_cur = soft;
    if (::prlimit(process_, RLIMIT_NOFILE, &limit, nullptr) != 0) fail_system("prlimit");
  }

  // For a server that cannot say it: the port of the listening socket that it holds.
  std::optional<std::uint16_t> listening_port() const {
    std::string held;
    std::error_code ignored;  // a descriptor may be closed while we look
    for (const int number : descriptors()) {
      held += std::filesystem::read_symlink(proc("fd/" + std::to_string(number)), ignored);
      held += ' ';
    }
    std::ifstream table(proc("net/tcp"));
    std::string line;
    std::getline(table, line);
    while (std::getline(table, line)) {
      unsigned port = 0;
      unsigned state = 0;
      unsigned long inode = 0;
      std::sscanf(line.c_str(), "%*s %*x:%x %*s %x %*s %*s %*s %*s %*s %lu", &port, &state, &inode);
      const bool listens = state == 10;
      if (listens && held.find("socket:[" + std::to_string(inode) + "]") != std::string::npos) {
        return static_cast<std::uint16_t>(port);
      }
    }
    return std::nullopt;
  }

 private:
  std::string proc(const std::string& name) const {
    return "/proc/" + std::to_string(process_) + "/" + name;
  }

  std::size_t kibibytes(const std::string& file_name, const std::string& field) const {
    std::ifstream file(proc(file_name));
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with(field)) return std::stoul(line.substr(field.size())) * 1024;
    }
    throw std::runtime_error("no " + field + " in " + file_name);
  }

  void launch(const Arguments& arguments, const Setting& setting, int child_output) {
    // Everything is made ready before fork: the child only makes system calls.
    std::vector<std::string> words{setting.program.empty() ? program() : setting.program};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    std::vector<std::string> added = setting.environment;
    std::vector<char*> environment;
    for (std::string& entry : added) environment.push_back(entry.data());
    for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
    environment.push_back(nullptr);
    const pid_t parent = ::getpid();
    sigset_t blocked;
    sigset_t mask;
    ::sigemptyset(&blocked);
    for (const int number : setting.blocked) ::sigaddset(&blocked, number);

    ::pthread_sigmask(SIG_BLOCK, &blocked, &mask);
    process_ = ::fork();
    if (process_ != 0) ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
    if (process_ < 0) fail_system("fork");
    if (process_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(127);
      ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
      ::fcntl(child_output, F_SETFL, 0);
      ::dup2(setting.output < 0 ? child_output : setting.output, STDOUT_FILENO);
      ::dup2(setting.errors < 0 ? errors_.get() : setting.errors, STDERR_FILENO);
      if (!setting.directory.empty() && ::chdir(setting.directory.c_str()) != 0) ::_exit(127);
      ::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
      for (const int number : setting.inherited) ::fcntl(number, F_SETFD, 0);
      if (setting.descriptors) {
        const rlimit limit{*setting.descriptors, *setting.descriptors};
        ::setrlimit(RLIMIT_NOFILE, &limit);
      }
      if (setting.file_size) {
        const rlimit limit{*setting.file_size, *setting.file_size};
        ::setrlimit(RLIMIT_FSIZE, &limit);
      }
      if (setting.processes) {
        const rlimit limit{*setting.processes, *setting.processes};
        ::setrlimit(RLIMIT_NPROC, &limit);
        // A user of its own: the limit counts the processes of all programs of one.
        constexpr uid_t nobodys = 0x4000'0000;
        if (::setuid(nobodys + static_cast<uid_t>(::getpid())) != 0) ::_exit(127);
      }
      for (const int number : setting.ignored) ::signal(number, SIG_IGN);
      for (const int number : setting.closed) ::close(number);
      ::execve(argv[0], argv.data(), environment.data());
      ::_exit(127);
    }
    // Debian 12's <sys/pidfd.h> cannot be used from C++.
    exit_event_ = Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, process_, 0)));
    if (exit_event_.get() < 0) fail_system("pidfd_open");
  }

  bool wait_exit_event(Clock::duration length) const {
    pollfd entry{exit_event_.get(), POLLIN, 0};
    const Deadline deadline(length);
    for (;;) {
      const int ready = ::poll(&entry, 1, deadline.poll_timeout());
      if (ready > 0) return true;
      if (ready < 0 && errno != EINTR) fail_system("poll");
      if (deadline.passed()) return false;
    }
  }

  // False at the end of the stream.
  bool read_output(const Deadline& deadline) {
    pollfd entry{output_.get(), POLLIN, 0};
    if (::poll(&entry, 1, deadline.poll_timeout()) < 0 && errno != EINTR) fail_system("poll");
    char piece[4096];
    const ssize_t count = ::read(output_.get(), piece, sizeof piece);
    if (count > 0) pending_.append(piece, static_cast<std::size_t>(count));
    return count != 0;
  }

  pid_t process_ = -1;
  Descriptor exit_event_;
  Descriptor output_;
  Descriptor errors_;
  std::string pending_;
  std::string ready_;
  std::uint16_t port_ = 0;
};

// The program has ended, or is about to: exit status 0 and a balanced ledger as the last line.
inline Ledger expect_clean_exit(ServerProcess& server) {
  const int status = server.wait_status();
  const std::string errors = server.errors();
  EXPECT_TRUE(WIFEXITED(status)) << "killed by signal " << WTERMSIG(status) << "\n" << errors;
  EXPECT_EQ(WEXITSTATUS(status), 0) << errors;
  const std::vector<std::string> lines = lines_of(errors);
  const auto ledger = lines.empty() ? std::nullopt : parse_ledger(lines.back());
  EXPECT_TRUE(ledger) << "no ledger at the end of: " << errors;
  if (!ledger) return {};
  EXPECT_EQ(ledger->sessions.acquired, ledger->sessions.released);
  EXPECT_EQ(ledger->blocks.acquired, ledger->blocks.released);
  EXPECT_EQ(ledger->outstanding, 0U);
  return *ledger;
}

// How every test ends: asked to stop, the server stops cleanly.
inline Ledger stop_cleanly(ServerProcess& server) {
  server.signal(SIGTERM);
  return expect_clean_exit(server);
}

// Whether a new client is served now. While the server cannot accept it may wait, be closed, or be
// refused.
inline bool serves(const ServerProcess& server) {
  try {
    Client client(server.port());
    client.send_some("hello");
    return client.wait(POLLIN, milliseconds(200)) && client.receive(5) == "hello";
  } catch (const std::system_error& error) {
    if (error.code().value() != ECONNREFUSED && error.code().value() != ECONNRESET) throw;
    return false;
  }
}

struct Outcome {
  int exit_code = -1;  // -1: killed by a signal
  std::string output;
  std::vector<std::string> errors;
};

// For programs that end by themselves: --help, bad input.
inline Outcome run_to_end(const Arguments& arguments, const Setting& setting = {}) {
  ServerProcess server(arguments, setting);
  const int status = server.wait_status();
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, server.output_rest(),
          lines_of(server.errors())};
}

}  // namespace loopback
