// Growth at rest: whether the memory that a server keeps without clients grows with every client.
//
// Theory. A sound server may keep something when its clients are gone: a free list, a cache, a
// larger table. After enough clients it keeps no more. So after a first rest the World repeats the
// run's actions, and compares. If nothing has grown, nothing will. Otherwise the World goes on, and
// compares at 1, 2, 4, 8, ... repetitions with the figures at half as many. A full cache stops
// growing between two of these comparisons. Memory that every client adds to grows between any
// two. If it has grown at each comparison, over more than `remembers` clients, the server is said
// to grow for ever.
//
// This class only computes. The World plays, waits, and passes the figures on.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace harness {

class Rests {
 public:
  struct Measure {
    std::uint64_t blocks = 0;
    std::uint64_t bytes = 0;
    std::uint64_t handles = 0;
    std::uint64_t descriptors = 0;
  };

  // `before`: the figures before the first client. If anything is kept, at least `least`
  // repetitions are made.
  void begin(const Measure& before, std::uint32_t remembers, std::uint32_t least);
  // No client is there; `clients` have been there in all.
  void rested(const Measure& now, std::uint64_t clients);
  // Whether another repetition is needed.
  bool asks_for_more() const { return asks_; }
  // Whether the memory grows. The server may still release it after a long time without clients.
  bool suspects() const { return suspects_; }
  // The message after that time; empty: the kept memory is bounded.
  std::string verdict(const Measure& now) const;
  std::uint32_t repetitions() const { return repetitions_; }

 private:
  Measure half_;  // at the last comparison
  std::uint64_t clients_at_half_ = 0;
  std::uint64_t clients_ = 0;
  std::uint32_t remembers_ = 0;
  std::uint32_t least_ = 0;
  std::uint32_t repetitions_ = 0;
  std::uint32_t compares_at_ = 0;
  bool rested_ = false;
  bool asks_ = false;
  bool suspects_ = false;
};

}  // namespace harness
