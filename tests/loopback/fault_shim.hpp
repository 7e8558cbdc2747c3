// What the fault shim tells the test, through memory that both share.
#pragma once

#include <atomic>

namespace loopback {

struct FaultCounters {
  std::atomic<unsigned long> injected;
  std::atomic<unsigned long> calls[8];  // by kind, in the order of the shim's list
};

}  // namespace loopback
