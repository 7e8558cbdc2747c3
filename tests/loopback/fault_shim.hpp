// What the fault shim tells the test, through memory that both share.
#pragma once

#include <atomic>

namespace loopback {

inline constexpr int fault_calls_max = 16;

struct FaultCounters {
  std::atomic<unsigned long> injected;
  std::atomic<unsigned long> calls[fault_calls_max];  // by kind, in the order of the shim's list
};

}  // namespace loopback
