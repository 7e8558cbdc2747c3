// The program under test with faults in its system calls: fault_shim.cpp makes them.
#pragma once

#include <string>
#include <vector>

#include "client.hpp"
#include "fault_shim.hpp"
#include "server_process.hpp"

namespace loopback {

// The server with the shim in front of its libraries.
class FaultyServer {
 public:
  // It serves already, and the calls are counted since it has been listening.
  explicit FaultyServer(const std::string& faults, const Arguments& arguments = {})
      : shared_(::memfd_create("faults", 0)),
        counters_(map(shared_.get())),
        server_(ServerProcess::start(arguments, setting(faults, shared_.get()))) {}
  // It has only been started, and what fails may keep it from serving.
  struct FromStart {
    const char* program = "";  // when it is not the program under test
  };
  FaultyServer(const std::string& faults, const FromStart& start)
      : shared_(::memfd_create("faults", 0)),
        counters_(map(shared_.get())),
        server_({"--port", "0"}, from_start(setting(faults, shared_.get()), start)) {}
  ~FaultyServer() { ::munmap(counters_, sizeof *counters_); }
  FaultyServer(const FaultyServer&) = delete;
  FaultyServer& operator=(const FaultyServer&) = delete;

  ServerProcess& operator*() { return server_; }
  ServerProcess* operator->() { return &server_; }
  unsigned long injected() const { return counters_->injected; }

 private:
  static FaultCounters* map(int fd) {
    if (fd < 0 || ::ftruncate(fd, sizeof(FaultCounters)) != 0) fail_system("memfd");
    void* const place =
        ::mmap(nullptr, sizeof(FaultCounters), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (place == MAP_FAILED) fail_system("mmap");
    return static_cast<FaultCounters*>(place);
  }

  static Setting setting(const std::string& faults, int shared) {
    return {.environment = {"LD_PRELOAD=" FAULT_SHIM, "ECHO_FAULTS=" + faults,
                            "ECHO_FAULTS_SHARED=" + std::to_string(shared)},
            .inherited = {shared}};
  }

  static Setting from_start(Setting setting, const FromStart& start) {
    setting.environment.push_back("ECHO_FAULTS_FROM_START=1");
    setting.program = start.program;
    return setting;
  }

  Descriptor shared_;
  FaultCounters* counters_;
  ServerProcess server_;
};

// What a program made of something that failed before it served: it went on without, or said in one
// line what is wrong and ended with the status that is documented for it. All else is wrong.
enum class Start { serves, refuses, wrong };

inline Start start_of(ServerProcess& server) {
  try {
    server.wait_ready();
  } catch (const std::runtime_error&) {
    const int status = server.wait_status();
    const bool told = lines_of(server.errors()).size() == 1 && server.output_rest().empty();
    return WIFEXITED(status) && WEXITSTATUS(status) == 1 && told ? Start::refuses : Start::wrong;
  }
  // The call that failed may have been one for the first client.
  return serves(server) || serves(server) ? Start::serves : Start::wrong;
}

inline std::vector<Conversation> conversations_with(const ServerProcess& server,
                                                    std::uint64_t count, std::size_t size) {
  std::vector<Conversation> conversations;
  for (std::uint64_t seed = 0; seed < count; ++seed) {
    conversations.emplace_back(Client(server.port()), payload(seed, size),
                               Conversation::Behaviour{});
  }
  return conversations;
}

}  // namespace loopback
