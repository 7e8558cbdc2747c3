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
  explicit FaultyServer(const std::string& faults, const Arguments& arguments = {})
      : shared_(::memfd_create("faults", 0)),
        counters_(map(shared_.get())),
        server_(ServerProcess::start(arguments, setting(faults, shared_.get()))) {}
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

  Descriptor shared_;
  FaultCounters* counters_;
  ServerProcess server_;
};

inline std::vector<Conversation> conversations_with(const ServerProcess& server,
                                                    std::uint64_t count, std::size_t size) {
  std::vector<Conversation> conversations;
  for (std::uint64_t seed = 0; seed < count; ++seed) {
    conversations.emplace_back(Client(server.port()), payload(seed, size), Conversation::Plan{});
  }
  return conversations;
}

}  // namespace loopback
